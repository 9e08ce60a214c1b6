//! ListPartitionReassignments: which partitions are on their way to other brokers.
//!
//! Source: `ListPartitionReassignmentsRequest.json` and `ListPartitionReassignmentsResponse.json` of Apache Kafka 4.3.1;
//! KIP-455.

messages! {
    ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse;

    /// Asks for reassignments.
    request ListPartitionReassignmentsRequest {
        [0+] timeout_ms: i32 = 60000,
        /// Null: all.
        [0+] topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    /// A topic's partitions to look at.
    struct ListPartitionReassignmentsTopics {
        [0+] name: Str,
        [0+] partition_indexes: Vec<i32>,
    }

    /// The reassignments that are under way.
    response ListPartitionReassignmentsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
        [0+] topics: Vec<OngoingTopicReassignment>,
    }

    /// Those of a topic.
    struct OngoingTopicReassignment {
        [0+] name: Str,
        [0+] partitions: Vec<OngoingPartitionReassignment>,
    }

    /// A partition on its way.
    struct OngoingPartitionReassignment {
        [0+] partition_index: i32,
        /// All that hold it, or are about to.
        [0+] replicas: Vec<i32>,
        [0+] adding_replicas: Vec<i32>,
        [0+] removing_replicas: Vec<i32>,
    }
}
