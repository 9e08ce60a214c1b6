//! CreatePartitions: raises the number of partitions of topics.
//!
//! Source: `CreatePartitionsRequest.json` and `CreatePartitionsResponse.json` of Apache Kafka 4.3.1; KIP-195.

messages! {
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse;

    /// Adds partitions to topics.
    request CreatePartitionsRequest {
        [0+] topics: Vec<CreatePartitionsTopic>,
        [0+] timeout_ms: i32,
        /// Check, and change nothing.
        [0+] validate_only: bool,
    }

    /// A topic to grow.
    struct CreatePartitionsTopic {
        [0+] name: Str,
        /// The new number of partitions, all counted.
        [0+] count: i32,
        /// One for each new partition; null: the broker places the replicas.
        [0+] assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    /// Where one new partition's replicas go.
    struct CreatePartitionsAssignment {
        [0+] broker_ids: Vec<i32>,
    }

    /// What became of each topic.
    response CreatePartitionsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] results: Vec<CreatePartitionsTopicResult>,
    }

    /// What became of one topic.
    struct CreatePartitionsTopicResult {
        [0+] name: Str,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
    }
}
