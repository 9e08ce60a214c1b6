//! ListOffsets: finds the offset of a timestamp, or an end of a partition.
//!
//! Source: `ListOffsetsRequest.json` and `ListOffsetsResponse.json` of Apache Kafka 4.3.1; KIP-79, KIP-734 (max
//! timestamp), KIP-405 and KIP-1005 (tiered storage), KIP-1075 (timeout).

messages! {
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse;

    /// Asks for offsets by timestamp, or by a negative number for a special one: -1 the end, -2 the start,
    /// -3 the record with the highest timestamp, -4 the local start, -5 the end of tiered storage, -6 the start of
    /// what is not yet tiered.
    request ListOffsetsRequest {
        /// -1 from a client.
        [1+]        replica_id: i32,
        /// 0: read uncommitted; 1: read committed.
        [2+ strict] isolation_level: i8,
        [1+]        topics: Vec<ListOffsetsTopic>,
        /// How long a search in tiered storage may take.
        [10+]       timeout_ms: i32,
    }

    /// What to find in one topic.
    struct ListOffsetsTopic {
        [1+] name: Str,
        [1+] partitions: Vec<ListOffsetsPartition>,
    }

    /// What to find in one partition.
    struct ListOffsetsPartition {
        [1+] partition_index: i32,
        /// The leader epoch that the client knows, or -1; the broker refuses another one.
        [4+] current_leader_epoch: i32 = -1,
        /// Milliseconds since 1970, or a special negative number.
        [1+] timestamp: i64,
    }

    /// The offsets found.
    response ListOffsetsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [2+] throttle_time_ms: i32,
        [1+] topics: Vec<ListOffsetsTopicResponse>,
    }

    /// What was found in one topic.
    struct ListOffsetsTopicResponse {
        [1+] name: Str,
        [1+] partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// What was found in one partition.
    struct ListOffsetsPartitionResponse {
        [1+] partition_index: i32,
        [1+] error_code: ErrorCode,
        /// That of the record found, or -1.
        [1+] timestamp: i64 = -1,
        /// -1: there is none.
        [1+] offset: i64 = -1,
        [4+] leader_epoch: i32 = -1,
    }
}
