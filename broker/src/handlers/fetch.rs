//! Fetch: whole batches from the log to the socket, at once or as soon as there are enough.
//!
//! Nothing is polled: a fetch that has too little watches its partitions and is woken by the next append. Records leave
//! as file ranges; what is not in the page cache is read by the disk threads first, so that no shard waits for a disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_protocol::header::RequestHeader;
use leat_protocol::messages::fetch::{FetchRequest, FetchResponse, LeaderIdAndEpoch, PartitionData};
use leat_protocol::wire::{Part, Reader};
use leat_protocol::{ApiKey, ErrorCode, Message as _, Records};
use leat_storage::{Error, FileRange};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::context::{Context, Named, check_epoch};
use super::encode;
use crate::clock::now_ms;
use crate::fetch_session::{Read, TopicKey, failed};
use crate::net::Reply;
use crate::partition::{NOBODY, Partition, State};

/// Ranges up to this size are copied: a read costs less than sending the file by itself.
const COPIED_MAX: u32 = 16 << 10;

/// First version whose clients may be sent to a follower.
const FOLLOWERS_VERSION: i16 = 11;

/// A long poll ends after this, whatever the client asks for.
const WAIT_MAX: Duration = Duration::from_secs(3600);

pub(super) async fn answer(context: &Context, header: &RequestHeader, body: Bytes) -> Result<Reply, String> {
    let version = header.api_version;
    let mut reader = Reader::new(body);
    let request =
        FetchRequest::decode(&mut reader, version).map_err(|error| format!("unreadable Fetch request: {error}"))?;
    let begun = context.sessions.borrow_mut().begin(&request, version, now_ms());
    let session = match begun {
        Ok(session) => session,
        Err(error_code) => {
            let response =
                FetchResponse { error_code, throttle_time_ms: context.throttle_ms(), ..FetchResponse::default() };
            return encode(context, ApiKey::Fetch, version, header.correlation_id, &response);
        }
    };
    let fetch = Fetch::open(context, &request, version, session.partitions()).await;
    let (data, files) = fetch.wait_and_read().await;
    let mut response = session.respond(&mut context.sessions.borrow_mut(), data, now_ms());
    response.throttle_time_ms = context.throttle_ms();
    let mut reply = encode(context, ApiKey::Fetch, version, header.correlation_id, &response)?;
    reply.files = files;
    Ok(reply)
}

/// One partition of a fetch: what is asked, and the partition or why there is none.
struct Target<'a> {
    read: &'a Read,
    partition: Result<Arc<Partition>, ErrorCode>,
}

struct Fetch<'a> {
    context: &'a Context,
    targets: Vec<Target<'a>>,
    deadline: Instant,
    bytes_min: u64,
    bytes_max: u64,
    /// The client knows that a follower may answer (KIP-392).
    from_followers: bool,
    /// The client reads committed records only, and wants to be told of aborted ones: there are none.
    committed_only: bool,
}

/// What one pass over the partitions found.
struct Pass {
    data: Vec<PartitionData>,
    /// Of each of `data`, the records from the offset that was asked for.
    records: Vec<u64>,
    files: Vec<FileRange>,
    bytes: u64,
    /// Something is to be told at once.
    urgent: bool,
}

