//! A member of a classic group, without I/O: [`Membership::step`] takes in what happened, [`Membership::next`] says what to
//! do. It reads no clock and speaks to nobody.
//!
//! ```text
//! Away ──► Due ──► Revoking ──► Joining ──► Counting (leader) ──► Syncing ──► Revoking ──► Assigning ──► Stable ──► Due
//!                  (eager: all;                                              (cooperative: what went elsewhere)
//!                  lost: all)
//! ```
//!
//! Eager members give up everything before they join; cooperative ones (KIP-429) keep it, give up what the new assignment
//! took from them, and join again so that others get it. Heartbeats go on in all of it but Joining.

mod answers;
mod requests;

use std::collections::BTreeSet;
use std::time::Duration;

use leat_protocol::Str;
use leat_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
    SyncGroupResponse,
};
use tokio::time::Instant;

use super::assignor::{Counts, Member};
use crate::committed::Identity;
use crate::config::Assignor;
use crate::net::Backoff;
use crate::{Error, TopicPartition};

/// What does not change while the consumer lives.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) group: Str,
    pub(super) instance: Option<Str>,
    pub(super) rack: Option<Str>,
    pub(super) assignors: Vec<Assignor>,
    pub(super) session_timeout: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) poll_interval: Duration,
    pub(super) retry: Backoff,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// These topics are to be read from now on.
    Subscribed(BTreeSet<Str>),
    /// Nothing is to be read any more.
    Unsubscribed,
    /// The program asked for records. Told at the time of that, once or more often.
    Polled,
    Revoked,
    Assigned,
    /// How many partitions topics have: an answer to [`Action::Count`], or news.
    Counted(Counts),
    Joined(Result<JoinGroupResponse, Error>),
    Synced(Result<SyncGroupResponse, Error>),
    Beaten(Result<HeartbeatResponse, Error>),
    /// A commit was refused for a reason that concerns the member who made it.
    CommitRefused(Identity, Error),
}

/// What to do. Each is answered by an event, but for `Leave` and `Fail`.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Join(JoinGroupRequest),
    Count(BTreeSet<Str>),
    Sync(SyncGroupRequest),
    /// Commit and tell the program, then take them from it. `lost`: they may be another member's already.
    Revoke {
        partitions: Vec<TopicPartition>,
        lost: bool,
    },
    /// Read exactly these; `added` are new.
    Assign {
        all: Vec<TopicPartition>,
        added: Vec<TopicPartition>,
    },
    Leave(LeaveGroupRequest),
    /// Tell the program. `for_good`: the member can't come back.
    Fail {
        error: Error,
        for_good: bool,
    },
}

#[derive(Debug)]
enum Phase {
    Away,
    Due,
    Revoking { partitions: Vec<TopicPartition>, then: Then },
    Joining,
    Counting(Vec<Member>),
    Syncing,
    Assigning,
    Stable,
    Failed { for_good: bool },
}

/// What follows when partitions have been given up.
#[derive(Debug)]
enum Then {
    Join,
    Assign(Vec<TopicPartition>),
    Leave,
}

#[derive(Debug)]
pub(super) struct Membership {
    settings: Settings,
    topics: BTreeSet<Str>,
    phase: Phase,
    todo: Option<Action>,
    identity: Identity,
    protocol: Option<Assignor>,
    /// Sorted.
    owned: Vec<TopicPartition>,
    /// What an assignor that remembers says of itself: the last assignment by it, and its generation.
    remembered: Option<(Assignor, Vec<TopicPartition>, i32)>,
    /// As the leader: what the assignment was made from.
    led: Option<Counts>,
    /// The topics that all members read, as of the last time that it led.
    watched: BTreeSet<Str>,
    /// Why the member has to join again.
    rejoin: Option<&'static str>,
    failures: u32,
    retry_at: Option<Instant>,
    beat_at: Option<Instant>,
    /// The generation of the heartbeat on its way.
    beating: Option<i32>,
    polled_at: Option<Instant>,
    /// Left because the program did not poll.
    expelled: bool,
}

