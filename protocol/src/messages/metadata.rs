//! Metadata: brokers, topics, partitions and their leaders.
//!
//! Source: `MetadataRequest.json` and `MetadataResponse.json` of Apache Kafka 4.3.1; KIP-4, KIP-516 (topic ids),
//! KIP-700, KIP-1102 (re-bootstrap).

messages! {
    Metadata: MetadataRequest => MetadataResponse;

    /// Asks for topics by name or id, for all, or for none.
    request MetadataRequest {
        /// Null: all topics (version 0: empty).
        [0+ null 1+]  topics: Option<Vec<MetadataRequestTopic>>,
        /// Whether to create what does not exist, if the broker allows it.
        [4+ strict]   allow_auto_topic_creation: bool = true,
        [8-10 strict] include_cluster_authorized_operations: bool,
        [8+ strict]   include_topic_authorized_operations: bool,
    }

    /// A topic asked for, by name or (from version 12) by id alone.
    struct MetadataRequestTopic {
        [10+]         topic_id: Uuid,
        /// Null to ask by id.
        [0+ null 10+] name: Option<Str>,
    }

    /// The cluster as this broker sees it.
    response MetadataResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [3+]   throttle_time_ms: i32,
        [0+]   brokers: Vec<MetadataResponseBroker>,
        [2+]   cluster_id: Option<Str>,
        /// -1: not known.
        [1+]   controller_id: i32 = -1,
        [0+]   topics: Vec<MetadataResponseTopic>,
        /// REBOOTSTRAP_REQUIRED, if anything.
        [13+]  error_code: ErrorCode,
        /// A bit for each operation allowed; the lowest number where not asked for.
        [8-10] cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A broker.
    struct MetadataResponseBroker {
        [0+] node_id: i32,
        [0+] host: Str,
        [0+] port: i32,
        [1+] rack: Option<Str>,
    }

    /// A topic.
    struct MetadataResponseTopic {
        [0+]          error_code: ErrorCode,
        /// Null for an id that is not known.
        [0+ null 12+] name: Option<Str>,
        [10+]         topic_id: Uuid,
        [1+]          is_internal: bool,
        [0+]          partitions: Vec<MetadataResponsePartition>,
        /// A bit for each operation allowed; the lowest number where not asked for.
        [8+]          topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    struct MetadataResponsePartition {
        [0+] error_code: ErrorCode,
        [0+] partition_index: i32,
        /// -1 where there is none.
        [0+] leader_id: i32,
        [7+] leader_epoch: i32 = -1,
        /// All replicas, the preferred leader first.
        [0+] replica_nodes: Vec<i32>,
        /// Replicas in sync with the leader.
        [0+] isr_nodes: Vec<i32>,
        /// Replicas that are down.
        [5+] offline_replicas: Vec<i32>,
    }
}
