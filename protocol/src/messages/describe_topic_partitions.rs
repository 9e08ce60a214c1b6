//! DescribeTopicPartitions: topics and their partitions, page by page.
//!
//! Source: `DescribeTopicPartitionsRequest.json` and `DescribeTopicPartitionsResponse.json` of Apache Kafka 4.3.1;
//! KIP-966.

messages! {
    DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse;

    /// Asks for a page of topics.
    request DescribeTopicPartitionsRequest {
        [0+] topics: Vec<TopicRequest>,
        /// The most partitions in one page.
        [0+] response_partition_limit: i32 = 2000,
        /// Null: from the beginning.
        [0+] cursor: Option<Cursor>,
    }

    /// A topic asked for.
    struct TopicRequest {
        [0+] name: Str,
    }

    /// Where a page begins.
    struct Cursor {
        [0+] topic_name: Str,
        [0+] partition_index: i32,
    }

    /// A page of topics.
    response DescribeTopicPartitionsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] topics: Vec<DescribeTopicPartitionsResponseTopic>,
        /// Null: this is the last page.
        [0+] next_cursor: Option<Cursor>,
    }

    /// A topic.
    struct DescribeTopicPartitionsResponseTopic {
        [0+] error_code: ErrorCode,
        [0+] name: Option<Str>,
        [0+] topic_id: Uuid,
        [0+] is_internal: bool,
        [0+] partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// A bit for each operation allowed; the lowest number where not asked for.
        [0+] topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    struct DescribeTopicPartitionsResponsePartition {
        [0+] error_code: ErrorCode,
        [0+] partition_index: i32,
        /// -1 where there is none.
        [0+] leader_id: i32,
        [0+] leader_epoch: i32 = -1,
        /// All replicas, the preferred leader first.
        [0+] replica_nodes: Vec<i32>,
        /// Replicas in sync with the leader.
        [0+] isr_nodes: Vec<i32>,
        /// Replicas outside of the in-sync set that hold all that is committed.
        [0+] eligible_leader_replicas: Option<Vec<i32>>,
        /// Replicas that were eligible before an unclean stop.
        [0+] last_known_elr: Option<Vec<i32>>,
        /// Replicas that are down.
        [0+] offline_replicas: Vec<i32>,
    }
}
