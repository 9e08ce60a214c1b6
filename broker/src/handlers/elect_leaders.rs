//! ElectLeaders: whoever leads a partition hands over to its preferred leader.
//!
//! An election among replicas that lack committed records is never held: it would lose them. Who asks for one hears that it is
//! not needed, or that nobody may lead.

use std::time::Duration;

use leat_protocol::ErrorCode;
use leat_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult};
use leat_storage::GroupId;
use tokio::time::{Instant, sleep};

use super::admin::PARTITIONS_NAMED_MAX;
use super::context::Context;
use crate::metadata::Topic;
use crate::peers::Asked;
use crate::server::Server;

/// Kafka's number of an election of the preferred leader, and of any replica.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// The longest that a handover is waited for, whatever the client says.
const HANDOVER_MAX: Duration = Duration::from_secs(5);

/// Between two looks at who leads.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) async fn handle(context: &Context, request: ElectLeadersRequest, _version: i16) -> ElectLeadersResponse {
    let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)).min(HANDOVER_MAX);
    let deadline = Instant::now() + patience;
    let kind = request.election_type;
    let named = request.topic_partitions.iter().flatten().map(|topic| topic.partitions.len()).sum::<usize>();
    if (kind != PREFERRED && kind != UNCLEAN) || named > PARTITIONS_NAMED_MAX {
        return ElectLeadersResponse { error_code: ErrorCode::INVALID_REQUEST, ..ElectLeadersResponse::default() };
    }
    let server = &context.server;
    let image = server.image();
    let mut results = Vec::new();
    match &request.topic_partitions {
        None => {
            for topic in image.topics() {
                let mut elected = elect_all(server, topic, 0..topic.partition_count(), kind, deadline).await;
                elected.retain(|result| result.error_code != ErrorCode::ELECTION_NOT_NEEDED);
                results.push(ReplicaElectionResult { topic: topic.name.clone(), partition_result: elected });
            }
            results.retain(|result| !result.partition_result.is_empty());
        }
        Some(asked) => {
            for asked in asked {
                let partitions = asked.partitions.iter().copied();
                let partition_result = match image.topic(&asked.topic) {
                    Some(topic) => elect_all(server, topic, partitions, kind, deadline).await,
                    None => partitions.map(unknown).collect(),
                };
                results.push(ReplicaElectionResult { topic: asked.topic.clone(), partition_result });
            }
        }
    }
    ElectLeadersResponse {
        throttle_time_ms: context.throttle_ms(),
        error_code: ErrorCode::NONE,
        replica_election_results: results,
    }
}

/// Asks for every handover first, and waits for them together.
async fn elect_all(
    server: &Server,
    topic: &Topic,
    partitions: impl Iterator<Item = i32>,
    kind: i8,
    deadline: Instant,
) -> Vec<PartitionResult> {
    let mut results = Vec::new();
    for partition in partitions {
        let asked = ask(server, topic, partition, kind).await;
        results.push((partition, asked));
    }
    let mut finished = Vec::new();
    for (partition_id, asked) in results {
        let ended = match asked {
            Ok(preferred) => {
                wait(server, GroupId { topic_id: topic.id, partition: partition_id }, preferred, deadline).await
            }
            Err(refused) => Err(refused),
        };
        finished.push(match ended {
            Ok(()) => PartitionResult { partition_id, ..PartitionResult::default() },
            Err((error_code, text)) => PartitionResult { partition_id, error_code, error_message: Some(text.into()) },
        });
    }
    finished
}

/// Has the leader hand over; the node that is to lead.
async fn ask(server: &Server, topic: &Topic, partition: i32, kind: i8) -> Result<i32, (ErrorCode, String)> {
    let told = |code: ErrorCode| (code, code.message().to_owned());
    let placed = topic.partition(partition).ok_or_else(|| told(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    let group = GroupId { topic_id: topic.id, partition };
    let alive = server.peers.alive();
    let leader = server.leader_of(group).filter(|told| alive.contains_key(&told.leader));
    let preferred = placed.replicas.first().map(|first| first.node_id);
    match (leader, preferred) {
        (Some(leader), Some(preferred)) if kind == PREFERRED && leader.leader != preferred => {
            if !alive.contains_key(&preferred) || !leader.in_sync.contains(&preferred) {
                return Err(told(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE));
            }
            server.prefer(leader.leader, group).await?;
            Ok(preferred)
        }
        (Some(_), _) => Err(told(ErrorCode::ELECTION_NOT_NEEDED)),
        (None, _) if kind == UNCLEAN => {
            let text =
                "No majority of its replicas is there, and an election without one would lose records.".to_owned();
            Err((ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE, text))
        }
        (None, _) => Err(told(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE)),
    }
}

async fn wait(server: &Server, group: GroupId, preferred: i32, deadline: Instant) -> Result<(), (ErrorCode, String)> {
    while server.leader_of(group).is_none_or(|told| told.leader != preferred) {
        let told = |code: ErrorCode| Err((code, code.message().to_owned()));
        if !server.peers.alive().contains_key(&preferred) {
            return told(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE);
        }
        if Instant::now() >= deadline {
            return told(ErrorCode::REQUEST_TIMED_OUT);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn unknown(partition_id: i32) -> PartitionResult {
    let error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    PartitionResult { partition_id, error_code, error_message: Some(error_code.message().into()) }
}

impl Server {
    /// Has the leader of a partition hand over to the preferred one.
    async fn prefer(&self, leader: i32, group: GroupId) -> Result<(), (ErrorCode, String)> {
        let asked = Asked::Prefer(group.into());
        let asked = if leader == self.node_id { self.lead(&asked).await } else { self.peers.call(leader, asked).await };
        asked.map(drop)
    }
}