impl Membership {
    pub(super) fn new(settings: Settings) -> Self {
        let identity = Identity { instance: settings.instance.clone(), ..Identity::default() };
        Self {
            settings,
            topics: BTreeSet::new(),
            phase: Phase::Away,
            todo: None,
            identity,
            protocol: None,
            owned: Vec::new(),
            remembered: None,
            led: None,
            watched: BTreeSet::new(),
            rejoin: None,
            failures: 0,
            retry_at: None,
            beat_at: None,
            beating: None,
            polled_at: None,
            expelled: false,
        }
    }

    /// Whose commits the coordinator accepts.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The topics that all members read, which the leader has to watch.
    pub(super) fn watched(&self) -> Option<&BTreeSet<Str>> {
        self.led.as_ref().map(|_| &self.watched)
    }

    /// The topics that the member itself reads.
    pub(super) fn topics(&self) -> &BTreeSet<Str> {
        &self.topics
    }

    /// Whether it has left, and has nothing to do.
    pub(super) fn is_away(&self) -> bool {
        matches!(self.phase, Phase::Away) && self.todo.is_none()
    }

    /// Whether nothing goes on before the program polls.
    pub(super) fn awaits_poll(&self) -> bool {
        self.expelled || matches!(self.phase, Phase::Failed { for_good: false })
    }

    /// What to do now, if there is something. What was being done before it is to be dropped.
    pub(super) fn next(&mut self, now: Instant) -> Option<Action> {
        if self.todo.is_none() && self.is_expired(now) {
            self.expel();
        }
        if self.todo.is_none() && matches!(self.phase, Phase::Due) && !self.expelled && self.is_due(now) {
            self.begin();
        }
        self.todo.take()
    }

    /// A heartbeat, when it is time for one.
    pub(super) fn heartbeat(&mut self, now: Instant) -> Option<HeartbeatRequest> {
        if !self.beats() || self.beating.is_some() || self.beat_at.is_some_and(|at| at > now) {
            return None;
        }
        self.beating = Some(self.identity.generation);
        Some(self.heartbeat_request())
    }

