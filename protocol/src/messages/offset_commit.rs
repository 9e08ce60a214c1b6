//! OffsetCommit: stores how far a group has read.
//!
//! Source: `OffsetCommitRequest.json` and `OffsetCommitResponse.json` of Apache Kafka 4.3.1; KIP-320 (leader epochs),
//! KIP-345 (static members), KIP-848 (member epochs), KIP-848 (topic ids). Versions 0 and 1 are gone from Kafka.

messages! {
    OffsetCommit: OffsetCommitRequest => OffsetCommitResponse;

    /// Commits offsets.
    request OffsetCommitRequest {
        [2+]        group_id: Str,
        /// -1 from outside of the group, which must then have no members.
        [2+]        generation_id_or_member_epoch: i32 = -1,
        [2+]        member_id: Str,
        /// The name of a static member.
        [7+ strict] group_instance_id: Option<Str>,
        /// How long to keep them; -1: as the broker is set.
        [2-4]       retention_time_ms: i64 = -1,
        [2+]        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// What to commit in one topic.
    struct OffsetCommitRequestTopic {
        [2-9] name: Str,
        [10+] topic_id: Uuid,
        [2+]  partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// What to commit in one partition.
    struct OffsetCommitRequestPartition {
        [2+] partition_index: i32,
        /// That of the next record to read.
        [2+] committed_offset: i64,
        /// The leader epoch of the last record read, or -1.
        [6+] committed_leader_epoch: i32 = -1,
        /// Text of the program's own.
        [2+] committed_metadata: Option<Str>,
    }

    /// What became of each.
    response OffsetCommitResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [3+] throttle_time_ms: i32,
        [2+] topics: Vec<OffsetCommitResponseTopic>,
    }

    /// What became of one topic's.
    struct OffsetCommitResponseTopic {
        [2-9] name: Str,
        [10+] topic_id: Uuid,
        [2+]  partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// What became of one partition's.
    struct OffsetCommitResponsePartition {
        [2+] partition_index: i32,
        [2+] error_code: ErrorCode,
    }
}
