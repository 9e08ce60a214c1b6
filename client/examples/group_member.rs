//! A member of a group and an admin that do what they are told, line by line: how `tests/compat/python/groups.py` lets members of
//! several clients meet in one group. The words are in `tests/compat/README.md`.
//!
//! `cargo run -p leat-client --example group_member -- --bootstrap localhost:9092`

use std::fmt::Display;
use std::time::Duration;

use leat_client::{
    Admin, Consumer, Error, IsolationLevel, NewTopic, OffsetSpec, Producer, ProducerRecord, RebalanceListener, Start,
    TopicPartition,
};
use tokio::sync::mpsc;

/// The timestamp of the sample's first record.
const EPOCH_MS: i64 = 1_357_034_400_000;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let bootstrap = std::env::args().skip_while(|arg| arg != "--bootstrap").nth(1).unwrap_or("localhost:9092".into());
    let (commands, mut told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        lines.for_each(|line| _ = commands.send(line));
    });
    let admin = Admin::builder().bootstrap(&bootstrap).build().await?;
    let mut member = Member { bootstrap, admin, consumer: None };
    loop {
        let wait = if member.consumer.is_some() { Duration::ZERO } else { Duration::MAX };
        match tokio::time::timeout(wait, told.recv()).await {
            Ok(Some(line)) => match member.answer(&line.split(' ').collect::<Vec<_>>()).await {
                Ok(answer) => println!("{}", answer.trim_end()),
                Err(error) => println!("error {} {error}", name(&error)),
            },
            Ok(None) => break,
            Err(_) => {}
        }
        member.poll().await;
    }
    member.leave().await;
    Ok(())
}

/// The protocol's name for an error, where it has one.
fn name(error: &Error) -> &'static str {
    error.code().map_or("CLIENT", |code| code.name())
}

fn joined<T: Display>(words: impl IntoIterator<Item = T>, by: &str) -> String {
    words.into_iter().map(|word| word.to_string()).collect::<Vec<_>>().join(by)
}

fn numbers(partitions: &[TopicPartition], by: &str) -> String {
    joined(partitions.iter().map(|partition| partition.partition), by)
}

