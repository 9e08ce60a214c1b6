//! Elections between two of three replicas: that do everything at the same moment, and where one can't go on.

use std::collections::VecDeque;

use super::membership::of as members;
use super::{Effects, Event, Message, Replica, Settings, Start};

/// Two replicas whose third is gone, and a network on which every message takes as long.
struct Duel {
    replicas: [Replica<()>; 2],
    /// By the ticks until they arrive.
    under_way: VecDeque<Vec<Message>>,
}

impl Duel {
    fn new(latency_ticks: usize) -> Duel {
        let replica = |id| {
            let start = Start { replica_id: id, membership: members(1..=3), first_index: 1, ..Start::default() };
            let settings = Settings {
                relaxed: false,
                applies_records: false,
                tail_bytes_max: 1 << 20,
                producer_expiration_ms: 86_400_000,
                election_seed: 0,
                insync_min: 2,
            };
            Replica::open(start, settings).unwrap()
        };
        Duel { replicas: [replica(1), replica(2)], under_way: (0..latency_ticks).map(|_| Vec::new()).collect() }
    }

    /// Both take the same event; what they write is synced at once.
    fn both(&mut self, event: impl Fn() -> Event<()>) {
        for at in 0..2 {
            self.step(at, event());
        }
    }

    fn step(&mut self, at: usize, event: Event<()>) {
        let mut effects = Effects::default();
        self.replicas[at].step(event, &mut effects);
        while !effects.writes.is_empty() {
            for write in std::mem::take(&mut effects.writes) {
                self.replicas[at].step(Event::Written { ready: write.ready }, &mut effects);
                self.replicas[at].step(Event::Synced { ready: write.ready }, &mut effects);
            }
        }
        let to_the_other = effects.messages.into_iter().filter(|message| message.to != 3);
        self.under_way.back_mut().expect("a latency of at least a tick").extend(to_the_other);
    }

    fn tick(&mut self) {
        self.under_way.push_back(Vec::new());
        for message in self.under_way.pop_front().into_iter().flatten() {
            let at = if message.to == 1 { 0 } else { 1 };
            self.step(at, Event::Message(Box::new(message)));
        }
        self.both(|| Event::Tick);
    }

    /// Ticks until one of them leads.
    fn decide(&mut self) -> Option<usize> {
        (0..1000).find(|_| {
            self.tick();
            self.replicas.iter().any(Replica::is_settled)
        })
    }
}

#[test]
fn two_who_campaign_at_the_same_moment_do_not_for_ever() {
    for latency_ticks in 1..=4 {
        let mut duel = Duel::new(latency_ticks);
        duel.both(|| Event::LeaderLost { rank: 0 });
        let ticks = duel.decide();
        assert!(ticks.is_some_and(|ticks| ticks < 120), "{ticks:?} with a latency of {latency_ticks}");
    }
}

#[test]
fn two_who_wait_for_a_leader_equally_long_get_one() {
    for latency_ticks in 1..=4 {
        let ticks = Duel::new(latency_ticks).decide();
        assert!(ticks.is_some_and(|ticks| ticks < 120), "{ticks:?} with a latency of {latency_ticks}");
    }
}

/// The other one does not wait for it to fall silent.
#[test]
fn a_leader_that_resigns_is_followed_by_another_without_a_tick() {
    let mut duel = Duel::new(1);
    duel.decide().expect("a leader");
    // Until the other one follows closely.
    (0..5).for_each(|_| duel.tick());
    let old = duel.replicas.iter().position(Replica::is_leader).expect("a leader");
    duel.step(old, Event::Resign);
    for _ in 0..10 {
        duel.under_way.push_back(Vec::new());
        for message in duel.under_way.pop_front().into_iter().flatten() {
            duel.step(if message.to == 1 { 0 } else { 1 }, Event::Message(Box::new(message)));
        }
    }
    assert!(duel.replicas[1 - old].is_leader(), "{:?}", duel.replicas);
}
