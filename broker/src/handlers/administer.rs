//! The APIs of `admin`, carried out: gathers what they see, proposes what they plan, waits for what they change.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use leat_protocol::header::RequestHeader;
use leat_protocol::messages::describe_producers::ProducerState;
use leat_protocol::messages::*;
use leat_protocol::wire::Reader;
use leat_protocol::{ApiKey, ErrorCode, Uuid};

use super::admin::{self, View};
use super::context::Context;
use super::encode;
use super::observed::Observed;
use crate::cluster::LED_PATIENCE;
use crate::metadata::Outcome;
use crate::net::Reply;
use crate::producers::ActiveProducer;

/// ApiVersions, which alone answers a version that it doesn't know, in version 0 (KIP-511).
pub(super) fn api_versions(context: &Context, header: &RequestHeader, body: Bytes) -> Result<Reply, String> {
    let asked = header.api_version;
    let version = admin::api_versions::version(asked);
    if version != asked {
        return encode(
            context,
            ApiKey::ApiVersions,
            version,
            header.correlation_id,
            &admin::api_versions::unsupported(),
        );
    }
    let request = ApiVersionsRequest::decode(&mut Reader::new(body), version)
        .map_err(|error| format!("unreadable ApiVersions request: {error}"))?;
    let response = admin::api_versions::respond(context.throttle_ms(), version, &request);
    if version >= 3 && !response.error_code.is_err() {
        let (name, software_version) = (request.client_software_name, request.client_software_version);
        tracing::debug!(peer = %context.peer, principal = %context.principal, listener = %context.listener, client = %name, version = %software_version, "client");
        *context.software.borrow_mut() = Some((name, software_version));
    }
    encode(context, ApiKey::ApiVersions, version, header.correlation_id, &response)
}

