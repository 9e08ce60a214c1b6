//! DescribeConfigs: tells the configuration of topics, brokers and others.
//!
//! Source: `DescribeConfigsRequest.json` and `DescribeConfigsResponse.json` of Apache Kafka 4.3.1; KIP-133, KIP-226
//! (synonyms), KIP-569 (documentation).

messages! {
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse;

    /// Asks for configuration values.
    request DescribeConfigsRequest {
        [1+]        resources: Vec<DescribeConfigsResource>,
        [1+]        include_synonyms: bool,
        [3+ strict] include_documentation: bool,
    }

    /// A resource whose values are asked for.
    struct DescribeConfigsResource {
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        [1+] resource_type: i8,
        /// A topic's name, a broker's id, or empty for all brokers.
        [1+] resource_name: Str,
        /// Null: all.
        [1+] configuration_keys: Option<Vec<Str>>,
    }

    /// Configuration values.
    response DescribeConfigsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [1+] results: Vec<DescribeConfigsResult>,
    }

    /// The values of one resource.
    struct DescribeConfigsResult {
        [1+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [1+] error_message: Option<Str>,
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        [1+] resource_type: i8,
        /// A topic's name, a broker's id, or empty for all brokers.
        [1+] resource_name: Str,
        [1+] configs: Vec<DescribeConfigsResourceResult>,
    }

    /// A value.
    struct DescribeConfigsResourceResult {
        [1+] name: Str,
        /// Null where it is sensitive.
        [1+] value: Option<Str>,
        [1+] read_only: bool,
        /// 1: topic, 2: broker (dynamic), 3: all brokers (dynamic), 4: broker (file), 5: default, 6: broker logger,
        /// 7: client metrics, 8: group.
        [1+] config_source: i8 = -1,
        [1+] is_sensitive: bool,
        [1+] synonyms: Vec<DescribeConfigsSynonym>,
        /// 1: boolean, 2: string, 3: int, 4: short, 5: long, 6: double, 7: list, 8: class, 9: password.
        [3+] config_type: i8,
        [3+] documentation: Option<Str>,
    }

    /// A place that the value could come from, the strongest first.
    struct DescribeConfigsSynonym {
        [1+] name: Str,
        [1+] value: Option<Str>,
        /// As `config_source`.
        [1+] source: i8,
    }
}
