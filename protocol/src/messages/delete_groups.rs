//! DeleteGroups: deletes groups without members, and all that they have committed.
//!
//! Source: `DeleteGroupsRequest.json` and `DeleteGroupsResponse.json` of Apache Kafka 4.3.1; KIP-229.

messages! {
    DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse;

    /// Deletes groups.
    request DeleteGroupsRequest {
        [0+] groups_names: Vec<Str>,
    }

    /// What became of each.
    response DeleteGroupsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] results: Vec<DeletableGroupResult>,
    }

    /// What became of one group.
    struct DeletableGroupResult {
        [0+] group_id: Str,
        [0+] error_code: ErrorCode,
    }
}
