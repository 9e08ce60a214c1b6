//! Who asks: what a handler may know of its connection.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use leat_protocol::header::RequestHeader;
use leat_protocol::{ErrorCode, Str, Uuid};
use leat_storage::GroupId;

use super::admin::Node;
use crate::fetch_session::SessionCache;
use crate::metadata::Image;
use crate::partition::{NOBODY, Partition, State};
use crate::server::Server;

/// A connection as its requests see it.
pub(crate) struct Context {
    pub(crate) server: Arc<Server>,
    pub(crate) peer: SocketAddr,
    /// Who the client is; everybody is this until there is authentication.
    pub(crate) principal: Str,
    /// The listener's name.
    pub(crate) listener: Str,
    /// The address that the client reached, to be advertised on a wildcard listener.
    pub(crate) local: SocketAddr,
    /// The client software's name and version, once it has told them.
    pub(crate) software: RefCell<Option<(Str, Str)>>,
    /// Fetch sessions of this shard.
    pub(crate) sessions: Rc<RefCell<SessionCache>>,
}

impl Context {
    /// The client software as it named itself, for the log.
    pub(crate) fn client(&self) -> String {
        match &*self.software.borrow() {
            Some((name, version)) => format!("{name} {version}"),
            None => "unnamed".to_owned(),
        }
    }

    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.server.config().socket_request_max_bytes as usize
    }

    pub(crate) fn idle_max(&self) -> Duration {
        // Kafka's largest is beyond what a timer takes.
        Duration::from_millis(self.server.config().connections_max_idle_ms.min(u64::from(u32::MAX) * 1000))
    }

    pub(crate) fn requests_max(&self) -> usize {
        self.server.config().leat_connection_requests_max as usize
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.server.config().leat_connection_bytes_max as usize
    }

    /// How long the client is asked to wait. No quotas are set yet, so nothing is owed.
    pub(crate) fn throttle_ms(&self) -> i32 {
        0
    }

    /// Host and port that this client is told to connect to.
    pub(crate) fn advertised(&self) -> (String, u16) {
        match self.server.advertised.get() {
            Some(address) => address.clone(),
            None => (self.local.ip().to_string(), self.local.port()),
        }
    }

    /// The brokers that live, each with the address for this connection's listener. One that hears no majority is cut off and can't
    /// tell who lives: it names all, so that its clients find those that serve.
    pub(crate) fn nodes(&self, image: &Image) -> Vec<Node> {
        let alive = self.server.peers.alive();
        let is_cut_off = alive.len() * 2 <= image.brokers().count();
        let told = image.brokers().filter(|broker| is_cut_off || alive.contains_key(&broker.node_id));
        let nodes = told.filter_map(|broker| {
            let (host, port) = match broker.node_id == self.server.node_id {
                true => self.advertised(),
                false => {
                    let named = broker.listeners.iter().find(|endpoint| *endpoint.name == *self.listener);
                    let endpoint = named.or_else(|| broker.listeners.first())?;
                    (endpoint.host.clone(), u16::try_from(endpoint.port).unwrap_or(0))
                }
            };
            let rack = broker.rack.clone().map(Str::from);
            Some(Node { id: broker.node_id, host: host.into(), port: port.into(), rack })
        });
        nodes.collect()
    }

    /// The partition that a request names, opened and ready to serve.
    pub(crate) async fn partition(&self, named: &Named, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let partition = self.find(named, index)?;
        if partition.state() == State::Closed {
            self.server.shard(&partition).open(&partition).await;
        }
        usable(&partition).map(|()| partition)
    }

    /// The same, of a partition that is led here and whose committed end is known.
    pub(crate) async fn led(&self, named: &Named, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let partition = self.partition(named, index).await?;
        match (partition.is_led_here(), partition.is_settled()) {
            (false, _) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            (true, false) => Err(ErrorCode::OFFSET_NOT_AVAILABLE),
            (true, true) => Ok(partition),
        }
    }

    /// Who leads a partition, to be told to a client that took this node for it.
    pub(crate) fn current_leader(&self, group: GroupId) -> (i32, i32) {
        self.server.leader_of(group).map_or((NOBODY, -1), |told| (told.leader, told.epoch))
    }

    /// The partition that a request names, opened or not.
    pub(crate) fn find(&self, named: &Named, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let image = self.server.image();
        let topic = match named {
            Named::Name(name) => image.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?,
            Named::Id(id) => image.topic_by_id(*id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?,
        };
        if topic.partition(index).is_none() {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        self.server.partitions.get(topic.id, index).ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)
    }
}

/// Whether a partition that was opened can be read and written.
pub(crate) fn usable(partition: &Partition) -> Result<(), ErrorCode> {
    match partition.state() {
        State::Open => Ok(()),
        State::Offline => Err(ErrorCode::KAFKA_STORAGE_ERROR),
        State::Closed | State::Moved => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        State::Deleted => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// Checks the epoch that a client believes in against the leader's; -1 makes no claim.
pub(crate) fn check_epoch(partition: &Partition, claimed: i32) -> Result<(), ErrorCode> {
    match partition.leader_epoch() {
        _ if claimed < 0 => Ok(()),
        epoch if claimed < epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
        epoch if claimed > epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        _ => Ok(()),
    }
}

/// How a request names a topic.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Name(Str),
    Id(Uuid),
}

impl Context {
    /// Takes note of a request that comes in. This is where quotas will be charged.
    pub(crate) fn throttle_for(&self, header: &RequestHeader) {
        tracing::trace!(peer = %self.peer, api = header.api_key, version = header.api_version, "request");
    }
}
