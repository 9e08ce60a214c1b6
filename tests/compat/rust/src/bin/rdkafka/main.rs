//! rdkafka (librdkafka) against a broker: admin, producer with and without idempotence, consumer by assignment; with `member`
//! as its first word a member of groups.

mod client;
mod member;

use std::process::ExitCode;

use client::{Client, code_of};
use leat_compat::argument;
use leat_compat::checks::{Checks, Outcome, equal, eventually};
use leat_compat::sample;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

struct Program {
    client: Client,
    topic: String,
    scratch: String,
}

fn main() -> ExitCode {
    let bootstrap = argument("--bootstrap", "127.0.0.1:9092");
    if std::env::args().nth(1).as_deref() == Some("member") {
        return member::serve(&bootstrap);
    }
    let mut checks = Checks::default();
    match Client::start(&bootstrap) {
        Ok(client) => {
            let topic = format!("compat-rdkafka-{:08x}", fastrand::u32(..));
            Program { client, scratch: format!("{topic}-scratch"), topic }.run(&mut checks);
        }
        Err(error) => checks.check("make a client", || Err(error)),
    }
    checks.finish()
}

fn refused<T>(answer: Outcome<T>, want: RDKafkaErrorCode) -> Outcome {
    match answer {
        Ok(_) => Err(format!("no {want:?}").into()),
        Err(error) => match code_of(&*error) {
            Some(code) => equal(code, want, "the error"),
            None => Err(error),
        },
    }
}

impl Program {
    fn run(&self, checks: &mut Checks) {
        self.topics(checks);
        self.configs(checks);
        self.records(checks);
        self.offsets(checks);
        self.deletion(checks);
        self.limits(checks);
    }

    fn create(&self, topic: &str, partitions: usize, settings: &[(&str, &str)]) -> Outcome {
        self.client.create(topic, partitions as i32, settings)?;
        eventually("the topic is listed", || Ok(self.client.partitions(topic)? == partitions))
    }

    fn topics(&self, checks: &mut Checks) {
        let count = sample::CODECS.len();
        checks.check("describe cluster: an id, brokers", || {
            equal(self.client.cluster_id().is_none_or(|id| id.is_empty()), false, "without an id")?;
            equal(self.client.metadata(None)?.brokers().is_empty(), false, "without brokers")
        });
        checks.check("create topic, with settings", || self.create(&self.topic, count, &sample::TOPIC_CONFIG));
        checks.check("create topic again: TopicAlreadyExists", || {
            refused(self.create(&self.topic, 1, &[]), RDKafkaErrorCode::TopicAlreadyExists)
        });
        checks.check("create topic, bad name: InvalidTopic", || {
            refused(self.create("a/b", 1, &[]), RDKafkaErrorCode::InvalidTopic)
        });
        checks.check("create topic, unknown setting: InvalidConfig", || {
            let unknown = format!("{}-no", self.topic);
            refused(self.create(&unknown, 1, &[("no.such.setting", "1")]), RDKafkaErrorCode::InvalidConfig)
        });
        checks.check("list topics: partitions, leaders, replicas, in-sync replicas", || {
            let metadata = self.client.metadata(Some(&self.topic))?;
            let partitions = metadata.topics()[0].partitions();
            equal(partitions.len(), count, "partitions")?;
            let sound = partitions.iter().all(|p| p.replicas().contains(&p.leader()) && p.isr().contains(&p.leader()));
            equal(sound, true, "leaders among their replicas")
        });
    }

    fn configs(&self, checks: &mut Checks) {
        checks.check("describe configs: what was set at creation, and a default", || {
            for (name, value) in sample::TOPIC_CONFIG {
                equal(self.client.config(&self.topic, name)?, (value.to_owned(), false), name)?;
            }
            equal(self.client.config(&self.topic, "cleanup.policy")?, ("delete".to_owned(), true), "cleanup.policy")
        });
        checks.check("alter configs as a whole: the rest goes back to its default", || {
            for (more, value) in [(&[("max.message.bytes", "123456")][..], "123456"), (&[], "1048588")] {
                self.client.alter(&self.topic, &[&sample::TOPIC_CONFIG, more].concat())?;
                eventually(&format!("max.message.bytes is {value}"), || {
                    Ok(self.client.config(&self.topic, "max.message.bytes")?.0 == value)
                })?;
            }
            equal(self.client.config(&self.topic, "segment.ms")?.0, "200000".to_owned(), "segment.ms")
        });
        // The crate tells nobody of an error here.
        checks.check("alter configs, bad value: nothing changes", || {
            self.client.alter(&self.topic, &[("retention.ms", "soon")])?;
            equal(self.client.config(&self.topic, "retention.ms")?, ("-1".to_owned(), false), "retention.ms")
        });
    }

