//! OffsetForLeaderEpoch: where a leader epoch ends, to find where two logs part.
//!
//! Source: `OffsetForLeaderEpochRequest.json` and `OffsetForLeaderEpochResponse.json` of Apache Kafka 4.3.1;
//! KIP-101, KIP-279, KIP-320.

messages! {
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse;

    /// Asks where epochs end.
    request OffsetForLeaderEpochRequest {
        /// -1 from a consumer; -2, the default, from a tool.
        [3+] replica_id: i32 = -2,
        [2+] topics: Vec<OffsetForLeaderTopic>,
    }

    /// What to find in one topic.
    struct OffsetForLeaderTopic {
        [2+] topic: Str,
        [2+] partitions: Vec<OffsetForLeaderPartition>,
    }

    /// What to find in one partition.
    struct OffsetForLeaderPartition {
        [2+] partition: i32,
        /// The leader epoch that the client knows, or -1; the broker refuses another one.
        [2+] current_leader_epoch: i32 = -1,
        /// The epoch to look up.
        [2+] leader_epoch: i32,
    }

    /// Where epochs end.
    response OffsetForLeaderEpochResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [2+] throttle_time_ms: i32,
        [2+] topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// What was found in one topic.
    struct OffsetForLeaderTopicResult {
        [2+] topic: Str,
        [2+] partitions: Vec<EpochEndOffset>,
    }

    /// What was found in one partition.
    struct EpochEndOffset {
        [2+] error_code: ErrorCode,
        [2+] partition: i32,
        /// The highest epoch that is not above the one asked for; -1: none.
        [2+] leader_epoch: i32 = -1,
        [2+] end_offset: i64 = -1,
    }
}
