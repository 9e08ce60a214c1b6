//! A coordinator played by hand.

use leat_protocol::ErrorCode;
use leat_protocol::consumer_protocol::{self, ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use leat_protocol::messages::JoinGroupResponseMember;

use super::*;
use crate::consumer::group::assignor::by_topic;

struct Played {
    member: Membership,
    now: Instant,
}

fn settings(assignors: &[Assignor]) -> Settings {
    Settings {
        group: "g".into(),
        instance: None,
        rack: None,
        assignors: assignors.to_vec(),
        session_timeout: Duration::from_secs(45),
        heartbeat_interval: Duration::from_secs(3),
        poll_interval: Duration::from_secs(300),
        retry: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
    }
}

fn parts(numbers: &[i32]) -> Vec<TopicPartition> {
    numbers.iter().map(|number| TopicPartition::new("t", *number)).collect()
}

fn topics(names: &[&str]) -> BTreeSet<Str> {
    names.iter().map(|name| Str::from(*name)).collect()
}

fn broker(code: ErrorCode) -> Error {
    Error::broker(code, None, "test")
}

/// An answer to a join as a follower in this generation.
fn follower(generation_id: i32, protocol: Assignor) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id,
        protocol_name: Some(protocol.name().into()),
        leader: "other".into(),
        member_id: "me".into(),
        ..JoinGroupResponse::default()
    }
}

fn given(numbers: &[i32]) -> SyncGroupResponse {
    let assignment = ConsumerProtocolAssignment { assigned_partitions: by_topic(&parts(numbers)), user_data: None };
    SyncGroupResponse { assignment: consumer_protocol::write(&assignment, 3).unwrap(), ..SyncGroupResponse::default() }
}

impl Played {
    fn new(assignors: &[Assignor]) -> Self {
        let mut played = Self { member: Membership::new(settings(assignors)), now: Instant::now() };
        played.step(Event::Subscribed(topics(&["t"])));
        played
    }

    fn step(&mut self, event: Event) {
        self.member.step(self.now, event);
    }

