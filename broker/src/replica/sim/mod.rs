//! Replicas in a world made of one seed: its network loses, repeats and reorders, its disks lose what was not synced, its
//! clocks run apart. The same seed gives the same trace.
//!
//! ```text
//!   world     chooses what happens next, carries out effects
//!   disk      one replica's log: queued, written, synced; what a power cut leaves: `model` in memory, `stored` in files
//!   network   messages under way
//!   client    idempotent producers that repeat until they are answered
//!   placement who should hold the log, as the metadata would say
//!   ledger    what has been promised, and whether it is kept
//! ```
//!
//! `LEAT_SIM_SEEDS=5000` runs more seeds than a check does; `LEAT_SIM_SEED=42` runs one and says what it does.

mod client;
mod disk;
mod ledger;
mod model;
mod network;
mod placement;
mod random;
mod stored;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::{Options, Summary, run};

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
}

fn seeds(count: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("LEAT_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("LEAT_SIM_SEEDS").unwrap_or(count)).collect(),
    }
}

fn sum(options: Options, count: u64) -> Summary {
    let voters = options.voters;
    let mut total = Summary::default();
    for seed in seeds(count) {
        match run(seed, options) {
            Ok(summary) => total.add(&summary),
            Err(broken) => panic!("LEAT_SIM_SEED={seed} with {voters} voters: {broken}"),
        }
    }
    total
}

#[test]
fn three_voters_keep_every_promise() {
    let total = sum(Options::default(), 60);
    eprintln!("{total:?}");
    if seeds(60).len() > 20 {
        assert!(total.power_cuts > 50 && total.kills > 50, "{total:?}");
        assert!(total.leaders > 100, "{total:?}");
        assert!(total.cuts > 20, "logs were cut: {total:?}");
        assert!(total.repeats > 100, "batches were repeated: {total:?}");
    }
}

/// Between faults nothing happens for long enough that replicas stop to tick.
#[test]
fn three_voters_at_rest_keep_every_promise() {
    let total = sum(Options { calm: true, steps: 8000, ..Options::default() }, 30);
    eprintln!("{total:?}");
    if seeds(30).len() > 20 {
        assert!(total.power_cuts > 20 && total.kills > 20, "{total:?}");
        assert!(total.rests > 200, "replicas rested: {total:?}");
    }
}

/// What a majority has written outlives every kill.
#[test]
fn three_voters_of_a_relaxed_topic_keep_every_promise() {
    let total = sum(Options { relaxed: true, ..Options::default() }, 60);
    eprintln!("{total:?}");
    if seeds(60).len() > 20 {
        assert!(total.kills > 200 && total.leaders > 100, "{total:?}");
        assert!(total.cuts > 20 && total.repeats > 100, "{total:?}");
    }
}

#[test]
fn members_of_a_relaxed_topic_that_change_keep_every_promise() {
    let total = sum(Options { relaxed: true, spares: 2, steps: 12_000, ..Options::default() }, 15);
    eprintln!("{total:?}");
}

#[test]
fn one_voter_keeps_every_promise() {
    let total = sum(Options { voters: 1, ..Options::default() }, 200);
    eprintln!("{total:?}");
    if seeds(200).len() > 20 {
        assert!(total.power_cuts > 50 && total.kills > 50, "{total:?}");
        assert!(total.repeats > 50, "{total:?}");
    }
}

/// Un-synced data is dropped and torn by the file system here, and found again by the real recovery.
#[test]
fn one_voter_on_real_files_keeps_every_promise() {
    let total = sum(Options { voters: 1, stored: true, ..Options::default() }, 20);
    eprintln!("{total:?}");
}

#[test]
fn three_voters_on_real_files_keep_every_promise() {
    let total = sum(Options { stored: true, ..Options::default() }, 6);
    eprintln!("{total:?}");
}

/// Members come and go all along, and those that have gone lose their disks.
#[test]
fn members_that_change_keep_every_promise() {
    let total = sum(Options { spares: 2, steps: 12_000, ..Options::default() }, 30);
    eprintln!("{total:?}");
    if seeds(30).len() > 20 {
        assert!(total.moved > 50 && total.cancels > 50, "{total:?}");
        assert!(total.power_cuts > 50 && total.kills > 50, "{total:?}");
    }
}

/// From one voter to others and back.
#[test]
fn an_only_voter_that_moves_keeps_every_promise() {
    let total = sum(Options { voters: 1, spares: 2, steps: 12_000, ..Options::default() }, 20);
    eprintln!("{total:?}");
}

#[test]
fn members_that_change_on_real_files_keep_every_promise() {
    let total = sum(Options { spares: 2, stored: true, ..Options::default() }, 4);
    eprintln!("{total:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let first = run(seed, Options::default()).map(|summary| summary.trace);
        assert_eq!(first, run(seed, Options::default()).map(|summary| summary.trace));
    }
    let other = run(6, Options::default()).map(|summary| summary.trace);
    assert_ne!(run(7, Options::default()).map(|summary| summary.trace), other);
}

/// What is said of a planted bug by the first seed that finds it.
fn find(options: Options) -> Option<String> {
    (0..300).find_map(|seed| match catch_unwind(AssertUnwindSafe(|| run(seed, options))) {
        Ok(Ok(_)) => None,
        Ok(Err(broken)) => Some(broken),
        // raft panics on what can't be, which is a find as well.
        Err(_) => Some("a panic".to_owned()),
    })
}

#[test]
fn planted_bugs_are_found() {
    let bug = |plant, voters, stored| Options { plant: Some(plant), voters, stored, ..Options::default() };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found: Vec<_> = [
        bug(Plant::SyncLies, 3, false),
        bug(Plant::SyncLies, 1, false),
        bug(Plant::BallotForgotten, 3, false),
        bug(Plant::CutForgotten, 3, false),
        bug(Plant::RepeatAppended, 1, false),
        bug(Plant::OpenedUnsynced, 1, true),
        Options { spares: 2, steps: 12_000, ..bug(Plant::IdReused, 3, false) },
        Options { relaxed: true, ..bug(Plant::WriteLies, 3, false) },
    ]
    .map(|options| (options, find(options)))
    .into();
    std::panic::set_hook(quiet);
    for (options, found) in &found {
        eprintln!("{:?}: {found:?}", options.plant);
    }
    assert!(found.iter().all(|(_, found)| found.is_some()), "{found:?}");
}
