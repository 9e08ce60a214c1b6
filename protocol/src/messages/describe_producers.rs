//! DescribeProducers: the producers that a partition's leader remembers.
//!
//! Source: `DescribeProducersRequest.json` and `DescribeProducersResponse.json` of Apache Kafka 4.3.1; KIP-664.

messages! {
    DescribeProducers: DescribeProducersRequest => DescribeProducersResponse;

    /// Asks for the producers of partitions.
    request DescribeProducersRequest {
        [0+] topics: Vec<TopicRequest>,
    }

    /// The partitions of one topic.
    struct TopicRequest {
        [0+] name: Str,
        [0+] partition_indexes: Vec<i32>,
    }

    /// The producers of partitions.
    response DescribeProducersResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] topics: Vec<TopicResponse>,
    }

    /// The answers of one topic.
    struct TopicResponse {
        [0+] name: Str,
        [0+] partitions: Vec<PartitionResponse>,
    }

    /// The answer of one partition.
    struct PartitionResponse {
        [0+] partition_index: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
        [0+] active_producers: Vec<ProducerState>,
    }

    /// A producer as the leader remembers it.
    struct ProducerState {
        [0+] producer_id: i64,
        [0+] producer_epoch: i32,
        /// -1: none yet.
        [0+] last_sequence: i32 = -1,
        [0+] last_timestamp: i64 = -1,
        /// The epoch of its transaction coordinator.
        [0+] coordinator_epoch: i32,
        /// Where its open transaction begins; -1: none.
        [0+] current_txn_start_offset: i64 = -1,
    }
}
