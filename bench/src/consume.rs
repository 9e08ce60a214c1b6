//! A topic read from its start, as fast as it comes.

use crate::report::{Counted, Report, Started};
use crate::{Common, Error};
use leat_client::{Consumer, Start, TopicPartition};
use std::time::Duration;

/// Give up when nothing has come for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to read.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the whole command")]
    pub common: Common,

    /// How many records; without it, all there are now
    #[arg(short = 'n', long)]
    pub records: Option<u64>,
}

/// Reads and reports.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let common = &options.common;
    let consumer = consumer(common).await?;
    let partitions = assign(&consumer, &common.topic, Start::Earliest).await?;
    let wanted = match options.records {
        Some(records) => records,
        None => count(&consumer, &partitions).await?,
    };

    let started = Started::now(common.broker_pid)?;
    let mut counted = Counted::default();
    while counted.records < wanted {
        let records = consumer.poll(PATIENCE).await?;
        if records.is_empty() {
            return Err(Error::Broker(format!("only {} of {wanted} records came", counted.records)));
        }
        counted.records += records.len() as u64;
        let size = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, |part| part.len() as u64);
        counted.bytes += records.iter().map(|record| size(&record.key) + size(&record.value)).sum::<u64>();
    }
    started.end("consume", counted)
}

pub(crate) async fn consumer(common: &Common) -> Result<Consumer, Error> {
    let mut builder = Consumer::builder().bootstrap(&common.bootstrap_server).client_id("leat-bench");
    for property in &common.properties {
        builder = builder.set(&property.key, &property.value)?;
    }
    Ok(builder.build().await?)
}

/// Assigns all partitions of a topic.
pub(crate) async fn assign(consumer: &Consumer, topic: &str, start: Start) -> Result<Vec<TopicPartition>, Error> {
    let partitions = consumer.partitions(topic).await?;
    consumer.assign(&partitions).await?;
    for partition in &partitions {
        consumer.seek(partition, start).await?;
    }
    Ok(partitions)
}

async fn count(consumer: &Consumer, partitions: &[TopicPartition]) -> Result<u64, Error> {
    let (begin, end) = (consumer.beginning_offsets(partitions).await?, consumer.end_offsets(partitions).await?);
    let sum = |offsets: &std::collections::HashMap<TopicPartition, i64>| offsets.values().sum::<i64>();
    Ok(u64::try_from(sum(&end) - sum(&begin)).unwrap_or(0))
}
