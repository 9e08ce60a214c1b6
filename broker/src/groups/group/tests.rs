//! What a group does, event by event. Times are those that Apache Kafka keeps.

use std::collections::BTreeMap;

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str, Uuid};

use super::{Caller, Effects, Event, Group, Join, Joined, Protocol, Reply, Save, State, Sync, Synced};
use crate::coordinator::Now;
use crate::groups::Settings;

pub(super) fn settings() -> Settings {
    Settings {
        initial_rebalance_delay_ms: 3_000,
        size_max: 1_000,
        group_bytes_max: 1 << 20,
        bytes_max: 1 << 30,
        retention_ms: 1 << 30,
        retention_check_ms: 1 << 20,
    }
}

/// A group, its clock, and the answers by the number of who waited.
pub(super) struct Bench {
    pub(super) group: Group<u32>,
    pub(super) settings: Settings,
    pub(super) up_ms: u64,
    pub(super) answers: BTreeMap<u32, Reply>,
    pub(super) saves: Vec<Save>,
    /// Whether saves are committed at once.
    pub(super) commits: bool,
    tokens: u32,
    draws: u128,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let up_ms = 1_000;
        Bench {
            group: Group::new(Now { up_ms, wall_ms: 0 }),
            settings: settings(),
            up_ms,
            answers: BTreeMap::new(),
            saves: Vec::new(),
            commits: true,
            tokens: 0,
            draws: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { up_ms: self.up_ms, wall_ms: 1_000_000 + self.up_ms as i64 }
    }

    pub(super) fn token(&mut self) -> u32 {
        self.tokens += 1;
        self.tokens
    }

    pub(super) fn step(&mut self, event: Event<u32>) {
        let mut effects = Effects::default();
        self.group.step(event, self.now(), &self.settings, &mut effects);
        for (token, reply) in effects.answers {
            assert!(token <= self.tokens, "an answer for nobody");
            assert_eq!(self.answers.insert(token, reply), None, "answered twice");
        }
        for save in effects.saves {
            let value = self.group.value(&save);
            assert!(value.members.iter().all(|member| self.group.members.contains_key(&member.id)));
            self.saves.push(save);
        }
        while self.commits && !self.saves.is_empty() {
            self.commit();
        }
    }

    /// The oldest save is committed.
    pub(super) fn commit(&mut self) {
        if !self.saves.is_empty() {
            let save = self.saves.remove(0);
            self.step(Event::Saved(save));
        }
    }

