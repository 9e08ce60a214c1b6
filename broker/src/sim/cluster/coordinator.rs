//! A coordinator as its actor drives it: loaded from the log by whoever leads, dropped with all its memory when a write is lost.
//! Consumers commit offsets that only grow, and ask again until they are answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::BytesMut;
use leat_protocol::records::{BatchHeader, Builder, Compression, records};
use leat_protocol::{ErrorCode, Str};
use leat_storage::GroupId;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::super::disk::BATCH_BYTES_MAX;
use super::Plant;
use super::node::{Coordinator, Node, Token};
use super::world::{COORDINATED, EVENTS, World, tell};
use crate::coordinator::{Machine, Now, Write};
use crate::groups::{Caller, Commit, Groups, Offset, Request, Settings};
use crate::replica::{Acks, Answer, Event};

/// Steps until a commit without an answer is sent again.
const PATIENCE: u32 = 500;

/// Of which topic offsets are committed.
const TOPIC: Str = Str::from_static("events");

/// A consumer group that commits one offset after another.
#[derive(Debug)]
pub(super) struct Committer {
    group: Str,
    acknowledged: i64,
    until: i64,
    at: usize,
    waiting: Option<(oneshot::Receiver<Result<(), ErrorCode>>, u32)>,
}

impl Committer {
    pub(super) fn new(number: usize, commits: u32) -> Committer {
        Committer {
            group: format!("group-{number}").into(),
            acknowledged: 0,
            until: commits.into(),
            at: number,
            waiting: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.acknowledged == self.until
    }

    /// What became of the last commit. False while it is waited for.
    fn is_answered(&mut self, now: u32) -> bool {
        let Some((answer, sent)) = &mut self.waiting else { return true };
        match answer.try_recv() {
            Ok(Ok(())) => self.acknowledged += 1,
            Err(TryRecvError::Empty) if now - *sent < PATIENCE => return false,
            Ok(Err(_)) | Err(_) => self.at += 1,
        }
        self.waiting = None;
        true
    }
}

impl World {
    /// A consumer commits, or hears what became of that.
    pub(super) fn commit(&mut self) -> Result<(), String> {
        let number = self.random.below(self.committers.len());
        let before = self.committers[number].acknowledged;
        if !self.committers[number].is_answered(self.now) || self.committers[number].is_done() {
            return Ok(());
        }
        let at = self.committers[number].at % self.nodes.len();
        let committer = &mut self.committers[number];
        self.summary.commits += committer.acknowledged.abs_diff(before);
        let (reply, answer) = oneshot::channel();
        committer.waiting = Some((answer, self.now));
        let offset = Offset {
            topic: TOPIC,
            topic_id: EVENTS,
            partition: 0,
            offset: committer.acknowledged + 1,
            leader_epoch: -1,
            metadata: Str::default(),
        };
        let commit = Commit {
            group: committer.group.clone(),
            caller: Caller { generation: -1, ..Caller::default() },
            knows_no_group: false,
            retention_ms: None,
            offsets: vec![offset],
        };
        let now = now(&self.nodes[at], self.now);
        let node = &mut self.nodes[at];
        let coordinator = node.held.get_mut(&COORDINATED).and_then(|held| held.coordinator.as_mut());
        // Where there is none the request is dropped, and so whoever waits is told.
        let Some(coordinator) = coordinator.filter(|_| node.up && self.now >= node.not_before) else { return Ok(()) };
        let mut writes = Vec::new();
        coordinator.machine.step(Request::Commit { commit, reply }, now, &mut writes);
        self.append(at, writes)
    }

    /// The coordinator of a node: begun, ended or ticked.
    pub(super) fn coordinate(&mut self, at: usize) -> Result<(), String> {
        let group = COORDINATED;
        let now = now(&self.nodes[at], self.now);
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
        let Some(replica) = held.replica.as_ref().filter(|replica| replica.is_leader() && replica.is_settled()) else {
            if self.options.plant != Some(Plant::CoordinatorKept) {
                held.coordinator = None;
            }
            return Ok(());
        };
        let epoch = replica.leader_epoch();
        if self.options.plant == Some(Plant::CoordinatorKept)
            && let Some(coordinator) = &mut held.coordinator
        {
            coordinator.epoch = epoch;
        }
        match held.coordinator.take_if(|coordinator| coordinator.epoch == epoch) {
            Some(mut coordinator) => {
                let mut writes = Vec::new();
                if coordinator.machine.wake_up_ms() <= now.up_ms {
                    coordinator.machine.tick(now, &mut writes);
                }
                held.coordinator = Some(coordinator);
                self.look_at_offsets(at)?;
                self.append(at, writes)
            }
            None => {
                held.coordinator = None;
                self.load(at, group, epoch, now)
            }
        }
    }

