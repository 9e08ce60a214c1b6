//! Simulated worlds, each made of one seed: networks that lose, repeat and reorder, disks that lose what was not synced, clocks that
//! run apart. The same seed gives the same trace. docs/testing.md says how to run and to read them.
//!
//! ```text
//!   cluster   nodes with several groups: metadata, partitions, a coordinator; trims, compaction, seeding, lost nodes
//!   group     the replicas of one group, with knobs of its own: relaxed topics, rest, one voter
//!   --------- what both are made of
//!   client    idempotent producers that repeat until they are answered
//!   ledger    what a group has promised, and whether it is kept
//!   disk      one replica's log: queued, written, synced; what a power cut leaves: `model` in memory, `stored` in files
//!   random    the one source of chance
//! ```

mod client;
mod cluster;
mod disk;
mod group;
mod ledger;
mod model;
mod random;
mod stored;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// A bug made on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    /// The disk says synced when it has only written.
    SyncLies,
    /// Term and vote are never stored.
    BallotForgotten,
    /// A cut of the log is left out, so that what follows lands behind it.
    CutForgotten,
    /// Batches lose their producer on the way in, so that repeats are appended.
    RepeatAppended,
    /// What a killed process left in the page cache counts as persisted without a sync.
    OpenedUnsynced,
    /// A wiped disk comes back under its old replica id.
    IdReused,
    /// The disk says written when it has only been asked to write.
    WriteLies,
    /// Producers that ask for a majority are answered once the leader has written.
    AnsweredEarly,
    /// Compaction leaves the first record of a key instead of the last one.
    OldValueKept,
    /// Compaction goes beyond what is applied.
    TailCompacted,
    /// A seed is the whole log of whoever gives it, whatever of it is committed.
    TailSeeded,
    /// A trim takes the segment in which the new log start lies.
    TrimGoesFar,
    /// A coordinator answers when it has asked for its write.
    CoordinatorEarly,
    /// A coordinator keeps its memory when its node leads again, whoever led meanwhile.
    CoordinatorKept,
    /// One node leaves out a record of the metadata.
    MetadataSkipped,
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The first of some seeds that finds a planted bug, and what is said of it.
fn find(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Result<(), String>) -> Option<(u64, String)> {
    seeds.into_iter().find_map(|seed| match quietly(|| run(seed)) {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => Some((seed, broken)),
        // raft panics on what can't be, which is a find as well.
        Err(_) => Some((seed, "a panic".to_owned())),
    })
}

thread_local! {
    static QUIET: AtomicBool = const { AtomicBool::new(false) };
}

/// Runs something that may panic, and says nothing of it.
fn quietly<R>(run: impl FnOnce() -> R) -> std::thread::Result<R> {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.with(|quiet| quiet.load(Ordering::Relaxed)) {
                told(info);
            }
        }));
    });
    QUIET.with(|quiet| quiet.store(true, Ordering::Relaxed));
    let done = catch_unwind(AssertUnwindSafe(run));
    QUIET.with(|quiet| quiet.store(false, Ordering::Relaxed));
    done
}
