//! The demo's windows: departures per airport and hour, computed by the broker, and by hand.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leat_client::sql::Sql;
use leat_client::{Consumer, ConsumerRecord, Start, partition_for_key};
use serde::{Deserialize, Serialize};

use super::Scheduled;
use crate::error::{Error, Result};

/// What a window is.
const HOUR_MS: i64 = 3_600_000;

/// How long a window stays open for flights that left later than those behind them in the log.
const GRACE_MS: i64 = 18 * HOUR_MS;

/// How long results are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// `idle='never'`: the flights are of 2013, and no clock of today may close their hours.
const STREAM: &str = "CREATE STREAM flights (carrier VARCHAR, origin VARCHAR, dep_delay INT)
  WITH (kafka_topic='flights', value_format='JSON', idle='never');";

/// The same statement, under one name and later under another.
fn table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} AS
  SELECT origin, COUNT(*) AS flights, AVG(dep_delay) AS mean_delay, MAX(dep_delay) AS worst_delay
  FROM flights
  WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 18 HOURS)
  GROUP BY origin
  EMIT FINAL;"
    )
}

/// A window: its airport and the hour's start, in milliseconds.
pub(crate) type Name = (String, i64);

/// A window's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hour {
    pub(crate) flights: i64,
    pub(crate) mean_delay: Option<f64>,
    pub(crate) worst_delay: Option<i64>,
}

/// All windows, and how many flights came too late for theirs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Departures {
    pub(crate) hours: BTreeMap<Name, Hour>,
    pub(crate) late: u64,
}

/// What was computed, and how long it took to be there.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    pub(crate) departures: Departures,
    /// From the advance that closed the last window until every result was read.
    pub(crate) closed_after: Duration,
    /// From the same statement, made again, until its results were read.
    pub(crate) again_after: Duration,
}

/// The totals without Leat: which hour each flight belongs to, and whether it came too late, by the definitions.
pub(crate) fn by_hand(flights: &[Scheduled], partitions: usize) -> Departures {
    #[derive(Default)]
    struct Sum {
        flights: i64,
        delayed: i64,
        delay: i64,
        worst: Option<i64>,
    }
    let mut watermarks = vec![i64::MIN; partitions];
    let mut sums: BTreeMap<Name, Sum> = BTreeMap::new();
    let mut late = 0;
    for Scheduled { flight, .. } in flights {
        let departed = flight.departed_ms();
        let watermark = &mut watermarks[partition_for_key(flight.carrier.as_bytes(), partitions)];
        let start = departed.div_euclid(HOUR_MS) * HOUR_MS;
        if start + HOUR_MS + GRACE_MS <= *watermark {
            late += 1;
        } else {
            let sum = sums.entry((flight.origin.clone(), start)).or_default();
            sum.flights += 1;
            if let Some(delay) = flight.dep_delay.map(i64::from) {
                sum.delayed += 1;
                sum.delay += delay;
                sum.worst = sum.worst.max(Some(delay));
            }
        }
        *watermark = departed.max(*watermark);
    }
    let hours = sums.into_iter().map(|(name, sum)| {
        let mean_delay = (sum.delayed > 0).then(|| sum.delay as f64 / sum.delayed as f64);
        (name, Hour { flights: sum.flights, mean_delay, worst_delay: sum.worst })
    });
    Departures { hours: hours.collect(), late }
}

/// Begins the pipeline, before there is a flight.
pub(crate) async fn begin(sql: &mut Sql) -> Result<()> {
    sql.execute(&format!("{STREAM}\n{}", table("departures"))).await?;
    Ok(())
}

/// Closes the last windows, reads the results, and has them computed once more from the same start.
pub(crate) async fn finish(sql: &mut Sql, bootstrap: &str, expected: &Departures) -> Result<Windows> {
    let begun = Instant::now();
    // The end of a backfill: nothing older comes.
    sql.execute("ADVANCE flights TO TIMESTAMP '2013-03-01 00:00:00';").await?;
    let departures = results(bootstrap, "departures", expected).await?;
    let closed_after = begun.elapsed();
    let begun = Instant::now();
    sql.execute(&table("departures_again")).await?;
    let again = results(bootstrap, "departures_again", expected).await?;
    if again != departures {
        return Err(Error::Failed("the same statement from the same start gave other results".to_owned()));
    }
    Ok(Windows { departures, closed_after, again_after: begun.elapsed() })
}

/// The results of a table, once they are all there, compared with those by hand.
pub(crate) async fn results(bootstrap: &str, table: &str, expected: &Departures) -> Result<Departures> {
    let records = read(bootstrap, table, expected.hours.len()).await?;
    let late = read(bootstrap, &format!("{table}-late"), usize::try_from(expected.late).unwrap_or(0)).await?;
    let mut hours = BTreeMap::new();
    for record in &records {
        let (name, hour) = result(record).map_err(|why| Error::Failed(format!("a result of {table}: {why}")))?;
        if hours.insert(name.clone(), hour).is_some() {
            return Err(Error::Failed(format!("{table} has the window {name:?} twice")));
        }
    }
    let departures = Departures { hours, late: late.len() as u64 };
    if departures != *expected {
        return Err(Error::Failed(format!("{table} is not what the flights add up to")));
    }
    Ok(departures)
}

fn result(record: &ConsumerRecord) -> Result<(Name, Hour), String> {
    #[derive(Deserialize)]
    struct Key {
        origin: String,
        #[serde(alias = "WINDOWSTART")]
        window_start: i64,
    }
    let json = |error: serde_json::Error| error.to_string();
    let key: Key = serde_json::from_slice(record.key.as_deref().unwrap_or_default()).map_err(json)?;
    let hour: Hour = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).map_err(json)?;
    Ok(((key.origin, key.window_start), hour))
}

/// A topic from its start: `count` records, and what follows within a moment, which should be nothing.
async fn read(bootstrap: &str, topic: &str, count: usize) -> Result<Vec<ConsumerRecord>> {
    let consumer = Consumer::builder().bootstrap(bootstrap).client_id("leat-demo").build().await?;
    consumer.assign(&consumer.partitions(topic).await?).await?;
    consumer.seek_all(Start::Earliest).await?;
    let (begun, mut records) = (Instant::now(), Vec::new());
    loop {
        let wait = if records.len() < count { Duration::from_millis(500) } else { Duration::from_millis(20) };
        let more = consumer.poll(wait).await?;
        if more.is_empty() && records.len() >= count {
            break;
        }
        records.extend(more);
        if begun.elapsed() > PATIENCE {
            return Err(Error::Failed(format!("{topic} has {} records, not {count}", records.len())));
        }
    }
    consumer.close().await;
    Ok(records)
}