    /// When to look again if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let retry = self.retry_at.filter(|_| matches!(self.phase, Phase::Due) && !self.expelled);
        let beat = self.beat_at.filter(|_| self.beats() && self.beating.is_none());
        let expiry = self.polled_at.filter(|_| self.has_to_poll()).map(|at| at + self.settings.poll_interval);
        [retry, beat, expiry].into_iter().flatten().min()
    }

    pub(super) fn step(&mut self, now: Instant, event: Event) {
        match event {
            Event::Subscribed(topics) => self.subscribed(now, topics),
            Event::Unsubscribed => self.unsubscribed(),
            Event::Polled => self.polled(now),
            Event::Revoked => self.revoked(now),
            Event::Assigned => self.assigned(now),
            Event::Counted(counts) => self.counted(counts),
            Event::Joined(result) => self.joined(now, result),
            Event::Synced(result) => self.synced(now, result),
            Event::Beaten(result) => self.beaten(now, result),
            Event::CommitRefused(identity, error) => self.commit_refused(identity, error),
        }
    }

    fn subscribed(&mut self, now: Instant, topics: BTreeSet<Str>) {
        let news = self.topics != topics;
        self.topics = topics;
        if matches!(self.phase, Phase::Away) {
            self.polled_at = Some(now);
            self.due();
        } else if news {
            self.join_again("the subscription has changed");
        }
    }

    fn unsubscribed(&mut self) {
        self.topics.clear();
        self.rejoin = None;
        let partitions = self.owned.clone();
        if partitions.is_empty() {
            self.leave();
        } else {
            self.revoke(partitions, Then::Leave);
        }
    }

    fn polled(&mut self, now: Instant) {
        if self.polled_at.replace(now) == Some(now) {
            return;
        }
        self.expelled = false;
        if matches!(self.phase, Phase::Failed { for_good: false }) {
            self.back_off(now);
        }
    }

    fn revoked(&mut self, now: Instant) {
        self.polled_at = Some(now);
        if !matches!(self.phase, Phase::Revoking { .. }) {
            return;
        }
        let Phase::Revoking { partitions, then } = std::mem::replace(&mut self.phase, Phase::Due) else { return };
        self.owned.retain(|own| !partitions.contains(own));
        match then {
            Then::Join => {}
            Then::Assign(all) => {
                // Only now may the others get what was given up.
                self.rejoin = Some("partitions were given up as the assignment asked for");
                self.assign(all);
            }
            Then::Leave => self.leave(),
        }
    }

    fn assigned(&mut self, now: Instant) {
        self.polled_at = Some(now);
        if matches!(self.phase, Phase::Assigning) {
            self.phase = Phase::Stable;
            self.failures = 0;
            if self.rejoin.is_some() {
                self.due();
            }
        }
    }

    /// News of the topics matter to the leader only: it assigns anew.
    fn counted(&mut self, counts: Counts) {
        match std::mem::replace(&mut self.phase, Phase::Syncing) {
            Phase::Counting(members) => self.lead(counts, &members),
            phase => {
                self.phase = phase;
                if self.led.as_ref().is_some_and(|led| *led != counts) {
                    self.join_again("topics have changed");
                }
            }
        }
    }

    fn assign(&mut self, mut all: Vec<TopicPartition>) {
        all.sort();
        let added = all.iter().filter(|partition| !self.owned.contains(partition)).cloned().collect();
        self.owned.clone_from(&all);
        self.phase = Phase::Assigning;
        self.todo = Some(Action::Assign { all, added });
    }

    fn revoke(&mut self, partitions: Vec<TopicPartition>, then: Then) {
        self.todo = Some(Action::Revoke { partitions: partitions.clone(), lost: self.identity.generation < 0 });
        self.phase = Phase::Revoking { partitions, then };
    }

    /// On the way to the next generation.
    fn begin(&mut self) {
        self.retry_at = None;
        let kept = |own: &TopicPartition| {
            self.identity.generation >= 0 && self.is_cooperative() && self.topics.contains(&own.topic)
        };
        let given_up: Vec<_> = self.owned.iter().filter(|own| !kept(own)).cloned().collect();
        if given_up.is_empty() {
            self.phase = Phase::Joining;
            self.todo = Some(Action::Join(self.join_request()));
        } else {
            self.revoke(given_up, Then::Join);
        }
    }

    fn leave(&mut self) {
        self.todo = self.leave_request("the consumer unsubscribed or was closed").map(Action::Leave);
        self.forget(true);
        self.phase = Phase::Away;
    }

    /// The program does not poll: somebody else should read its partitions.
    fn expel(&mut self) {
        tracing::warn!(group = %self.settings.group, "the program did not poll within max.poll.interval.ms; leaving the group");
        self.todo = self.leave_request("the program did not poll within max.poll.interval.ms").map(Action::Leave);
        self.expelled = true;
        self.forget(true);
        self.phase = Phase::Due;
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.has_to_poll() && self.polled_at.is_some_and(|at| now >= at + self.settings.poll_interval)
    }

    fn has_to_poll(&self) -> bool {
        let waits = matches!(self.phase, Phase::Away | Phase::Joining | Phase::Failed { .. });
        !waits && !self.expelled && self.identity.generation >= 0
    }

    fn beats(&self) -> bool {
        let idle = matches!(self.phase, Phase::Away | Phase::Joining | Phase::Failed { .. });
        !idle && self.identity.generation >= 0
    }

    fn is_cooperative(&self) -> bool {
        self.settings.assignors.iter().all(|assignor| assignor.is_cooperative())
    }

    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    fn due(&mut self) {
        self.retry_at = None;
        self.phase = Phase::Due;
    }

    fn back_off(&mut self, now: Instant) {
        self.failures += 1;
        self.phase = Phase::Due;
        self.retry_at = Some(now + self.settings.retry.after(self.failures));
    }

    /// Joins again as soon as what is under way is done.
    fn join_again(&mut self, why: &'static str) {
        self.rejoin = Some(why);
        if matches!(self.phase, Phase::Stable) {
            tracing::debug!(group = %self.settings.group, why, "joining again");
            self.due();
        }
    }

    /// What it had belongs to somebody else by now, or will soon.
    fn forget(&mut self, member_too: bool) {
        self.identity.generation = -1;
        self.protocol = None;
        self.led = None;
        if member_too {
            self.identity.member = Str::new();
        }
    }

    fn fail(&mut self, error: Error) {
        let for_good = error.code() == Some(leat_protocol::ErrorCode::FENCED_INSTANCE_ID);
        self.phase = Phase::Failed { for_good };
        self.todo = Some(Action::Fail { error, for_good });
        if for_good {
            self.owned.clear();
            self.forget(true);
        }
    }
}

#[cfg(test)]
mod tests;