    fn load(&mut self, at: usize, group: GroupId, epoch: i32, now: Now) -> Result<(), String> {
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
        let until = held.replica.as_ref().map_or(0, |replica| replica.high_watermark());
        let (batches, next) = held.disk.records(held.log_start, until)?;
        if next < until {
            // Not all of it is written yet.
            return Ok(());
        }
        let mut machine = Groups::new(Arc::new(settings()), Arc::new(AtomicUsize::new(0)));
        for batch in &batches {
            for record in records(batch, BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
                let record = record.map_err(|error| error.to_string())?;
                machine.replay(&record.key.unwrap_or_default(), record.value.as_ref(), now)?;
            }
        }
        machine.begin(now);
        self.loaded = (self.loaded.0.max(epoch), self.loaded.1 + 1);
        self.summary.loads += 1;
        let life = self.loaded.1;
        tell!(self, "node {} coordinates in epoch {epoch}", at + 1);
        held.coordinator = Some(Coordinator { life, machine, epoch, in_flight: VecDeque::new(), writes: 0 });
        self.look_at_offsets(at)
    }

    /// What was acknowledged is there: at the newest coordinator, for an older one may not have heard of it.
    fn look_at_offsets(&self, at: usize) -> Result<(), String> {
        let coordinator = self.nodes[at].held.get(&COORDINATED).and_then(|held| held.coordinator.as_ref());
        let Some(coordinator) = coordinator.filter(|coordinator| coordinator.epoch >= self.loaded.0) else {
            return Ok(());
        };
        for committer in &self.committers {
            let found = coordinator.machine.offsets(&committer.group).and_then(|offsets| offsets.get(&TOPIC, 0));
            let found = found.map_or(0, |value| value.offset);
            if found < committer.acknowledged {
                let (group, acknowledged) = (&committer.group, committer.acknowledged);
                return Err(format!("{group} has committed {acknowledged}, and node {} knows of {found}", at + 1));
            }
        }
        Ok(())
    }

    /// Appends what the machine asks for.
    fn append(&mut self, at: usize, writes: Vec<Write<<Groups as Machine>::Written>>) -> Result<(), String> {
        if writes.is_empty() {
            return Ok(());
        }
        let (wall_ms, now) = (self.nodes[at].wall_ms(self.now), now(&self.nodes[at], self.now));
        let held = self.nodes[at].held.get_mut(&COORDINATED);
        let Some(coordinator) = held.and_then(|held| held.coordinator.as_mut()) else { return Ok(()) };
        let mut builder = Builder::new(Compression::None, None);
        let mut then = Vec::new();
        for write in writes {
            for (key, value) in write.records {
                builder.push(wall_ms, Some(&key), value.as_deref(), &[]);
            }
            then.push(write.then);
        }
        if self.options.plant == Some(Plant::CoordinatorEarly) {
            let mut more = Vec::new();
            then.drain(..).for_each(|then| coordinator.machine.written(then, now, &mut more));
        }
        let batch = builder.finish().map_err(|error| error.to_string())?;
        let header = BatchHeader::parse(&batch).map_err(|error| error.to_string())?;
        coordinator.writes += 1;
        let token = Token::Coordinator { life: coordinator.life, write: coordinator.writes };
        coordinator.in_flight.push_back((coordinator.writes, then));
        let batch = BytesMut::from(&batch[..]);
        self.event(at, COORDINATED, Event::Propose { batch, header, acks: Acks::All, token })
    }

    /// A write of a coordinator has ended.
    pub(super) fn coordinator_wrote(
        &mut self,
        at: usize,
        group: GroupId,
        (life, write): (u64, u64),
        answer: &Answer,
    ) -> Result<(), String> {
        let now = now(&self.nodes[at], self.now);
        let Some(held) = self.nodes[at].held.get_mut(&group) else { return Ok(()) };
        let Some(coordinator) = held.coordinator.as_mut().filter(|coordinator| coordinator.life == life) else {
            return Ok(());
        };
        let first = coordinator.in_flight.pop_front();
        match (answer, first) {
            (Answer::Appended { .. }, Some((number, then))) if number == write => {
                let mut writes = Vec::new();
                then.into_iter().for_each(|then| coordinator.machine.written(then, now, &mut writes));
                self.append(at, writes)
            }
            (Answer::Appended { .. }, _) => Err("a coordinator's writes are answered out of order".to_owned()),
            _ if self.options.plant == Some(Plant::CoordinatorKept) => Ok(()),
            _ => {
                held.coordinator = None;
                Ok(())
            }
        }
    }
}

fn now(node: &Node, steps: u32) -> Now {
    Now { up_ms: node.ticks * 100, wall_ms: node.wall_ms(steps) }
}

fn settings() -> Settings {
    Settings {
        initial_rebalance_delay_ms: 0,
        size_max: 100,
        group_bytes_max: 1 << 20,
        bytes_max: 1 << 30,
        retention_ms: i64::MAX >> 2,
        retention_check_ms: 1_000,
    }
}
