//! DescribeGroups: a classic group's state and its members.
//!
//! Source: `DescribeGroupsRequest.json` and `DescribeGroupsResponse.json` of Apache Kafka 4.3.1; KIP-345, KIP-430
//! (authorized operations), KIP-1043 (an error for a group that is not there).

messages! {
    DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse;

    /// Asks about groups.
    request DescribeGroupsRequest {
        [0+]        groups: Vec<Str>,
        [3+ strict] include_authorized_operations: bool,
    }

    /// The groups.
    response DescribeGroupsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [0+] groups: Vec<DescribedGroup>,
    }

    /// A group.
    struct DescribedGroup {
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [6+] error_message: Option<Str>,
        [0+] group_id: Str,
        /// `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable` or `Dead`.
        [0+] group_state: Str,
        /// `consumer`, `connect`, ...; empty in a group that never had members.
        [0+] protocol_type: Str,
        /// The protocol chosen, for consumers the assignor.
        [0+] protocol_data: Str,
        [0+] members: Vec<DescribedGroupMember>,
        /// A bit for each operation allowed; the lowest number where not asked for.
        [3+] authorized_operations: i32 = i32::MIN,
    }

    /// A member.
    struct DescribedGroupMember {
        [0+] member_id: Str,
        [4+] group_instance_id: Option<Str>,
        [0+] client_id: Str,
        [0+] client_host: Str,
        /// What it sent with JoinGroup for the protocol chosen.
        [0+] member_metadata: Bytes,
        /// What the leader gave it.
        [0+] member_assignment: Bytes,
    }
}
