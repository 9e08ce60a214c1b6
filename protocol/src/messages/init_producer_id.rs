//! InitProducerId: gives a producer the id and the epoch that make it idempotent.
//!
//! Source: `InitProducerIdRequest.json` and `InitProducerIdResponse.json` of Apache Kafka 4.3.1; KIP-98, KIP-360
//! (epoch bump). Version 6 is not stable in Kafka and not here.

messages! {
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse;

    /// Asks for a producer id, or for the next epoch of one.
    request InitProducerIdRequest {
        /// Null without transactions.
        [0+]        transactional_id: Option<Str>,
        /// After this long the coordinator aborts an idle transaction.
        [0+]        transaction_timeout_ms: i32,
        /// The one in use, to bump its epoch; else -1.
        [3+ strict] producer_id: i64 = -1,
        /// The one in use, or -1.
        [3+ strict] producer_epoch: i16 = -1,
    }

    /// The producer id and epoch to use.
    response InitProducerIdResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        [0+] producer_id: i64 = -1,
        [0+] producer_epoch: i16,
    }
}
