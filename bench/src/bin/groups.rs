//! What consumer groups and fetch sessions cost a broker, by requests without the client library: one measurement a call, a line
//! each. `bench/groups.py` runs all of them against Leat and Apache Kafka.

use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use leat_bench::Error;
use leat_bench::process::Usage;
use leat_bench::wire::Connection;
use leat_protocol::consumer_protocol::{self, ConsumerProtocolSubscription};
use leat_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use leat_protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponse};
use leat_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use leat_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use leat_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use leat_protocol::messages::sync_group::SyncGroupRequestAssignment;
use leat_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};
use leat_protocol::records::{Builder, Compression};
use leat_protocol::{Bytes, ErrorCode, Records, Str};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Versions that name topics by name and that both brokers have.
const COMMIT: i16 = 8;
const JOIN: i16 = 6;
const HEARTBEAT: Duration = Duration::from_secs(3);

#[derive(Debug, Parser)]
struct Options {
    #[arg(short, long)]
    bootstrap_server: String,
    #[arg(long)]
    broker_pid: u32,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Commits per second by many clients, each waiting for its answer
    Commits { topic: String, clients: usize, seconds: u64 },
    /// CPU and memory of the broker beside groups that only send heartbeats
    Idle { groups: usize, members: usize, seconds: u64 },
    /// How long it takes until all members that join again have their assignment
    Rebalance { members: usize, rounds: usize },
    /// Commits an offset for each partition in each group
    Fill { topic: String, partitions: i32, groups: usize },
    /// How long it takes until the broker tells an offset of a group
    Loaded { topic: String, group: String },
    /// Microseconds of an incremental fetch that has nothing to tell
    Session { topic: String, partitions: i32, fetches: u32 },
    /// Writes records of 1 kB, so many for each key, to partition 0: something to compact
    Keyed { topic: String, records: usize, keys: usize },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let server = &options.bootstrap_server;
    let usage = || Usage::of(options.broker_pid);
    match &options.what {
        What::Commits { topic, clients, seconds } => commits(server, topic, *clients, *seconds, usage).await,
        What::Idle { groups, members, seconds } => idle(server, *groups, *members, *seconds, usage).await,
        What::Rebalance { members, rounds } => rebalance(server, *members, *rounds).await,
        What::Fill { topic, partitions, groups } => fill(server, topic, *partitions, *groups).await,
        What::Loaded { topic, group } => loaded(server, topic, group).await,
        What::Session { topic, partitions, fetches } => session(server, topic, *partitions, *fetches, usage).await,
        What::Keyed { topic, records, keys } => keyed(server, topic, *records, *keys).await,
    }
}

fn check(what: &str, code: ErrorCode) -> Result<(), Error> {
    if code.is_err() { Err(Error::Broker(format!("{what}: {}", code.name()))) } else { Ok(()) }
}

/// Waits until there is a coordinator, and it has loaded.
async fn coordinated(server: &str, group: &str) -> Result<Connection, Error> {
    let mut connection = Connection::open(server).await?;
    let request = FindCoordinatorRequest { key: group.into(), ..Default::default() };
    while connection.call(&request, 3).await?.error_code.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(connection)
}

fn commit_of(group: &str, topic: &str, partitions: i32, offset: i64) -> OffsetCommitRequest {
    let partitions = (0..partitions).map(|partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(Str::default()),
        ..Default::default()
    });
    let topic = OffsetCommitRequestTopic { name: topic.into(), partitions: partitions.collect(), ..Default::default() };
    OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..Default::default() }
}

/// Sends it until the coordinator has loaded.
async fn commit(connection: &mut Connection, request: &OffsetCommitRequest) -> Result<(), Error> {
    loop {
        let response = connection.call(request, COMMIT).await?;
        match response.topics[0].partitions[0].error_code {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::NOT_COORDINATOR => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            code => return check("a commit", code),
        }
    }
}

async fn commits(
    server: &str,
    topic: &str,
    clients: usize,
    seconds: u64,
    usage: impl Fn() -> Result<Usage, Error>,
) -> Result<(), Error> {
    let mut tasks = JoinSet::new();
    let ready = std::sync::Arc::new(Barrier::new(clients + 1));
    for client in 0..clients {
        let (group, topic, ready) = (format!("commits-{client}"), topic.to_owned(), ready.clone());
        let mut connection = coordinated(server, &group).await?;
        tasks.spawn(async move {
            commit(&mut connection, &commit_of(&group, &topic, 1, 0)).await?;
            ready.wait().await;
            let end = Instant::now() + Duration::from_secs(seconds);
            let mut count = 0;
            while Instant::now() < end {
                count += 1;
                commit(&mut connection, &commit_of(&group, &topic, 1, count)).await?;
            }
            Ok::<_, Error>(count)
        });
    }
    ready.wait().await;
    let before = usage()?;
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
        total += count.map_err(|error| Error::Usage(error.to_string()))??;
    }
    let used = usage()?.since(&before);
    let per_second = total as f64 / seconds as f64;
    println!("{per_second:.0} commits/s, {:.1} broker CPU us each", used.cpu_s() * 1e6 / total as f64);
    Ok(())
}