impl<'a> Fetch<'a> {
    async fn open(context: &'a Context, request: &FetchRequest, version: i16, reads: &'a [Read]) -> Fetch<'a> {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
        let deadline = Instant::now() + wait;
        let find = |read: &'a Read| {
            let named = match &read.topic {
                TopicKey::Name(name) => Named::Name(name.clone()),
                TopicKey::Id(id) => Named::Id(*id),
            };
            Target { read, partition: context.find(&named, read.partition) }
        };
        let targets: Vec<Target<'_>> = reads.iter().map(find).collect();
        context.server.open_all(targets.iter().filter_map(|target| target.partition.clone().ok())).await;
        let bytes_max = u64::from(context.server.config().fetch_max_bytes);
        Fetch {
            context,
            targets,
            deadline,
            bytes_min: u64::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: u64::try_from(request.max_bytes).unwrap_or(0).min(bytes_max),
            from_followers: version >= FOLLOWERS_VERSION,
            committed_only: request.isolation_level == 1,
        }
    }

    /// Reads until there is enough, something to tell, or no time left.
    async fn wait_and_read(&self) -> (Vec<PartitionData>, Vec<FileRange>) {
        let wakeup = Arc::new(Notify::new());
        let mut watches = Vec::new();
        let mut stopping = self.context.server.stopping.subscribe();
        loop {
            let pass = self.pass();
            let late = *stopping.borrow() || Instant::now() >= self.deadline;
            if pass.urgent || pass.bytes >= self.bytes_min || late {
                let Pass { mut data, records, files, .. } = pass;
                let unreadable = bring_in(self.context, &files).await;
                self.take_back(&mut data, &unreadable);
                self.count(&data, &records);
                copy_small(&mut data, &files);
                return (data, files);
            }
            if watches.is_empty() {
                // Watched first and read again after, so that no append falls between.
                let partitions = self.targets.iter().filter_map(|target| target.partition.as_ref().ok());
                watches.extend(partitions.map(|partition| partition.watch(&wakeup)));
                if !watches.is_empty() {
                    continue;
                }
            }
            tokio::select! {
                () = wakeup.notified() => {}
                () = sleep_until(self.deadline) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        }
    }

    fn pass(&self) -> Pass {
        let (data, records) = (Vec::with_capacity(self.targets.len()), Vec::with_capacity(self.targets.len()));
        let mut pass = Pass { data, records, files: Vec::new(), bytes: 0, urgent: false };
        for target in &self.targets {
            let read = match &target.partition {
                Ok(partition) => self.read(target.read, partition, &mut pass),
                Err(error_code) => Err(*error_code),
            };
            let (data, records) = read.unwrap_or_else(|error_code| {
                pass.urgent = true;
                (self.failed(target, error_code), 0)
            });
            pass.data.push(data);
            pass.records.push(records);
        }
        pass
    }

    /// What could not be read after all is an error of its partition.
    fn take_back(&self, data: &mut [PartitionData], unreadable: &[u32]) {
        if unreadable.is_empty() {
            return;
        }
        let is_unreadable = |part: &Part| matches!(part, Part::External { id, .. } if unreadable.contains(id));
        for (target, data) in self.targets.iter().zip(data) {
            if data.records.as_ref().is_some_and(|records| records.0.iter().any(is_unreadable)) {
                *data = self.failed(target, ErrorCode::KAFKA_STORAGE_ERROR);
            }
        }
    }

    /// Counts what the client is given.
    fn count(&self, data: &[PartitionData], records: &[u64]) {
        for ((target, data), &count) in self.targets.iter().zip(data).zip(records) {
            let bytes = data.records.as_ref().map_or(0, Records::len);
            if let (Ok(partition), 1..) = (&target.partition, bytes) {
                partition.traffic.fetched(bytes as u64, count);
            }
        }
    }

    fn failed(&self, target: &Target<'_>, error_code: ErrorCode) -> PartitionData {
        let mut data = failed(target.read.partition, error_code);
        let fenced = matches!(error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
        if let (true, Ok(partition)) = (fenced, &target.partition) {
            let (leader_id, leader_epoch) = self.context.current_leader(partition.group);
            data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
        }
        data
    }

    fn read(&self, read: &Read, partition: &Partition, pass: &mut Pass) -> Result<(PartitionData, u64), ErrorCode> {
        if partition.state() != State::Open {
            super::context::usable(partition)?;
        }
        if !partition.is_led_here() && (!self.from_followers || partition.leader().0 == NOBODY) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        check_epoch(partition, read.current_leader_epoch)?;
        let (high_watermark, log_start_offset) = (partition.high_watermark(), partition.log_start());
        let end = partition.reader().map_or(0, |reader| reader.end_offset());
        if read.fetch_offset < log_start_offset || read.fetch_offset > end.max(high_watermark) {
            // A follower, or a leader that is new, may only not know yet.
            return Err(match partition.is_settled() || read.fetch_offset < log_start_offset {
                true => ErrorCode::OFFSET_OUT_OF_RANGE,
                false => ErrorCode::OFFSET_NOT_AVAILABLE,
            });
        }
        let (mut records, mut count) = (Records::default(), 0);
        let left = self.bytes_max.saturating_sub(pass.bytes);
        let wanted = u64::try_from(read.max_bytes).unwrap_or(0).min(left);
        let first = pass.bytes == 0;
        if read.fetch_offset < high_watermark
            && (wanted > 0 || first)
            && let Some(reader) = partition.reader()
        {
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            let slice = reader
                .read(read.fetch_offset, high_watermark, wanted, first)
                .map_err(|error| told(partition, &error))?;
            pass.bytes += slice.len;
            count = u64::try_from(slice.next_offset - read.fetch_offset).unwrap_or(0);
            for range in slice.ranges {
                let id = u32::try_from(pass.files.len()).unwrap_or(u32::MAX);
                records.0.push(Part::External { id, len: range.len });
                pass.files.push(range);
            }
        }
        let data = PartitionData {
            partition_index: read.partition,
            high_watermark,
            last_stable_offset: high_watermark,
            log_start_offset,
            records: Some(records),
            aborted_transactions: self.committed_only.then(Vec::new),
            ..PartitionData::default()
        };
        Ok((data, count))
    }
}

/// The protocol's code for what the log could not give.
fn told(partition: &Partition, error: &Error) -> ErrorCode {
    match error {
        Error::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        error => {
            tracing::warn!(partition = %partition.folder(), %error, "a fetch could not be served");
            ErrorCode::KAFKA_STORAGE_ERROR
        }
    }
}

/// Puts small ranges into the answer itself, which then leaves in one packet: three for a single record wake the client
/// three times. They are in the page cache by now.
fn copy_small(data: &mut [PartitionData], files: &[FileRange]) {
    let parts = data.iter_mut().filter_map(|data| data.records.as_mut()).flat_map(|records| &mut records.0);
    for part in parts {
        if let Part::External { id, len } = part
            && *len <= COPIED_MAX
            && let Some(Ok(bytes)) = files.get(*id as usize).map(FileRange::read_to_bytes)
        {
            *part = Part::Bytes(bytes);
        }
    }
}

/// Has ranges read that are not in the page cache, so that sending them does not wait for the disk, or that were not checked
/// yet. Says which of them can't be had.
async fn bring_in(context: &Context, files: &[FileRange]) -> Vec<u32> {
    let numbered = files.iter().enumerate().filter(|(_, range)| !range.is_ready());
    let absent: Vec<(u32, FileRange)> = numbered.map(|(id, range)| (id as u32, range.clone())).collect();
    if absent.is_empty() {
        return Vec::new();
    }
    let ids: Vec<u32> = absent.iter().map(|(id, _)| *id).collect();
    let (reply, read) = oneshot::channel();
    context.server.pool.spawn(move || {
        for (_, range) in &absent {
            range.read_ahead();
        }
        // The kernel has all of it under way; reading waits for it.
        let unreadable = absent.iter().filter_map(|(id, range)| {
            let error = range.read_to_bytes().err()?;
            tracing::debug!(%error, "a range of a log could not be read");
            Some(*id)
        });
        let _ = reply.send(unreadable.collect());
    });
    // The pool is gone only when the broker stops.
    read.await.unwrap_or(ids)
}
