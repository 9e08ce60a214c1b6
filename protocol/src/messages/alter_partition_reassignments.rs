//! AlterPartitionReassignments: moves partitions to other brokers.
//!
//! Source: `AlterPartitionReassignmentsRequest.json` and `AlterPartitionReassignmentsResponse.json` of Apache Kafka 4.3.1;
//! KIP-455, KIP-860.

messages! {
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse;

    /// Moves partitions, or takes that back.
    request AlterPartitionReassignmentsRequest {
        [0+] timeout_ms: i32 = 60000,
        /// Whether a partition may get another number of replicas.
        [1+] allow_replication_factor_change: bool = true,
        [0+] topics: Vec<ReassignableTopic>,
    }

    /// A topic's partitions to move.
    struct ReassignableTopic {
        [0+] name: Str,
        [0+] partitions: Vec<ReassignablePartition>,
    }

    /// A partition to move.
    struct ReassignablePartition {
        [0+] partition_index: i32,
        /// The brokers that are to hold it, the preferred leader first; null: takes back a reassignment that is under way.
        [0+] replicas: Option<Vec<i32>>,
    }

    /// What became of each.
    response AlterPartitionReassignmentsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        /// As asked for.
        [1+] allow_replication_factor_change: bool = true,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
        [0+] responses: Vec<ReassignableTopicResponse>,
    }

    /// What became of a topic's partitions.
    struct ReassignableTopicResponse {
        [0+] name: Str,
        [0+] partitions: Vec<ReassignablePartitionResponse>,
    }

    /// What became of one partition.
    struct ReassignablePartitionResponse {
        [0+] partition_index: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
    }
}
