//! DescribeCluster: cluster id, controller and brokers.
//!
//! Source: `DescribeClusterRequest.json` and `DescribeClusterResponse.json` of Apache Kafka 4.3.1; KIP-700, KIP-919
//! (controllers), KIP-1073 (fenced brokers).

messages! {
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse;

    /// Asks for the cluster.
    request DescribeClusterRequest {
        [0+]        include_cluster_authorized_operations: bool,
        /// 1: brokers, 2: controllers.
        [1+ strict] endpoint_type: i8 = 1,
        [2+ strict] include_fenced_brokers: bool,
    }

    /// The cluster.
    response DescribeClusterResponse {
        /// For how long the broker held the answer back, or asks the client to wait, because of a quota.
        [0+] throttle_time_ms: i32,
        [0+] error_code: ErrorCode,
        /// More for a person to read, or null.
        [0+] error_message: Option<Str>,
        /// 1: brokers, 2: controllers.
        [1+] endpoint_type: i8 = 1,
        [0+] cluster_id: Str,
        [0+] controller_id: i32 = -1,
        [0+] brokers: Vec<DescribeClusterBroker>,
        /// A bit for each operation allowed; the lowest number where not asked for.
        [0+] cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A broker.
    struct DescribeClusterBroker {
        [0+] broker_id: i32,
        [0+] host: Str,
        [0+] port: i32,
        [0+] rack: Option<Str>,
        [2+] is_fenced: bool,
    }
}
