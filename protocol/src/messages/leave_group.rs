//! LeaveGroup: members leave, or are taken out by an administrator.
//!
//! Source: `LeaveGroupRequest.json` and `LeaveGroupResponse.json` of Apache Kafka 4.3.1; KIP-345 (several members,
//! static ones by name), KIP-800 (reasons).

messages! {
    LeaveGroup: LeaveGroupRequest => LeaveGroupResponse;

    /// Leaves.
    request LeaveGroupRequest {
        [0+]         group_id: Str,
        [0-2 strict] member_id: Str,
        [3+ strict]  members: Vec<MemberIdentity>,
    }

    /// Who leaves.
    struct MemberIdentity {
        /// May be empty beside the name of a static member.
        [3+] member_id: Str,
        [3+] group_instance_id: Option<Str>,
        /// Why, for the broker's log.
        [5+] reason: Option<Str>,
    }

    /// Who has left.
    response LeaveGroupResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        [3+] members: Vec<MemberResponse>,
    }

    /// What became of one of them.
    struct MemberResponse {
        [3+] member_id: Str,
        [3+] group_instance_id: Option<Str>,
        [3+] error_code: ErrorCode,
    }
}
