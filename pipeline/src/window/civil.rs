//! Windows on civil time: hours, days, weeks and months as a time zone's clocks show them.

use std::cell::Cell;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Span;
use crate::plan::CivilUnit;

/// A time zone and a length.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    unit: CivilUnit,
    count: i64,
    zone: TimeZone,
    /// The window that was found last: rows come in runs.
    last: Cell<Span>,
}

impl Calendar {
    pub(crate) fn new(unit: CivilUnit, count: i64, zone: &str) -> Result<Calendar, String> {
        // The database that is built in, so that every replica has the same.
        let zone = jiff::tz::TimeZoneDatabase::bundled()
            .get(zone)
            .map_err(|_| format!("there is no time zone '{zone}'; names are IANA's, such as Europe/Berlin"))?;
        if count < 1 {
            return Err(format!("a window of {count} units"));
        }
        Ok(Calendar { unit, count, zone, last: Cell::new(Span { start: 0, end: 0 }) })
    }

    /// The window that holds a time.
    pub(crate) fn window(&self, time: i64) -> Span {
        let last = self.last.get();
        if last.start <= time && time < last.end {
            return last;
        }
        let window = self.find(time);
        self.last.set(window);
        window
    }

    fn find(&self, time: i64) -> Span {
        let Ok(timestamp) = Timestamp::from_millisecond(time) else {
            // Before or after all calendars.
            return Span { start: time, end: time.saturating_add(1) };
        };
        let local = self.zone.to_datetime(timestamp);
        let start = self.floor(local);
        let (mut from, mut upto) = (self.instant(start), self.instant(self.next(start)));
        // Where clocks are set back, an hour comes twice; the second belongs to what has not ended.
        if from > time {
            upto = from;
            from = time.min(from);
        }
        Span { start: from, end: upto.max(time.saturating_add(1)) }
    }

    fn floor(&self, local: DateTime) -> DateTime {
        let origin = Date::constant(1970, 1, 1);
        let days = |date: Date| i64::from((date - origin).get_days());
        let back = match self.unit {
            CivilUnit::Hour => {
                let hours = days(local.date()) * 24 + i64::from(local.hour());
                let whole = local.date().at(local.hour(), 0, 0, 0);
                return whole.checked_sub(hours.rem_euclid(self.count).hours()).unwrap_or(whole);
            }
            CivilUnit::Day => days(local.date()).rem_euclid(self.count).days(),
            CivilUnit::Week => {
                // The first of January 1970 was a Thursday.
                (days(local.date()) + 3).rem_euclid(self.count * 7).days()
            }
            CivilUnit::Month => {
                let months = (i64::from(local.year()) - 1970) * 12 + i64::from(local.month()) - 1;
                let first = local.date().first_of_month();
                let start = first.checked_sub(months.rem_euclid(self.count).months()).unwrap_or(first);
                return start.at(0, 0, 0, 0);
            }
        };
        local.date().checked_sub(back).unwrap_or(local.date()).at(0, 0, 0, 0)
    }

    fn next(&self, start: DateTime) -> DateTime {
        let step = match self.unit {
            CivilUnit::Hour => self.count.hours(),
            CivilUnit::Day => self.count.days(),
            CivilUnit::Week => (self.count * 7).days(),
            CivilUnit::Month => self.count.months(),
        };
        start.checked_add(step).unwrap_or(DateTime::MAX)
    }

    /// When the clocks there show it; where they skip it, when they jump.
    fn instant(&self, local: DateTime) -> i64 {
        self.zone.to_ambiguous_timestamp(local).compatible().map_or(i64::MAX, |timestamp| timestamp.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unit: CivilUnit, count: i64, zone: &str, time: &str) -> (String, String) {
        let calendar = Calendar::new(unit, count, zone).unwrap();
        let window = calendar.window(time.parse::<Timestamp>().unwrap().as_millisecond());
        let text = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
        (text(window.start), text(window.end))
    }

    fn check(unit: CivilUnit, count: i64, zone: &str, time: &str, start: &str, end: &str) {
        assert_eq!(window(unit, count, zone, time), (start.to_owned(), end.to_owned()), "{time}");
    }

    #[test]
    fn a_day_has_23_or_25_hours_when_clocks_change() {
        let berlin = "Europe/Berlin";
        check(CivilUnit::Day, 1, berlin, "2024-03-31T12:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z");
        check(CivilUnit::Day, 1, berlin, "2024-10-27T12:00:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
        check(CivilUnit::Day, 1, "UTC", "1969-12-31T23:59:59Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        check(CivilUnit::Week, 1, "UTC", "2024-02-29T01:00:00Z", "2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z");
        check(CivilUnit::Month, 1, "UTC", "2024-02-29T01:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(CivilUnit::Month, 3, "UTC", "2024-02-29T01:00:00Z", "2024-01-01T00:00:00Z", "2024-04-01T00:00:00Z");
    }

    #[test]
    fn windows_leave_no_gap_and_hold_their_times_over_a_change_of_clocks() {
        for unit in [CivilUnit::Hour, CivilUnit::Day] {
            let calendar = Calendar::new(unit, 1, "America/New_York").unwrap();
            let from = "2013-11-02T12:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
            let mut before = calendar.window(from);
            for time in (from..from + 48 * 3_600_000).step_by(600_000) {
                let window = calendar.window(time);
                assert!(window.start <= time && time < window.end, "{time}");
                assert!(window == before || window.start == before.end, "{before:?} then {window:?}");
                before = window;
            }
        }
    }

    #[test]
    fn an_unknown_zone_is_named() {
        assert!(Calendar::new(CivilUnit::Day, 1, "Mars/Olympus").unwrap_err().contains("Mars/Olympus"));
    }
}
