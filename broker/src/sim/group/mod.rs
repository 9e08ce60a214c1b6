//! The replicas of one group in a world made of one seed: its network loses, repeats and reorders, its disks lose what was not
//! synced, its clocks run apart.
//!
//! ```text
//!   world     chooses what happens next, carries out effects
//!   network   messages under way
//!   placement who should hold the log, as the metadata would say
//! ```
//!
//! `LEAT_SIM_SEEDS=5000` runs more seeds than a check does; `LEAT_SIM_SEED=42` runs one and says what it does.

mod network;
mod placement;
mod world;

use self::world::{Options, Summary, run};
use super::{Plant, find, number};

fn seeds(count: u64) -> Vec<u64> {
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

#[test]
fn planted_bugs_are_found() {
    let bug = |plant, voters, stored| Options { plant: Some(plant), voters, stored, ..Options::default() };
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
    .map(|options| (options, find(0..300, |seed| run(seed, options).map(drop))))
    .into();
    for (options, found) in &found {
        eprintln!("{:?}: {found:?}", options.plant);
    }
    assert!(found.iter().all(|(_, found)| found.is_some()), "{found:?}");
}
