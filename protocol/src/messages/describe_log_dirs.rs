//! DescribeLogDirs: what the log folders of a broker hold and how full their volumes are.
//!
//! Source: `DescribeLogDirsRequest.json` and `DescribeLogDirsResponse.json` of Apache Kafka 4.3.1; KIP-113, KIP-827
//! (volume sizes), KIP-1066 (cordoned).

messages! {
    DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse;

    /// Asks for the logs on disk.
    request DescribeLogDirsRequest {
        /// Null: all.
        [1+] topics: Option<Vec<DescribableLogDirTopic>>,
    }

    /// A topic asked for.
    struct DescribableLogDirTopic {
        [1+] topic: Str,
        [1+] partitions: Vec<i32>,
    }

    /// The logs on disk.
    response DescribeLogDirsResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [1+] throttle_time_ms: i32,
        [3+] error_code: ErrorCode,
        [1+] results: Vec<DescribeLogDirsResult>,
    }

    /// One log folder.
    struct DescribeLogDirsResult {
        [1+] error_code: ErrorCode,
        [1+] log_dir: Str,
        [1+] topics: Vec<DescribeLogDirsTopic>,
        /// Size of the volume; -1: not known.
        [4+] total_bytes: i64 = -1,
        /// Bytes free on the volume; -1: not known.
        [4+] usable_bytes: i64 = -1,
        /// Whether new logs are kept out of it.
        [5+] is_cordoned: bool,
    }

    /// A topic's logs in it.
    struct DescribeLogDirsTopic {
        [1+] name: Str,
        [1+] partitions: Vec<DescribeLogDirsPartition>,
    }

    /// One log.
    struct DescribeLogDirsPartition {
        [1+] partition_index: i32,
        /// Bytes of all its segments.
        [1+] partition_size: i64,
        /// How far the log's end is behind the high watermark.
        [1+] offset_lag: i64,
        /// Whether it is a log on its way to another folder.
        [1+] is_future_key: bool,
    }
}
