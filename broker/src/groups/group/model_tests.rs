//! Random histories of a few clients. Whatever happens, a group's books agree, nobody is answered twice, and when time has
//! passed everybody has been answered.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use leat_protocol::{ErrorCode, Str};
use proptest::prelude::*;

use super::tests::Bench;
use super::{Event, Group, Join, Protocol, Reply, State};

#[derive(Debug, Clone)]
enum Step {
    /// A client joins under the id it knows, if any; with a subscription that may differ.
    Join {
        client: usize,
        subscription: u8,
    },
    /// It syncs; as the leader it assigns to all that it was told of.
    Sync {
        client: usize,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    /// It starts anew and knows nothing.
    Forget {
        client: usize,
    },
    /// The oldest save is committed.
    Commit,
    Pass {
        ms: u64,
    },
}

const CLIENTS: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        6 => (client.clone(), 0..3u8).prop_map(|(client, subscription)| Step::Join { client, subscription }),
        6 => client.clone().prop_map(|client| Step::Sync { client }),
        2 => client.clone().prop_map(|client| Step::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        1 => client.prop_map(|client| Step::Forget { client }),
        4 => Just(Step::Commit),
        3 => prop_oneof![1..50u64, 2_000..8_000u64, 8_000..70_000u64].prop_map(|ms| Step::Pass { ms }),
    ]
}

/// What a client knows.
#[derive(Debug, Clone, Default)]
struct Client {
    id: Str,
    generation: i32,
    /// Who is to be assigned, where it leads.
    leads: Option<Vec<Str>>,
    /// Its last join, until it has heard of it.
    joining: Option<u32>,
}

struct World {
    bench: Bench,
    clients: Vec<Client>,
    /// Tokens of syncs: member and generation.
    syncs: BTreeMap<u32, (Str, i32)>,
    leaders: BTreeMap<i32, Str>,
    protocols: BTreeMap<i32, Str>,
    waiting: BTreeSet<u32>,
    heard: usize,
}

/// The last two are static.
fn instance(client: usize) -> Option<Str> {
    (client >= CLIENTS - 2).then(|| format!("i{client}").into())
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Join { client, subscription } => self.join(client, subscription),
            Step::Sync { client } => self.sync(client),
            Step::Heartbeat { client } => {
                let caller = self.caller(client);
                let token = self.token();
                self.bench.step(Event::Heartbeat { caller, token });
            }
            Step::Leave { client } => {
                let members = vec![(self.clients[client].id.clone(), instance(client))];
                let token = self.token();
                self.bench.step(Event::Leave { members, token });
            }
            Step::Forget { client } => self.clients[client] = Client::default(),
            Step::Commit => self.bench.commit(),
            Step::Pass { ms } => self.bench.pass(ms),
        }
        self.listen();
        check_books(&self.bench.group);
    }

    fn token(&mut self) -> u32 {
        let token = self.bench.token();
        self.waiting.insert(token);
        token
    }

    fn caller(&self, client: usize) -> super::Caller {
        let Client { id, generation, .. } = self.clients[client].clone();
        super::Caller { member: id, instance: instance(client), generation }
    }

    fn join(&mut self, client: usize, subscription: u8) {
        let protocol = |name: &'static str| Protocol { name: name.into(), metadata: Bytes::from(vec![subscription]) };
        let protocols = match subscription {
            0 => vec![protocol("a"), protocol("b")],
            1 => vec![protocol("b"), protocol("a")],
            _ => vec![protocol("b")],
        };
        let join = Join {
            member: self.clients[client].id.clone(),
            instance: instance(client),
            client_id: format!("c{client}").into(),
            client_host: "/h".into(),
            protocol_type: "t".into(),
            protocols,
            rebalance_timeout_ms: 20_000,
            session_timeout_ms: 6_000,
            asks_for_id: client != 0,
            can_skip_assignment: client.is_multiple_of(2),
            draw: self.bench.draw(),
        };
        let token = self.bench.send_join(join);
        self.waiting.insert(token);
        self.clients[client].joining = Some(token);
    }

    fn sync(&mut self, client: usize) {
        let Client { id, generation, leads, .. } = self.clients[client].clone();
        if id.is_empty() {
            return;
        }
        let members = leads.unwrap_or_default();
        // What is assigned says to whom and when.
        let assignments: Vec<(Str, Vec<u8>)> =
            members.iter().map(|member| (member.clone(), format!("{member} {generation}").into_bytes())).collect();
        let assignments: Vec<(&Str, &[u8])> = assignments.iter().map(|(id, bytes)| (id, &bytes[..])).collect();
        let token = self.bench.send_sync(&id, generation, &assignments);
        self.waiting.insert(token);
        self.syncs.insert(token, (id, generation));
    }

    /// Clients hear their answers.
    fn listen(&mut self) {
        if self.bench.answers.len() == self.heard {
            return;
        }
        self.heard = self.bench.answers.len();
        let answered: Vec<u32> =
            self.waiting.iter().copied().filter(|token| self.bench.answers.contains_key(token)).collect();
        for token in answered {
            self.waiting.remove(&token);
            match self.bench.answers[&token].clone() {
                Reply::Join(joined) => {
                    self.check_joined(&joined);
                    let Some(client) = self.clients.iter_mut().find(|client| client.joining == Some(token)) else {
                        continue;
                    };
                    client.joining = None;
                    match joined.error {
                        ErrorCode::NONE | ErrorCode::MEMBER_ID_REQUIRED => client.id = joined.member.clone(),
                        _ => *client = Client::default(),
                    }
                    client.generation = joined.generation;
                    let members = joined.members.iter().map(|member| member.id.clone()).collect();
                    client.leads = (joined.leader == joined.member && !joined.skip_assignment).then_some(members);
                }
                Reply::Sync(synced) => {
                    if let Some((member, generation)) = self.syncs.get(&token)
                        && !synced.error.is_err()
                        && !synced.assignment.is_empty()
                    {
                        let sent = format!("{} ", synced.assignment.escape_ascii());
                        assert!(sent.ends_with(&format!("{generation} ")), "{member} of {generation} got {sent}");
                    }
                }
                Reply::Heartbeat(_) | Reply::Leave(_) => {}
            }
        }
    }

    /// Every answered join of a generation tells the same.
    fn check_joined(&mut self, joined: &super::Joined) {
        if joined.error.is_err() {
            assert!(joined.members.is_empty());
            return;
        }
        let protocol = joined.protocol.clone().expect("a protocol");
        assert_eq!(*self.protocols.entry(joined.generation).or_insert(protocol.clone()), protocol);
        if !joined.members.is_empty() {
            assert_eq!(joined.leader, joined.member, "only the leader is told of the members");
            assert!(joined.members.iter().any(|member| member.id == joined.member));
            if !joined.skip_assignment {
                let first = self.leaders.entry(joined.generation).or_insert(joined.leader.clone());
                assert_eq!(*first, joined.leader, "one leader per generation");
            }
        }
    }

    /// Time passes, saves are committed, and nobody does anything: everybody is answered, and the group runs empty.
    fn end(mut self) {
        for _ in 0..40 {
            self.bench.commit();
            self.take(Step::Pass { ms: 30_000 });
        }
        assert!(self.waiting.is_empty(), "never answered: {:?}", self.waiting);
        assert_eq!((self.bench.group.state(), self.bench.group.bytes()), (State::Empty, 0));
        assert!(self.bench.group.is_unused());
    }
}

