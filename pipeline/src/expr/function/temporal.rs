//! Functions of times. Those that take a pattern are expressions of their own, since it is compiled once.

use super::Parameter::{Timestamp, Whole};
use super::{Function, Returns, Values, function, text, whole};
use crate::expr::{Failed, time};
use crate::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        &["TO_TIMESTAMP_LTZ", "FROM_MILLIS"],
        &[Whole, Whole],
        Returns::Timestamp,
        ltz,
        ("TO_TIMESTAMP_LTZ(1000, 3)", "1970-01-01 00:00:01.000"),
    ),
    function(
        &["UNIX_MILLIS", "TO_MILLIS"],
        &[Timestamp],
        Returns::BigInt,
        |v| Ok(v[0].as_ref().clone()),
        ("UNIX_MILLIS(TIMESTAMP '1970-01-01 00:00:01')", "1000"),
    ),
    function(
        &["EXTRACT"],
        &[super::Parameter::Text, Timestamp],
        Returns::BigInt,
        extract,
        ("EXTRACT(HOUR FROM TIMESTAMP '2026-03-01 12:34:56')", "12"),
    ),
    function(
        &["DATE_TRUNC"],
        &[super::Parameter::Text, Timestamp],
        Returns::Timestamp,
        truncate,
        ("DATE_TRUNC('hour', TIMESTAMP '2026-03-01 12:34:56')", "2026-03-01 12:00:00.000"),
    ),
    function(
        &["TIMESTAMPDIFF"],
        &[super::Parameter::Text, Timestamp, Timestamp],
        Returns::BigInt,
        difference,
        ("TIMESTAMPDIFF(MINUTE, TIMESTAMP '2026-03-01 12:00:00', TIMESTAMP '2026-03-01 13:30:00')", "90"),
    ),
    function(
        &["TIMESTAMPADD"],
        &[super::Parameter::Text, Whole, Timestamp],
        Returns::Timestamp,
        add,
        ("TIMESTAMPADD(DAY, 1, TIMESTAMP '2026-02-28 00:00:00')", "2026-03-01 00:00:00.000"),
    ),
];

/// Seconds (0) or milliseconds (3) since 1970.
fn ltz(values: Values<'_, '_>) -> Result<Value, Failed> {
    let number = whole(values, 0).unwrap_or(0);
    match whole(values, 1) {
        Some(0) => {
            number.checked_mul(1_000).map(Value::Int).ok_or_else(|| Failed::new(format!("{number} s overflows")))
        }
        Some(3) => Ok(Value::Int(number)),
        _ => Err(Failed::new("the precision is 0 or 3")),
    }
}

/// Whether a name is that of a field that [`extract`] knows.
pub(crate) fn is_field(name: &str) -> bool {
    field(name, 0).is_some()
}

fn extract(values: Values<'_, '_>) -> Result<Value, Failed> {
    let name = text(values, 0);
    let found = field(name, whole(values, 1).unwrap_or(0));
    found.map(Value::Int).ok_or_else(|| Failed::new(format!("'{name}' is no part of a time")))
}

fn field(name: &str, ms: i64) -> Option<i64> {
    let days = ms.div_euclid(time::DAY_MS);
    let (year, month, day) = time::date_of(days);
    let of_day = ms.rem_euclid(time::DAY_MS);
    let january = time::days_of(year, 1, 1);
    // 1 January 1970 was a Thursday; Monday is 1.
    let weekday = (days + 3).rem_euclid(7) + 1;
    Some(match name.to_ascii_uppercase().trim_end_matches('S') {
        "YEAR" => year,
        "QUARTER" => (month + 2) / 3,
        "MONTH" => month,
        "DAY" | "DAYOFMONTH" => day,
        "HOUR" => of_day / 3_600_000,
        "MINUTE" => of_day / 60_000 % 60,
        "SECOND" => of_day / 1_000 % 60,
        "MILLISECOND" => of_day % 1_000,
        "DOY" | "DAYOFYEAR" => days - january + 1,
        // Sunday is 1, as Flink has it.
        "DOW" | "DAYOFWEEK" => weekday % 7 + 1,
        "ISODOW" => weekday,
        "WEEK" => iso_week(days),
        "EPOCH" => ms.div_euclid(1_000),
        _ => return None,
    })
}

