//! ListConfigResources: which resources have configuration. Version 0 knew client metrics only.
//!
//! Source: `ListConfigResourcesRequest.json` and `ListConfigResourcesResponse.json` of Apache Kafka 4.3.1; KIP-714,
//! KIP-1142.

messages! {
    ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse;

    /// Asks for resources.
    request ListConfigResourcesRequest {
        /// Empty: all.
        [1+ strict] resource_types: Vec<i8>,
    }

    /// The resources.
    response ListConfigResourcesResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        [0+] config_resources: Vec<ConfigResource>,
    }

    /// A resource.
    struct ConfigResource {
        /// A topic's name, a broker's id, or empty for all brokers.
        [0+] resource_name: Str,
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        [1+] resource_type: i8 = 16,
    }
}