    fn records(&self, checks: &mut Checks) {
        for (partition, codec) in (0..).zip(sample::CODECS) {
            let records: Vec<_> = (0..sample::RECORDS).map(|i| sample::record(partition, i)).collect();
            let idempotent = (partition % 2 == 0).to_string();
            let name = if partition % 2 == 0 { "idempotent" } else { "acks=all" };
            checks.check(&format!("produce, {codec}, {name}: offsets in order"), || {
                let settings = [("compression.type", codec), ("enable.idempotence", &idempotent)];
                let offsets = self.client.produce(&self.topic, partition, &records, &settings)?;
                equal(offsets, (0..sample::RECORDS).collect(), "offsets")
            });
            checks.check(&format!("read back, {codec}: order, keys, values, headers, timestamps"), || {
                let read = self.client.read(&self.topic, partition, Offset::Beginning, records.len(), &[])?;
                for (i, (offset, got)) in read.iter().enumerate() {
                    equal(*offset, i as i64, "offset")?;
                    sample::same(*offset, got, &records[i])?;
                }
                Ok(())
            });
            checks.check(&format!("read from the middle, {codec}"), || {
                let read = self.client.read(&self.topic, partition, Offset::Offset(333), 3, &[])?;
                equal(read.iter().map(|(offset, _)| *offset).collect(), vec![333, 334, 335], "offsets")
            });
        }
        checks.check("acks=1 and acks=0 are written too", || {
            self.create(&self.scratch, 2, &[])?;
            let some: Vec<_> = (0..20).map(|i| sample::record(0, i)).collect();
            self.client.produce(&self.scratch, 0, &some, &[("acks", "1")])?;
            self.client.produce(&self.scratch, 0, &some, &[("acks", "0")])?;
            let read = self.client.read(&self.scratch, 0, Offset::Beginning, 40, &[])?;
            equal(read.into_iter().map(|(_, record)| record).collect(), [&some[..], &some[..]].concat(), "the records")
        });
    }

    fn everywhere(&self, offset: i64) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in 0..sample::CODECS.len() as i32 {
            // An offset from 0 on is one that librdkafka takes.
            let _ = list.add_partition_offset(&self.topic, partition, Offset::Offset(offset));
        }
        list
    }

    fn watermarks(&self, partition: i32) -> Outcome<(i64, i64)> {
        Ok(self.client.admin.inner().fetch_watermarks(&self.topic, partition, client::WAIT)?)
    }

    fn offsets(&self, checks: &mut Checks) {
        checks.check("watermarks", || {
            (0..sample::CODECS.len() as i32)
                .try_for_each(|p| equal(self.watermarks(p)?, (0, sample::RECORDS), &format!("partition {p}")))
        });
        checks.check("seek by timestamp: exact, in every codec", || {
            let reader = self.client.consumer(&[])?;
            for ms in sample::seek_times() {
                let want = sample::first_at_or_after(ms).map_or(Offset::End, Offset::Offset);
                for found in reader.offsets_for_times(self.everywhere(ms), client::WAIT)?.elements() {
                    equal(found.offset(), want, &format!("partition {}, for {ms}", found.partition()))?;
                }
            }
            Ok(())
        });
        checks.check("read past the end: AutoOffsetReset", || {
            let past = Offset::Offset(sample::RECORDS + 10);
            refused(self.client.read(&self.topic, 0, past, 1, &[]), RDKafkaErrorCode::AutoOffsetReset)
        });
    }

    fn deletion(&self, checks: &mut Checks) {
        checks.check("delete records: new low watermark, and nothing else is lost", || {
            for deleted in self.client.delete_records(&self.everywhere(sample::DELETED))?.elements() {
                deleted.error()?;
                equal(deleted.offset(), Offset::Offset(sample::DELETED), "the low watermark")?;
                let partition = deleted.partition();
                let first = self.client.read(&self.topic, partition, Offset::Beginning, 1, &[])?.remove(0);
                equal(first.0, sample::DELETED, "the first offset")?;
                sample::same(first.0, &first.1, &sample::record(partition, sample::DELETED))?;
            }
            Ok(())
        });
        checks.check("a read below the new start resets to it", || {
            let settings = [("auto.offset.reset", "earliest")];
            let read = self.client.read(&self.topic, 3, Offset::Offset(5), 1, &settings)?;
            equal(read[0].0, sample::DELETED, "the first offset")
        });
        checks.check("delete records past the end: OffsetOutOfRange", || {
            let deleted = self.client.delete_records(&self.everywhere(sample::RECORDS + 1))?;
            deleted
                .elements()
                .iter()
                .try_for_each(|p| refused(p.error().map_err(Into::into), RDKafkaErrorCode::OffsetOutOfRange))
        });
    }

    fn limits(&self, checks: &mut Checks) {
        checks.check("a record over max.message.bytes: MessageSizeTooLarge", || {
            let small = format!("{}-small", self.scratch);
            self.create(&small, 1, &[("max.message.bytes", "2000")])?;
            let mut big = sample::record(0, 1);
            big.value = Some(vec![0; 5000]);
            refused(self.client.produce(&small, 0, &[big], &[]), RDKafkaErrorCode::MessageSizeTooLarge)?;
            self.client.delete(&small)
        });
        checks.check("add partitions, and write to a new one", || {
            self.client.add_partitions(&self.scratch, 4)?;
            eventually("four partitions", || Ok(self.client.partitions(&self.scratch)? == 4))?;
            let some = [sample::record(3, 1)];
            self.client.produce(&self.scratch, 3, &some, &[])?;
            let read = self.client.read(&self.scratch, 3, Offset::Beginning, 1, &[])?;
            sample::same(0, &read[0].1, &some[0])
        });
        checks.check("fewer partitions: InvalidPartitions", || {
            refused(self.client.add_partitions(&self.scratch, 2), RDKafkaErrorCode::InvalidPartitions)
        });
        checks.check("delete topic: gone from the list, and again: UnknownTopicOrPartition", || {
            self.client.delete(&self.scratch)?;
            eventually("scratch is gone", || Ok(self.client.partitions(&self.scratch)? == 0))?;
            refused(self.client.delete(&self.scratch), RDKafkaErrorCode::UnknownTopicOrPartition)
        });
    }
}