/// Has `look` see the cluster as this connection does.
fn seen<R>(context: &Context, look: impl FnOnce(&View<'_>) -> R) -> R {
    seen_with(context, HashMap::new(), look)
}

type Producers = HashMap<(Uuid, i32), Vec<ProducerState>>;

fn seen_with<R>(context: &Context, producers: Producers, look: impl FnOnce(&View<'_>) -> R) -> R {
    let server = &context.server;
    let (image, config) = (server.image(), server.config());
    let nodes = context.nodes(&image);
    look(&View {
        image: &image,
        config: &config,
        cluster_id: &server.cluster_id,
        node_id: server.node_id,
        controller_id: server.metadata.leader().0,
        nodes: &nodes,
        partitions: &Observed { server, producers },
        throttle_time_ms: context.throttle_ms(),
    })
}

pub(super) async fn metadata(context: &Context, request: MetadataRequest, version: i16) -> MetadataResponse {
    let server = &context.server;
    let config = server.config();
    let create = |image: &_| admin::metadata::plan(image, &config, &request, &mut Uuid::new_v4);
    if !create(&server.image()).is_empty() {
        server.change_quietly(create).await;
    }
    // Another broker may have made a topic a moment ago; some clients keep the answer that nobody leads it for seconds.
    for name in request.topics.iter().flatten().filter_map(|topic| topic.name.as_ref()) {
        server.led(name, Duration::from_millis(200)).await;
    }
    seen(context, |view| admin::metadata::respond(view, version, &request))
}

pub(super) async fn create_topics(
    context: &Context,
    request: CreateTopicsRequest,
    _version: i16,
) -> CreateTopicsResponse {
    let config = context.server.config();
    let plan = |image: &_| admin::create_topics::plan(image, &config, &request, &mut Uuid::new_v4);
    let mut response = context.server.change(plan).await;
    for created in response.topics.iter().filter(|topic| !topic.error_code.is_err()) {
        context.server.led(&created.name, LED_PATIENCE).await;
    }
    response.throttle_time_ms = context.throttle_ms();
    response
}

pub(super) async fn delete_topics(
    context: &Context,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let config = context.server.config();
    let plan = |image: &_| admin::delete_topics::plan(image, &config, version, &request);
    let mut response = context.server.change(plan).await;
    response.throttle_time_ms = context.throttle_ms();
    response
}

pub(super) async fn create_partitions(
    context: &Context,
    request: CreatePartitionsRequest,
    _version: i16,
) -> CreatePartitionsResponse {
    let config = context.server.config();
    let mut response = context.server.change(|image| admin::create_partitions::plan(image, &config, &request)).await;
    for grown in response.results.iter().filter(|topic| !topic.error_code.is_err()) {
        context.server.led(&grown.name, LED_PATIENCE).await;
    }
    response.throttle_time_ms = context.throttle_ms();
    response
}

pub(super) async fn alter_partition_reassignments(
    context: &Context,
    request: AlterPartitionReassignmentsRequest,
    _version: i16,
) -> AlterPartitionReassignmentsResponse {
    let plan = |image: &_| admin::alter_partition_reassignments::plan(image, &request);
    let mut response = context.server.change(plan).await;
    // Taken back is what no replica is left of; that is soon, and what tools expect.
    let taken_back = |partition: &&ReassignablePartition| partition.replicas.is_none();
    for topic in &request.topics {
        for partition in topic.partitions.iter().filter(taken_back) {
            context.server.settled(&topic.name, partition.partition_index, LED_PATIENCE).await;
        }
    }
    response.throttle_time_ms = context.throttle_ms();
    response
}

pub(super) async fn list_partition_reassignments(
    context: &Context,
    request: ListPartitionReassignmentsRequest,
    _version: i16,
) -> ListPartitionReassignmentsResponse {
    seen(context, |view| admin::list_partition_reassignments::respond(view, &request))
}

pub(super) async fn alter_configs(
    context: &Context,
    request: AlterConfigsRequest,
    _version: i16,
) -> AlterConfigsResponse {
    let config = context.server.config();
    let mut response = context.server.change(|image| admin::alter_configs::plan(image, &config, &request)).await;
    response.throttle_time_ms = context.throttle_ms();
    response
}

pub(super) async fn incremental_alter_configs(
    context: &Context,
    request: IncrementalAlterConfigsRequest,
    _version: i16,
) -> IncrementalAlterConfigsResponse {
    let config = context.server.config();
    let plan = |image: &_| admin::incremental_alter_configs::plan(image, &config, &request);
    let mut response = context.server.change(plan).await;
    response.throttle_time_ms = context.throttle_ms();
    response
}

pub(super) async fn init_producer_id(
    context: &Context,
    request: InitProducerIdRequest,
    _version: i16,
) -> InitProducerIdResponse {
    let id = match admin::init_producer_id::check(&request) {
        Ok(()) => next_producer_id(context).await,
        Err(error_code) => Err(error_code),
    };
    admin::init_producer_id::respond(context.throttle_ms(), id)
}

/// The next id of this broker's block; a new block is the metadata group's to give.
async fn next_producer_id(context: &Context) -> Result<i64, ErrorCode> {
    let server = &context.server;
    let mut ids = server.producer_ids.lock().await;
    if let Some(id) = ids.take() {
        return Ok(id);
    }
    let block = vec![admin::init_producer_id::block(server.node_id)];
    let outcomes = server.decide_alone(block).await.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    if let Some(Ok(Outcome::ProducerIds(block))) = outcomes.into_iter().next() {
        ids.refill(block);
    }
    ids.take().ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

pub(super) async fn describe_configs(
    context: &Context,
    request: DescribeConfigsRequest,
    _version: i16,
) -> DescribeConfigsResponse {
    seen(context, |view| admin::describe_configs::respond(view, &request))
}

pub(super) async fn describe_cluster(
    context: &Context,
    request: DescribeClusterRequest,
    _version: i16,
) -> DescribeClusterResponse {
    seen(context, |view| admin::describe_cluster::respond(view, &request))
}

pub(super) async fn describe_log_dirs(
    context: &Context,
    request: DescribeLogDirsRequest,
    _version: i16,
) -> DescribeLogDirsResponse {
    // A log's size is known once it is open; one without a folder is empty.
    let mut partitions = context.server.partitions.all();
    partitions.retain(|partition| context.server.folder.join(partition.folder()).exists());
    context.server.open_all(partitions).await;
    seen(context, |view| admin::describe_log_dirs::respond(view, &request))
}

pub(super) async fn describe_producers(
    context: &Context,
    request: DescribeProducersRequest,
    _version: i16,
) -> DescribeProducersResponse {
    let mut producers = Producers::new();
    for (topic_id, index) in admin::describe_producers::wanted(&context.server.image(), &request) {
        let Some(partition) = context.server.partitions.get(topic_id, index) else { continue };
        let active = context.server.shard(&partition).inspect(&partition, |replica| replica.producers().active()).await;
        let states = active.unwrap_or_default().iter().map(described).collect();
        producers.insert((topic_id, index), states);
    }
    seen_with(context, producers, |view| admin::describe_producers::respond(view, &request))
}

fn described(producer: &ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        // There is no transaction coordinator yet.
        coordinator_epoch: -1,
        ..ProducerState::default()
    }
}

pub(super) async fn list_config_resources(
    context: &Context,
    request: ListConfigResourcesRequest,
    version: i16,
) -> ListConfigResourcesResponse {
    seen(context, |view| admin::list_config_resources::respond(view, version, &request))
}

pub(super) async fn describe_topic_partitions(
    context: &Context,
    request: DescribeTopicPartitionsRequest,
    _version: i16,
) -> DescribeTopicPartitionsResponse {
    seen(context, |view| admin::describe_topic_partitions::respond(view, &request))
}
