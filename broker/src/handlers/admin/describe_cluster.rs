//! DescribeCluster: brokers and controller.

use leat_protocol::ErrorCode;
use leat_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::{CLUSTER_OPERATIONS, View};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers the request.
pub(crate) fn respond(view: &View<'_>, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let mut response = DescribeClusterResponse { throttle_time_ms: view.throttle_time_ms, ..Default::default() };
    if request.endpoint_type != BROKERS {
        let (code, text) = match request.endpoint_type {
            CONTROLLERS => (
                ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                    .into(),
            ),
            other => (ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, format!("Unsupported endpoint type {other}")),
        };
        response.error_code = code;
        response.error_message = Some(text.into());
        return response;
    }
    response.cluster_id = view.cluster_id.into();
    response.controller_id = view.controller_id;
    response.brokers = view
        .nodes
        .iter()
        .map(|node| DescribeClusterBroker {
            broker_id: node.id,
            host: node.host.clone(),
            port: node.port,
            rack: node.rack.clone(),
            is_fenced: false,
        })
        .collect();
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
}
