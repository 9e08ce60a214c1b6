//! The task that is the member: it carries out what [`Membership`] says, and tells it what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use leat_protocol::messages::{LeaveGroupRequest, Request};
use leat_protocol::{ErrorCode, Str};
use tokio::time::Instant;

use super::membership::{Action, Event, Membership};
use super::topics::{self, Wanted};
use super::{Group, settings};
use crate::cluster::{Lane, until_closed};
use crate::committed::Identity;
use crate::consumer::starts::reset_start;
use crate::consumer::{Consumer, Inner};
use crate::{Error, TopicPartition};

/// The coordinator answers a join when all members have joined: that may take their poll interval, and a bit.
const AFTER_JOINS: Duration = Duration::from_secs(5);

/// Runs until the consumer is closed.
pub(super) async fn run(inner: Arc<Inner>, group: Arc<Group>) {
    let closed = inner.closed.subscribe();
    let mut member = Member {
        membership: Membership::new(settings(&inner.config)),
        inner,
        group,
        running: None,
        beating: None,
        matching: None,
        wanted: Wanted::Nothing,
        wanted_count: 0,
        match_at: None,
    };
    tokio::select! {
        () = member.be() => {}
        () = until_closed(closed) => {}
    }
}

struct Member {
    inner: Arc<Inner>,
    group: Arc<Group>,
    membership: Membership,
    /// What is being done, and the heartbeat on its way.
    running: Option<BoxFuture<'static, Option<Event>>>,
    beating: Option<BoxFuture<'static, Event>>,
    /// Which topics match the pattern that is subscribed to, and when to look for that again.
    matching: Option<BoxFuture<'static, Result<BTreeSet<Str>, Error>>>,
    match_at: Option<Instant>,
    wanted: Wanted,
    wanted_count: u64,
}

impl Member {
    async fn be(&mut self) {
        let mut answers = self.inner.cluster.answers();
        loop {
            answers.borrow_and_update();
            self.look();
            if self.membership.is_away() && self.running.is_none() {
                self.group.left.send_replace(self.wanted_count);
            }
            let deadline = [self.membership.deadline(), self.match_at].into_iter().flatten().min();
            tokio::select! {
                event = finished(&mut self.running) => {
                    self.running = None;
                    self.step(event);
                }
                event = finished(&mut self.beating) => {
                    self.beating = None;
                    self.step(Some(event));
                }
                found = finished(&mut self.matching) => self.matched(found),
                _ = answers.changed() => self.topics_may_have_changed(),
                () = self.group.news.notified() => {}
                () = self.group.gate.poll_came(), if self.membership.awaits_poll() => {}
                () = until(deadline) => {}
            }
        }
    }

    fn step(&mut self, event: Option<Event>) {
        if let Some(event) = event {
            self.membership.step(Instant::now(), event);
        }
    }

    /// Takes in what the program did, and does what is due.
    fn look(&mut self) {
        self.take_news();
        let now = Instant::now();
        self.membership.step(self.group.gate.polled_at(now), Event::Polled);
        while let Some(action) = self.membership.next(now) {
            self.start(action);
        }
        if self.membership.awaits_poll() {
            self.group.gate.await_poll();
        }
        if let Some(request) = self.membership.heartbeat(now) {
            let timeout = self.inner.config.session_timeout.min(self.inner.config.common.request_timeout);
            let answer = ask(self.group.clone(), request, timeout, |response| response.error_code);
            self.beating = Some(answer.map(Event::Beaten).boxed());
        }
        if self.match_at.is_some_and(|at| at <= now) {
            self.find_matching();
        }
        let away = self.membership.is_away();
        let identity = if away { Identity::default() } else { self.membership.identity().clone() };
        self.group.shared.lock().identity = identity;
    }

    fn take_news(&mut self) {
        let mut shared = self.group.shared.lock();
        let refused = shared.refused.take();
        let wanted = (shared.wanted_count != self.wanted_count).then(|| {
            self.wanted_count = shared.wanted_count;
            shared.wanted.clone()
        });
        drop(shared);
        let now = Instant::now();
        if let Some((identity, error)) = refused {
            self.membership.step(now, Event::CommitRefused(identity, error));
        }
        let Some(wanted) = wanted else { return };
        (self.matching, self.match_at) = (None, None);
        match &wanted {
            Wanted::Nothing => self.membership.step(now, Event::Unsubscribed),
            Wanted::Topics(topics) => self.membership.step(now, Event::Subscribed(topics.clone())),
            Wanted::Pattern(_) => self.match_at = Some(now),
        }
        self.wanted = wanted;
    }

    fn find_matching(&mut self) {
        let Wanted::Pattern(pattern) = self.wanted.clone() else { return };
        self.match_at = None;
        let inner = self.inner.clone();
        self.matching = Some(async move { topics::matching(&inner.cluster, &pattern).await }.boxed());
    }

    fn matched(&mut self, found: Result<BTreeSet<Str>, Error>) {
        self.matching = None;
        let (now, common) = (Instant::now(), &self.inner.config.common);
        match found {
            Ok(topics) => {
                self.match_at = Some(now + common.metadata_max_age);
                self.membership.step(now, Event::Subscribed(topics));
            }
            Err(error) => {
                tracing::debug!(%error, "topics not known yet");
                self.match_at = Some(now + self.inner.cluster.retry_backoff().after(1));
            }
        }
    }

    /// The leader assigns anew when a topic gets partitions, appears or goes.
    fn topics_may_have_changed(&mut self) {
        let counts = self.membership.watched().and_then(|topics| topics::known_counts(&self.inner.cluster, topics));
        if let Some(counts) = counts {
            self.membership.step(Instant::now(), Event::Counted(counts));
        }
    }

