//! ApiVersions: which APIs, in which versions, and which features a broker has.
//!
//! Source: `ApiVersionsRequest.json` and `ApiVersionsResponse.json` of Apache Kafka 4.3.1; KIP-35, KIP-511 (client
//! name), KIP-584 (features).

messages! {
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse;

    /// Asks what the broker has, and says who asks.
    request ApiVersionsRequest {
        [3+] client_software_name: Str,
        [3+] client_software_version: Str,
    }

    /// What the broker has.
    response ApiVersionsResponse {
        [0+]       error_code: ErrorCode,
        [0+]       api_keys: Vec<ApiVersion>,
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+]       throttle_time_ms: i32,
        /// Up to version 3 without those whose minimum is 0 (KAFKA-17011).
        [3+ tag 0] supported_features: Vec<SupportedFeatureKey>,
        /// -1: not known.
        [3+ tag 1] finalized_features_epoch: i64 = -1,
        [3+ tag 2] finalized_features: Vec<FinalizedFeatureKey>,
        /// Set by a KRaft controller during a migration from ZooKeeper.
        [3+ tag 3] zk_migration_ready: bool,
    }

    /// An API and its versions.
    struct ApiVersion {
        [0+] api_key: i16,
        [0+] min_version: i16,
        [0+] max_version: i16,
    }

    /// A feature and the levels that this broker can run.
    struct SupportedFeatureKey {
        [3+] name: Str,
        [3+] min_version: i16,
        [3+] max_version: i16,
    }

    /// A feature and the level at which the cluster runs it.
    struct FinalizedFeatureKey {
        [3+] name: Str,
        [3+] max_version_level: i16,
        [3+] min_version_level: i16,
    }
}
