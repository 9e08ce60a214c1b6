//! DeleteRecords: moves the start of a log forward.
//!
//! Source: `DeleteRecordsRequest.json` and `DeleteRecordsResponse.json` of Apache Kafka 4.3.1; KIP-107.

messages! {
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse;

    /// Deletes all records below an offset.
    request DeleteRecordsRequest {
        [0+] topics: Vec<DeleteRecordsTopic>,
        [0+] timeout_ms: i32,
    }

    /// What to delete in one topic.
    struct DeleteRecordsTopic {
        [0+] name: Str,
        [0+] partitions: Vec<DeleteRecordsPartition>,
    }

    /// What to delete in one partition.
    struct DeleteRecordsPartition {
        [0+] partition_index: i32,
        /// The new start; -1: the high watermark.
        [0+] offset: i64,
    }

    /// The new starts.
    response DeleteRecordsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] topics: Vec<DeleteRecordsTopicResult>,
    }

    /// What became of one topic.
    struct DeleteRecordsTopicResult {
        [0+] name: Str,
        [0+] partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// What became of one partition.
    struct DeleteRecordsPartitionResult {
        [0+] partition_index: i32,
        /// The start that all replicas have reached; -1 with an error.
        [0+] low_watermark: i64,
        [0+] error_code: ErrorCode,
    }
}