/// The week of the year that its Thursday lies in.
fn iso_week(days: i64) -> i64 {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, ..) = time::date_of(thursday);
    (thursday - time::days_of(year, 1, 1)) / 7 + 1
}

fn unit_ms(name: &str) -> Option<i64> {
    Some(match name.to_ascii_uppercase().trim_end_matches('S') {
        "MILLISECOND" => 1,
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => time::DAY_MS,
        "WEEK" => 7 * time::DAY_MS,
        _ => return None,
    })
}

fn no_unit(name: &str) -> Failed {
    Failed::new(format!("'{name}' is no unit of time"))
}

fn truncate(values: Values<'_, '_>) -> Result<Value, Failed> {
    let (name, ms) = (text(values, 0), whole(values, 1).unwrap_or(0));
    let days = ms.div_euclid(time::DAY_MS);
    let (year, month, _) = time::date_of(days);
    let start = match name.to_ascii_uppercase().as_str() {
        "YEAR" => time::days_of(year, 1, 1).saturating_mul(time::DAY_MS),
        "QUARTER" => time::days_of(year, (month - 1) / 3 * 3 + 1, 1).saturating_mul(time::DAY_MS),
        "MONTH" => time::days_of(year, month, 1).saturating_mul(time::DAY_MS),
        "WEEK" => (days - (days + 3).rem_euclid(7)).saturating_mul(time::DAY_MS),
        _ => {
            let unit = unit_ms(name).ok_or_else(|| no_unit(name))?;
            ms.div_euclid(unit).saturating_mul(unit)
        }
    };
    Ok(Value::Int(start))
}

fn difference(values: Values<'_, '_>) -> Result<Value, Failed> {
    let (name, from, to) = (text(values, 0), whole(values, 1).unwrap_or(0), whole(values, 2).unwrap_or(0));
    let between = to.checked_sub(from).ok_or_else(|| Failed::new("the times are too far apart"))?;
    if let Some(unit) = unit_ms(name) {
        return Ok(Value::Int(between / unit));
    }
    let months = match name.to_ascii_uppercase().trim_end_matches('S') {
        "MONTH" => 1,
        "QUARTER" => 3,
        "YEAR" => 12,
        _ => return Err(no_unit(name)),
    };
    Ok(Value::Int(months_between(from, to) / months))
}

/// Whole months from one time to another.
fn months_between(from: i64, to: i64) -> i64 {
    let parts = |ms: i64| {
        let (year, month, day) = time::date_of(ms.div_euclid(time::DAY_MS));
        (year * 12 + month, (day, ms.rem_euclid(time::DAY_MS)))
    };
    let ((a, a_rest), (b, b_rest)) = (parts(from), parts(to));
    let months = b - a;
    months - i64::from(months > 0 && b_rest < a_rest) + i64::from(months < 0 && b_rest > a_rest)
}

fn add(values: Values<'_, '_>) -> Result<Value, Failed> {
    let (name, count, ms) = (text(values, 0), whole(values, 1).unwrap_or(0), whole(values, 2).unwrap_or(0));
    let months = match name.to_ascii_uppercase().trim_end_matches('S') {
        "MONTH" => Some(1),
        "QUARTER" => Some(3),
        "YEAR" => Some(12),
        _ => None,
    };
    let result = match months {
        Some(months) => count.checked_mul(months).and_then(|count| add_months(ms, count)),
        None => {
            let unit = unit_ms(name).ok_or_else(|| no_unit(name))?;
            count.checked_mul(unit).and_then(|by| ms.checked_add(by))
        }
    };
    result.map(Value::Int).ok_or_else(|| Failed::new("the time is out of range"))
}

/// So many months later, on the last day of the month where there is no such day.
fn add_months(ms: i64, count: i64) -> Option<i64> {
    let (year, month, day) = time::date_of(ms.div_euclid(time::DAY_MS));
    let months = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(count)?;
    if months.abs() > 12 * 300_000 {
        return None;
    }
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let next = if month == 12 { time::days_of(year + 1, 1, 1) } else { time::days_of(year, month + 1, 1) };
    let first = time::days_of(year, month, 1);
    let day = day.min(next - first);
    Some((first + day - 1) * time::DAY_MS + ms.rem_euclid(time::DAY_MS))
}
