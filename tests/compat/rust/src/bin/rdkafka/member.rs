//! A group member, and admin, by rdkafka, that does what ../python/groups.py tells it line by line; the words are in
//! ../../../../README.md.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use leat_compat::checks::Outcome;
use leat_compat::sample::EPOCH_MS;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupMemberInfo;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::client::{Client, WAIT, code_of, is_passing};

type Offsets = BTreeMap<i32, i64>;
type GroupConsumer = BaseConsumer<Events>;

/// Tells what comes and goes.
struct Events;

impl ClientContext for Events {}

impl ConsumerContext for Events {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(taken) = rebalance
            && taken.count() > 0
        {
            println!("revoked {}", partitions_of(taken));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let (Rebalance::Assign(_), Ok(assigned)) = (rebalance, consumer.assignment()) {
            println!("assigned {}", partitions_of(&assigned));
        }
    }
}

fn partitions_of(list: &TopicPartitionList) -> String {
    let mut partitions: Vec<i32> = list.elements().iter().map(|p| p.partition()).collect();
    partitions.sort_unstable();
    partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(" ")
}

/// What a list says, without partitions that have no offset.
fn offsets_of(list: &TopicPartitionList) -> Outcome<Offsets> {
    let mut offsets = Offsets::new();
    for p in list.elements() {
        p.error()?;
        if let Offset::Offset(offset) = p.offset() {
            offsets.insert(p.partition(), offset);
        }
    }
    Ok(offsets)
}

fn told(word: &str, offsets: &Offsets) -> String {
    let said = offsets.iter().map(|(partition, offset)| format!(" {partition}:{offset}"));
    word.to_owned() + &said.collect::<String>()
}

/// The protocol's name: librdkafka's codes are written as Rust writes them.
fn name_of(error: &(dyn Error + 'static)) -> String {
    let code = match code_of(error) {
        Some(code) => format!("{code:?}"),
        None => return "UNKNOWN".to_owned(),
    };
    let mut name = String::new();
    for letter in code.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The partitions of a member's assignment, which librdkafka hands over as it is: version, then topics.
fn assignment(member: &GroupMemberInfo) -> Option<String> {
    let mut at = member.assignment()?.get(2..)?;
    let mut take = |count: usize| {
        let (taken, rest) = at.split_at_checked(count)?;
        at = rest;
        Some(taken)
    };
    let mut partitions = Vec::new();
    for _ in 0..i32::from_be_bytes(take(4)?.try_into().ok()?) {
        let name = u16::from_be_bytes(take(2)?.try_into().ok()?);
        take(name.into())?;
        for _ in 0..i32::from_be_bytes(take(4)?.try_into().ok()?) {
            partitions.push(i32::from_be_bytes(take(4)?.try_into().ok()?));
        }
    }
    partitions.sort_unstable();
    Some(partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(","))
}

struct Member {
    client: Client,
    /// The last one that it made: offsets are told for the partitions that they are asked for.
    topic: String,
    consumer: Option<GroupConsumer>,
}

pub fn serve(bootstrap: &str) -> ExitCode {
    let Ok(client) = Client::start(bootstrap) else { return ExitCode::FAILURE };
    let mut member = Member { client, topic: String::new(), consumer: None };
    let (tell, commands) = mpsc::channel();
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    loop {
        // Between commands, a member that has joined polls.
        let command = match member.consumer {
            Some(_) => commands.try_recv(),
            None => commands.recv_timeout(Duration::from_secs(3600)).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            }),
        };
        match command {
            Ok(line) => match member.answer(&line.split_whitespace().collect::<Vec<_>>()) {
                Ok(answer) => println!("{}", answer.trim_end()),
                Err(error) => println!("error {} {}", name_of(&*error), error.to_string().replace('\n', " ")),
            },
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return ExitCode::SUCCESS,
        }
        member.poll();
    }
}

impl Member {
    fn answer(&mut self, words: &[&str]) -> Outcome<String> {
        let done = |()| "done".to_owned();
        Ok(match *words {
            ["create", topic, count] => {
                self.topic = topic.to_owned();
                self.client.create(topic, count.parse()?, &[("retention.ms", "-1")]).map(done)?
            }
            ["delete", topic] => self.client.delete(topic).map(done)?,
            ["write", topic, count, from, to, codec] => {
                self.write(topic, count.parse()?, from.parse()?, to.parse()?, codec)?
            }
            ["join", group, topic, strategy, instance, session_ms] => {
                self.join(group, topic, strategy, instance, session_ms)?
            }
            ["commit", how] => told("committed", &self.commit(how)?),
            ["seek", ms] => told("sought", &self.seek(ms.parse()?)?),
            ["leave"] => {
                // Dropping it waits until it has left.
                self.consumer = None;
                "left".to_owned()
            }
            ["list"] => {
                let listed = self.client.admin.inner().fetch_group_list(None, WAIT)?;
                "groups".to_owned() + &listed.groups().iter().map(|g| format!(" {}", g.name())).collect::<String>()
            }
            ["describe", group] => self.describe(group)?,
            ["offsets", group] => told("offsets", &self.offsets(group)?),
            ["ends", topic, count] => told("ends", &self.ends(topic, count.parse()?)?),
            ["set-offset", group, topic, partition, offset] => {
                let mut wanted = TopicPartitionList::new();
                wanted.add_partition_offset(topic, partition.parse()?, Offset::Offset(offset.parse()?))?;
                self.client.consumer(&[("group.id", group)])?.commit(&wanted, CommitMode::Sync).map(done)?
            }
            ["delete-group", group] => self.client.delete_group(group).map(done)?,
            _ => "error UNSUPPORTED".to_owned(),
        })
    }