/// A member by its own connection.
struct Member {
    connection: Connection,
    group: Str,
    id: Str,
    generation: i32,
    /// Part of what it says of itself: a follower that comes with something new is not sent back to the old generation.
    round: i32,
}

impl Member {
    async fn new(server: &str, group: String) -> Result<Self, Error> {
        let connection = coordinated(server, &group).await?;
        Ok(Self { connection, group: group.into(), id: Str::default(), generation: -1, round: 0 })
    }

    /// Joins and syncs, until it has an assignment.
    async fn settle(&mut self) -> Result<(), Error> {
        loop {
            let joined = self.join().await?;
            if joined.error_code.is_err() {
                continue;
            }
            let members = joined.members.iter();
            let assignments = members.map(|member| SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: Bytes::from_static(&[0; 40]),
            });
            let request = SyncGroupRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                assignments: assignments.collect(),
                ..Default::default()
            };
            match self.connection.call(&request, 4).await?.error_code {
                ErrorCode::REBALANCE_IN_PROGRESS => {}
                code => return check("a sync", code),
            }
        }
    }

    async fn join(&mut self) -> Result<JoinGroupResponse, Error> {
        let user_data = Some(Bytes::copy_from_slice(&self.round.to_be_bytes()));
        let subscription =
            ConsumerProtocolSubscription { topics: vec!["some".into()], user_data, ..Default::default() };
        let metadata = consumer_protocol::write(&subscription, 1).map_err(|error| Error::Usage(error.to_string()))?;
        let request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            member_id: self.id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
            ..Default::default()
        };
        let joined = self.connection.call(&request, JOIN).await?;
        match joined.error_code {
            ErrorCode::MEMBER_ID_REQUIRED => {}
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::NOT_COORDINATOR => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            code => check(&format!("a join of {:?} of {} after {}", self.id, self.group, self.generation), code)?,
        }
        self.id = joined.member_id.clone();
        self.generation = joined.generation_id;
        Ok(joined)
    }

    /// Until it is told to join again.
    async fn heartbeats(&mut self) -> Result<(), Error> {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let request = HeartbeatRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                ..Default::default()
            };
            match self.connection.call(&request, 3).await?.error_code {
                ErrorCode::REBALANCE_IN_PROGRESS => return Ok(()),
                code => check("a heartbeat", code)?,
            }
        }
    }
}

