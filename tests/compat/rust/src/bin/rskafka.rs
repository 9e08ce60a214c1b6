//! rskafka against a broker: topics, produce and fetch with each codec, offsets by time, deletion. It has no groups, and its
//! admin sets no configurations and describes none.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use leat_compat::argument;
use leat_compat::checks::{Checks, Outcome, equal, eventually};
use leat_compat::sample;
use rskafka::client::controller::ControllerClient;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};
use tokio::runtime::Runtime;

const WAIT: Duration = Duration::from_secs(20);
const WAIT_MS: i32 = 20_000;
const CODECS: [Compression; 5] =
    [Compression::NoCompression, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

struct Program {
    runtime: Runtime,
    client: Client,
    controller: ControllerClient,
    topic: String,
    /// It can't set a topic's retention, so its records are of today.
    shift_ms: i64,
}

fn main() -> ExitCode {
    let mut checks = Checks::default();
    match Program::start(argument("--bootstrap", "127.0.0.1:9092")) {
        Ok(program) => program.run(&mut checks),
        Err(error) => checks.check("connect", || Err(error)),
    }
    checks.finish()
}

fn time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// Fails unless an answer was the protocol's error of this kind.
fn refused<T>(answer: Outcome<T>, want: ProtocolError) -> Outcome {
    match answer {
        Ok(_) => Err(format!("no {want:?}").into()),
        Err(error) => match error.downcast_ref::<Error>() {
            Some(Error::ServerError { protocol_error, .. }) => equal(*protocol_error, want, "the error"),
            _ => Err(error),
        },
    }
}

impl Program {
    fn start(bootstrap: String) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(ClientBuilder::new(bootstrap.split(',').map(str::to_owned).collect()).client_id("compat-rskafka").build())?;
        let controller = client.controller_client()?;
        let topic = format!("compat-rskafka-{:08x}", fastrand::u32(..));
        let shift_ms = Utc::now().timestamp_millis() - 1000 * sample::RECORDS - sample::EPOCH_MS;
        Ok(Self { runtime, client, controller, topic, shift_ms })
    }

    /// rskafka keeps headers by name: the last of one name, and no null.
    fn record(&self, partition: i32, i: i64) -> Record {
        let sample::Record { timestamp, key, value, headers } = sample::record(partition, i);
        let headers: BTreeMap<_, _> =
            headers.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
        Record { key, value, headers, timestamp: time(timestamp + self.shift_ms) }
    }

    fn run(&self, checks: &mut Checks) {
        self.topics(checks);
        self.records(checks);
        self.offsets(checks);
        self.deletion(checks);
    }

    /// rskafka tries again without an end what it thinks may pass.
    fn within<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Outcome<T> {
        self.runtime.block_on(async { Ok(tokio::time::timeout(WAIT, call).await.map_err(|_| "no answer in 20 s")??) })
    }

    fn partition(&self, topic: &str, partition: i32) -> Outcome<PartitionClient> {
        self.within(self.client.partition_client(topic, partition, UnknownTopicHandling::Error))
    }

    fn create(&self, topic: &str, partitions: i32) -> Outcome {
        self.within(self.controller.create_topic(topic, partitions, 1, WAIT_MS))
    }

    /// How many partitions a topic has; none where there is no such topic.
    fn partitions(&self, topic: &str) -> Outcome<Option<usize>> {
        let topics = self.within(self.client.list_topics())?;
        Ok(topics.into_iter().find(|t| t.name == topic).map(|t| t.partitions.len()))
    }

    fn offset(&self, partition: i32, at: OffsetAt) -> Outcome<i64> {
        self.within(self.partition(&self.topic, partition)?.get_offset(at))
    }

    /// `count` records from an offset.
    fn read(&self, partition: i32, from: i64, count: usize) -> Outcome<Vec<RecordAndOffset>> {
        let reader = self.partition(&self.topic, partition)?;
        let mut found = Vec::new();
        while found.len() < count {
            let next = from + found.len() as i64;
            let (records, _) = self.within(reader.fetch_records(next, 1..1 << 20, 500))?;
            if records.is_empty() {
                return Err(format!("{} of {count} records", found.len()).into());
            }
            found.extend(records);
        }
        found.truncate(count);
        Ok(found)
    }

    fn topics(&self, checks: &mut Checks) {
        let partitions = CODECS.len();
        checks.check("create topic; it is listed", || {
            self.create(&self.topic, partitions as i32)?;
            eventually("the topic is listed", || Ok(self.partitions(&self.topic)? == Some(partitions)))
        });
        checks.check("create topic again: TopicAlreadyExists", || {
            refused(self.create(&self.topic, 1), ProtocolError::TopicAlreadyExists)
        });
        checks.check("create topic, bad name: InvalidTopicException", || {
            refused(self.create("a/b", 1), ProtocolError::InvalidTopicException)
        });
    }

    fn records(&self, checks: &mut Checks) {
        for (partition, (&compression, codec)) in CODECS.iter().zip(sample::CODECS).enumerate() {
            let partition = partition as i32;
            checks.check(&format!("produce, {codec}: offsets in order"), || {
                let writer = self.partition(&self.topic, partition)?;
                for first in (0..sample::RECORDS).step_by(sample::CHUNK as usize) {
                    let chunk: Vec<i64> = (first..first + sample::CHUNK).collect();
                    let records = chunk.iter().map(|&i| self.record(partition, i)).collect();
                    equal(self.within(writer.produce(records, compression))?, chunk, "offsets")?;
                }
                Ok(())
            });
            checks.check(&format!("read back, {codec}: order, keys, values, headers, timestamps"), || {
                for (i, got) in self.read(partition, 0, sample::RECORDS as usize)?.into_iter().enumerate() {
                    equal(
                        got,
                        RecordAndOffset { record: self.record(partition, i as i64), offset: i as i64 },
                        "the record",
                    )?;
                }
                Ok(())
            });
            checks.check(&format!("read from the middle, {codec}"), || {
                let offsets: Vec<i64> = self.read(partition, 333, 3)?.iter().map(|r| r.offset).collect();
                equal(offsets, vec![333, 334, 335], "offsets")
            });
        }
    }

    fn everywhere(&self, at: OffsetAt, want: i64) -> Outcome {
        for partition in 0..CODECS.len() as i32 {
            equal(self.offset(partition, at)?, want, &format!("partition {partition}, {at:?}"))?;
        }
        Ok(())
    }

    fn offsets(&self, checks: &mut Checks) {
        checks.check("offsets: earliest and latest", || {
            self.everywhere(OffsetAt::Earliest, 0)?;
            self.everywhere(OffsetAt::Latest, sample::RECORDS)
        });
        checks.check("seek by timestamp: exact, in every codec", || {
            sample::seek_times().into_iter().try_for_each(|ms| {
                self.everywhere(
                    OffsetAt::Timestamp(time(ms + self.shift_ms)),
                    sample::first_at_or_after(ms).unwrap_or(-1),
                )
            })
        });
        checks.check("read past the end: OffsetOutOfRange", || {
            refused(self.read(0, sample::RECORDS + 10, 1), ProtocolError::OffsetOutOfRange)
        });
    }

    fn deletion(&self, checks: &mut Checks) {
        checks.check("delete records: new start, and nothing else is lost", || {
            for partition in 0..CODECS.len() as i32 {
                self.within(self.partition(&self.topic, partition)?.delete_records(sample::DELETED, WAIT_MS))?;
                let first = self.read(partition, sample::DELETED, 1)?.remove(0);
                equal(first.record, self.record(partition, sample::DELETED), "the first record")?;
            }
            self.everywhere(OffsetAt::Earliest, sample::DELETED)
        });
        checks.check("read below the new start: OffsetOutOfRange", || {
            refused(self.read(3, 5, 1), ProtocolError::OffsetOutOfRange)
        });
        checks.check("delete topic: gone from the list, and again: UnknownTopicOrPartition", || {
            let scratch = format!("{}-scratch", self.topic);
            self.create(&scratch, 1)?;
            eventually("scratch is listed", || Ok(self.partitions(&scratch)?.is_some()))?;
            self.within(self.controller.delete_topic(&scratch, WAIT_MS))?;
            eventually("scratch is gone", || Ok(self.partitions(&scratch)?.is_none()))?;
            refused(
                self.within(self.controller.delete_topic(&scratch, WAIT_MS)),
                ProtocolError::UnknownTopicOrPartition,
            )
        });
    }
}
