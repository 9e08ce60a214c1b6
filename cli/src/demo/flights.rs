//! The flights that were to leave New York in January 2013, from the file in `cli/data`, which is in the binary.

use flate2::read::GzDecoder;
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

const DATA: &[u8] = include_bytes!("../../data/flights-2013-01.csv.gz");

/// A flight as the demo produces it: this, as JSON, is the record's value.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Flight {
    pub(crate) carrier: String,
    pub(crate) flight: u16,
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
    pub(crate) dest: String,
    /// When it was to leave, in UTC.
    pub(crate) scheduled: Timestamp,
    /// Minutes; none if it never left.
    pub(crate) dep_delay: Option<i32>,
    /// Minutes; none if it never arrived where it was to.
    pub(crate) arr_delay: Option<i32>,
    /// Minutes.
    pub(crate) air_time: Option<u16>,
    /// Miles.
    pub(crate) distance: u32,
}

impl Flight {
    /// The record's timestamp: the true departure, or the scheduled one of a flight that was cancelled.
    pub(crate) fn departed_ms(&self) -> i64 {
        self.scheduled.as_millisecond() + i64::from(self.dep_delay.unwrap_or(0)) * 60_000
    }
}

/// A flight and the day of January on whose schedule it stood.
#[derive(Clone, Debug)]
pub(crate) struct Scheduled {
    pub(crate) day: i8,
    pub(crate) flight: Flight,
}

#[derive(Debug, Deserialize)]
struct Row {
    year: i16,
    month: i8,
    day: i8,
    /// HHMM as a number: 515 is 05:15.
    sched_dep_time: i16,
    dep_delay: Option<i32>,
    arr_delay: Option<i32>,
    carrier: String,
    flight: u16,
    tailnum: Option<String>,
    origin: String,
    dest: String,
    air_time: Option<u16>,
    distance: u32,
}

/// Reads all flights, in the order of the data set.
pub(crate) fn read_flights() -> Result<Vec<Scheduled>, String> {
    let new_york = TimeZone::get("America/New_York").map_err(|error| error.to_string())?;
    let mut rows = csv::Reader::from_reader(GzDecoder::new(DATA));
    rows.deserialize()
        .map(|row| row.map_err(|error| error.to_string()).and_then(|row| scheduled(row, &new_york)))
        .collect()
}

fn scheduled(row: Row, zone: &TimeZone) -> Result<Scheduled, String> {
    // Both are below 100, since the time is below 2400.
    let [hour, minute] = [row.sched_dep_time / 100, row.sched_dep_time % 100].map(|part| part as i8);
    let local = civil::DateTime::new(row.year, row.month, row.day, hour, minute, 0, 0)
        .map_err(|error| format!("{}-{}-{} {}: {error}", row.year, row.month, row.day, row.sched_dep_time))?;
    let scheduled = zone.to_timestamp(local).map_err(|error| error.to_string())?;
    let flight = Flight {
        carrier: row.carrier,
        flight: row.flight,
        tailnum: row.tailnum,
        origin: row.origin,
        dest: row.dest,
        scheduled,
        dep_delay: row.dep_delay,
        arr_delay: row.arr_delay,
        air_time: row.air_time,
        distance: row.distance,
    };
    Ok(Scheduled { day: row.day, flight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flight_is_there_with_its_true_departure() {
        let flights = read_flights().unwrap();
        assert_eq!(flights.len(), 27_004);

        let first = &flights[0].flight;
        assert_eq!((first.carrier.as_str(), first.flight, first.dest.as_str()), ("UA", 1545, "IAH"));
        assert_eq!(first.scheduled.to_string(), "2013-01-01T10:15:00Z");
        assert_eq!(first.departed_ms() - first.scheduled.as_millisecond(), 2 * 60_000);

        let cancelled = flights.iter().filter(|row| row.flight.dep_delay.is_none());
        assert_eq!(cancelled.clone().count(), 521);
        assert!(cancelled.into_iter().all(|row| row.flight.departed_ms() == row.flight.scheduled.as_millisecond()));
    }

    #[test]
    fn the_data_set_is_not_in_the_order_of_departures() {
        let flights = read_flights().unwrap();
        let backwards = flights.windows(2).filter(|pair| pair[1].flight.departed_ms() < pair[0].flight.departed_ms());
        assert!(backwards.count() > 100);
    }
}
