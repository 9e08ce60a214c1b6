//! UnregisterBroker: a broker is taken out of the cluster.
//!
//! Source: `UnregisterBrokerRequest.json` and `UnregisterBrokerResponse.json` of Apache Kafka 4.3.1; KIP-500.

messages! {
    UnregisterBroker: UnregisterBrokerRequest => UnregisterBrokerResponse;

    /// Takes a broker out.
    request UnregisterBrokerRequest {
        [0+] broker_id: i32,
    }

    /// Whether it is out.
    response UnregisterBrokerResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
    }
}
