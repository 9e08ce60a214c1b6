//! OffsetDelete: takes back what a group has committed for topics that it does not read any more.
//!
//! Source: `OffsetDeleteRequest.json` and `OffsetDeleteResponse.json` of Apache Kafka 4.3.1; KIP-496.

messages! {
    OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse;

    /// Deletes committed offsets.
    request OffsetDeleteRequest {
        [0+] group_id: Str,
        [0+] topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// What to delete of one topic.
    struct OffsetDeleteRequestTopic {
        [0+] name: Str,
        [0+] partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// A partition whose offset goes.
    struct OffsetDeleteRequestPartition {
        [0+] partition_index: i32,
    }

    /// What became of each.
    response OffsetDeleteResponse {
        /// About the group.
        [0+] error_code: ErrorCode,
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// What became of one topic's.
    struct OffsetDeleteResponseTopic {
        [0+] name: Str,
        [0+] partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// What became of one partition's.
    struct OffsetDeleteResponsePartition {
        [0+] partition_index: i32,
        [0+] error_code: ErrorCode,
    }
}