    /// Begins what is to be done, in place of what was being done.
    fn start(&mut self, action: Action) {
        let (inner, group) = (self.inner.clone(), self.group.clone());
        let config = &self.inner.config;
        let request_timeout = config.common.request_timeout;
        self.running = match action {
            Action::Join(request) => {
                let timeout = request_timeout.max(config.max_poll_interval + AFTER_JOINS);
                let answer = ask(group, request, timeout, |response| response.error_code);
                Some(answer.map(|result| Some(Event::Joined(result))).boxed())
            }
            Action::Sync(request) => {
                let timeout = request_timeout.max(config.max_poll_interval + AFTER_JOINS);
                let answer = ask(group, request, timeout, |response| response.error_code);
                Some(answer.map(|result| Some(Event::Synced(result))).boxed())
            }
            Action::Count(topics) => Some(count(inner, topics).map(Some).boxed()),
            Action::Revoke { partitions, lost } => Some(revoke(inner, group, partitions, lost).map(Some).boxed()),
            Action::Assign { all, added } => {
                self.watch_topics();
                Some(assign(inner, group, all, added).map(Some).boxed())
            }
            Action::Leave(request) => Some(leave(group, request, request_timeout).boxed()),
            Action::Fail { error, for_good } => {
                self.fail(error, for_good);
                None
            }
        };
    }

    fn watch_topics(&self) {
        let all = self.membership.watched().into_iter().chain([self.membership.topics()]).flatten();
        self.inner.cluster.track_only(all.cloned().collect());
    }

    fn fail(&self, error: Error, for_good: bool) {
        tracing::warn!(%error, group = %self.group.coordinator.group(), "not a member of the group");
        let mut state = self.inner.state.lock();
        state.set_group_error(error, for_good);
        if for_good {
            state.assign(&[], false, None);
        }
        drop(state);
        self.inner.change();
        self.inner.arrived.notify_one();
    }
}

/// Waits for a future that may not be there.
async fn finished<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// One request to the coordinator, on the connection on which joins may wait.
async fn ask<R: Request>(
    group: Arc<Group>,
    request: R,
    timeout: Duration,
    code: fn(&R::Response) -> ErrorCode,
) -> Result<R::Response, Error> {
    let coordinator = &group.coordinator;
    let result = match coordinator.connection(Lane::Joins).await {
        Ok(connection) => connection.call(&request, timeout).await,
        Err(error) => Err(error),
    };
    match &result {
        Ok(response) => {
            let refused = Error::check(code(response), None, || R::KEY.name().to_owned());
            coordinator.learn(refused.as_ref().err());
        }
        Err(error) => coordinator.learn(Some(error)),
    }
    result
}

async fn count(inner: Arc<Inner>, topics: BTreeSet<Str>) -> Event {
    inner.cluster.track(&topics);
    let mut failures = 0;
    loop {
        match topics::count(&inner.cluster, &topics).await {
            Ok(counts) => return Event::Counted(counts),
            Err(error) => tracing::debug!(%error, "topics not counted yet"),
        }
        failures += 1;
        tokio::time::sleep(inner.cluster.retry_backoff().after(failures)).await;
    }
}

/// Has the program give partitions up: positions are committed, it is told, then it gets no more of their records.
async fn revoke(inner: Arc<Inner>, group: Arc<Group>, partitions: Vec<TopicPartition>, lost: bool) -> Event {
    let quiet = group.gate.quiet(&inner.arrived).await;
    if inner.config.enable_auto_commit && !lost {
        let mut positions = inner.state.lock().positions();
        positions.retain(|partition, _| partitions.contains(partition));
        let committed = tokio::time::timeout(inner.config.max_poll_interval, group.committer.commit(positions)).await;
        if let Ok(Err(error)) = committed {
            tracing::warn!(%error, "positions could not be committed before partitions were given up");
        }
    }
    let listener = group.shared.lock().listener.clone();
    if let Some(listener) = listener {
        let consumer = Consumer::borrowed(&inner);
        if lost {
            listener.lost(&consumer, &partitions).await;
        } else {
            listener.revoked(&consumer, &partitions).await;
        }
    }
    inner.state.lock().unassign(&partitions);
    inner.change();
    drop(quiet);
    Event::Revoked
}

async fn assign(inner: Arc<Inner>, group: Arc<Group>, all: Vec<TopicPartition>, added: Vec<TopicPartition>) -> Event {
    let start = reset_start(inner.config.auto_offset_reset);
    let listener = group.shared.lock().listener.clone();
    let Some(listener) = listener else {
        inner.state.lock().assign(&all, true, start);
        inner.change();
        return Event::Assigned;
    };
    let quiet = group.gate.quiet(&inner.arrived).await;
    inner.state.lock().assign(&all, true, start);
    inner.change();
    listener.assigned(&Consumer::borrowed(&inner), &added).await;
    drop(quiet);
    Event::Assigned
}

/// Nothing hangs on the answer: a member that is not heard to leave is missed after its session timeout.
async fn leave(group: Arc<Group>, request: LeaveGroupRequest, timeout: Duration) -> Option<Event> {
    // By a connection on which no join waits, and in a task of its own, which goes on if this is not waited for.
    let sent = tokio::spawn(async move {
        let connection = group.coordinator.connection(Lane::Calls).await?;
        connection.call(&request, timeout).await
    });
    if let Ok(Err(error)) = sent.await {
        tracing::debug!(%error, "the group was not told that its member leaves");
    }
    None
}
