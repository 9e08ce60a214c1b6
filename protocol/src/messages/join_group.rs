//! JoinGroup: becomes a member of a group, or takes part in its next generation.
//!
//! Source: `JoinGroupRequest.json` and `JoinGroupResponse.json` of Apache Kafka 4.3.1; KIP-394 (member ids),
//! KIP-345 (static members), KIP-559 (protocol type), KIP-800 (reasons), KIP-814 (a static leader's return).

messages! {
    JoinGroup: JoinGroupRequest => JoinGroupResponse;

    /// Joins. The answer comes when the coordinator has heard all members, or stopped waiting for them.
    request JoinGroupRequest {
        [0+]        group_id: Str,
        /// Without a heartbeat for this long the member is out.
        [0+]        session_timeout_ms: i32,
        /// How long the group waits for this member to join again; -1 (version 0): the session timeout.
        [1+]        rebalance_timeout_ms: i32 = -1,
        /// Empty the first time; from version 4 on the coordinator then answers with an id to come back with.
        [0+]        member_id: Str,
        /// The name of a static member.
        [5+ strict] group_instance_id: Option<Str>,
        /// `consumer`, `connect`, ...
        [0+]        protocol_type: Str,
        /// What the member can speak, the preferred one first.
        [0+]        protocols: Vec<JoinGroupRequestProtocol>,
        /// Why the member joins, for the broker's log.
        [8+]        reason: Option<Str>,
    }

    /// A protocol, for consumers an assignor.
    struct JoinGroupRequestProtocol {
        [0+] name: Str,
        /// What the leader is to know of the member; for consumers a subscription.
        [0+] metadata: Bytes,
    }

    /// The new generation.
    response JoinGroupResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [2+]         throttle_time_ms: i32,
        [0+]         error_code: ErrorCode,
        [0+]         generation_id: i32 = -1,
        [7+]         protocol_type: Option<Str>,
        /// The protocol that all members speak.
        [0+ null 7+] protocol_name: Option<Str> = Some(Str::new()),
        /// The member that assigns.
        [0+]         leader: Str,
        /// The leader has nothing to assign: the previous assignment stands.
        [9+]         skip_assignment: bool,
        [0+]         member_id: Str,
        /// Empty but for the leader.
        [0+]         members: Vec<JoinGroupResponseMember>,
    }

    /// A member, as the leader is told of it.
    struct JoinGroupResponseMember {
        [0+] member_id: Str,
        [5+] group_instance_id: Option<Str>,
        /// What the member sent for the protocol chosen.
        [0+] metadata: Bytes,
    }
}
