//! ListConfigResources (KIP-1142): every topic and broker. Version 0 knew client metrics only, of which there are none.

use leat_protocol::ErrorCode;
use leat_protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::{View, resource};

/// Client metrics, broker loggers and groups: types that Kafka has and that are empty here.
const EMPTY_TYPES: [i8; 3] = [8, 16, 32];

/// Answers the request.
pub(crate) fn respond(
    view: &View<'_>,
    version: i16,
    request: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let mut response = ListConfigResourcesResponse { throttle_time_ms: view.throttle_time_ms, ..Default::default() };
    if version == 0 {
        return response;
    }
    let known = |kind: &i8| [resource::TOPIC, resource::BROKER].contains(kind) || EMPTY_TYPES.contains(kind);
    if !request.resource_types.iter().all(known) {
        response.error_code = ErrorCode::UNSUPPORTED_VERSION;
        return response;
    }
    let wanted = |kind| request.resource_types.is_empty() || request.resource_types.contains(&kind);
    if wanted(resource::BROKER) {
        let brokers = view
            .nodes
            .iter()
            .map(|node| ConfigResource { resource_name: node.id.to_string().into(), resource_type: resource::BROKER });
        response.config_resources.extend(brokers);
    }
    if wanted(resource::TOPIC) {
        let topics = view
            .image
            .topics()
            .map(|topic| ConfigResource { resource_name: topic.name.clone(), resource_type: resource::TOPIC });
        response.config_resources.extend(topics);
    }
    response
}
