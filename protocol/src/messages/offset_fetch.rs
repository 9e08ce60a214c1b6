//! OffsetFetch: how far groups have read.
//!
//! Source: `OffsetFetchRequest.json` and `OffsetFetchResponse.json` of Apache Kafka 4.3.1; KIP-320 (leader epochs),
//! KIP-447 (stable offsets), KIP-709 (several groups), KIP-848 (member epochs, topic ids). Version 0 is gone from Kafka.

messages! {
    OffsetFetch: OffsetFetchRequest => OffsetFetchResponse;

    /// Asks for committed offsets.
    request OffsetFetchRequest {
        [1-7 strict]         group_id: Str,
        /// Null: all that the group has.
        [1-7 null 2+ strict] topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Vec::new()),
        [8+ strict]          groups: Vec<OffsetFetchRequestGroup>,
        /// Whether to answer UNSTABLE_OFFSET_COMMIT while a transaction's offsets are pending.
        [7+ strict]          require_stable: bool,
    }

    /// What to fetch of one topic.
    struct OffsetFetchRequestTopic {
        [1-7] name: Str,
        [1-7] partition_indexes: Vec<i32>,
    }

    /// What to fetch of one group.
    struct OffsetFetchRequestGroup {
        [8+] group_id: Str,
        /// Of a member in a group of the consumer protocol; else null.
        [9+] member_id: Option<Str>,
        [9+] member_epoch: i32 = -1,
        /// Null: all that the group has.
        [8+] topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()),
    }

    /// What to fetch of one topic.
    struct OffsetFetchRequestTopics {
        [8-9] name: Str,
        [10+] topic_id: Uuid,
        [8+]  partition_indexes: Vec<i32>,
    }

    /// Committed offsets.
    response OffsetFetchResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [3+]  throttle_time_ms: i32,
        [1-7] topics: Vec<OffsetFetchResponseTopic>,
        [2-7] error_code: ErrorCode,
        [8+]  groups: Vec<OffsetFetchResponseGroup>,
    }

    /// What was committed in one topic.
    struct OffsetFetchResponseTopic {
        [1-7] name: Str,
        [1-7] partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// What was committed in one partition.
    struct OffsetFetchResponsePartition {
        [1-7] partition_index: i32,
        /// -1: nothing.
        [1-7] committed_offset: i64,
        [5-7] committed_leader_epoch: i32 = -1,
        [1-7] metadata: Option<Str>,
        [1-7] error_code: ErrorCode,
    }

    /// What one group has committed.
    struct OffsetFetchResponseGroup {
        [8+] group_id: Str,
        [8+] topics: Vec<OffsetFetchResponseTopics>,
        [8+] error_code: ErrorCode,
    }

    /// What it has committed in one topic.
    struct OffsetFetchResponseTopics {
        [8-9] name: Str,
        [10+] topic_id: Uuid,
        [8+]  partitions: Vec<OffsetFetchResponsePartitions>,
    }

    /// What it has committed in one partition.
    struct OffsetFetchResponsePartitions {
        [8+] partition_index: i32,
        /// -1: nothing.
        [8+] committed_offset: i64,
        [8+] committed_leader_epoch: i32 = -1,
        [8+] metadata: Option<Str>,
        [8+] error_code: ErrorCode,
    }
}
