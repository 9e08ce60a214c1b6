//! Opens a partition from its folder, off the shard's thread.

use std::sync::Arc;
use std::time::Duration;

use leat_protocol::records::BatchHeader;
use leat_storage::{Checkpoint, Error, GroupId, Identity, Log, LogConfig, OpenHint};
use raft::eraftpb::ConfState;

use super::{Machine, Surroundings};
use crate::config::TopicConfig;
use crate::disk::{Absent, Adopted, Flush};
use crate::partition::Partition;
use crate::producers::ProducerState;
use crate::replica::{Held, Replica, Settings, Start, decode_membership, describe_recovered, members};
use crate::shard::Ticket;

/// A partition that can be taken into a shard.
pub(crate) struct Opened {
    pub(super) replica: Replica<Ticket>,
    pub(super) machine: Option<Box<dyn Machine>>,
    pub(super) log: Adopted,
    /// The checkpoint's.
    pub(super) saved_applied: u64,
    /// Bytes of log beyond the checkpoint.
    pub(super) unsaved_bytes: u64,
}

/// Opens on the pool, once no earlier topic's folder of the same name is in the way.
pub(super) fn spawn(
    around: Surroundings,
    partition: Arc<Partition>,
    done: impl FnOnce(Result<Opened, String>) + Send + 'static,
) {
    let pool = around.pool.clone();
    pool.spawn(move || {
        if around.deleting.contains(&partition.folder()) {
            // Behind the deletion, which may wait for this very thread.
            std::thread::sleep(Duration::from_millis(2));
            return spawn(around, partition, done);
        }
        done(open(&around, &partition));
    });
}

/// Reads the checkpoint and what the log holds beyond it.
fn open(around: &Surroundings, partition: &Partition) -> Result<Opened, String> {
    let folder = around.folder.join(partition.folder());
    let group = partition.group;
    let identity = identity(partition);
    let mut machine = (around.machines)(group);
    let settings = settings(around, partition, machine.is_some());
    let config = log_config(&partition.config(), partition.index());
    let ballot = around.ballots.lock().get(group).unwrap_or_default();
    if !folder.exists() {
        let membership = founders(partition);
        let start = Start { replica_id: partition.replica_id, ballot, membership, first_index: 1, ..Start::default() };
        let log = Adopted::Absent(Box::new(Absent { folder, identity, config }));
        let replica = Replica::open(start, settings)?;
        return Ok(Opened { replica, machine, log, saved_applied: 0, unsaved_bytes: 0 });
    }
    let saved = Checkpoint::load(&around.env, &folder).map_err(|error| error.to_string())?;
    let checkpoint = saved.clone().unwrap_or_default();
    let mut producers = match &machine {
        None => ProducerState::decode(&checkpoint.producers).map_err(|error| error.to_string())?,
        Some(_) => ProducerState::default(),
    };
    if let (Some(machine), Some(saved)) = (&mut machine, &saved) {
        machine.restore(&saved.producers, saved.applied)?;
    }
    let mut held: Vec<Held> = Vec::new();
    let mut end_offset = checkpoint.end_offset_at_applied;
    let keeps = settings.applies_records;
    let mut replay = |index: u64, header: &BatchHeader, batch: &[u8]| {
        producers.append(index, header);
        let entry = describe_recovered(header, batch, end_offset, keeps);
        end_offset = entry.end_offset;
        held.push(entry);
    };
    let hint = OpenHint { checkpoint: saved, same_boot: around.same_boot };
    let mut log = match Log::open(&around.env, &folder, identity, config, hint, &mut replay) {
        Ok(log) => log,
        Err(Error::Foreign { what: "topic id" | "replica", .. }) => {
            // The metadata says that the name is this replica's now: what is there is another one's that is gone, left by a crash.
            leat_storage::delete_folder(&around.env, &folder, &identity).map_err(|error| error.to_string())?;
            return open(around, partition);
        }
        Err(error) => return Err(error.to_string()),
    };
    // What a killed process had only written may be read and built upon from now on, so it has to be on stable storage.
    log.sync().map_err(|error| error.to_string())?;
    let reader = log.reader();
    if reader.first_index() > checkpoint.applied + 1 {
        let (first, applied) = (reader.first_index(), checkpoint.applied);
        return Err(format!(
            "its entries begin with {first}, and its checkpoint ends with {applied}: the checkpoint is lost"
        ));
    }
    let start = Start {
        replica_id: partition.replica_id,
        ballot,
        membership: decode_membership(&checkpoint.membership).unwrap_or_else(|| founders(partition)),
        membership_index: checkpoint.membership_index,
        decided: partition.placement().decided,
        first_index: reader.first_index(),
        before_first_term: reader.term_of(reader.first_index() - 1).unwrap_or(0),
        applied: checkpoint.applied,
        applied_end_offset: checkpoint.end_offset_at_applied,
        commit: checkpoint.commit,
        epochs: reader.epochs(),
        held,
        producers,
    };
    let (saved_applied, unsaved_bytes) = (checkpoint.applied, log.report().scanned_bytes);
    let replica = Replica::open(start, settings)?;
    Ok(Opened { replica, machine, log: Adopted::Open(Box::new(log)), saved_applied, unsaved_bytes })
}

/// Deletes what a partition that was never opened left on disk.
pub(super) fn remove_folder(around: &Surroundings, partition: &Partition) {
    around.deleting.end_after(&partition.folder(), || remove(around, partition));
}

fn remove(around: &Surroundings, partition: &Partition) {
    let folder = around.folder.join(partition.folder());
    if let Err(error) = leat_storage::delete_folder(&around.env, &folder, &identity(partition)) {
        tracing::warn!(folder = %folder.display(), %error, "files of a deleted partition were left behind");
    }
}

fn founders(partition: &Partition) -> ConfState {
    members(partition.placement().founders.iter().map(|replica| replica.id))
}

pub(super) fn identity(partition: &Partition) -> Identity {
    let GroupId { topic_id, partition: index } = partition.group;
    Identity { topic_id, partition: index, replica_id: partition.replica_id }
}

/// What the replica runs with.
pub(super) fn settings(around: &Surroundings, partition: &Partition, applies_records: bool) -> Settings {
    let config = partition.config();
    Settings {
        relaxed: !applies_records && !config.is_durable(),
        applies_records,
        tail_bytes_max: 4 << 20,
        producer_expiration_ms: around.producer_expiration_ms,
        // Partitions whose leaders are lost together do not all vote together.
        election_seed: u64::from(partition.index().unsigned_abs()) << 32,
        insync_min: usize::try_from(config.min_insync_replicas).unwrap_or(1),
    }
}

/// What the log runs with.
pub(crate) fn log_config(config: &TopicConfig, partition: i32) -> LogConfig {
    LogConfig {
        segment_bytes: config.segment_bytes,
        // The partition's number stands in for a draw: segments of a topic do not all roll together.
        segment_ms: config.roll_ms(u64::from(partition.unsigned_abs()).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        segment_index_bytes: config.segment_index_bytes,
        index_interval_bytes: config.index_interval_bytes,
    }
}

/// How far the log's syncs may fall behind.
pub(super) fn flush(config: &TopicConfig) -> Flush {
    let messages = if config.is_durable() { 1 } else { config.flush_messages };
    Flush { messages, interval: Duration::from_millis(config.flush_ms.min(RELAXED_SYNC_MS_MAX)) }
}

/// Even where nothing asks for it, what was written is synced after this long: what follows commits, as pipelines do, waits for it.
const RELAXED_SYNC_MS_MAX: u64 = 5_000;
