//! IncrementalAlterConfigs: changes single configuration values.
//!
//! Source: `IncrementalAlterConfigsRequest.json` and `IncrementalAlterConfigsResponse.json` of Apache Kafka 4.3.1;
//! KIP-339.

messages! {
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse;

    /// Changes values of resources.
    request IncrementalAlterConfigsRequest {
        [0+] resources: Vec<AlterConfigsResource>,
        /// Check, and change nothing.
        [0+] validate_only: bool,
    }

    /// A resource to change.
    struct AlterConfigsResource {
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        [0+] resource_type: i8,
        /// A topic's name, a broker's id, or empty for all brokers.
        [0+] resource_name: Str,
        [0+] configs: Vec<AlterableConfig>,
    }

    /// A value to change.
    struct AlterableConfig {
        [0+] name: Str,
        /// 0: set, 1: delete, 2: append to a list, 3: take from a list.
        [0+] config_operation: i8,
        [0+] value: Option<Str>,
    }

    /// What became of each resource.
    response IncrementalAlterConfigsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] responses: Vec<AlterConfigsResourceResponse>,
    }

    /// What became of one resource.
    struct AlterConfigsResourceResponse {
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        [0+] resource_type: i8,
        /// A topic's name, a broker's id, or empty for all brokers.
        [0+] resource_name: Str,
    }
}