    fn joined(&self) -> Outcome<&GroupConsumer> {
        self.consumer.as_ref().ok_or_else(|| "it has not joined".into())
    }

    fn write(&self, topic: &str, partitions: i64, from: i64, to: i64, codec: &str) -> Outcome<String> {
        let producer: FutureProducer =
            self.client.config_of(&[("compression.type", codec), ("linger.ms", "50")]).create()?;
        let mut sent = Vec::new();
        for i in from..to {
            let (key, value) = (i.to_string(), format!("value {i}"));
            let record = FutureRecord::to(topic).key(&key).payload(&value).timestamp(EPOCH_MS + 1000 * i);
            sent.push(producer.send_result(record.partition((i % partitions) as i32)).map_err(|(error, _)| error)?);
        }
        producer.flush(WAIT)?;
        for sent in sent {
            futures::executor::block_on(sent)?.map_err(|(error, _)| error)?;
        }
        Ok(format!("written {}", to - from))
    }

    fn join(&mut self, group: &str, topic: &str, strategy: &str, instance: &str, session_ms: &str) -> Outcome<String> {
        let mut config = self.client.config_of(&[
            ("group.id", group),
            ("partition.assignment.strategy", strategy),
            ("session.timeout.ms", session_ms),
            ("heartbeat.interval.ms", "300"),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
        ]);
        if instance != "-" {
            config.set("group.instance.id", instance);
        }
        let consumer: GroupConsumer = config.create_with_context(Events)?;
        consumer.subscribe(&[topic])?;
        self.consumer = Some(consumer);
        Ok("joining".to_owned())
    }

    /// Tells a record, if one comes; gives up where an error ended the membership.
    fn poll(&mut self) {
        let Some(consumer) = &self.consumer else { return };
        let error = match consumer.poll(Duration::from_millis(50)) {
            None => return,
            Some(Ok(message)) => {
                let key = String::from_utf8_lossy(message.key().unwrap_or_default());
                println!("record {} {} {key}", message.partition(), message.offset());
                return;
            }
            Some(Err(error)) if is_passing(&error) => return,
            Some(Err(error)) => error,
        };
        // The crate's own code says no more than that it is fatal.
        let fenced = matches!(error, KafkaError::MessageConsumptionFatal(_))
            && consumer.client().fatal_error().is_some_and(|(_, text)| text.contains("Static consumer fenced"));
        let name = if fenced { "FENCED_INSTANCE_ID".to_owned() } else { name_of(&error) };
        println!("lost {name} {error}");
        self.consumer = None;
    }

    fn commit(&mut self, how: &str) -> Outcome<Offsets> {
        if how == "sync" {
            self.joined()?.commit_consumer_state(CommitMode::Sync)?;
            return self.committed();
        }
        self.joined()?.commit_consumer_state(CommitMode::Async)?;
        // The answer is handed to poll.
        let deadline = Instant::now() + WAIT;
        while self.committed()? != offsets_of(&self.joined()?.position()?)? && Instant::now() < deadline {
            self.poll();
        }
        self.committed()
    }

    fn committed(&self) -> Outcome<Offsets> {
        offsets_of(&self.joined()?.committed(WAIT)?)
    }

    fn seek(&self, ms: i64) -> Outcome<Offsets> {
        let consumer = self.joined()?;
        let found = consumer.offsets_for_timestamp(ms, WAIT)?;
        consumer.seek_partitions(found.clone(), WAIT)?;
        offsets_of(&found)
    }

    fn describe(&self, group: &str) -> Outcome<String> {
        let listed = self.client.admin.inner().fetch_group_list(Some(group), WAIT)?;
        let about = listed.groups().first().ok_or("no such group")?;
        let strategy = if about.protocol().is_empty() { "-" } else { about.protocol() };
        let members = about.members().iter().filter_map(assignment).map(|partitions| " ".to_owned() + &partitions);
        Ok(format!("group {} {strategy}{}", about.state(), members.collect::<String>()))
    }

    fn offsets(&self, group: &str) -> Outcome<Offsets> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, self.client.partitions(&self.topic)? as i32 - 1);
        offsets_of(&self.client.consumer(&[("group.id", group)])?.committed_offsets(asked, WAIT)?)
    }

    fn ends(&self, topic: &str, count: i32) -> Outcome<Offsets> {
        let inner = self.client.admin.inner();
        (0..count).map(|p| Ok((p, inner.fetch_watermarks(topic, p, WAIT)?.1))).collect()
    }
}