async fn idle(
    server: &str,
    groups: usize,
    members: usize,
    seconds: u64,
    usage: impl Fn() -> Result<Usage, Error>,
) -> Result<(), Error> {
    let mut tasks = JoinSet::new();
    let rss = |usage: &Usage| usage.rss_bytes as f64 / f64::from(1 << 20);
    coordinated(server, "idle").await?;
    let before = usage()?;
    let settled = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for group in 0..groups {
        for _ in 0..members {
            let mut member = Member::new(server, format!("idle-{group}")).await?;
            let settled = settled.clone();
            tasks.spawn(async move {
                loop {
                    member.settle().await?;
                    settled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    member.heartbeats().await?;
                    settled.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    }
    let begun = Instant::now();
    // All are in, and stay so for two heartbeats.
    let mut since = Instant::now();
    while since.elapsed() < 2 * HEARTBEAT {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if settled.load(std::sync::atomic::Ordering::Relaxed) < groups * members {
            since = Instant::now();
        }
        if let Some(ended) = tasks.try_join_next() {
            return ended.map_err(|error| Error::Usage(error.to_string()))?;
        }
        if begun.elapsed() > Duration::from_secs(180) {
            return Err(Error::Broker(format!(
                "{} members have settled",
                settled.load(std::sync::atomic::Ordering::Relaxed)
            )));
        }
    }
    let start = usage()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let end = usage()?;
    let cpu = end.since(&start).cpu_s() / seconds as f64 * 100.0;
    println!("{cpu:.1} % CPU, RSS {:.0} MiB, of it {:.0} for them", rss(&end), rss(&end) - rss(&before));
    Ok(())
}

async fn rebalance(server: &str, members: usize, rounds: usize) -> Result<(), Error> {
    let mut all = Vec::new();
    // Those of an earlier run may still be in theirs.
    let group = format!("rebalance-{}", std::process::id());
    for _ in 0..members {
        all.push(Member::new(server, group.clone()).await?);
    }
    let mut took = Vec::new();
    for _ in 0..=rounds {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for mut member in all.drain(..) {
            member.round += 1;
            tasks.spawn(async move { member.settle().await.map(|()| member) });
        }
        while let Some(member) = tasks.join_next().await {
            all.push(member.map_err(|error| Error::Usage(error.to_string()))??);
        }
        took.push(begun.elapsed());
    }
    // In the first one they get their ids.
    took.remove(0);
    took.sort();
    let ms = |at: usize| took[at].as_secs_f64() * 1e3;
    println!("{:.1} ms ({:.1} to {:.1})", ms(rounds / 2), ms(0), ms(rounds - 1));
    Ok(())
}

async fn fill(server: &str, topic: &str, partitions: i32, groups: usize) -> Result<(), Error> {
    let mut connection = coordinated(server, "fill").await?;
    for group in 0..groups {
        commit(&mut connection, &commit_of(&format!("fill-{group}"), topic, partitions, 7)).await?;
    }
    println!("{} offsets", partitions as usize * groups);
    Ok(())
}

async fn loaded(server: &str, topic: &str, group: &str) -> Result<(), Error> {
    let begun = Instant::now();
    let topic = OffsetFetchRequestTopic { name: topic.into(), partition_indexes: vec![0] };
    let request = OffsetFetchRequest { group_id: group.into(), topics: Some(vec![topic]), ..Default::default() };
    loop {
        if let Ok(mut connection) = Connection::open(server).await {
            let found = connection.call(&request, 5).await;
            if let Ok(found) = found
                && found.error_code == ErrorCode::NONE
                && found.topics[0].partitions[0].committed_offset == 7
            {
                println!("{:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn session(
    server: &str,
    topic: &str,
    partitions: i32,
    fetches: u32,
    usage: impl Fn() -> Result<Usage, Error>,
) -> Result<(), Error> {
    let mut connection = Connection::open(server).await?;
    let all = (0..partitions).map(|partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    });
    let topic = FetchTopic { topic: topic.into(), partitions: all.collect(), ..FetchTopic::default() };
    let mut request = FetchRequest { topics: vec![topic], min_bytes: 1, ..FetchRequest::default() };
    request.session_epoch = 0;
    let opened = connection.call(&request, 12).await?;
    check("a session", opened.error_code)?;
    (request.session_id, request.topics) = (opened.session_id, Vec::new());
    let mut told = 0;
    let next = |epoch: i32| FetchRequest { session_epoch: epoch, ..request.clone() };
    // What the first answer could not tell yet.
    for epoch in 1..=100 {
        connection.call(&next(epoch), 12).await?;
    }
    let (begun, before) = (Instant::now(), usage()?);
    for fetch in 0..fetches {
        let response = connection.call(&next(101 + fetch as i32), 12).await?;
        check("a fetch", response.error_code)?;
        told += response.responses.len();
    }
    let used = usage()?.since(&before);
    let each = |seconds: f64| seconds * 1e6 / f64::from(fetches);
    let (took, cpu) = (each(begun.elapsed().as_secs_f64()), each(used.cpu_s()));
    println!("{took:.0} us each, {cpu:.0} us of broker CPU, {:.0} fetches/s, {told} told", 1e6 / took);
    Ok(())
}

async fn keyed(server: &str, topic: &str, records: usize, keys: usize) -> Result<(), Error> {
    const BATCH: usize = 500;
    let mut connection = Connection::open(server).await?;
    let value = [b'x'; 980];
    for first in (0..records).step_by(BATCH) {
        let mut builder = Builder::new(Compression::None, None);
        for record in first..records.min(first + BATCH) {
            let key = format!("key-{:016}", record % keys);
            builder.push(1_700_000_000_000, Some(key.as_bytes()), Some(&value), &[]);
        }
        let batch = builder.finish().map_err(|error| Error::Usage(error.to_string()))?;
        let data = PartitionProduceData { index: 0, records: Some(Records::from(batch)) };
        let topic = TopicProduceData { name: topic.into(), partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
        let answer = connection.call(&request, 9).await?;
        check("a batch", answer.responses[0].partition_responses[0].error_code)?;
    }
    println!("{records} records");
    Ok(())
}
