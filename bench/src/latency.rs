//! From the moment a record is due to the moment it is received, producer and consumer in one process and so by one clock.

use crate::pace::Pace;
use crate::report::{Counted, Latencies, Report, Started};
use crate::{Common, Error, consume};
use bytes::Bytes;
use leat_client::{Consumer, Producer, ProducerRecord, Start};
use leat_protocol::Str;
use std::time::{Duration, Instant};

/// Records sent before the measurement, so that connections, caches and code are warm.
const WARM_UP: u64 = 500;
/// Give up when nothing has come for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to send and receive.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the whole command")]
    pub common: Common,

    /// Records per second
    #[arg(short, long, default_value_t = 1000.0)]
    pub rate: f64,

    /// For how long
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,

    /// Bytes of each value
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(8..))]
    pub size: u64,
}

/// Sends and receives, and reports the latencies.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let common = &options.common;
    let (producing, consuming): (Vec<_>, Vec<_>) =
        common.properties.iter().cloned().partition(|property| !property.key.starts_with("fetch."));
    let consumer = consume::consumer(&Common { properties: consuming, ..common.clone() }).await?;
    consume::assign(&consumer, &common.topic, Start::Latest).await?;
    // A first poll resolves "latest", so that no record is sent before it is waited for.
    consumer.poll(Duration::from_millis(200)).await?;

    let mut builder = Producer::builder().bootstrap(&common.bootstrap_server).client_id("leat-bench");
    builder = builder.set("linger.ms", "0")?;
    for property in &producing {
        builder = builder.set(&property.key, &property.value)?;
    }
    let producer = builder.build().await?;

    let epoch = Instant::now();
    let count = (options.rate * options.seconds) as u64;
    let sending = tokio::spawn(send(producer, options.clone(), epoch, count + WARM_UP));
    let started = Started::now(common.broker_pid)?;
    let counted = receive(&consumer, epoch, count).await?;
    let report = started.end("latency", counted)?;
    sending.await.map_err(|error| Error::Usage(format!("the sender ended: {error}")))??;
    Ok(report)
}

/// Each value starts with its number and when it was due.
async fn send(producer: Producer, options: Options, epoch: Instant, count: u64) -> Result<(), Error> {
    let topic = Str::from(options.common.topic.as_str());
    let filler = vec![b'x'; usize::try_from(options.size).unwrap_or(usize::MAX).saturating_sub(16)];
    let pace = Pace::start(options.rate)?;
    for index in 0..count {
        let due = pace.wait(index).await.saturating_duration_since(epoch);
        let mut value = Vec::with_capacity(16 + filler.len());
        value.extend_from_slice(&index.to_be_bytes());
        value.extend_from_slice(&u64::try_from(due.as_nanos()).unwrap_or(u64::MAX).to_be_bytes());
        value.extend_from_slice(&filler);
        // A record that fails does not arrive, which the receiver reports.
        drop(producer.send(ProducerRecord::to(topic.clone()).value(value)).await?);
    }
    producer.close().await;
    Ok(())
}

async fn receive(consumer: &Consumer, epoch: Instant, count: u64) -> Result<Counted, Error> {
    let mut latency = Latencies::new()?;
    let mut counted = Counted::default();
    while counted.records < count {
        let records = consumer.poll(PATIENCE).await?;
        let now = epoch.elapsed();
        if records.is_empty() {
            return Err(Error::Broker(format!("only {} of {count} records came back", counted.records)));
        }
        for (index, due, size) in records.iter().filter_map(|record| stamp(record.value.as_ref()?)) {
            if index >= WARM_UP {
                counted.records += 1;
                counted.bytes += size;
                latency.record(now.saturating_sub(due));
            }
        }
    }
    Ok(Counted { latency: Some(latency), ..counted })
}

fn stamp(value: &Bytes) -> Option<(u64, Duration, u64)> {
    let (index, rest) = value.split_first_chunk()?;
    let due = Duration::from_nanos(u64::from_be_bytes(*rest.first_chunk()?));
    Some((u64::from_be_bytes(*index), due, value.len() as u64))
}