/// `P:OFFSET ...`
fn offsets(found: impl IntoIterator<Item = (TopicPartition, i64)>) -> String {
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort();
    joined(found.iter().map(|(partition, offset)| format!("{}:{offset}", partition.partition)), " ")
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, Error> {
    word.parse().map_err(|_| Error::Invalid(format!("{word} is no number")))
}

struct Told;

impl RebalanceListener for Told {
    async fn assigned(&self, consumer: &Consumer, _: &[TopicPartition]) {
        println!("assigned {}", numbers(&consumer.assignment(), " "));
    }

    async fn revoked(&self, _: &Consumer, partitions: &[TopicPartition]) {
        println!("revoked {}", numbers(partitions, " "));
    }
}

struct Member {
    bootstrap: String,
    admin: Admin,
    consumer: Option<Consumer>,
}

impl Member {
    async fn answer(&mut self, words: &[&str]) -> Result<String, Error> {
        let admin = &self.admin;
        let partition = |topic: &str, partition: &str| Ok(TopicPartition::new(topic, number(partition)?));
        match *words {
            ["create", topic, partitions] => {
                let topic = NewTopic::new(topic).partitions(number(partitions)?).config("retention.ms", "-1");
                admin.create_topic(topic).await?;
            }
            ["delete", topic] => admin.delete_topics(&[topic]).await?.remove(0)?,
            ["write", topic, partitions, from, to, codec] => {
                return self.write(topic, number(partitions)?, number(from)?, number(to)?, codec).await;
            }
            ["join", group, topic, strategy, instance, session] => {
                return self.join(group, topic, strategy, instance, session).await;
            }
            ["commit", how] => return self.commit(how).await,
            ["seek", time] => return self.seek(number(time)?).await,
            ["leave"] => {
                self.leave().await;
                return Ok("left".into());
            }
            ["list"] => {
                let groups = admin.list_groups().await?;
                return Ok(format!("groups {}", joined(groups.iter().map(|group| &group.group), " ")));
            }
            ["describe", group] => {
                let group = admin.describe_groups(&[group]).await.remove(0)?;
                let assignor = if group.assignor.is_empty() { "-" } else { &group.assignor };
                let members = group.members.iter().map(|member| numbers(&member.assignment, ","));
                return Ok(format!("group {} {assignor} {}", group.state, joined(members, " ")));
            }
            ["offsets", group] => {
                let found = admin.list_group_offsets(group).await?;
                return Ok(format!(
                    "offsets {}",
                    offsets(found.into_iter().map(|(p, committed)| (p, committed.offset)))
                ));
            }
            ["ends", topic, partitions] => {
                let all = (0..number(partitions)?).map(|p| (TopicPartition::new(topic, p), OffsetSpec::Latest));
                let found = admin.list_offsets(&all.collect::<Vec<_>>(), IsolationLevel::ReadUncommitted).await?;
                return Ok(format!(
                    "ends {}",
                    offsets(found.into_iter().filter_map(|e| Some((e.partition, e.offset?))))
                ));
            }
            ["set-offset", group, topic, p, offset] => {
                let offset = number::<i64>(offset)?.into();
                admin.alter_group_offsets(group, &[(partition(topic, p)?, offset)]).await?.remove(0)?;
            }
            ["delete-offset", group, topic, p] => {
                admin.delete_group_offsets(group, &[partition(topic, p)?]).await?.remove(0)?;
            }
            ["delete-group", group] => admin.delete_groups(&[group]).await.remove(0)?,
            _ => return Err(Error::Unsupported(format!("{words:?} is not understood"))),
        }
        Ok("done".into())
    }

    async fn write(&self, topic: &str, partitions: i32, from: i32, to: i32, codec: &str) -> Result<String, Error> {
        let builder = Producer::builder().bootstrap(&self.bootstrap).linger(Duration::from_millis(50));
        let producer = builder.set("compression.type", codec)?.build().await?;
        let mut deliveries = Vec::new();
        for i in from..to {
            let record = ProducerRecord::to(topic).partition(i % partitions).timestamp(EPOCH_MS + 1000 * i64::from(i));
            deliveries.push(producer.send(record.key(i.to_string()).value(format!("value {i}"))).await?);
        }
        for delivery in deliveries {
            delivery.await?;
        }
        producer.close().await;
        Ok(format!("written {}", to - from))
    }

    async fn join(
        &mut self,
        group: &str,
        topic: &str,
        strategy: &str,
        instance: &str,
        session: &str,
    ) -> Result<String, Error> {
        let mut builder = Consumer::builder().bootstrap(&self.bootstrap).group_id(group.to_owned());
        for (key, value) in [
            ("partition.assignment.strategy", strategy),
            ("group.instance.id", if instance == "-" { "" } else { instance }),
            ("session.timeout.ms", session),
            ("heartbeat.interval.ms", "300"),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
        ] {
            builder = builder.set(key, value)?;
        }
        let consumer = builder.build().await?;
        consumer.subscribe_with(&[topic], Told).await?;
        self.consumer = Some(consumer);
        Ok("joining".into())
    }

    async fn poll(&mut self) {
        let Some(consumer) = &self.consumer else { return };
        match consumer.poll(Duration::from_millis(50)).await {
            Ok(records) => records.iter().for_each(|record| {
                let key = record.key.as_deref().unwrap_or_default();
                println!("record {} {} {}", record.partition, record.offset, String::from_utf8_lossy(key));
            }),
            Err(error) => {
                println!("lost {} {error}", name(&error));
                self.leave().await;
            }
        }
    }

    fn joined(&self) -> Result<&Consumer, Error> {
        self.consumer.as_ref().ok_or_else(|| Error::Invalid("it has not joined".into()))
    }

    async fn commit(&self, how: &str) -> Result<String, Error> {
        let consumer = self.joined()?;
        if how == "sync" {
            consumer.commit().await?
        } else {
            consumer.commit_async()?.await?
        }
        let found = consumer.committed(&consumer.assignment()).await?;
        Ok(format!("committed {}", offsets(found.into_iter().map(|(p, committed)| (p, committed.offset)))))
    }

    async fn seek(&self, time: i64) -> Result<String, Error> {
        let consumer = self.joined()?;
        consumer.seek_all(Start::Timestamp(time)).await?;
        let mut found = Vec::new();
        for partition in consumer.assignment() {
            found.push((partition.clone(), consumer.position(&partition).await?));
        }
        Ok(format!("sought {}", offsets(found)))
    }

    async fn leave(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }
}
