//! FindCoordinator: which broker leads a group or a transactional id.
//!
//! Source: `FindCoordinatorRequest.json` and `FindCoordinatorResponse.json` of Apache Kafka 4.3.1; KIP-98
//! (transactions), KIP-699 (several keys at once), KIP-932 (share groups).

messages! {
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse;

    /// Asks for coordinators.
    request FindCoordinatorRequest {
        [0-3 strict] key: Str,
        /// 0: a group; 1: a transactional id; 2: a share group's partition.
        [1+ strict]  key_type: i8,
        [4+ strict]  coordinator_keys: Vec<Str>,
    }

    /// Where the coordinators are.
    response FindCoordinatorResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+]  throttle_time_ms: i32,
        [0-3] error_code: ErrorCode,
        /// More for a person to read, or null.
        [1-3] error_message: Option<Str>,
        [0-3] node_id: i32,
        [0-3] host: Str,
        [0-3] port: i32,
        [4+]  coordinators: Vec<Coordinator>,
    }

    /// The coordinator of one key.
    struct Coordinator {
        [4+] key: Str,
        /// -1 with an error.
        [4+] node_id: i32,
        [4+] host: Str,
        [4+] port: i32,
        [4+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [4+] error_message: Option<Str>,
    }
}
