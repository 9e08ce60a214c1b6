//! SyncGroup: the leader hands in what it assigned; each member gets its part.
//!
//! Source: `SyncGroupRequest.json` and `SyncGroupResponse.json` of Apache Kafka 4.3.1; KIP-345, KIP-559.

messages! {
    SyncGroup: SyncGroupRequest => SyncGroupResponse;

    /// Asks for the member's assignment. The answer comes when the leader's request has.
    request SyncGroupRequest {
        [0+]        group_id: Str,
        [0+]        generation_id: i32,
        [0+]        member_id: Str,
        /// The name of a static member.
        [3+ strict] group_instance_id: Option<Str>,
        /// As in the answer to JoinGroup; must agree with the group's.
        [5+]        protocol_type: Option<Str>,
        [5+]        protocol_name: Option<Str>,
        /// Empty but from the leader.
        [0+]        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// What one member gets.
    struct SyncGroupRequestAssignment {
        [0+] member_id: Str,
        [0+] assignment: Bytes,
    }

    /// The member's assignment.
    response SyncGroupResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        [5+] protocol_type: Option<Str>,
        [5+] protocol_name: Option<Str>,
        [0+] assignment: Bytes,
    }
}
