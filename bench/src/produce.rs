//! Records through the client library, flat out or at a fixed rate.
//!
//! One task sends; one task per partition awaits the deliveries, which settle in order there, so that a slow partition
//! does not hide when the others were done.

use crate::pace::Pace;
use crate::payload::Payload;
use crate::report::{Counted, Latencies, Report, Started};
use crate::{Common, Error};
use leat_client::{Delivery, Producer, ProducerRecord};
use leat_protocol::Str;
use std::mem;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Deliveries that are handed over at once when nobody waits between records, and records between two looks at the sockets.
const CHUNK: usize = 64;

/// What to send.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the help of the whole command")]
    pub common: Common,

    /// How many records
    #[arg(short = 'n', long, default_value_t = 1_000_000)]
    pub records: u64,

    /// Stop after so many seconds, even if records are left
    #[arg(long)]
    pub seconds: Option<f64>,

    /// Bytes of each value: random letters
    #[arg(short, long, default_value_t = 1024)]
    pub size: usize,

    /// Records per second; without it as many as go
    #[arg(short, long)]
    pub rate: Option<f64>,
}

/// A record's start, and how it ends.
type Sent = Vec<(Instant, Delivery)>;

/// Sends, waits for every answer, and reports.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let common = &options.common;
    let mut builder = Producer::builder().bootstrap(&common.bootstrap_server).client_id("leat-bench");
    for property in &common.properties {
        builder = builder.set(&property.key, &property.value)?;
    }
    let producer = builder.build().await?;
    let partitions = producer.partitions(&common.topic).await?;

    let mut lanes = (0..partitions).map(|_| Lane::start(options.size)).collect::<Result<Vec<_>, _>>()?;
    let started = Started::now(common.broker_pid)?;
    let mut refused = Counted::default();
    send(options, &producer, &mut lanes, started.at, &mut refused).await?;
    producer.flush().await;

    let mut total = Counted { latency: Some(Latencies::new()?), ..refused };
    for lane in lanes {
        let counted = lane.end().await?;
        total.records += counted.records;
        total.bytes += counted.bytes;
        total.failed += counted.failed;
        total.first_error = total.first_error.or(counted.first_error);
        if let (Some(all), Some(latency)) = (&mut total.latency, &counted.latency) {
            all.merge(latency);
        }
    }
    let report = started.end("produce", total)?;
    producer.close().await;
    Ok(report)
}

async fn send(
    options: &Options,
    producer: &Producer,
    lanes: &mut [Lane],
    begun: Instant,
    refused: &mut Counted,
) -> Result<(), Error> {
    let topic = Str::from(options.common.topic.as_str());
    let pace = options.rate.map(Pace::start).transpose()?;
    let until = options.seconds.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let mut payload = Payload::new(options.size);
    for index in 0..options.records {
        let start = match &pace {
            Some(pace) => pace.wait(index).await,
            None => Instant::now(),
        };
        if until.is_some_and(|until| start >= until) {
            break;
        }
        match producer.send(ProducerRecord::to(topic.clone()).value(payload.value())).await {
            Ok(delivery) => {
                if let Some(lane) = lanes.get_mut(usize::try_from(delivery.partition()).unwrap_or(0)) {
                    lane.push(start, delivery, if pace.is_some() { 1 } else { CHUNK });
                }
            }
            Err(error) => refused.fail(error),
        }
        // A send that finds room never waits, so the sockets would never be looked at.
        if pace.is_none() && index % CHUNK as u64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Awaits the deliveries of one partition.
struct Lane {
    gathered: Sent,
    to_task: UnboundedSender<Sent>,
    task: JoinHandle<Counted>,
}

impl Lane {
    fn start(size: usize) -> Result<Self, Error> {
        let (to_task, deliveries) = unbounded_channel();
        let counted = Counted { latency: Some(Latencies::new()?), ..Counted::default() };
        let task = tokio::spawn(settle(deliveries, counted, size as u64));
        Ok(Self { gathered: Vec::new(), to_task, task })
    }

    fn push(&mut self, start: Instant, delivery: Delivery, chunk: usize) {
        self.gathered.push((start, delivery));
        if self.gathered.len() >= chunk {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let chunk = mem::replace(&mut self.gathered, Vec::with_capacity(CHUNK));
        // The task ends only after this sender is gone.
        let _ = self.to_task.send(chunk);
    }

    async fn end(mut self) -> Result<Counted, Error> {
        self.hand_over();
        drop(self.to_task);
        self.task.await.map_err(|error| Error::Usage(format!("a task of the load generator ended: {error}")))
    }
}

async fn settle(mut deliveries: UnboundedReceiver<Sent>, mut counted: Counted, size: u64) -> Counted {
    while let Some(chunk) = deliveries.recv().await {
        for (start, delivery) in chunk {
            match delivery.await {
                Ok(_) => {
                    counted.records += 1;
                    counted.bytes += size;
                    if let Some(latency) = &mut counted.latency {
                        latency.record(start.elapsed());
                    }
                }
                Err(error) => counted.fail(error),
            }
        }
    }
    counted
}
