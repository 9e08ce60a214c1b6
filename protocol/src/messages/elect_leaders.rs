//! ElectLeaders: gives partitions back to their preferred leaders.
//!
//! Source: `ElectLeadersRequest.json` and `ElectLeadersResponse.json` of Apache Kafka 4.3.1; KIP-460.

messages! {
    ElectLeaders: ElectLeadersRequest => ElectLeadersResponse;

    /// Asks for elections.
    request ElectLeadersRequest {
        /// 0: the preferred leader, 1: any replica, at the price of records.
        [1+ strict] election_type: i8,
        /// Null: all partitions.
        [0+] topic_partitions: Option<Vec<TopicPartitions>>,
        [0+] timeout_ms: i32 = 60000,
    }

    /// A topic's partitions.
    struct TopicPartitions {
        [0+] topic: Str,
        [0+] partitions: Vec<i32>,
    }

    /// What became of each.
    response ElectLeadersResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [1+] error_code: ErrorCode,
        [0+] replica_election_results: Vec<ReplicaElectionResult>,
    }

    /// What became of a topic's partitions.
    struct ReplicaElectionResult {
        [0+] topic: Str,
        [0+] partition_result: Vec<PartitionResult>,
    }

    /// What became of one partition.
    struct PartitionResult {
        [0+] partition_id: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
    }
}
