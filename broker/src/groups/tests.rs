//! The groups of a partition over a log in memory: what is read, what expires, and that memory is a function of the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str, Uuid};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::group::{Caller, Event, Join, Protocol, Reply, Sync};
use super::machine::{Groups, Writes};
use super::request::{Commit, Offset, Request};
use super::settings::Settings;
use crate::coordinator::{Machine, Now};

const HOUR_MS: u64 = 3_600_000;

/// Groups, their log, and a clock. Writes are committed when they are told to be.
struct Bench {
    groups: Groups,
    log: Vec<(Bytes, Option<Bytes>)>,
    pending: Writes,
    budget: Arc<AtomicUsize>,
    up_ms: u64,
    draws: u128,
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings {
        initial_rebalance_delay_ms: 0,
        size_max: 10,
        group_bytes_max: 1 << 20,
        bytes_max: 64 << 10,
        retention_ms: 24 * HOUR_MS as i64,
        retention_check_ms: HOUR_MS / 2,
    })
}

impl Bench {
    fn new() -> Bench {
        let budget = Arc::new(AtomicUsize::new(0));
        let mut groups = Groups::new(settings(), budget.clone());
        groups.begin(Now { up_ms: 0, wall_ms: 0 });
        Bench { groups, log: Vec::new(), pending: Vec::new(), budget, up_ms: 0, draws: 0 }
    }

    fn now(&self) -> Now {
        Now { up_ms: self.up_ms, wall_ms: self.up_ms as i64 }
    }

    fn step(&mut self, request: Request) {
        let now = self.now();
        self.groups.step(request, now, &mut self.pending);
    }

    /// The oldest write is committed.
    fn commit_one(&mut self) {
        if !self.pending.is_empty() {
            let write = self.pending.remove(0);
            self.log.extend(write.records);
            let now = self.now();
            self.groups.written(write.then, now, &mut self.pending);
        }
    }

    fn commit_all(&mut self) {
        while !self.pending.is_empty() {
            self.commit_one();
        }
    }

    fn pass(&mut self, ms: u64) {
        self.up_ms += ms;
        let now = self.now();
        self.groups.tick(now, &mut self.pending);
    }

    fn commit(&mut self, group: &str, partition: i32, offset: i64) -> oneshot::Receiver<Result<(), ErrorCode>> {
        self.commit_as(group, Caller { generation: -1, ..Caller::default() }, partition, offset)
    }

    fn commit_as(
        &mut self,
        group: &str,
        caller: Caller,
        partition: i32,
        offset: i64,
    ) -> oneshot::Receiver<Result<(), ErrorCode>> {
        let (reply, answer) = oneshot::channel();
        let offset = Offset {
            topic: "t".into(),
            topic_id: Uuid::nil(),
            partition,
            offset,
            leader_epoch: -1,
            metadata: Str::default(),
        };
        let commit =
            Commit { group: group.into(), caller, knows_no_group: true, retention_ms: None, offsets: vec![offset] };
        self.step(Request::Commit { commit, reply });
        answer
    }

    fn committed(&self, group: &str, partition: i32) -> Option<i64> {
        self.groups.offsets(group)?.get("t", partition).map(|value| value.offset)
    }

