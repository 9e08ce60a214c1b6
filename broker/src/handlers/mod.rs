//! One file per API, and the one table that leads to them.
//!
//! A handler gets the connection's context and a decoded request and gives a response. Produce, which patches its frame, and
//! Fetch, which answers with files, take a way of their own.

pub(crate) mod admin;
mod administer;
mod admission;
mod context;
mod delete_records;
mod describe_quorum;
mod elect_leaders;
mod fetch;
mod groups;
mod list_offsets;
mod observed;
mod offset_for_leader_epoch;
mod produce;
mod unregister_broker;

pub(crate) use self::context::Context;

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use leat_protocol::header::{RequestHeader, encode_response};
use leat_protocol::wire::Reader;
use leat_protocol::{ApiKey, Message, Request};

use crate::net::{Answering, Permit, Reply};

/// The largest request that carries no records. Decoded, small elements take many times their size on the wire.
const PLAIN_BYTES_MAX: usize = 8 << 20;

/// A request that has begun. A produce is proposed already, or about to be: later produces may begin too. Any other runs
/// when it is the oldest.
pub(crate) struct Started {
    pub(crate) api: ApiKey,
    pub(crate) answering: Answering,
}

macro_rules! serve {
    ($api:expr, $call:expr; $($name:ident => $handler:path,)*) => {
        match $api {
            $(ApiKey::$name => $call.answer($handler).await,)*
            ApiKey::Produce | ApiKey::Fetch | ApiKey::ApiVersions | ApiKey::JoinGroup => {
                unreachable!("these take a way of their own")
            }
        }
    };
}

/// One request, decoded as far as its header.
struct Call {
    context: Rc<Context>,
    header: RequestHeader,
    api: ApiKey,
    body: Bytes,
}

/// Begins a request. The error closes the connection, with one line in the log.
pub(crate) fn start(
    context: &Rc<Context>,
    frame: BytesMut,
    permit: Permit,
    may_begin: bool,
) -> Result<Started, String> {
    let frame = frame.freeze();
    let mut reader = Reader::new(frame.clone());
    let header = RequestHeader::decode(&mut reader).map_err(|error| format!("unreadable request header: {error}"))?;
    let Some(api) = ApiKey::from_i16(header.api_key).filter(|api| api.api().served) else {
        return Err(format!("API {} is not served here", header.api_key));
    };
    context.throttle_for(&header);
    let body = frame.slice(frame.len() - reader.remaining()..);
    if api == ApiKey::Produce {
        let answering = produce::start(context, &header, frame, body, permit, may_begin)?;
        return Ok(Started { api, answering });
    }
    if frame.len() > PLAIN_BYTES_MAX {
        return Err(format!("a {} request of {} bytes; {PLAIN_BYTES_MAX} is the most", api.name(), frame.len()));
    }
    drop(frame);
    let call = Call { context: context.clone(), header, api, body };
    let answering: Answering = Box::pin(async move {
        let reply = call.run().await;
        drop(permit);
        reply.map(Some)
    });
    Ok(Started { api, answering })
}

impl Call {
    async fn run(self) -> Result<Reply, String> {
        if self.api == ApiKey::ApiVersions {
            return administer::api_versions(&self.context, &self.header, self.body);
        }
        if !self.api.versions().contains(self.header.api_version) {
            return Err(format!("{} version {} is not supported", self.api.name(), self.header.api_version));
        }
        if self.api == ApiKey::Fetch {
            return fetch::answer(&self.context, &self.header, self.body).await;
        }
        if self.api == ApiKey::JoinGroup {
            // Alone of all requests it needs to know the client's name for itself.
            let client_id = self.header.client_id.clone();
            let join = async |context: &Context, request, version| {
                groups::join_group::handle(context, request, version, client_id).await
            };
            return self.answer(join).await;
        }
        serve! { self.api, self;
            ListOffsets => list_offsets::handle,
            OffsetCommit => groups::offset_commit::handle,
            OffsetFetch => groups::offset_fetch::handle,
            FindCoordinator => groups::find_coordinator::handle,
            Heartbeat => groups::heartbeat::handle,
            LeaveGroup => groups::leave_group::handle,
            SyncGroup => groups::sync_group::handle,
            DescribeGroups => groups::describe_groups::handle,
            ListGroups => groups::list_groups::handle,
            DeleteGroups => groups::delete_groups::handle,
            OffsetDelete => groups::offset_delete::handle,
            Metadata => administer::metadata,
            CreateTopics => administer::create_topics,
            DeleteTopics => administer::delete_topics,
            DeleteRecords => delete_records::handle,
            ElectLeaders => elect_leaders::handle,
            AlterPartitionReassignments => administer::alter_partition_reassignments,
            ListPartitionReassignments => administer::list_partition_reassignments,
            InitProducerId => administer::init_producer_id,
            OffsetForLeaderEpoch => offset_for_leader_epoch::handle,
            DescribeConfigs => administer::describe_configs,
            AlterConfigs => administer::alter_configs,
            DescribeLogDirs => administer::describe_log_dirs,
            CreatePartitions => administer::create_partitions,
            IncrementalAlterConfigs => administer::incremental_alter_configs,
            DescribeQuorum => describe_quorum::handle,
            DescribeCluster => administer::describe_cluster,
            DescribeProducers => administer::describe_producers,
            UnregisterBroker => unregister_broker::handle,
            ListConfigResources => administer::list_config_resources,
            DescribeTopicPartitions => administer::describe_topic_partitions,
        }
    }

    /// Decodes, handles and encodes.
    async fn answer<R: Request>(
        self,
        handler: impl AsyncFnOnce(&Context, R, i16) -> R::Response,
    ) -> Result<Reply, String> {
        let Call { context, header, api, body } = self;
        let version = header.api_version;
        let mut reader = Reader::new(body);
        let request =
            R::decode(&mut reader, version).map_err(|error| format!("unreadable {} request: {error}", api.name()))?;
        let response = handler(&context, request, version).await;
        encode(&context, api, version, header.correlation_id, &response)
    }
}

fn encode(
    context: &Context,
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    response: &impl Message,
) -> Result<Reply, String> {
    context.server.metrics.errors(api, response);
    match encode_response(api, version, correlation_id, response) {
        Ok(parts) => Ok(Reply { parts, files: Vec::new() }),
        Err(error) => Err(format!("the {} response can not be encoded: {error}", api.name())),
    }
}
