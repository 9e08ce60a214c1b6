//! DescribeQuorum: who leads and follows the metadata, and how far they are.
//!
//! Source: `DescribeQuorumRequest.json` and `DescribeQuorumResponse.json` of Apache Kafka 4.3.1; KIP-595, KIP-836 (times),
//! KIP-853 (directories and nodes). Kafka has one name for several of these structures, which is not on the wire.

messages! {
    DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse;

    /// Asks for the metadata's replicas.
    request DescribeQuorumRequest {
        [0+] topics: Vec<DescribeQuorumTopic>,
    }

    /// A topic: `__cluster_metadata`.
    struct DescribeQuorumTopic {
        [0+] topic_name: Str,
        [0+] partitions: Vec<DescribeQuorumPartition>,
    }

    /// A partition: 0.
    struct DescribeQuorumPartition {
        [0+] partition_index: i32,
    }

    /// Leader and replicas.
    response DescribeQuorumResponse {
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [2+] error_message: Option<Str>,
        [0+] topics: Vec<QuorumTopic>,
        /// Where the voters are.
        [2+] nodes: Vec<QuorumNode>,
    }

    /// The topic.
    struct QuorumTopic {
        [0+] topic_name: Str,
        [0+] partitions: Vec<QuorumPartition>,
    }

    /// The partition.
    struct QuorumPartition {
        [0+] partition_index: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [2+] error_message: Option<Str>,
        /// -1 while there is none.
        [0+] leader_id: i32,
        [0+] leader_epoch: i32,
        [0+] high_watermark: i64,
        [0+] current_voters: Vec<QuorumReplica>,
        /// Who follows without a vote.
        [0+] observers: Vec<QuorumReplica>,
    }

    /// A replica as its leader knows it.
    struct QuorumReplica {
        [0+] replica_id: i32,
        /// Of its data folder, or zeros.
        [2+] replica_directory_id: Uuid,
        /// -1 where not known.
        [0+] log_end_offset: i64,
        /// When it was heard of last, in milliseconds since 1970; -1 where not known.
        [1+] last_fetch_timestamp: i64 = -1,
        /// When it had everything last, in milliseconds since 1970; -1 where not known.
        [1+] last_caught_up_timestamp: i64 = -1,
    }

    /// A voter.
    struct QuorumNode {
        [2+] node_id: i32,
        [2+] listeners: Vec<QuorumListener>,
    }

    /// Where it is reached by the others.
    struct QuorumListener {
        [2+] name: Str,
        [2+] host: Str,
        [2+] port: u16,
    }
}
