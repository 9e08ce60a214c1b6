//! What a member makes of the coordinator's answers.

use leat_protocol::consumer_protocol::{self, ConsumerProtocolAssignment};
use leat_protocol::messages::{HeartbeatResponse, JoinGroupResponse, SyncGroupResponse};
use leat_protocol::{Bytes, ErrorCode};
use tokio::time::Instant;

use super::super::assignor::{Member, flat};
use super::{Action, Membership, Phase, Then};
use crate::committed::Identity;
use crate::config::Assignor;
use crate::{Error, TopicPartition};

impl Membership {
    pub(super) fn joined(&mut self, now: Instant, result: Result<JoinGroupResponse, Error>) {
        if !matches!(self.phase, Phase::Joining) {
            return;
        }
        let response = match result {
            Ok(response) if !response.error_code.is_err() => response,
            Ok(response) if response.error_code == ErrorCode::MEMBER_ID_REQUIRED => {
                self.identity.member = response.member_id;
                self.todo = Some(Action::Join(self.join_request()));
                return;
            }
            Ok(response) => return self.refused(now, Error::broker(response.error_code, None, self.context("join"))),
            Err(error) => return self.refused(now, error),
        };
        let assignor = response.protocol_name.as_deref().and_then(Assignor::by_name);
        let Some(assignor) = assignor.filter(|assignor| self.settings.assignors.contains(assignor)) else {
            let error = Error::broker(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, None, self.context("join"));
            return self.refused(now, error);
        };
        self.protocol = Some(assignor);
        self.identity.generation = response.generation_id;
        self.identity.member = response.member_id;
        self.beat_at = Some(now + self.settings.heartbeat_interval);
        self.led = None;
        if response.leader != self.identity.member || response.skip_assignment {
            return self.sync(Vec::new());
        }
        match response.members.into_iter().map(member).collect::<Result<Vec<_>, _>>() {
            Ok(members) => {
                self.watched = members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
                self.phase = Phase::Counting(members);
                self.todo = Some(Action::Count(self.watched.clone()));
            }
            Err(error) => self.fail(Error::corrupt(self.context("a member's subscription"), error)),
        }
    }

    pub(super) fn synced(&mut self, now: Instant, result: Result<SyncGroupResponse, Error>) {
        if !matches!(self.phase, Phase::Syncing) {
            return;
        }
        let response = match result {
            Ok(response) if response.error_code.is_err() => {
                return self.refused(now, Error::broker(response.error_code, None, self.context("sync")));
            }
            Ok(response) => response,
            Err(error) => return self.refused(now, error),
        };
        let Some(assignor) = self.protocol else { return self.due() };
        let all = match assignment(response.assignment) {
            Ok(all) => all,
            Err(error) => return self.fail(Error::corrupt(self.context("the assignment"), error)),
        };
        if all.iter().any(|partition| !self.topics.contains(&partition.topic)) {
            self.rejoin = Some("the assignment is not for the current subscription");
            return self.due();
        }
        self.remembered = Some((assignor, all.clone(), self.identity.generation));
        let gone: Vec<_> = self.owned.iter().filter(|own| !all.contains(own)).cloned().collect();
        if gone.is_empty() { self.assign(all) } else { self.revoke(gone, Then::Assign(all)) }
    }

    pub(super) fn beaten(&mut self, now: Instant, result: Result<HeartbeatResponse, Error>) {
        let Some(generation) = self.beating.take() else { return };
        self.beat_at = Some(now + self.settings.heartbeat_interval);
        if generation != self.identity.generation {
            return;
        }
        let error = match result {
            Ok(response) if !response.error_code.is_err() => return,
            Ok(response) => Error::broker(response.error_code, None, self.context("heartbeat")),
            Err(error) => error,
        };
        if error.is_retryable() {
            self.beat_at = Some(now + self.settings.retry.after(1));
        } else {
            self.hit(error);
        }
    }

    pub(super) fn commit_refused(&mut self, identity: Identity, error: Error) {
        if identity == self.identity && identity.generation >= 0 {
            self.hit(error);
        }
    }

    /// An error about the member itself, outside of joining.
    fn hit(&mut self, error: Error) {
        match error.code() {
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => self.join_again("the group rebalances"),
            Some(ErrorCode::UNKNOWN_MEMBER_ID) => {
                self.forget(true);
                self.join_again("the coordinator does not know the member");
            }
            Some(ErrorCode::ILLEGAL_GENERATION) => {
                self.forget(false);
                self.join_again("the group has another generation");
            }
            _ => self.fail(error),
        }
    }

    /// Join or sync did not succeed.
    fn refused(&mut self, now: Instant, error: Error) {
        tracing::debug!(%error, group = %self.settings.group, "not a member yet");
        match error.code() {
            Some(ErrorCode::UNKNOWN_MEMBER_ID) => self.forget(true),
            Some(ErrorCode::ILLEGAL_GENERATION) => self.forget(false),
            Some(ErrorCode::REBALANCE_IN_PROGRESS) => {}
            _ if error.is_retryable() => {}
            _ => return self.fail(error),
        }
        self.back_off(now);
        if self.failures == 1 && !error.is_retryable() {
            self.retry_at = None;
        }
    }

    fn context(&self, what: &str) -> String {
        format!("{what} of group {}", self.settings.group)
    }
}

fn member(found: leat_protocol::messages::JoinGroupResponseMember) -> Result<Member, leat_protocol::wire::Error> {
    let subscription = consumer_protocol::read(found.metadata)?;
    Ok(Member::new(found.member_id, found.group_instance_id, subscription))
}

fn assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, leat_protocol::wire::Error> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment: ConsumerProtocolAssignment = consumer_protocol::read(bytes)?;
    Ok(flat(&assignment.assigned_partitions))
}
