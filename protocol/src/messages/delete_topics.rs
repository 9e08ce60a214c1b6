//! DeleteTopics: deletes topics by name or by id.
//!
//! Source: `DeleteTopicsRequest.json` and `DeleteTopicsResponse.json` of Apache Kafka 4.3.1; KIP-4, KIP-516 (topic
//! ids).

messages! {
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse;

    /// Deletes topics.
    request DeleteTopicsRequest {
        [6+ strict] topics: Vec<DeleteTopicState>,
        /// Up to version 5; then see `topics`.
        [1-5]       topic_names: Vec<Str>,
        [1+]        timeout_ms: i32,
    }

    /// A topic to delete, by name or by id.
    struct DeleteTopicState {
        /// Null to delete by id.
        [6+] name: Option<Str>,
        [6+] topic_id: Uuid,
    }

    /// What became of each topic.
    response DeleteTopicsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [1+] responses: Vec<DeletableTopicResult>,
    }

    /// What became of one topic.
    struct DeletableTopicResult {
        [1+ null 6+] name: Option<Str>,
        [6+]         topic_id: Uuid,
        [1+]         error_code: ErrorCode,
        /// More for a person to read, or null.
        [5+]         error_message: Option<Str>,
    }
}
