//! What the demo shows: two tables for people, or one JSON object with the same figures.

use std::fmt::Display;
use std::time::Duration;

use comfy_table::{Cell, Row};
use serde_json::{Map, Value, json};

use super::Found;
use super::produce::Produced;
use super::windows::Windows;
use crate::error::Result;
use crate::instant;
use crate::output::{Out, framed, grouped, number};

/// Everything that was found and how long it took.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) instant: &'static str,
    pub(crate) last_count: u64,
    pub(crate) live_day: i8,
    pub(crate) produced: Produced,
    pub(crate) earliest: Found,
    pub(crate) latest: Found,
    pub(crate) time: Found,
    pub(crate) last: Found,
    pub(crate) windows: Windows,
    /// From the call that starts the broker until it accepted clients.
    pub(crate) ready: Duration,
    /// From the first line of the demo to the stopped broker.
    pub(crate) whole: Duration,
}

impl Report {
    /// Writes the tables.
    pub(crate) fn write(&self, out: &mut Out) -> Result<()> {
        out.line(format_args!(
            "The flights that were to leave New York in January 2013, keyed by carrier, at their true departure.\n\
             The broker was ready after {}; all was over, stopped and synced, after {}.\n",
            shown(self.ready),
            shown(self.whole)
        ))?;
        self.write_replays(out)?;
        out.line("")?;
        self.write_partitions(out)?;
        out.line("")?;
        self.write_windows(out)
    }

    /// A line for each airport.
    fn write_windows(&self, out: &mut Out) -> Result<()> {
        let departures = &self.windows.departures;
        out.line(format_args!(
            "Departures per airport and hour, 18 hours of grace: {} windows, {} flights too late for theirs. As computed by hand,\n\
             by the same statement from the same start, and after a restart. The last windows were there {} after the end was told.",
            grouped(departures.hours.len() as i64),
            grouped(i128::from(departures.late)),
            shown(self.windows.closed_after),
        ))?;
        let mut table = framed(&["origin", "windows", "flights", "most in an hour", "worst delay, minutes"]);
        let mut origins: Vec<&str> = departures.hours.keys().map(|(origin, _)| origin.as_str()).collect();
        origins.dedup();
        for origin in origins {
            let hours = || departures.hours.iter().filter(|((of, _), _)| of == origin).map(|(_, hour)| hour);
            table.add_row(vec![
                Cell::new(origin),
                number(hours().count()),
                number(grouped(hours().map(|hour| hour.flights).sum::<i64>())),
                number(hours().map(|hour| hour.flights).max().unwrap_or(0)),
                number(hours().filter_map(|hour| hour.worst_delay).max().unwrap_or(0)),
            ]);
        }
        out.table(&table)
    }

    fn write_replays(&self, out: &mut Out) -> Result<()> {
        let mut table =
            framed(&["", "records", "carriers", "cancelled", "miles", "first after", "all after", "records/s"]);
        let produced = &self.produced;
        let mut row = vec![Cell::new("produced, acks=all"), number(grouped(produced.records))];
        row.extend(["", "", "", ""].map(Cell::new));
        row.extend(speed(produced.records, produced.took));
        table.add_row(row);
        table.add_row(replay("from earliest", &self.earliest));
        table.add_row(replay(format_args!("from latest: {} January, live", self.live_day), &self.latest));
        table.add_row(replay(format_args!("from {}", self.instant), &self.time));
        table.add_row(replay(format_args!("last {} of each partition", self.last_count), &self.last));
        out.table(&table)
    }

    fn write_partitions(&self, out: &mut Out) -> Result<()> {
        let at = format!("at {}", self.instant);
        let mut table =
            framed(&["partition", "carriers", "records", "out of order", "first departure", "last departure", &at]);
        for (partition, (found, start)) in self.earliest.partitions.iter().zip(&self.time.starts).enumerate() {
            let carriers: Vec<_> = found.sums.carriers.keys().map(String::as_str).collect();
            table.add_row(vec![
                number(partition),
                Cell::new(carriers.join(" ")),
                number(grouped(found.sums.records)),
                number(grouped(found.out_of_order)),
                Cell::new(instant::show(found.min_timestamp)),
                Cell::new(instant::show(found.max_timestamp)),
                number(format_args!("offset {start}")),
            ]);
        }
        out.table(&table)
    }

    /// The same as `cli/data/flights-2013-01.totals.json`, and the times.
    pub(crate) fn to_json(&self) -> Value {
        let partitions: Vec<_> = self
            .earliest
            .partitions
            .iter()
            .zip(&self.time.starts)
            .map(|(sums, start)| {
                let mut value = json!(sums);
                value["offset_at_instant"] = json!(start);
                value
            })
            .collect();
        let found = [
            ("earliest", &self.earliest),
            ("latest", &self.latest),
            ("instant_and_after", &self.time),
            ("last_of_each", &self.last),
        ];
        let mut report = Map::new();
        report.insert("last".into(), json!(self.last_count));
        report.insert("live_day".into(), json!(self.live_day));
        for (name, found) in found {
            report.insert(name.into(), json!(found.sums));
        }
        report.insert("partitions".into(), json!(partitions));
        let departures = &self.windows.departures;
        let counted: i64 = departures.hours.values().map(|hour| hour.flights).sum();
        let windows = json!({ "count": departures.hours.len(), "flights": counted, "late": departures.late });
        report.insert("windows".into(), windows);
        let mut seconds = Map::new();
        seconds.insert("ready".into(), json!(self.ready.as_secs_f64()));
        seconds.insert("produce".into(), json!(self.produced.took.as_secs_f64()));
        for (name, found) in found {
            seconds.insert(name.into(), json!(found.took.as_secs_f64()));
        }
        seconds.insert("windows_closed".into(), json!(self.windows.closed_after.as_secs_f64()));
        seconds.insert("windows_again".into(), json!(self.windows.again_after.as_secs_f64()));
        seconds.insert("whole".into(), json!(self.whole.as_secs_f64()));
        report.insert("seconds".into(), Value::Object(seconds));
        Value::Object(report)
    }
}

fn replay(what: impl Display, found: &Found) -> Row {
    let sums = &found.sums;
    let mut row = vec![
        Cell::new(what),
        number(grouped(sums.records)),
        number(sums.carriers.len()),
        number(grouped(sums.cancelled)),
        number(grouped(sums.miles)),
        number(shown(found.first)),
    ];
    row.extend(speed(sums.records, found.took));
    row.into()
}

/// Time, and records per second.
fn speed(records: u64, took: Duration) -> [Cell; 2] {
    let seconds = took.as_secs_f64().max(1e-9);
    [number(shown(took)), number(grouped((records as f64 / seconds) as i64))]
}

fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}