    fn next(&mut self) -> Option<Action> {
        self.member.next(self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn join(&mut self) -> JoinGroupRequest {
        match self.next() {
            Some(Action::Join(request)) => request,
            other => panic!("no join: {other:?}"),
        }
    }

    fn sync(&mut self) -> SyncGroupRequest {
        match self.next() {
            Some(Action::Sync(request)) => request,
            other => panic!("no sync: {other:?}"),
        }
    }

    /// Joins as a follower and is given these.
    fn become_member(&mut self, generation: i32, protocol: Assignor, numbers: &[i32]) {
        self.join();
        self.step(Event::Joined(Ok(follower(generation, protocol))));
        assert!(self.sync().assignments.is_empty());
        self.step(Event::Synced(Ok(given(numbers))));
    }

    fn stable(assignor: Assignor, numbers: &[i32]) -> Self {
        let mut played = Self::new(&[assignor]);
        played.become_member(1, assignor, numbers);
        let expected = Action::Assign { all: parts(numbers), added: parts(numbers) };
        assert_eq!(played.next(), Some(expected));
        played.step(Event::Assigned);
        assert_eq!(played.next(), None);
        played
    }

    fn beat(&mut self, result: Result<ErrorCode, Error>) {
        self.pass(Duration::from_secs(3));
        assert!(self.member.heartbeat(self.now).is_some(), "a heartbeat is due");
        let answer = |error_code| HeartbeatResponse { error_code, ..HeartbeatResponse::default() };
        self.step(Event::Beaten(result.map(answer)));
    }
}

#[test]
fn a_member_id_is_given_first_and_used_then() {
    let mut played = Played::new(&[Assignor::Range]);
    assert_eq!(played.join().member_id, "");
    let required = JoinGroupResponse {
        error_code: ErrorCode::MEMBER_ID_REQUIRED,
        member_id: "me".into(),
        ..JoinGroupResponse::default()
    };
    played.step(Event::Joined(Ok(required)));
    let request = played.join();
    assert_eq!((&*request.member_id, request.rebalance_timeout_ms), ("me", 300_000));
    let subscription: ConsumerProtocolSubscription =
        consumer_protocol::read(request.protocols[0].metadata.clone()).unwrap();
    assert_eq!((subscription.topics, subscription.generation_id), (vec![Str::from("t")], -1));
}

#[test]
fn the_leader_assigns_for_all_and_watches_their_topics() {
    let mut played = Played::new(&[Assignor::RoundRobin]);
    played.join();
    let member = |id: &str, names: &[&str]| {
        let subscription =
            ConsumerProtocolSubscription { topics: topics(names).into_iter().collect(), ..Default::default() };
        JoinGroupResponseMember {
            member_id: id.into(),
            group_instance_id: None,
            metadata: consumer_protocol::write(&subscription, 3).unwrap(),
        }
    };
    let leader = JoinGroupResponse {
        leader: "me".into(),
        members: vec![member("me", &["t"]), member("other", &["t", "u"])],
        ..follower(5, Assignor::RoundRobin)
    };
    played.step(Event::Joined(Ok(leader)));
    assert_eq!(played.next(), Some(Action::Count(topics(&["t", "u"]))));
    played.step(Event::Counted(Counts::from([("t".into(), 2)])));
    let request = played.sync();
    assert_eq!((request.generation_id, request.assignments.len()), (5, 2));
    played.step(Event::Synced(Ok(given(&[0]))));
    played.next();
    played.step(Event::Assigned);
    assert_eq!(played.member.watched(), Some(&topics(&["t", "u"])));
    played.step(Event::Counted(Counts::from([("t".into(), 2)])));
    assert_eq!(played.next(), None, "nothing has changed");
    played.step(Event::Counted(Counts::from([("t".into(), 2), ("u".into(), 1)])));
    assert_eq!(played.next(), Some(Action::Revoke { partitions: parts(&[0]), lost: false }));
}

#[test]
fn an_eager_member_gives_up_everything_before_it_joins_again() {
    let mut played = Played::stable(Assignor::Range, &[0, 1]);
    played.beat(Ok(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(played.next(), Some(Action::Revoke { partitions: parts(&[0, 1]), lost: false }));
    played.beat(Ok(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(played.next(), None, "it waits for the program, and its heart beats");
    played.step(Event::Revoked);
    played.become_member(2, Assignor::Range, &[1]);
    assert_eq!(played.next(), Some(Action::Assign { all: parts(&[1]), added: parts(&[1]) }));
}

#[test]
fn a_cooperative_member_gives_up_what_went_elsewhere_and_joins_again() {
    let mut played = Played::stable(Assignor::CooperativeSticky, &[0, 1]);
    played.beat(Ok(ErrorCode::REBALANCE_IN_PROGRESS));
    let request = played.join();
    let subscription: ConsumerProtocolSubscription =
        consumer_protocol::read(request.protocols[0].metadata.clone()).unwrap();
    assert_eq!((subscription.owned_partitions, subscription.generation_id), (by_topic(&parts(&[0, 1])), 1));
    assert_eq!(subscription.user_data.as_deref(), Some(&[0, 0, 0, 1][..]));
    played.step(Event::Joined(Ok(follower(2, Assignor::CooperativeSticky))));
    played.sync();
    played.step(Event::Synced(Ok(given(&[1]))));
    assert_eq!(played.next(), Some(Action::Revoke { partitions: parts(&[0]), lost: false }));
    played.step(Event::Revoked);
    assert_eq!(played.next(), Some(Action::Assign { all: parts(&[1]), added: vec![] }));
    played.step(Event::Assigned);
    played.become_member(3, Assignor::CooperativeSticky, &[1, 2]);
    assert_eq!(played.next(), Some(Action::Assign { all: parts(&[1, 2]), added: parts(&[2]) }));
    played.step(Event::Assigned);
    assert_eq!(played.next(), None);
}

#[test]
fn what_a_member_had_is_lost_when_the_group_forgot_it() {
    for (code, keeps_id) in [(ErrorCode::UNKNOWN_MEMBER_ID, false), (ErrorCode::ILLEGAL_GENERATION, true)] {
        for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
            let mut played = Played::stable(assignor, &[0, 1]);
            played.beat(Ok(code));
            assert_eq!(played.next(), Some(Action::Revoke { partitions: parts(&[0, 1]), lost: true }));
            played.step(Event::Revoked);
            assert_eq!(played.join().member_id == "me", keeps_id);
        }
    }
}

#[test]
fn a_heartbeat_of_an_older_generation_says_nothing() {
    let mut played = Played::stable(Assignor::CooperativeSticky, &[0]);
    played.pass(Duration::from_secs(3));
    assert!(played.member.heartbeat(played.now).is_some());
    played.step(Event::Subscribed(topics(&["t", "u"])));
    played.become_member(2, Assignor::CooperativeSticky, &[0]);
    let old = HeartbeatResponse { error_code: ErrorCode::ILLEGAL_GENERATION, ..HeartbeatResponse::default() };
    played.step(Event::Beaten(Ok(old)));
    assert!(matches!(played.next(), Some(Action::Assign { .. })));
    assert_eq!(played.member.identity().generation, 2);
}

#[test]
fn what_may_pass_is_tried_again_after_a_while() {
    let mut played = Played::new(&[Assignor::Range]);
    played.join();
    played.step(Event::Joined(Err(broker(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS))));
    assert_eq!(played.next(), None);
    let due = played.member.deadline().expect("a time to try again");
    assert!(due > played.now && due < played.now + Duration::from_millis(200));
    played.now = due;
    played.join();
    // What is only about the member is tried again at once, the first time.
    let mut played = Played::new(&[Assignor::Range]);
    played.join();
    played.step(Event::Joined(Err(broker(ErrorCode::UNKNOWN_MEMBER_ID))));
    played.join();
    played.step(Event::Joined(Err(broker(ErrorCode::UNKNOWN_MEMBER_ID))));
    assert_eq!(played.next(), None);
    // A heartbeat that failed is followed by another, and the member stays.
    let mut played = Played::stable(Assignor::Range, &[0]);
    played.beat(Err(broker(ErrorCode::NOT_COORDINATOR)));
    assert_eq!(played.next(), None);
    played.pass(Duration::from_millis(200));
    assert!(played.member.heartbeat(played.now).is_some());
}

#[test]
fn what_will_not_pass_is_told_and_tried_again_when_the_program_polls() {
    let mut played = Played::new(&[Assignor::Range]);
    played.join();
    let refusal = JoinGroupResponse { error_code: ErrorCode::GROUP_MAX_SIZE_REACHED, ..JoinGroupResponse::default() };
    played.step(Event::Joined(Ok(refusal)));
    let Some(Action::Fail { error, for_good: false }) = played.next() else { panic!("it fails") };
    assert_eq!(error.code(), Some(ErrorCode::GROUP_MAX_SIZE_REACHED));
    assert!(played.member.awaits_poll());
    assert_eq!((played.next(), played.member.deadline()), (None, None));
    played.pass(Duration::from_secs(1));
    played.step(Event::Polled);
    assert!(played.member.deadline().is_some());
    played.pass(Duration::from_secs(1));
    played.join();
}

#[test]
fn a_fenced_member_never_comes_back() {
    let mut played = Played::stable(Assignor::Range, &[0]);
    played.beat(Ok(ErrorCode::FENCED_INSTANCE_ID));
    assert!(matches!(played.next(), Some(Action::Fail { for_good: true, .. })));
    played.pass(Duration::from_secs(1));
    played.step(Event::Polled);
    played.pass(Duration::from_secs(100));
    assert_eq!((played.next(), played.member.heartbeat(played.now)), (None, None));
}

#[test]
fn a_program_that_does_not_poll_is_out_until_it_does() {
    let mut played = Played::stable(Assignor::CooperativeSticky, &[0]);
    played.pass(Duration::from_secs(200));
    played.step(Event::Polled);
    played.pass(Duration::from_secs(299));
    assert_eq!(played.next(), None);
    played.pass(Duration::from_secs(1));
    let Some(Action::Leave(request)) = played.next() else { panic!("it leaves") };
    assert_eq!(request.members[0].member_id, "me");
    assert_eq!((played.next(), played.member.heartbeat(played.now)), (None, None));
    assert!(played.member.awaits_poll());
    played.step(Event::Polled);
    assert_eq!(played.next(), Some(Action::Revoke { partitions: parts(&[0]), lost: true }));
    played.step(Event::Revoked);
    assert_eq!(played.join().member_id, "");
}

#[test]
fn leaving_gives_up_everything_first_and_a_static_member_keeps_its_place() {
    for instance in [None, Some(Str::from("i"))] {
        let mut played = Played::stable(Assignor::CooperativeSticky, &[0, 1]);
        played.member.identity.instance.clone_from(&instance);
        played.step(Event::Unsubscribed);
        assert_eq!(played.next(), Some(Action::Revoke { partitions: parts(&[0, 1]), lost: false }));
        assert!(!played.member.is_away());
        played.step(Event::Revoked);
        assert_eq!(matches!(played.next(), Some(Action::Leave(_))), instance.is_none());
        assert!(played.member.is_away());
    }
}

#[test]
fn an_assignment_for_another_subscription_is_not_taken() {
    let mut played = Played::new(&[Assignor::Range]);
    played.join();
    played.step(Event::Subscribed(topics(&["u"])));
    played.step(Event::Joined(Ok(follower(1, Assignor::Range))));
    played.sync();
    played.step(Event::Synced(Ok(given(&[0]))));
    let request = played.join();
    assert_eq!(request.reason.as_deref(), Some("the assignment is not for the current subscription"));
}

#[test]
fn a_commit_refused_to_an_older_self_changes_nothing() {
    let mut played = Played::stable(Assignor::CooperativeSticky, &[0]);
    let older = Identity { generation: 0, ..played.member.identity().clone() };
    played.step(Event::CommitRefused(older, broker(ErrorCode::ILLEGAL_GENERATION)));
    assert_eq!(played.next(), None);
    let current = played.member.identity().clone();
    played.step(Event::CommitRefused(current, broker(ErrorCode::REBALANCE_IN_PROGRESS)));
    played.join();
}

#[test]
fn answers_may_be_anything() {
    let mut played = Played::new(&[Assignor::Range]);
    played.join();
    let unknown = JoinGroupResponse { protocol_name: Some("streams".into()), ..follower(1, Assignor::Range) };
    played.step(Event::Joined(Ok(unknown)));
    let Some(Action::Fail { error, .. }) = played.next() else { panic!("a protocol that it did not offer") };
    assert_eq!(error.code(), Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));

    let mut played = Played::new(&[Assignor::Range]);
    played.join();
    played.step(Event::Joined(Ok(follower(1, Assignor::Range))));
    played.sync();
    let garbage = SyncGroupResponse { assignment: vec![0, 0, 0x7f, 0xff].into(), ..SyncGroupResponse::default() };
    played.step(Event::Synced(Ok(garbage)));
    assert!(matches!(played.next(), Some(Action::Fail { error: Error::Corrupt { .. }, .. })));

    // What comes when nothing waits for it is left alone.
    let mut played = Played::stable(Assignor::Range, &[0]);
    played.step(Event::Joined(Ok(follower(9, Assignor::Range))));
    played.step(Event::Synced(Ok(given(&[7]))));
    played.step(Event::Revoked);
    played.step(Event::Assigned);
    played.step(Event::Counted(Counts::new()));
    assert_eq!(played.next(), None);
    assert_eq!(played.member.identity().generation, 1);
}
