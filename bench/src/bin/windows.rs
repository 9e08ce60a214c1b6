//! Rows for windows, as bench/peers/sql asks for them, and how long a closed window takes until it can be read.
//!
//! `fill` writes rows of JSON of about 150 bytes, keyed by user, out of order by up to 300 rows. `closing` writes rows at a rate, each
//! tenth of which closes a window of one key, and waits for the result of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use leat_bench::Error;
use leat_client::{Consumer, Delivery, Producer, ProducerRecord, Start};
use leat_protocol::Str;

/// Event time of the first row.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// Deliveries that are waited for together.
const CHUNK: usize = 20_000;
/// Event time between two rows of `closing`, and the length of its windows.
const STEP_MS: u64 = 10;
const WINDOW_MS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Fill(Fill),
    Closing(Closing),
}

/// Rows into a topic
#[derive(Debug, clap::Args)]
struct Fill {
    #[arg(short, long)]
    bootstrap_server: String,
    topic: String,
    #[arg(short = 'n', long)]
    records: u64,
    /// Users
    #[arg(short, long, default_value_t = 1000)]
    keys: u64,
    /// Rows for each second of event time
    #[arg(long, default_value_t = 2000)]
    per_second: u64,
    /// Rows a second by the clock, in pieces of a hundredth of a second; without it as many as go
    #[arg(long)]
    rate: Option<u64>,
}

/// From the acknowledgement of a row that closes a window until the result can be read, in microseconds; and the longest from
/// the moment at which such a row was due
#[derive(Debug, clap::Args)]
struct Closing {
    #[arg(short, long)]
    bootstrap_server: String,
    topic: String,
    /// The topic of the results
    results: String,
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Options::parse().command {
        Command::Fill(fill) => fill.run().await,
        Command::Closing(closing) => closing.run().await,
    }
}

impl Fill {
    async fn run(&self) -> Result<(), Error> {
        let builder = Producer::builder().bootstrap(&self.bootstrap_server).set("linger.ms", "20")?;
        let producer = builder.set("batch.size", "65536")?.build().await?;
        let topic = Str::from(self.topic.as_str());
        let (mut random, mut bytes, mut sent, begun) = (7u64, 0, Vec::new(), Instant::now());
        for row in 0..self.records {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = EPOCH_MS + row * 1000 / self.per_second - (random >> 60) * 20_000 / self.per_second;
            let user = (random >> 20) % self.keys;
            let (page, cents) = ((random >> 40) % 100, (random >> 30) % 10_000);
            let value = format!(
                r#"{{"id":{row},"userid":"user-{user:08}","pageid":"page-{page}","amount":{}.{:02},"referrer":"https://www.example.com/search?q=windows","at":{at}}}"#,
                cents / 100,
                cents % 100
            );
            bytes += value.len();
            let record = ProducerRecord::to(topic.clone())
                .key(format!("user-{user:08}"))
                .value(value)
                .timestamp(at.cast_signed());
            sent.push(producer.send(record).await?);
            if let Some(rate) = self.rate
                && row % (rate / 100).max(1) == 0
            {
                tokio::time::sleep_until((begun + Duration::from_secs_f64(row as f64 / rate as f64)).into()).await;
            }
            if sent.len() == CHUNK {
                settle(&mut sent).await?;
            }
        }
        producer.flush().await;
        settle(&mut sent).await?;
        producer.close().await;
        println!("{} rows of {:.0} bytes", self.records, bytes as f64 / self.records as f64);
        Ok(())
    }
}

async fn settle(sent: &mut Vec<Delivery>) -> Result<(), Error> {
    for delivery in sent.drain(..) {
        delivery.await?;
    }
    Ok(())
}

impl Closing {
    async fn run(&self) -> Result<(), Error> {
        let consumer =
            Consumer::builder().bootstrap(&self.bootstrap_server).set("fetch.max.wait.ms", "100")?.build().await?;
        consumer.assign(&consumer.partitions(&self.results).await?).await?;
        consumer.seek_all(Start::Earliest).await?;
        consumer.poll(Duration::from_millis(200)).await?;
        let producer = Producer::builder().bootstrap(&self.bootstrap_server).set("linger.ms", "0")?.build().await?;

        let windows = (self.rate * self.seconds) as u64 * STEP_MS / WINDOW_MS;
        // When the row that closes each window was acknowledged.
        let acknowledged = Arc::new(Mutex::new(HashMap::new()));
        let begun = Instant::now();
        let sending = send(producer, Str::from(self.topic.as_str()), begun, self.rate, windows, acknowledged.clone());
        let sending = tokio::spawn(sending);
        let mut read = HashMap::new();
        while (read.len() as u64) < windows {
            let records = consumer.poll(PATIENCE).await?;
            let now = Instant::now();
            if records.is_empty() {
                return Err(Error::Broker(format!("only {} of {windows} results came", read.len())));
            }
            for record in records {
                let key = record.key.as_deref().and_then(|key| serde_json::from_slice::<serde_json::Value>(key).ok());
                let start = key.and_then(|key| key["window_start"].as_u64());
                let start = start.ok_or_else(|| Error::Broker("a result without its window".to_owned()))?;
                read.insert((start - EPOCH_MS) / WINDOW_MS, now);
            }
        }
        sending.await.map_err(|error| Error::Usage(format!("the sender ended: {error}")))??;
        let acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waits: Vec<f64> = acknowledged
            .iter()
            // The first tenth warms up.
            .filter(|(window, _)| **window > windows / 10)
            .filter_map(|(window, at)| Some(read.get(window)?.saturating_duration_since(*at).as_secs_f64() * 1e6))
            .collect();
        waits.sort_by(f64::total_cmp);
        let due =
            |window: u64| begun + Duration::from_secs_f64(((window + 1) * WINDOW_MS / STEP_MS) as f64 / self.rate);
        let longest =
            read.iter().map(|(window, at)| at.saturating_duration_since(due(*window))).max().unwrap_or_default();
        let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or_default();
        let told = serde_json::json!({
            "windows": waits.len(), "p50_us": at(0.5), "p99_us": at(0.99), "max_us": waits.last(),
            "longest_from_due_us": longest.as_secs_f64() * 1e6,
        });
        println!("{told}");
        Ok(())
    }
}

async fn send(
    producer: Producer,
    topic: Str,
    begun: Instant,
    rate: f64,
    windows: u64,
    acknowledged: Arc<Mutex<HashMap<u64, Instant>>>,
) -> Result<(), Error> {
    for row in 0..=windows * WINDOW_MS / STEP_MS {
        let due = begun + Duration::from_secs_f64(row as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        let at = EPOCH_MS + row * STEP_MS;
        let value = format!(r#"{{"userid":"one","amount":1.5,"at":{at}}}"#);
        let delivery =
            producer.send(ProducerRecord::to(topic.clone()).value(value).timestamp(at.cast_signed())).await?;
        if row > 0 && (row * STEP_MS).is_multiple_of(WINDOW_MS) {
            let (acknowledged, window) = (acknowledged.clone(), row * STEP_MS / WINDOW_MS - 1);
            tokio::spawn(async move {
                if delivery.await.is_ok() {
                    acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(window, Instant::now());
                }
            });
        }
    }
    producer.flush().await;
    producer.close().await;
    Ok(())
}