    /// Time goes on, and everything that is due is done at its time.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.up_ms + ms;
        while self.group.wake_up_ms() <= until {
            self.up_ms = self.up_ms.max(self.group.wake_up_ms());
            self.step(Event::Tick);
        }
        self.up_ms = until;
    }

    pub(super) fn draw(&mut self) -> Uuid {
        self.draws += 1;
        Uuid::from_u128(self.draws)
    }

    fn request(&mut self, member: &str, instance: Option<&str>) -> Join {
        Join {
            member: member.into(),
            instance: instance.map(Str::from),
            client_id: "c".into(),
            client_host: "/h".into(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol("range", b"r")],
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            asks_for_id: true,
            can_skip_assignment: true,
            draw: self.draw(),
        }
    }

    pub(super) fn send_join(&mut self, join: Join) -> u32 {
        let token = self.token();
        self.step(Event::Join { join: Box::new(join), token });
        token
    }

    fn join(&mut self, member: &str) -> u32 {
        let join = self.request(member, None);
        self.send_join(join)
    }

    /// A new dynamic member that has got its id and waits for the others.
    fn come(&mut self) -> (Str, u32) {
        let asked = self.join("");
        let given = self.joined(asked);
        assert_eq!(given.error, ErrorCode::MEMBER_ID_REQUIRED);
        let token = self.join(&given.member);
        (given.member, token)
    }

    fn come_static(&mut self, instance: &str) -> u32 {
        let join = self.request("", Some(instance));
        self.send_join(join)
    }

    pub(super) fn send_sync(&mut self, member: &Str, generation: i32, assignments: &[(&Str, &[u8])]) -> u32 {
        let token = self.token();
        let assignments = assignments.iter().map(|(id, bytes)| ((*id).clone(), Bytes::copy_from_slice(bytes)));
        let caller = Caller { member: member.clone(), instance: None, generation };
        let sync = Sync { caller, protocol_type: None, protocol: None, assignments: assignments.collect() };
        self.step(Event::Sync { sync, token });
        token
    }

    fn heartbeat(&mut self, member: &str, instance: Option<&str>, generation: i32) -> ErrorCode {
        let token = self.token();
        let caller = Caller { member: member.into(), instance: instance.map(Str::from), generation };
        self.step(Event::Heartbeat { caller, token });
        match &self.answers[&token] {
            Reply::Heartbeat(code) => *code,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, member: &str, instance: Option<&str>) -> ErrorCode {
        let token = self.token();
        let members = vec![(member.into(), instance.map(Str::from))];
        self.step(Event::Leave { members, token });
        match &self.answers[&token] {
            Reply::Leave(Ok(codes)) => codes[0],
            other => panic!("{other:?}"),
        }
    }

    fn waits(&self, token: u32) -> bool {
        !self.answers.contains_key(&token)
    }

    fn joined(&self, token: u32) -> Joined {
        match self.answers.get(&token) {
            Some(Reply::Join(joined)) => (**joined).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn synced(&self, token: u32) -> Synced {
        match self.answers.get(&token) {
            Some(Reply::Sync(synced)) => synced.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Two members in a stable group: the leader and the other.
    fn stable() -> (Bench, Str, Str) {
        let mut bench = Bench::new();
        let (a, first) = bench.come();
        let (b, second) = bench.come();
        bench.pass(6_000);
        let (first, second) = (bench.joined(first), bench.joined(second));
        assert_eq!((first.generation, &first.leader), (1, &second.leader));
        let (leader, other) = if first.leader == a { (a, b) } else { (b, a) };
        let follower = bench.send_sync(&other, 1, &[]);
        assert!(bench.waits(follower));
        let leading = bench.send_sync(&leader, 1, &[(&leader, b"L"), (&other, b"F")]);
        assert_eq!(bench.synced(leading).assignment, &b"L"[..]);
        assert_eq!(bench.synced(follower).assignment, &b"F"[..]);
        assert_eq!(bench.group.state(), State::Stable);
        (bench, leader, other)
    }
}

fn protocol(name: &str, metadata: &'static [u8]) -> Protocol {
    Protocol { name: name.into(), metadata: Bytes::from_static(metadata) }
}

#[test]
fn the_first_members_are_waited_for_and_the_wait_grows_while_some_come() {
    let mut bench = Bench::new();
    let (_, first) = bench.come();
    bench.pass(2_900);
    let (_, second) = bench.come();
    bench.pass(2_900);
    assert!(bench.waits(first));
    bench.pass(300);
    let (first, second) = (bench.joined(first), bench.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.members.len() + second.members.len(), 2, "only the leader is told of the members");
}

#[test]
fn an_id_that_is_given_and_not_used_lapses_and_holds_nobody_up_for_longer() {
    let (mut bench, leader, other) = Bench::stable();
    let asked = bench.join("");
    assert_eq!(bench.joined(asked).error, ErrorCode::MEMBER_ID_REQUIRED);
    // The leader joins again, so that there is a rebalance, and both come.
    let tokens = [bench.join(&leader), bench.join(&other)];
    assert!(bench.waits(tokens[0]), "the pending member is waited for");
    bench.pass(10_001);
    assert_eq!(bench.joined(tokens[0]).generation, 2);
    assert_eq!(bench.joined(tokens[1]).error, ErrorCode::NONE);
    let late = bench.joined(asked).member;
    let token = bench.join(&late);
    assert_eq!(bench.joined(token).error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_heartbeat_during_a_rebalance_says_so_and_keeps_the_member() {
    let (mut bench, leader, other) = Bench::stable();
    assert_eq!(bench.heartbeat(&other, None, 1), ErrorCode::NONE);
    let token = bench.join(&leader);
    for _ in 0..5 {
        bench.pass(8_000);
        assert_eq!(bench.heartbeat(&other, None, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(bench.waits(token));
    bench.join(&other);
    assert_eq!(bench.joined(token).generation, 2);
    assert_eq!(bench.heartbeat(&other, None, 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(bench.heartbeat("nobody", None, 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn who_does_not_join_in_time_is_out() {
    let (mut bench, leader, other) = Bench::stable();
    let token = bench.join(&leader);
    for _ in 0..7 {
        bench.pass(8_600);
        bench.heartbeat(&other, None, 1);
    }
    let joined = bench.joined(token);
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    assert_eq!(bench.heartbeat(&other, None, 2), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn silence_ends_a_session_and_makes_the_others_rebalance() {
    let (mut bench, leader, other) = Bench::stable();
    bench.pass(9_000);
    assert_eq!(bench.heartbeat(&leader, None, 1), ErrorCode::NONE);
    bench.pass(1_500);
    assert_eq!(bench.group.state(), State::Preparing);
    assert_eq!(bench.heartbeat(&other, None, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.heartbeat(&leader, None, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    bench.pass(10_001);
    assert_eq!(bench.group.state(), State::Empty);
}

#[test]
fn a_leader_that_leaves_is_followed_by_another() {
    let (mut bench, leader, other) = Bench::stable();
    assert_eq!(bench.leave(&leader, None), ErrorCode::NONE);
    assert_eq!(bench.leave(&leader, None), ErrorCode::UNKNOWN_MEMBER_ID);
    let token = bench.join(&other);
    let joined = bench.joined(token);
    assert_eq!((joined.leader, joined.members.len()), (other.clone(), 1));
    assert_eq!(bench.leave(&other, None), ErrorCode::NONE);
    assert_eq!((bench.group.state(), bench.group.generation), (State::Empty, 3));
}

#[test]
fn who_was_told_of_a_generation_and_never_syncs_is_out() {
    let mut bench = Bench::new();
    let (a, first) = bench.come();
    let (b, _) = bench.come();
    bench.pass(6_000);
    let leader = bench.joined(first).leader;
    let other = if leader == a { b } else { a };
    let token = bench.send_sync(&leader, 1, &[]);
    assert_eq!(bench.synced(token).error, ErrorCode::NONE);
    for _ in 0..8 {
        bench.pass(8_000);
        bench.heartbeat(&other, None, 1);
        bench.heartbeat(&leader, None, 1);
    }
    assert_eq!(bench.heartbeat(&other, None, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.heartbeat(&leader, None, 1), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn an_assignment_counts_once_it_is_in_the_log_and_only_for_its_generation() {
    let (mut bench, leader, other) = Bench::stable();
    let tokens = [bench.join(&leader), bench.join(&other)];
    assert_eq!(bench.joined(tokens[1]).generation, 2);
    bench.commits = false;
    let token = bench.send_sync(&leader, 2, &[(&other, b"x")]);
    assert!(bench.waits(token));
    // A member with another subscription ends the generation before its assignment is in the log.
    let mut join = bench.request(&other, None);
    join.protocols = vec![protocol("range", b"changed")];
    bench.send_join(join);
    assert_eq!(bench.synced(token).error, ErrorCode::REBALANCE_IN_PROGRESS);
    bench.commit();
    assert_eq!(bench.group.state(), State::Preparing);
    bench.join(&leader);
    let token = bench.send_sync(&leader, 3, &[]);
    assert!(bench.waits(token));
    bench.commit();
    assert_eq!(bench.synced(token).error, ErrorCode::NONE);
}

#[test]
fn the_protocol_is_one_that_all_have_and_most_prefer() {
    let mut bench = Bench::new();
    let mut tokens = Vec::new();
    let ways = [&["a", "b", "c"][..], &["b", "a"], &["b", "a"]];
    for names in ways {
        let mut join = bench.request("", None);
        join.asks_for_id = false;
        join.protocols = names.iter().map(|name| protocol(name, b"")).collect();
        tokens.push(bench.send_join(join));
    }
    let mut alone = bench.request("", None);
    alone.protocols = vec![protocol("c", b"")];
    let alone = bench.send_join(alone);
    assert_eq!(bench.joined(alone).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let mut other = bench.request("", None);
    other.protocol_type = "connect".into();
    let other = bench.send_join(other);
    assert_eq!(bench.joined(other).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    bench.pass(9_000);
    assert_eq!(bench.joined(tokens[0]).protocol.as_deref(), Some("b"));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_its_former_self() {
    let mut bench = Bench::new();
    let token = bench.come_static("i");
    bench.pass(3_000);
    let old = bench.joined(token).member;
    let sync = bench.send_sync(&old, 1, &[(&old, b"A")]);
    assert_eq!(bench.synced(sync).error, ErrorCode::NONE);
    let token = bench.come_static("i");
    let back = bench.joined(token);
    assert_eq!((back.error, back.generation, back.skip_assignment), (ErrorCode::NONE, 1, true));
    assert_eq!(back.members.len(), 1);
    assert_ne!(back.member, old);
    assert_eq!(bench.heartbeat(&old, Some("i"), 1), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(bench.heartbeat(&back.member, Some("i"), 1), ErrorCode::NONE);
    let sync = bench.send_sync(&back.member, 1, &[]);
    assert_eq!(bench.synced(sync).assignment, &b"A"[..], "it keeps its assignment");
    // An older client is not to take itself for the leader.
    let mut join = bench.request("", Some("i"));
    join.can_skip_assignment = false;
    let token = bench.send_join(join);
    let joined = bench.joined(token);
    assert_eq!((joined.leader, joined.members.len()), (back.member, 0));
    // With other properties, it does make a rebalance.
    let mut join = bench.request("", Some("i"));
    join.protocols = vec![protocol("sticky", b"")];
    let token = bench.send_join(join);
    assert_eq!(bench.joined(token).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let mut join = bench.request("", Some("i"));
    join.protocols = vec![protocol("sticky", b""), protocol("range", b"other topics")];
    let token = bench.send_join(join);
    assert_eq!(bench.joined(token).generation, 2);
    assert_eq!(bench.leave("", Some("i")), ErrorCode::NONE);
    assert_eq!(bench.group.state(), State::Empty);
}

#[test]
fn a_group_takes_no_more_members_than_it_may_nor_more_memory() {
    let (mut bench, leader, other) = Bench::stable();
    bench.settings.size_max = 2;
    let token = bench.join("");
    assert_eq!(bench.joined(token).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    bench.settings.size_max = 1;
    let first = bench.join(&leader);
    let second = bench.join(&other);
    assert_eq!(bench.joined(second).error, ErrorCode::GROUP_MAX_SIZE_REACHED, "the last to come back stays out");
    assert_eq!(bench.joined(first).members.len(), 1);
    bench.settings = Settings { group_bytes_max: 4_096, ..settings() };
    let mut join = bench.request("", None);
    join.protocols = vec![Protocol { name: "range".into(), metadata: vec![0; 4_096].into() }];
    let token = bench.send_join(join);
    assert_eq!(bench.joined(token).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    let token = bench.send_sync(&leader, 2, &[(&leader, &[0; 4_096])]);
    assert_eq!(bench.synced(token).error, ErrorCode::UNKNOWN_SERVER_ERROR);
}

#[test]
fn a_commit_needs_the_generation_and_waits_for_no_rebalance_but_the_assignment() {
    let (mut bench, leader, other) = Bench::stable();
    let by = |member: &str, generation| Caller { member: member.into(), instance: None, generation };
    let now = bench.now();
    let check = |bench: &mut Bench, caller: &Caller| bench.group.check_commit(caller, now);
    assert_eq!(check(&mut bench, &by(&other, 1)), Ok(()));
    assert_eq!(check(&mut bench, &by(&other, 0)), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(check(&mut bench, &by("nobody", 1)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(check(&mut bench, &by("", -1)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    bench.join(&leader);
    assert_eq!(check(&mut bench, &by(&other, 1)), Ok(()), "offsets are committed before partitions are given up");
    bench.join(&other);
    assert_eq!(check(&mut bench, &by(&other, 2)), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    for member in [&leader, &other] {
        bench.leave(member, None);
    }
    assert_eq!(check(&mut bench, &by("", -1)), Ok(()));
}

#[test]
fn a_group_is_restored_as_it_was_saved_and_its_members_get_a_session() {
    let (mut bench, leader, other) = Bench::stable();
    let value = bench.group.value(&Save::Emptied);
    bench.group = Group::restore(value.clone(), bench.now());
    bench.group.begin(bench.now());
    assert_eq!(bench.group.value(&Save::Emptied), value);
    assert_eq!(bench.group.state(), State::Stable);
    let token = bench.send_sync(&other, 1, &[]);
    assert_eq!(bench.synced(token).assignment, &b"F"[..]);
    bench.pass(9_999);
    assert_eq!(bench.heartbeat(&leader, None, 1), ErrorCode::NONE);
    bench.pass(2);
    assert_eq!(bench.heartbeat(&other, None, 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn what_consumers_read_is_known_and_garbage_means_that_it_is_not() {
    let mut bench = Bench::new();
    let mut join = bench.request("", Some("i"));
    join.protocols = vec![protocol("range", b"\0\x03\0\0\0\x02\0\x01a\0\x01b\xff\xff\xff\xff")];
    bench.send_join(join);
    bench.pass(3_000);
    assert!(bench.group.is_subscribed("a") && bench.group.is_subscribed("b") && !bench.group.is_subscribed("c"));
    let mut join = bench.request("", Some("i"));
    join.protocols = vec![protocol("range", b"\0\0\x7f\xff\xff\xff")];
    bench.send_join(join);
    assert!(bench.group.is_subscribed("c"), "anything may be read");
}
