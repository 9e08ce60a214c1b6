//! Heartbeat: a member says that it lives, and hears whether it has to join again.
//!
//! Source: `HeartbeatRequest.json` and `HeartbeatResponse.json` of Apache Kafka 4.3.1; KIP-345.

messages! {
    Heartbeat: HeartbeatRequest => HeartbeatResponse;

    /// A sign of life.
    request HeartbeatRequest {
        [0+]        group_id: Str,
        [0+]        generation_id: i32,
        [0+]        member_id: Str,
        /// The name of a static member.
        [3+ strict] group_instance_id: Option<Str>,
    }

    /// Whether all is well.
    response HeartbeatResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
    }
}
