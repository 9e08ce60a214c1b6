//! Produce: checks each batch, hands it to the shard that owns its partition, and answers when it is as durable as was asked.
//!
//! The batch is never copied: the frame is taken apart where its batches lie, and each part is patched by its owner.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use leat_protocol::header::RequestHeader;
use leat_protocol::messages::produce::{
    LeaderIdAndEpoch, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use leat_protocol::wire::Reader;
use leat_protocol::{ApiKey, ErrorCode, Message as _, Records, Str, Uuid};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::admission::{Admitted, Refusal, admit};
use super::context::{Context, Named};
use super::encode;
use crate::clock::now_ms;
use crate::metadata::is_internal;
use crate::net::{Answering, Permit, Reply};
use crate::partition::{Partition, State};
use crate::replica::{Acks, Answer};
use crate::shard::{Command, Ticket};

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// Takes the request apart and proposes its batches, now or when it is the oldest.
pub(super) fn start(
    context: &Rc<Context>,
    header: &RequestHeader,
    frame: Bytes,
    body: Bytes,
    permit: Permit,
    may_begin: bool,
) -> Result<Answering, String> {
    let (version, correlation_id) = (header.api_version, header.correlation_id);
    if !ApiKey::Produce.versions().contains(version) {
        return Err(format!("Produce version {version} is not supported; 3 is the lowest with record batches"));
    }
    let taken = take_apart(frame, body, version)?;
    let permit = Arc::new(permit);
    if may_begin {
        let begun = begin(context, taken, version, &permit);
        drop(permit);
        return Ok(Box::pin(finish(context.clone(), begun, version, correlation_id)));
    }
    let context = context.clone();
    Ok(Box::pin(async move {
        let begun = begin(&context, taken, version, &permit);
        drop(permit);
        finish(context, begun, version, correlation_id).await
    }))
}

/// A request without its frame.
struct Taken {
    acks: i16,
    timeout: Duration,
    transactional: bool,
    topics: Vec<TakenTopic>,
}

struct TakenTopic {
    name: Str,
    id: Uuid,
    /// Partition and its batches; `None` where the client sent none.
    partitions: Vec<(i32, Option<BytesMut>)>,
}

/// Decodes the request and cuts the frame into the batches that it carries.
fn take_apart(frame: Bytes, body: Bytes, version: i16) -> Result<Taken, String> {
    let mut reader = Reader::new(body);
    let request =
        ProduceRequest::decode(&mut reader, version).map_err(|error| format!("unreadable Produce request: {error}"))?;
    drop(reader);
    let start = frame.as_ptr() as usize;
    let place = |records: &Option<Records>| {
        let bytes = records.as_ref()?.bytes().filter(|bytes| !bytes.is_empty())?;
        let first = bytes.as_ptr() as usize - start;
        Some(first..first + bytes.len())
    };
    type Places = Vec<(i32, Option<Range<usize>>)>;
    let topics: Vec<(Str, Uuid, Places)> = request
        .topic_data
        .iter()
        .map(|topic| {
            let places = topic.partition_data.iter().map(|data| (data.index, place(&data.records))).collect();
            // A name of its own: one that shares the frame's memory would keep it from being patched.
            (Str::from(topic.name.to_string()), topic.topic_id, places)
        })
        .collect();
    let (acks, transactional) = (request.acks, request.transactional_id.is_some());
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    drop(request);
    let mut rest = frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    let mut at = 0;
    let mut cut = |range: Range<usize>| {
        drop(rest.split_to(range.start - at));
        at = range.end;
        rest.split_to(range.len())
    };
    let topics = topics
        .into_iter()
        .map(|(name, id, places)| {
            let partitions = places.into_iter().map(|(index, range)| (index, range.map(&mut cut))).collect();
            TakenTopic { name, id, partitions }
        })
        .collect();
    Ok(Taken { acks, timeout, transactional, topics })
}

/// Every batch on its way.
struct Begun {
    acks: i16,
    deadline: Instant,
    topics: Vec<BegunTopic>,
}

struct BegunTopic {
    name: Str,
    id: Uuid,
    partitions: Vec<(i32, Outcome)>,
}

enum Outcome {
    Refused(Refusal),
    Proposed {
        partition: Arc<Partition>,
        log_append_time: i64,
        size: Size,
        answer: oneshot::Receiver<Answer>,
    },
    /// No answer was asked for.
    Sent,
}

/// What a batch counts for in the metrics.
#[derive(Clone, Copy)]
struct Size {
    bytes: u64,
    records: u64,
}

fn begin(context: &Context, taken: Taken, version: i16, permit: &Arc<Permit>) -> Begun {
    let Taken { acks, timeout, transactional, topics } = taken;
    let topics = topics.into_iter().map(|topic| {
        let named = match version < TOPIC_ID_VERSION {
            true => Named::Name(topic.name.clone()),
            false => Named::Id(topic.id),
        };
        let partitions = topic.partitions.into_iter().map(|(index, batch)| {
            let outcome = propose(context, &named, index, batch, acks, transactional, permit);
            (index, outcome.unwrap_or_else(Outcome::Refused))
        });
        BegunTopic { partitions: partitions.collect(), name: topic.name, id: topic.id }
    });
    Begun { acks, topics: topics.collect(), deadline: Instant::now() + timeout }
}

fn propose(
    context: &Context,
    named: &Named,
    index: i32,
    batch: Option<BytesMut>,
    acks: i16,
    transactional: bool,
    permit: &Arc<Permit>,
) -> Result<Outcome, Refusal> {
    if !(-1..=1).contains(&acks) {
        return Err(Refusal::new(ErrorCode::INVALID_REQUIRED_ACKS, format!("acks is -1, 0 or 1, not {acks}")));
    }
    if transactional {
        return Err(Refusal::new(ErrorCode::INVALID_TXN_STATE, "transactions are not supported yet"));
    }
    let partition = context.find(named, index).map_err(Refusal::from)?;
    if is_internal(&partition.topic) {
        let reason = "the cluster alone writes to its own topics";
        return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, reason));
    }
    match partition.state() {
        State::Open | State::Closed => {}
        State::Moved => return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER.into()),
        State::Deleted => return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into()),
        State::Offline => {
            let reason = partition.offline_reason().map_or_else(String::new, |reason| reason.to_string());
            return Err(Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, reason));
        }
    }
    // Who only follows says who leads instead.
    if partition.is_disk_full() && partition.is_led_here() {
        return Err(Refusal::new(
            ErrorCode::KAFKA_STORAGE_ERROR,
            "the disk is full; free some space, and produces are taken again",
        ));
    }
    let Admitted { batch, header, log_append_time } = admit(batch, &partition.config(), now_ms())?;
    let size = Size { bytes: batch.len() as u64, records: u64::try_from(header.records_count).unwrap_or(0) };
    let (mut ticket, answer) = Ticket::new();
    ticket.held = Some(permit.clone());
    if acks == 0 {
        ticket.reply = None;
    }
    let wait = if acks == -1 { Acks::All } else { Acks::Leader };
    let shard = context.server.shard(&partition);
    shard.send(Command::Propose { partition: partition.clone(), batch, header, acks: wait, ticket });
    if acks != 0 {
        return Ok(Outcome::Proposed { partition, log_append_time, size, answer });
    }
    // Nobody will hear what becomes of it.
    partition.traffic.produced(size.bytes, size.records);
    Ok(Outcome::Sent)
}

