//! A whole cluster in a world made of one seed: three to seven nodes, the metadata group with its real state machine, partitions
//! that are trimmed, compacted and moved, a real group coordinator. Over real disks' code on some seeds, over a model on most.
//!
//! ```text
//!   world        chooses what happens next: turns of nodes and clients, faults
//!   effects      carries out what replicas ask for, and looks after every step
//!   metadata     nodes follow the image: replicas come and go; operators and leaders change it
//!   upkeep       checkpoints, trims, compaction, seeding
//!   coordinator  committed offsets of consumer groups
//!   account      what each group has promised, and whether it is kept
//!   node         what a node holds and knows
//!   network      what is under way
//! ```

mod account;
mod coordinator;
mod effects;
mod metadata;
mod network;
mod node;
mod upkeep;
mod world;

use std::time::{Duration, Instant};

use self::world::{Options, Summary, World};
use super::{Plant, find, number, quietly};

fn run(seed: u64, options: Options) -> Result<Summary, String> {
    World::new(seed, options).run()
}

/// As a hunt runs a seed: what is drawn beside the world itself is drawn from the seed too.
fn of_seed(seed: u64) -> Options {
    let stored = seed % 50 == 49;
    // The real log on files takes ten times as long.
    Options { stored, steps: if stored { 4000 } else { 12_000 }, ..Options::default() }
}

fn hunt(seed: u64, total: &mut Summary) {
    match quietly(|| run(seed, of_seed(seed))) {
        Ok(Ok(summary)) => total.add(&summary),
        Ok(Err(broken)) => panic!("seed {seed} breaks a promise (`just sim {seed}` shows how): {broken}"),
        Err(_) => panic!("seed {seed} ends in a panic (`just sim {seed}` shows it)"),
    }
}

/// `just sim`: one seed with all that happens, so many seeds from some seed on, or seeds for so many seconds.
#[test]
fn clusters_keep_every_promise() {
    let mut total = Summary::default();
    if let Some(seed) = number("LEAT_SIM_SEED") {
        let told = run(seed, Options { tells: true, ..of_seed(seed) });
        return total.add(&told.unwrap_or_else(|broken| panic!("seed {seed}: {broken}")));
    }
    let from = number("LEAT_SIM_FROM").unwrap_or(0);
    let mut seeds = 0;
    match number("LEAT_SIM_SECONDS") {
        Some(seconds) => {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(seconds) {
                hunt(from + seeds, &mut total);
                seeds += 1;
            }
        }
        None => {
            seeds = number("LEAT_SIM_SEEDS").unwrap_or(25);
            (from..from + seeds).for_each(|seed| hunt(seed, &mut total));
        }
    }
    eprintln!("{seeds} seeds from {from} on: {total:?}");
}

/// A trim took an entry without records that was not applied yet: after a restart nothing knew of it.
#[test]
fn a_trim_leaves_what_is_not_applied() {
    assert_eq!(run(55, Options::default()).err(), None);
}

/// A new leader needs a follower to commit its first entry, and that one had to be sent the log, which only a leader that had
/// committed one did: a third replica away for good, and the partition stood still.
#[test]
fn a_leader_that_has_committed_nothing_yet_sends_its_log() {
    assert_eq!(run(1_000_554, Options::default()).err(), None);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| run(seed, of_seed(seed)).map(|summary| summary.trace);
    for seed in [0, 1, 49] {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(2), trace(3));
}

#[test]
fn planted_bugs_are_found() {
    let plants = [
        Plant::SyncLies,
        Plant::BallotForgotten,
        Plant::CutForgotten,
        Plant::RepeatAppended,
        Plant::IdReused,
        Plant::AnsweredEarly,
        Plant::OldValueKept,
        Plant::TailCompacted,
        Plant::TailSeeded,
        Plant::TrimGoesFar,
        Plant::CoordinatorEarly,
        Plant::CoordinatorKept,
        Plant::MetadataSkipped,
    ];
    let found = plants.map(|plant| {
        let options = Options { plant: Some(plant), ..Options::default() };
        (plant, find(0..200, |seed| run(seed, options).map(drop)))
    });
    found.iter().for_each(|(plant, found)| eprintln!("{plant:?}: {found:?}"));
    let missed: Vec<_> = found.iter().filter(|(_, found)| found.is_none()).map(|(plant, _)| plant).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
