//! rdkafka's admin, producer and consumer as both programs use them: each call waits for its answer.

use std::error::Error;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use leat_compat::checks::Outcome;
use leat_compat::sample;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

pub const WAIT: Duration = Duration::from_secs(20);

pub struct Client {
    bootstrap: String,
    pub admin: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

/// librdkafka's code of an error, wherever the crate keeps it.
pub fn code_of(error: &(dyn Error + 'static)) -> Option<RDKafkaErrorCode> {
    let code = error.downcast_ref::<RDKafkaErrorCode>().copied();
    code.or_else(|| error.downcast_ref::<KafkaError>().and_then(KafkaError::rdkafka_error_code))
}

/// The answer of a call for one topic or group.
fn only(answers: Vec<TopicResult>) -> Outcome {
    answers.into_iter().try_for_each(|answer| answer.map(drop).map_err(|(_, code)| code.into()))
}

fn as_record(message: &BorrowedMessage<'_>) -> sample::Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()
    });
    sample::Record {
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}

impl Client {
    pub fn start(bootstrap: &str) -> Outcome<Self> {
        let admin = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
        let options = AdminOptions::new().request_timeout(Some(WAIT)).operation_timeout(Some(WAIT));
        Ok(Self { bootstrap: bootstrap.to_owned(), admin, options })
    }

    pub fn config_of(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config
    }

    pub fn cluster_id(&self) -> Option<String> {
        self.admin.inner().fetch_cluster_id(WAIT)
    }

    pub fn metadata(&self, topic: Option<&str>) -> Outcome<Metadata> {
        Ok(self.admin.inner().fetch_metadata(topic, WAIT)?)
    }

    /// 0 where the topic is not there.
    pub fn partitions(&self, topic: &str) -> Outcome<usize> {
        let metadata = self.metadata(None)?;
        Ok(metadata.topics().iter().find(|t| t.name() == topic).map_or(0, |t| t.partitions().len()))
    }

    pub fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) -> Outcome {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        only(block_on(self.admin.create_topics([&new], &self.options))?)
    }

    pub fn delete(&self, topic: &str) -> Outcome {
        only(block_on(self.admin.delete_topics(&[topic], &self.options))?)
    }

    pub fn delete_group(&self, group: &str) -> Outcome {
        only(block_on(self.admin.delete_groups(&[group], &self.options))?)
    }

    pub fn add_partitions(&self, topic: &str, count: usize) -> Outcome {
        only(block_on(self.admin.create_partitions([&NewPartitions::new(topic, count)], &self.options))?)
    }

    pub fn delete_records(&self, before: &TopicPartitionList) -> Outcome<TopicPartitionList> {
        Ok(block_on(self.admin.delete_records(before, &self.options))?)
    }

    /// The value of a topic's setting, and whether it is the default.
    pub fn config(&self, topic: &str, name: &str) -> Outcome<(String, bool)> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let described = block_on(self.admin.describe_configs(&asked, &self.options))?.remove(0)?;
        let entry = described.get(name).ok_or("no such setting")?;
        Ok((entry.value.clone().unwrap_or_default(), entry.is_default))
    }

    pub fn alter(&self, topic: &str, settings: &[(&str, &str)]) -> Outcome {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let change = settings.iter().fold(change, |change, (name, value)| change.set(name, value));
        let answer = block_on(self.admin.alter_configs([&change], &self.options))?.remove(0);
        answer.map(drop).map_err(|(_, code)| code.into())
    }

    /// Sends in chunks, waits for each, and gives the offsets in order of sending.
    pub fn produce(
        &self,
        topic: &str,
        partition: i32,
        records: &[sample::Record],
        settings: &[(&str, &str)],
    ) -> Outcome<Vec<i64>> {
        let mut config = self.config_of(settings);
        let producer: FutureProducer = config.set("linger.ms", "50").set("delivery.timeout.ms", "20000").create()?;
        let mut offsets = Vec::new();
        for chunk in records.chunks(sample::CHUNK as usize) {
            let mut sent = Vec::new();
            for record in chunk {
                let mut headers = OwnedHeaders::new();
                for (key, value) in &record.headers {
                    headers = headers.insert(Header { key, value: value.as_deref() });
                }
                sent.push(producer.send_result(FutureRecord {
                    topic,
                    partition: Some(partition),
                    payload: record.value.as_deref(),
                    key: record.key.as_deref(),
                    timestamp: Some(record.timestamp),
                    headers: Some(headers),
                }));
            }
            producer.flush(WAIT)?;
            for sent in sent {
                let delivered = block_on(sent.map_err(|(error, _)| error)?)?;
                offsets.push(delivered.map_err(|(error, _)| error)?.offset);
            }
        }
        Ok(offsets)
    }

    pub fn consumer(&self, settings: &[(&str, &str)]) -> Outcome<BaseConsumer> {
        let fixed = [
            ("group.id", "unused"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
        ];
        Ok(self.config_of(&[&fixed, settings].concat()).create()?)
    }

    /// `count` records from an offset, each with its own; fails where fewer come in time.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        from: Offset,
        count: usize,
        settings: &[(&str, &str)],
    ) -> Outcome<Vec<(i64, sample::Record)>> {
        let consumer = self.consumer(settings)?;
        let mut assigned = TopicPartitionList::new();
        assigned.add_partition_offset(topic, partition, from)?;
        consumer.assign(&assigned)?;
        let (mut found, deadline) = (Vec::new(), Instant::now() + WAIT);
        while found.len() < count {
            if Instant::now() > deadline {
                return Err(format!("{} of {count} records in {WAIT:?}", found.len()).into());
            }
            if let Some(message) = consumer.poll(Duration::from_millis(500)) {
                // A broker that is gone is told of by the way: librdkafka goes on.
                if message.as_ref().is_err_and(is_passing) {
                    continue;
                }
                let message = message?;
                found.push((message.offset(), as_record(&message)));
            }
        }
        Ok(found)
    }
}

/// Whether an error is only told by the way.
pub fn is_passing(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown))
}
