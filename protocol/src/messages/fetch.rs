//! Fetch: reads record batches from partitions, as a consumer or as a follower.
//!
//! Source: `FetchRequest.json` and `FetchResponse.json` of Apache Kafka 4.3.1; KIP-227 (sessions), KIP-320
//! (epochs), KIP-392 (preferred replica), KIP-516 (topic ids), KIP-595, KIP-853, KIP-903 (replica state), KIP-951
//! (the new leader in the answer), KIP-1166 (high watermark).

messages! {
    Fetch: FetchRequest => FetchResponse;

    /// Asks for batches, at once or as soon as there are enough.
    request FetchRequest {
        /// -1 from a consumer; from version 15 on see `replica_state`.
        [4-14 strict]      replica_id: i32 = -1,
        /// How long the broker may wait for `min_bytes`.
        [4+]               max_wait_ms: i32,
        [4+]               min_bytes: i32,
        /// A bound on the whole answer, save that its first batch is always whole.
        [4+]               max_bytes: i32 = i32::MAX,
        /// 0: read uncommitted; 1: read committed.
        [4+]               isolation_level: i8,
        /// 0 outside of a session, and to open one.
        [7+]               session_id: i32,
        /// -1: no session; 0: open one; else the next number of the session.
        [7+]               session_epoch: i32 = -1,
        [4+]               topics: Vec<FetchTopic>,
        /// What to leave out of the session from now on.
        [7+ strict]        forgotten_topics_data: Vec<ForgottenTopic>,
        /// Where the consumer is, to read from a near replica.
        [11+]              rack_id: Str,
        /// Only between KRaft controllers.
        [12+ tag 0]        cluster_id: Option<Str>,
        [15+ tag 1 strict] replica_state: ReplicaState,
    }

    /// What to fetch from one topic.
    struct FetchTopic {
        [13+]  topic_id: Uuid,
        [4-12] topic: Str,
        [4+]   partitions: Vec<FetchPartition>,
    }

    /// What to fetch from one partition.
    struct FetchPartition {
        [4+]         partition: i32,
        /// The leader epoch that the client knows, or -1; the broker refuses another one.
        [9+]         current_leader_epoch: i32 = -1,
        [4+]         fetch_offset: i64,
        /// The epoch of the follower's last record, or -1; lets the leader see where logs part.
        [12+ strict] last_fetched_epoch: i32 = -1,
        /// The follower's own start.
        [5+]         log_start_offset: i64 = -1,
        /// A bound on this partition's part, with the same exception as the whole.
        [4+]         partition_max_bytes: i32,
        /// The follower's folder.
        [17+ tag 0]  replica_directory_id: Uuid,
        /// What the follower knows; the highest number where it does not take part in this.
        [18+ tag 1]  high_watermark: i64 = i64::MAX,
    }

    /// Partitions that leave an incremental fetch session.
    struct ForgottenTopic {
        [13+]  topic_id: Uuid,
        [7-12] topic: Str,
        [7+]   partitions: Vec<i32>,
    }

    /// Who the follower is.
    struct ReplicaState {
        [15+] replica_id: i32 = -1,
        /// The broker epoch of the follower.
        [15+] replica_epoch: i64 = -1,
    }

    /// Batches, whole.
    response FetchResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [4+]        throttle_time_ms: i32,
        /// About the session.
        [7+]        error_code: ErrorCode,
        /// 0: no session.
        [7+]        session_id: i32,
        [4+]        responses: Vec<FetchableTopicResponse>,
        /// The addresses of the leaders named above.
        [16+ tag 0] node_endpoints: Vec<NodeEndpoint>,
    }

    /// What was read from one topic.
    struct FetchableTopicResponse {
        [13+]  topic_id: Uuid,
        [4-12] topic: Str,
        [4+]   partitions: Vec<PartitionData>,
    }

    /// What was read from one partition.
    struct PartitionData {
        [4+]        partition_index: i32,
        [4+]        error_code: ErrorCode,
        [4+]        high_watermark: i64,
        /// The end of what a transactional reader may see.
        [4+]        last_stable_offset: i64 = -1,
        /// The first offset that the log still has.
        [5+]        log_start_offset: i64 = -1,
        /// Null when reading uncommitted.
        [4+]        aborted_transactions: Option<Vec<AbortedTransaction>>,
        /// The replica to ask next time, or -1.
        [11+]       preferred_read_replica: i32 = -1,
        /// Whole batches; the first may begin below the offset asked for.
        [4+]        records: Option<Records>,
        /// Set for a follower whose log parts from the leader's.
        [12+ tag 0] diverging_epoch: EpochEndOffset,
        /// Sent with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH.
        [12+ tag 1] current_leader: LeaderIdAndEpoch,
        /// Set for a follower that has to begin with a snapshot.
        [12+ tag 2] snapshot_id: SnapshotId,
    }

    /// A transaction whose records from its first offset on are to be left out.
    struct AbortedTransaction {
        [4+] producer_id: i64,
        [4+] first_offset: i64,
    }

    /// Where the follower's log and the leader's part.
    struct EpochEndOffset {
        [12+] epoch: i32 = -1,
        [12+] end_offset: i64 = -1,
    }

    /// Who leads now, for a client that asked the wrong broker.
    struct LeaderIdAndEpoch {
        /// -1 where there is none.
        [12+] leader_id: i32 = -1,
        [12+] leader_epoch: i32 = -1,
    }

    /// The snapshot to take where the log no longer reaches back.
    struct SnapshotId {
        [12+] end_offset: i64 = -1,
        [12+] epoch: i32 = -1,
    }

    /// The address of a broker named as a leader.
    struct NodeEndpoint {
        [16+] node_id: i32,
        [16+] host: Str,
        [16+] port: i32,
        [16+] rack: Option<Str>,
    }
}