/// Waits for every batch and answers. With acks=0 there is no answer; a refusal then closes the connection, as in Kafka,
/// since it is the only thing that such a client can notice.
async fn finish(
    context: Rc<Context>,
    begun: Begun,
    version: i16,
    correlation_id: i32,
) -> Result<Option<Reply>, String> {
    let Begun { acks, deadline, topics } = begun;
    let mut response = ProduceResponse { throttle_time_ms: context.throttle_ms(), ..ProduceResponse::default() };
    for topic in topics {
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for (index, outcome) in topic.partitions {
            let answer = match outcome {
                Outcome::Sent => continue,
                Outcome::Refused(refusal) if acks == 0 => {
                    return Err(format!("a produce with acks=0 to {}-{index} was refused: {refusal}", topic.name));
                }
                Outcome::Refused(refusal) => refused(index, refusal),
                Outcome::Proposed { partition, log_append_time, size, answer } => {
                    let answer = timeout_at(deadline, answer).await;
                    if let Ok(Ok(Answer::Appended { .. })) = answer {
                        partition.traffic.produced(size.bytes, size.records);
                    }
                    answered(&context, index, &partition, log_append_time, answer.ok())
                }
            };
            answers.push(answer);
        }
        response.responses.push(TopicProduceResponse {
            topic_id: topic.id,
            name: topic.name,
            partition_responses: answers,
        });
    }
    if acks == 0 {
        return Ok(None);
    }
    encode(&context, ApiKey::Produce, version, correlation_id, &response).map(Some)
}

fn refused(index: i32, refusal: Refusal) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: refusal.code,
        base_offset: -1,
        record_errors: refusal.records,
        error_message: Some(refusal.reason.into()).filter(|reason: &Str| !reason.is_empty()),
        ..PartitionProduceResponse::default()
    }
}

fn answered(
    context: &Context,
    index: i32,
    partition: &Partition,
    log_append_time_ms: i64,
    answer: Option<Result<Answer, oneshot::error::RecvError>>,
) -> PartitionProduceResponse {
    let log_start_offset = partition.log_start();
    let appended = |base_offset, log_append_time_ms| PartitionProduceResponse {
        index,
        base_offset,
        log_append_time_ms,
        log_start_offset,
        ..PartitionProduceResponse::default()
    };
    match answer {
        Some(Ok(Answer::Appended { base_offset, .. })) => appended(base_offset, log_append_time_ms),
        Some(Ok(Answer::Duplicate { base_offset, timestamp })) => appended(base_offset, timestamp),
        Some(Ok(Answer::Refused(code, reason))) => refused(index, Refusal::new(code, reason)),
        Some(Ok(Answer::NotLeader) | Err(_)) => PartitionProduceResponse {
            current_leader: {
                let (leader_id, leader_epoch) = context.current_leader(partition.group);
                LeaderIdAndEpoch { leader_id, leader_epoch }
            },
            ..refused(index, not_served(partition))
        },
        None => refused(index, Refusal::new(ErrorCode::REQUEST_TIMED_OUT, "not on stable storage in time")),
    }
}

/// Why a shard did not take a batch.
fn not_served(partition: &Partition) -> Refusal {
    match partition.state() {
        State::Offline => {
            let reason = partition.offline_reason().map_or_else(String::new, |reason| reason.to_string());
            Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, reason)
        }
        State::Deleted => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into(),
        State::Open | State::Closed | State::Moved => ErrorCode::NOT_LEADER_OR_FOLLOWER.into(),
    }
}
