//! A consumer's group: who reads what, and how far it has come.
//!
//! ```text
//! program ── subscribe, poll ──► Gate ◄── asks for quiet ── Member (one task) ── join, sync, heartbeat ──► coordinator
//!    │                                                        │ step, next                                   ▲
//!    └── commit ──► Committer (one task) ─────────────────────┼── offsets ───────────────────────────────────┘
//!                                                             ▼
//!                                      Membership (no I/O) ── Assignor (no I/O)
//! ```

mod api;
mod assignor;
mod committer;
mod gate;
mod listener;
mod member;
mod membership;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use leat_protocol::{ErrorCode, Str};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use committer::Commit;
pub use listener::RebalanceListener;

use crate::cluster::Cluster;
use crate::committed::Identity;
use crate::coordinator::Coordinator;
use crate::net::Backoff;
use crate::{ConsumerConfig, Error};
use committer::Committer;
use gate::Gate;
use listener::Listener;
use membership::Settings;
use topics::Wanted;

/// What a consumer has beside its partitions when it has a `group.id`.
pub(super) struct Group {
    pub(super) coordinator: Coordinator,
    committer: Committer,
    gate: Gate,
    shared: Mutex<Shared>,
    /// The member has something to look at in `shared`.
    news: Notify,
    /// How many subscriptions the member is done with leaving.
    left: watch::Sender<u64>,
}

#[derive(Default)]
struct Shared {
    wanted: Wanted,
    /// Changes with every `subscribe` and `unsubscribe`.
    wanted_count: u64,
    listener: Option<Arc<dyn Listener>>,
    /// Whose commits count; somebody outside of the group while nothing is subscribed.
    identity: Identity,
    refused: Option<(Identity, Error)>,
    next_commit: Option<Instant>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("group", self.coordinator.group()).finish_non_exhaustive()
    }
}

impl Group {
    /// `None` without a `group.id`.
    pub(super) fn new(config: &ConsumerConfig, cluster: &Arc<Cluster>) -> Option<Arc<Self>> {
        let group = config.group_id.as_str();
        (!group.is_empty()).then(|| {
            Arc::new(Self {
                coordinator: Coordinator::new(cluster.clone(), group.into()),
                committer: Committer::default(),
                gate: Gate::new(Instant::now()),
                shared: Mutex::default(),
                news: Notify::new(),
                left: watch::Sender::default(),
            })
        })
    }

    /// Starts its two tasks.
    pub(super) fn start(self: &Arc<Self>, inner: &Arc<super::Inner>) {
        tokio::spawn(member::run(inner.clone(), self.clone()));
        let (group, closed) = (self.clone(), inner.closed.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = committer::run(group.clone()) => {}
                () = crate::cluster::until_closed(closed) => group.committer.close(),
            }
        });
    }

    pub(super) fn is_subscribed(&self) -> bool {
        !matches!(self.shared.lock().wanted, Wanted::Nothing)
    }

    /// The program polls. `false`: it gets no records now.
    pub(super) fn polled(&self, inner: &super::Inner) -> bool {
        let now = Instant::now();
        if self.gate.enter(now).is_none() {
            return false;
        }
        if inner.config.enable_auto_commit {
            self.commit_if_due(inner, now);
        }
        true
    }

    /// Commits what the program was given by earlier polls, when it is time to.
    fn commit_if_due(&self, inner: &super::Inner, now: Instant) {
        let mut shared = self.shared.lock();
        let interval = inner.config.auto_commit_interval;
        let due = *shared.next_commit.get_or_insert(now + interval);
        if now < due {
            return;
        }
        shared.next_commit = Some(now + interval);
        drop(shared);
        if self.identity().is_ok() {
            drop(self.committer.commit(inner.state.lock().positions()));
        }
    }

    /// Who commits now.
    fn identity(&self) -> Result<Identity, Error> {
        let shared = self.shared.lock();
        if shared.identity.generation < 0 && !matches!(shared.wanted, Wanted::Nothing) {
            // As somebody outside of the group it might move offsets of members back.
            let context = format!("commit by a consumer that is not in group {} now", self.coordinator.group());
            return Err(Error::broker(ErrorCode::UNKNOWN_MEMBER_ID, None, context));
        }
        Ok(shared.identity.clone())
    }

    fn commit_refused(&self, identity: &Identity, error: &Error) {
        let about_the_member = matches!(
            error.code(),
            Some(
                ErrorCode::UNKNOWN_MEMBER_ID
                    | ErrorCode::ILLEGAL_GENERATION
                    | ErrorCode::REBALANCE_IN_PROGRESS
                    | ErrorCode::FENCED_INSTANCE_ID
            )
        );
        if about_the_member {
            self.shared.lock().refused = Some((identity.clone(), error.clone()));
            self.news.notify_one();
        }
    }
}

fn settings(config: &ConsumerConfig) -> Settings {
    let named = |text: &str| (!text.is_empty()).then(|| Str::from(text));
    Settings {
        group: config.group_id.as_str().into(),
        instance: named(&config.group_instance_id),
        rack: named(&config.client_rack),
        assignors: config.partition_assignment_strategy.clone(),
        session_timeout: config.session_timeout,
        heartbeat_interval: config.heartbeat_interval,
        poll_interval: config.max_poll_interval,
        retry: Backoff::new(config.common.retry_backoff, config.common.retry_backoff_max.max(Duration::from_millis(1))),
    }
}