    /// A static member joins and assigns itself, as far as it gets.
    fn member(&mut self, group: &str) -> Option<Caller> {
        self.draws += 1;
        let (token, mut answer) = oneshot::channel();
        let join = Join {
            member: Str::default(),
            instance: Some("i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            protocol_type: "connect".into(),
            protocols: vec![Protocol { name: "p".into(), metadata: Bytes::from_static(b"m") }],
            rebalance_timeout_ms: 10_000,
            session_timeout_ms: 10_000,
            asks_for_id: true,
            can_skip_assignment: true,
            draw: Uuid::from_u128(self.draws),
        };
        self.step(Request::Member { group: group.into(), event: Event::Join { join: Box::new(join), token } });
        self.pass(0);
        let Ok(Reply::Join(joined)) = answer.try_recv() else { return None };
        if joined.error.is_err() {
            return None;
        }
        let caller = Caller { member: joined.member, instance: Some("i".into()), generation: joined.generation };
        let assignments = vec![(caller.member.clone(), Bytes::from_static(b"a"))];
        let sync = Sync { caller: caller.clone(), protocol_type: None, protocol: None, assignments };
        let (token, _) = oneshot::channel();
        self.step(Request::Member { group: group.into(), event: Event::Sync { sync, token } });
        Some(caller)
    }

    fn leave(&mut self, group: &str) {
        let (token, _) = oneshot::channel();
        let members = vec![(Str::default(), Some("i".into()))];
        self.step(Request::Member { group: group.into(), event: Event::Leave { members, token } });
    }

    fn delete(&mut self, group: &str) -> oneshot::Receiver<ErrorCode> {
        let (reply, answer) = oneshot::channel();
        self.step(Request::Delete { group: group.into(), reply });
        answer
    }

    /// What another leader would make of the log.
    fn reloaded(&self) -> Groups {
        let mut groups = Groups::new(settings(), Arc::default());
        for (key, value) in &self.log {
            groups.replay(key, value.as_ref(), self.now()).expect("a record of ours");
        }
        groups
    }
}

/// Offsets by partition and members, by group.
type Told = BTreeMap<Str, (Vec<(i32, i64)>, Vec<Str>)>;

/// What of groups the log can tell.
fn told(groups: &Groups) -> Told {
    let offsets = |name: &str| {
        let offsets = groups.offsets(name).expect("its offsets").committed();
        offsets.map(|(_, partition, value)| (partition, value.offset)).collect::<Vec<_>>()
    };
    let members = |group: &super::group::Group<_>| group.members().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    groups.all().map(|(name, group)| (name.clone(), (offsets(name), members(group)))).collect()
}

#[test]
fn a_commit_is_answered_and_read_when_it_is_in_the_log() {
    let mut bench = Bench::new();
    let mut answer = bench.commit("g", 0, 5);
    assert!(answer.try_recv().is_err());
    assert_eq!(bench.committed("g", 0), None);
    bench.commit_all();
    assert_eq!(answer.try_recv(), Ok(Ok(())));
    assert_eq!(bench.committed("g", 0), Some(5));
}

#[test]
fn a_group_deleted_with_a_commit_on_its_way_stays_deleted() {
    let mut bench = Bench::new();
    let _first = bench.commit("g", 0, 5);
    let mut deleted = bench.delete("g");
    // It is made again before any of that is in the log.
    let _second = bench.commit("g", 1, 6);
    bench.commit_all();
    assert_eq!(deleted.try_recv(), Ok(ErrorCode::NONE));
    assert_eq!((bench.committed("g", 0), bench.committed("g", 1)), (None, Some(6)));
    assert_eq!(told(&bench.reloaded()), told(&bench.groups));
    let mut deleted = bench.delete("g");
    bench.commit_all();
    assert_eq!(deleted.try_recv(), Ok(ErrorCode::NONE));
    assert!(told(&bench.groups).is_empty() && told(&bench.reloaded()).is_empty());
    assert_eq!(bench.budget.load(Ordering::Relaxed), 0);
}

#[test]
fn offsets_expire_from_the_moment_that_the_group_is_empty() {
    let mut bench = Bench::new();
    let caller = bench.member("g").expect("it joins");
    bench.commit_all();
    let _answer = bench.commit_as("g", caller.clone(), 0, 5);
    bench.commit_all();
    for _ in 0..40 * 720 {
        // The member lives on, for longer than offsets are kept.
        bench.pass(HOUR_MS / 720);
        let (token, _) = oneshot::channel();
        bench.step(Request::Member { group: "g".into(), event: Event::Heartbeat { caller: caller.clone(), token } });
    }
    assert_eq!(bench.committed("g", 0), Some(5));
    bench.leave("g");
    bench.commit_all();
    (0..46).for_each(|_| bench.pass(HOUR_MS / 2));
    bench.commit_all();
    assert_eq!(bench.committed("g", 0), Some(5), "23 hours are not a day");
    (0..4).for_each(|_| bench.pass(HOUR_MS / 2));
    bench.commit_all();
    assert!(told(&bench.groups).is_empty(), "the group goes with its offsets");
    assert!(told(&bench.reloaded()).is_empty());
}

#[test]
fn offsets_without_a_group_expire_from_their_commit_and_the_rest_stays() {
    let mut bench = Bench::new();
    let _old = bench.commit("g", 0, 5);
    bench.commit_all();
    (0..30).for_each(|_| bench.pass(HOUR_MS / 2));
    let _new = bench.commit("g", 1, 6);
    bench.commit_all();
    (0..20).for_each(|_| bench.pass(HOUR_MS / 2));
    bench.commit_all();
    assert_eq!((bench.committed("g", 0), bench.committed("g", 1)), (None, Some(6)));
}

#[test]
fn at_the_bound_of_memory_nothing_new_is_taken_and_what_is_there_goes_on() {
    let mut bench = Bench::new();
    let mut last = Ok(());
    for group in 0..1_000 {
        let mut answer = bench.commit(&format!("g{group}"), 0, 1);
        bench.commit_all();
        last = answer.try_recv().expect("an answer");
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE));
    assert!(bench.budget.load(Ordering::Relaxed) < 66 << 10);
    let mut answer = bench.commit("g0", 0, 2);
    bench.commit_all();
    assert_eq!(answer.try_recv(), Ok(Ok(())), "an offset that is there may move");
    assert!(bench.member("new").is_none());
    drop(bench.groups);
    assert_eq!(bench.budget.load(Ordering::Relaxed), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Commit { group: usize, partition: i32 },
    MemberCommit { group: usize, partition: i32 },
    Member { group: usize },
    Leave { group: usize },
    Delete { group: usize },
    DeleteOffset { group: usize, partition: i32 },
    TopicDeleted,
    Written,
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (group, partition) = (0..3usize, 0..3i32);
    prop_oneof![
        5 => (group.clone(), partition.clone()).prop_map(|(group, partition)| Step::Commit { group, partition }),
        3 => (group.clone(), partition.clone()).prop_map(|(group, partition)| Step::MemberCommit { group, partition }),
        3 => group.clone().prop_map(|group| Step::Member { group }),
        2 => group.clone().prop_map(|group| Step::Leave { group }),
        2 => group.clone().prop_map(|group| Step::Delete { group }),
        2 => (group, partition).prop_map(|(group, partition)| Step::DeleteOffset { group, partition }),
        1 => Just(Step::TopicDeleted),
        6 => Just(Step::Written),
        2 => prop_oneof![1..20_000u64, HOUR_MS..30 * HOUR_MS].prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// When all that was asked for is written, another leader makes the same of the log.
    #[test]
    fn memory_is_a_function_of_the_log(steps in proptest::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new();
        let names = ["a", "b", "c"];
        let mut callers: [Option<Caller>; 3] = Default::default();
        for (at, step) in steps.into_iter().enumerate() {
            let offset = at as i64;
            match step {
                Step::Commit { group, partition } => drop(bench.commit(names[group], partition, offset)),
                Step::MemberCommit { group, partition } => {
                    let caller = callers[group].clone().unwrap_or_default();
                    drop(bench.commit_as(names[group], caller, partition, offset));
                }
                Step::Member { group } => callers[group] = bench.member(names[group]),
                Step::Leave { group } => bench.leave(names[group]),
                Step::Delete { group } => drop(bench.delete(names[group])),
                Step::DeleteOffset { group, partition } => {
                    let (reply, _) = oneshot::channel();
                    let offsets = vec![("t".into(), partition)];
                    bench.step(Request::DeleteOffsets { group: names[group].into(), offsets, reply });
                }
                Step::TopicDeleted => bench.step(Request::TopicDeleted { topic: "t".into() }),
                Step::Written => bench.commit_one(),
                Step::Pass { ms } => bench.pass(ms),
            }
        }
        // Everybody goes, since a member that is about to join is in no log.
        names.iter().for_each(|name| bench.leave(name));
        bench.commit_all();
        (0..30).for_each(|_| bench.pass(1_000));
        bench.commit_all();
        prop_assert_eq!(told(&bench.reloaded()), told(&bench.groups));
        bench.pass(60 * HOUR_MS);
        bench.commit_all();
        bench.pass(60 * HOUR_MS);
        bench.commit_all();
        prop_assert!(told(&bench.groups).is_empty(), "{:?}", told(&bench.groups));
        prop_assert!(told(&bench.reloaded()).is_empty());
        prop_assert_eq!(bench.budget.load(Ordering::Relaxed), 0);
    }
}
