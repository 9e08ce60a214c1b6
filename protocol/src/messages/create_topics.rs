//! CreateTopics: creates topics, or only checks that they could be.
//!
//! Source: `CreateTopicsRequest.json` and `CreateTopicsResponse.json` of Apache Kafka 4.3.1; KIP-4, KIP-464
//! (defaults), KIP-525 (configuration in the answer), KIP-516 (topic ids).

messages! {
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse;

    /// Creates topics.
    request CreateTopicsRequest {
        [2+] topics: Vec<CreatableTopic>,
        [2+] timeout_ms: i32 = 60000,
        /// Check, and change nothing.
        [2+] validate_only: bool,
    }

    /// A topic to create.
    struct CreatableTopic {
        [2+] name: Str,
        /// -1: the broker's default, or as many as are assigned.
        [2+] num_partitions: i32,
        /// -1: the broker's default, or as assigned.
        [2+] replication_factor: i16,
        /// Empty: the broker places the replicas.
        [2+] assignments: Vec<CreatableReplicaAssignment>,
        [2+] configs: Vec<CreatableTopicConfig>,
    }

    /// Where one partition's replicas go.
    struct CreatableReplicaAssignment {
        [2+] partition_index: i32,
        [2+] broker_ids: Vec<i32>,
    }

    /// A configuration value to set.
    struct CreatableTopicConfig {
        [2+] name: Str,
        [2+] value: Option<Str>,
    }

    /// What became of each topic.
    response CreateTopicsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [2+] throttle_time_ms: i32,
        [2+] topics: Vec<CreatableTopicResult>,
    }

    /// What became of one topic.
    struct CreatableTopicResult {
        [2+]       name: Str,
        [7+]       topic_id: Uuid,
        [2+]       error_code: ErrorCode,
        /// More for a person to read, or null.
        [2+]       error_message: Option<Str>,
        [5+]       num_partitions: i32 = -1,
        [5+]       replication_factor: i16 = -1,
        [5+]       configs: Option<Vec<CreatableTopicConfigs>>,
        /// Why `configs` is null.
        [5+ tag 0] topic_config_error_code: ErrorCode,
    }

    /// A configuration value as it now is.
    struct CreatableTopicConfigs {
        [5+] name: Str,
        [5+] value: Option<Str>,
        [5+] read_only: bool,
        /// 1: topic, 2: broker (dynamic), 3: all brokers (dynamic), 4: broker (file), 5: default, 6: broker logger,
        /// 7: client metrics, 8: group.
        [5+] config_source: i8 = -1,
        [5+] is_sensitive: bool,
    }
}
