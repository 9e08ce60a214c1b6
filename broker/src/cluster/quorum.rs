//! How the metadata's replicas stand, as its leader knows it; every node asks that one.
//!
//! What Kafka calls an offset of this log is the number of entries here, those without records too: so a replica lags
//! that lacks one of them.

use leat_protocol::messages::{
    DescribeQuorumResponse, QuorumListener, QuorumNode, QuorumPartition, QuorumReplica, QuorumTopic,
};
use leat_protocol::wire::{Reader, Writer};
use leat_protocol::{ApiKey, ErrorCode, Message, Str, Uuid};
use tokio::sync::oneshot;

use super::{METADATA_GROUP, METADATA_TOPIC};
use crate::clock::now_ms;
use crate::config::Address;
use crate::metadata::{Broker, Image};
use crate::partition::NOBODY;
use crate::peers::{Answered, Asked, DescribeQuorum};
use crate::replica::Standing;
use crate::server::Server;

/// The response's version between nodes.
const VERSION: i16 = ApiKey::DescribeQuorum.versions().max;

/// The name of what brokers listen to each other with; clients take capitals only.
const LISTENER: Str = Str::from_static("PEER");

/// Entries looked at for one with a time: those without records have none.
const TIMES_MAX: u64 = 16;

type Refused = (ErrorCode, String);

impl Server {
    /// Leader and replicas of the metadata, from whichever node leads it.
    pub(crate) async fn quorum(&self) -> Result<DescribeQuorumResponse, Refused> {
        match self.metadata.leader().0 {
            NOBODY => Err(not_led()),
            leader if leader == self.node_id => self.own_quorum().await,
            leader => {
                let told = self.peers.ask(leader, Asked::DescribeQuorum(DescribeQuorum {})).await?;
                DescribeQuorumResponse::decode(&mut Reader::new(told.body), VERSION)
                    .map_err(|error| (ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))
            }
        }
    }

    /// The same for another node.
    pub(super) async fn encoded_quorum(&self) -> Result<Answered, Refused> {
        let mut writer = Writer::new();
        let encoded = self.own_quorum().await?.encode(&mut writer, VERSION).and_then(|()| writer.finish_bytes());
        let body = encoded.map_err(|error| (ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))?;
        Ok(Answered { index: 0, body })
    }

    async fn own_quorum(&self) -> Result<DescribeQuorumResponse, Refused> {
        let partition = &self.metadata;
        let look = |replica: &crate::replica::Replica<_>| Some((replica.leader_epoch(), replica.standing()?));
        let seen = self.shard(partition).inspect(partition, look).await.flatten();
        let (leader_epoch, standing) = seen.ok_or_else(not_led)?;
        let (image, now) = (self.image(), now_ms());
        let (mut current_voters, mut observers) = (Vec::new(), Vec::new());
        for member in &standing.members {
            let Some(node_id) = partition.node_of(member.replica_id) else { continue };
            let (last_fetch_timestamp, last_caught_up_timestamp) = match node_id == self.node_id {
                true => (now, now),
                false => self.times(&standing, member.has, node_id, now).await,
            };
            let described = QuorumReplica {
                replica_id: node_id,
                replica_directory_id: image.broker(node_id).map_or(Uuid::nil(), |broker| directory(broker)),
                log_end_offset: member.has.map_or(-1, offset),
                last_fetch_timestamp,
                last_caught_up_timestamp,
            };
            if member.votes { current_voters.push(described) } else { observers.push(described) }
        }
        let nodes = current_voters.iter().map(|voter| node(&image, voter.replica_id)).collect();
        let described = QuorumPartition {
            partition_index: METADATA_GROUP.partition,
            leader_id: self.node_id,
            leader_epoch,
            high_watermark: offset(standing.committed),
            current_voters,
            observers,
            ..QuorumPartition::default()
        };
        let topics = vec![QuorumTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![described] }];
        Ok(DescribeQuorumResponse { topics, nodes, ..DescribeQuorumResponse::default() })
    }

    /// When a follower was heard of last, and when it had everything last: when what it lacks was appended. A node is heard of
    /// also while nothing happens in the group.
    async fn times(&self, standing: &Standing, has: Option<u64>, node_id: i32, now: i64) -> (i64, i64) {
        let before = |silence: std::time::Duration| now - i64::try_from(silence.as_millis()).unwrap_or(now);
        let heard = self.peers.silence(node_id).map_or(-1, before);
        let caught_up = match has {
            None => -1,
            Some(has) if has == standing.last => heard,
            Some(has) => self.appended_at(has + 1).await.min(heard),
        };
        (heard, caught_up)
    }

    /// The time of the first entry from here on that has one; -1 where none of the next few is in the log.
    async fn appended_at(&self, index: u64) -> i64 {
        let Some(reader) = self.metadata.reader() else { return -1 };
        let (reply, found) = oneshot::channel();
        self.pool.spawn(move || {
            let headers = (index..index + TIMES_MAX).map_while(|index| reader.entry_header(index).ok());
            // Whoever waits may be gone.
            let _ = reply.send(headers.map(|header| header.base_timestamp).find(|&time| time >= 0));
        });
        found.await.ok().flatten().unwrap_or(-1)
    }
}

fn not_led() -> Refused {
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    (code, code.message().to_owned())
}

/// After so many entries.
fn offset(entries: u64) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}

/// The id of a broker's data folder; zeros where it did not say.
fn directory(broker: &Broker) -> Uuid {
    Uuid::from_slice(&broker.folder).unwrap_or_default()
}

fn node(image: &Image, node_id: i32) -> QuorumNode {
    // A broker that is alone listens to no other.
    let address = image.broker(node_id).and_then(|broker| broker.peer.parse::<Address>().ok());
    let listener = |address: Address| QuorumListener { name: LISTENER, host: address.host.into(), port: address.port };
    QuorumNode { node_id, listeners: address.map(listener).into_iter().collect() }
}
