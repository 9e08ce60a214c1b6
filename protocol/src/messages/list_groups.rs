//! ListGroups: the groups that a broker coordinates.
//!
//! Source: `ListGroupsRequest.json` and `ListGroupsResponse.json` of Apache Kafka 4.3.1; KIP-518 (states), KIP-848
//! (types).

messages! {
    ListGroups: ListGroupsRequest => ListGroupsResponse;

    /// Asks for groups.
    request ListGroupsRequest {
        /// Only those in one of these states; empty: all.
        [4+ strict] states_filter: Vec<Str>,
        /// Only those of one of these types; empty: all.
        [5+ strict] types_filter: Vec<Str>,
    }

    /// The groups.
    response ListGroupsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        [0+] groups: Vec<ListedGroup>,
    }

    /// A group.
    struct ListedGroup {
        [0+] group_id: Str,
        [0+] protocol_type: Str,
        [4+] group_state: Str,
        /// `classic`, `consumer`, ...
        [5+] group_type: Str,
    }
}