fn check_books(group: &Group<u32>) {
    let members = &group.members;
    assert_eq!(group.joining, members.values().filter(|member| member.joining.is_some()).count());
    let mut supported: BTreeMap<Str, usize> = BTreeMap::new();
    for protocol in members.values().flat_map(|member| &member.protocols) {
        *supported.entry(protocol.name.clone()).or_default() += 1;
    }
    assert_eq!(group.supported, supported);
    let bytes: usize = members.iter().map(|(id, member)| member.bytes(id)).sum();
    let pending: usize = group.pending.keys().map(|id| super::pending_bytes(id)).sum();
    assert_eq!(group.bytes, bytes + pending);
    assert!(group.pending.keys().all(|id| !members.contains_key(id)));
    let statics: BTreeMap<&Str, &Str> =
        members.iter().filter_map(|(id, member)| Some((member.instance.as_ref()?, id))).collect();
    assert_eq!(group.instances.iter().collect::<BTreeMap<_, _>>(), statics);
    assert_eq!(members.values().filter(|member| member.instance.is_some()).count(), statics.len());
    match &group.leader {
        Some(leader) => assert!(members.contains_key(leader)),
        None => assert!(members.is_empty()),
    }
    match group.state {
        State::Empty => assert!(members.is_empty() && group.protocol.is_none()),
        State::Preparing => assert!(group.join_ends_up_ms.is_some(), "a rebalance always ends"),
        State::Completing | State::Stable => {
            assert!(!members.is_empty());
            let protocol = group.protocol.as_ref().expect("a protocol");
            assert_eq!(group.supported.get(protocol), Some(&members.len()));
        }
    }
    for member in members.values() {
        // Who is not watched waits for something that ends.
        assert!(member.expires_up_ms.is_some() || member.joining.is_some() || member.syncing.is_some());
        assert!(member.expires_up_ms.is_none_or(|expires| group.wake_up_ms <= expires));
        assert!(member.syncing.is_none() || group.state == State::Completing);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_books_and_answers_everybody(steps in proptest::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        bench.commits = false;
        let mut world = World {
            bench,
            clients: vec![Client::default(); CLIENTS],
            syncs: BTreeMap::new(),
            leaders: BTreeMap::new(),
            protocols: BTreeMap::new(),
            waiting: BTreeSet::new(),
            heard: 0,
        };
        for step in steps {
            world.take(step);
        }
        world.end();
    }
}
