//! Produce: appends record batches to partitions.
//!
//! Source: `ProduceRequest.json` and `ProduceResponse.json` of Apache Kafka 4.3.1; KIP-467 (record errors), KIP-951
//! (the new leader in the answer), KIP-516 (topic ids).

messages! {
    Produce: ProduceRequest => ProduceResponse;

    /// Appends batches to partitions.
    request ProduceRequest {
        /// Null without transactions.
        [3+] transactional_id: Option<Str>,
        /// 0: no answer; 1: the leader has it; -1: all in-sync replicas have it.
        [3+] acks: i16,
        /// How long the broker may wait for the replicas.
        [3+] timeout_ms: i32,
        [3+] topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic.
    struct TopicProduceData {
        [13+]  topic_id: Uuid,
        [3-12] name: Str,
        [3+]   partition_data: Vec<PartitionProduceData>,
    }

    /// The batches for one partition.
    struct PartitionProduceData {
        [3+] index: i32,
        /// One batch, in Kafka's format 2.
        [3+] records: Option<Records>,
    }

    /// Where the batches went.
    response ProduceResponse {
        [3+]        responses: Vec<TopicProduceResponse>,
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [3+]        throttle_time_ms: i32,
        /// The addresses of the leaders named above.
        [10+ tag 0] node_endpoints: Vec<NodeEndpoint>,
    }

    /// The answers of one topic.
    struct TopicProduceResponse {
        [13+]  topic_id: Uuid,
        [3-12] name: Str,
        [3+]   partition_responses: Vec<PartitionProduceResponse>,
    }

    /// The answer of one partition.
    struct PartitionProduceResponse {
        [3+]        index: i32,
        [3+]        error_code: ErrorCode,
        /// The offset that the first record was given; -1 with an error.
        [3+]        base_offset: i64,
        /// The broker's time where the topic uses it, else -1.
        [3+]        log_append_time_ms: i64 = -1,
        /// The first offset that the log still has.
        [5+]        log_start_offset: i64 = -1,
        /// Which records are at fault, where the whole batch was refused for them.
        [8+]        record_errors: Vec<BatchIndexAndErrorMessage>,
        /// More for a person to read, or null.
        [8+]        error_message: Option<Str>,
        /// Sent with NOT_LEADER_OR_FOLLOWER.
        [10+ tag 0] current_leader: LeaderIdAndEpoch,
    }

    /// A record that is at fault.
    struct BatchIndexAndErrorMessage {
        /// The record's place in the batch, from 0.
        [8+] batch_index: i32,
        [8+] batch_index_error_message: Option<Str>,
    }

    /// Who leads now, for a client that asked the wrong broker.
    struct LeaderIdAndEpoch {
        /// -1 where there is none.
        [10+] leader_id: i32 = -1,
        [10+] leader_epoch: i32 = -1,
    }

    /// The address of a broker named as a leader.
    struct NodeEndpoint {
        [10+] node_id: i32,
        [10+] host: Str,
        [10+] port: i32,
        [10+] rack: Option<Str>,
    }
}
