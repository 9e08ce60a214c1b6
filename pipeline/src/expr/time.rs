//! Times as text: the forms of SQL and ISO, and patterns as Java's `DateTimeFormatter` has them.

use super::Failed;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use std::fmt::Write as _;

/// Milliseconds of a day in UTC.
pub const DAY_MS: i64 = 86_400_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Days since 1970 of a date of the proleptic Gregorian calendar.
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of days since 1970.
pub fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `yyyy-MM-dd`.
pub fn date_text(days: i64) -> String {
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `HH:mm:ss.SSS`.
pub fn time_text(ms: i64) -> String {
    let ms = ms.rem_euclid(DAY_MS);
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

/// `yyyy-MM-dd HH:mm:ss.SSS` in UTC, with `between` the date and the time.
pub fn timestamp_text(ms: i64, between: char) -> String {
    format!("{}{between}{}", date_text(ms.div_euclid(DAY_MS)), time_text(ms))
}

/// Milliseconds since 1970 of `yyyy-MM-dd[( |T)HH:mm[:ss[.S...]]][Z|+HH:mm]`, UTC where nothing is said.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let (text, offset_ms) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (text, 0),
        None => split_offset(text)?,
    };
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, parse_time(time)?),
        None => (text, 0),
    };
    parse_date(date)?.checked_mul(DAY_MS)?.checked_add(time)?.checked_sub(offset_ms)
}

/// `+HH:mm` at the end, in milliseconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    let Some(at) = text.rfind(['+', '-']).filter(|at| *at > 10) else { return Some((text, 0)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let offset_ms = (number(hours, 2, 18)? * 60 + number(minutes, 2, 59)?) * 60_000;
    Some((&text[..at], if text.as_bytes()[at] == b'-' { -offset_ms } else { offset_ms }))
}

/// Days since 1970 of `yyyy-MM-dd`.
pub fn parse_date(text: &str) -> Option<i64> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let (year, month, day) = (number(year, 4, 9999)?, number(month, 2, 12)?, number(day, 2, 31)?);
    let days = days_of(year, month, day);
    // 30 February would be another day.
    (date_of(days) == (year, month, day)).then_some(days)
}

/// Milliseconds since midnight of `HH:mm[:ss[.S...]]`; what is finer than a millisecond is cut.
pub fn parse_time(text: &str) -> Option<i64> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "00"));
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let minutes = number(hours, 2, 23)? * 60 + number(minutes, 2, 59)?;
    let digits = fraction.as_bytes();
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| digits.get(at).map_or(0, |digit| i64::from(digit - b'0'));
    let fraction_ms = digit(0) * 100 + digit(1) * 10 + digit(2);
    Some((minutes * 60 + number(seconds, 2, 59)?) * 1_000 + fraction_ms)
}

/// A number of so many digits.
fn number(text: &str, digits: usize, max: i64) -> Option<i64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = text.bytes().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    (number <= max).then_some(number)
}

/// A time zone of the database that is built in, so that all replicas have the same; or `UTC`, `+02:00`.
///
/// # Errors
/// There is none of that name.
pub fn zone(name: &str) -> Result<TimeZone, Failed> {
    if matches!(name, "UTC" | "Z" | "GMT") {
        return Ok(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        let padded = format!("2000-01-01 00:00:00{name}");
        let offset = split_offset(&padded).and_then(|(_, ms)| Offset::from_seconds((ms / 1_000) as i32).ok());
        return offset.map(TimeZone::fixed).ok_or_else(|| Failed::new(format!("'{name}' is no time zone")));
    }
    TimeZoneDatabase::bundled().get(name).map_err(|_| Failed::new(format!("there is no time zone '{name}'")))
}

/// A pattern like `yyyy-MM-dd HH:mm:ss.SSS`, in a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Format {
    items: Vec<Item>,
    zone: TimeZone,
    pattern: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// What has been read of a time.
#[derive(Debug, Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    afternoon: Option<bool>,
    offset_s: Option<i64>,
}

impl Format {
    /// A pattern of the letters of Java's `DateTimeFormatter`: `y u M L d D H k h K m s S n a E e Q z Z X x V`, text in quotes.
    ///
    /// # Errors
    /// A letter that is not known.
    pub fn new(pattern: &str, zone: TimeZone) -> Result<Format, Failed> {
        let mut items: Vec<Item> = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(char) = characters.next() {
            let item = match char {
                '\'' => Item::Text(quoted(&mut characters)?),
                'y' | 'u' | 'M' | 'L' | 'd' | 'D' | 'H' | 'h' | 'm' | 's' | 'S' | 'a' | 'E' | 'Z' | 'X' | 'x' | 'z' => {
                    let mut count = 1;
                    while characters.next_if_eq(&char).is_some() {
                        count += 1;
                    }
                    Item::Field(char, count)
                }
                'A'..='Z' | 'a'..='z' | '[' | ']' | '{' | '}' | '#' => {
                    return Err(Failed::new(format!("'{char}' is not known in the time pattern '{pattern}'")));
                }
                other => Item::Text(other.to_string()),
            };
            items.push(item);
        }
        Ok(Format { items, zone, pattern: pattern.to_owned() })
    }

    /// A time in milliseconds since 1970 as text.
    ///
    /// # Errors
    /// It is not between the years -9999 and 9999.
    pub fn write(&self, ms: i64) -> Result<String, Failed> {
        let time = jiff::Timestamp::from_millisecond(ms)
            .map_err(|_| Failed::new(format!("{ms} is not within the years -9999 to 9999")))?;
        let offset = self.zone.to_offset(time);
        let civil = offset.to_datetime(time);
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Field(letter, count) => write_field(&mut out, *letter, *count, civil, offset),
            }
        }
        Ok(out)
    }

    /// Text as milliseconds since 1970.
    ///
    /// # Errors
    /// It does not match the pattern, or there is no such time.
    pub fn read(&self, text: &str) -> Result<i64, Failed> {
        let wrong = || Failed::new(format!("'{}' does not match '{}'", super::cast::shorten(text), self.pattern));
        let mut parts = Parts::default();
        let mut rest = text;
        for (at, item) in self.items.iter().enumerate() {
            rest = match item {
                Item::Text(expected) => rest.strip_prefix(expected.as_str()).ok_or_else(wrong)?,
                Item::Field(letter, count) => {
                    // Digits end where the next field's digits begin.
                    let adjacent = matches!(self.items.get(at + 1), Some(Item::Field(..)));
                    read_field(&mut parts, *letter, *count, adjacent, rest).ok_or_else(wrong)?
                }
            };
        }
        if !rest.is_empty() {
            return Err(wrong());
        }
        parts.time(&self.zone).ok_or_else(wrong)
    }
}

impl Parts {
    fn time(&self, zone: &TimeZone) -> Option<i64> {
        let year = i16::try_from(self.year.unwrap_or(1970)).ok()?;
        let small = |number: i64| i8::try_from(number).ok();
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let mut date = Date::new(year, small(self.month.unwrap_or(1))?, small(self.day.unwrap_or(1))?).ok()?;
        if let Some(day) = self.day_of_year {
            date = Date::new(year, 1, 1).ok()?.checked_add(jiff::Span::new().try_days(day - 1).ok()?).ok()?;
        }
        let nanos = i32::try_from(self.nanos).ok()?;
        let time = Time::new(small(hour)?, small(self.minute)?, small(self.second)?, nanos).ok()?;
        let civil = DateTime::from_parts(date, time);
        let zone = match self.offset_s {
            Some(offset) => TimeZone::fixed(Offset::from_seconds(i32::try_from(offset).ok()?).ok()?),
            None => zone.clone(),
        };
        Some(zone.to_timestamp(civil).ok()?.as_millisecond())
    }
}

fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Failed> {
    if characters.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match characters.next() {
            Some('\'') if characters.next_if_eq(&'\'').is_none() => return Ok(text),
            Some(char) => text.push(char),
            None => return Err(Failed::new("a quote of the time pattern is not closed")),
        }
    }
}

fn write_field(out: &mut String, letter: char, count: usize, civil: DateTime, offset: Offset) {
    let name = |names: &'static str| if count <= 3 { &names[..3] } else { names };
    // Writing to a string does not fail.
    let _ = match letter {
        'y' | 'u' if count == 2 => write!(out, "{:02}", civil.year().rem_euclid(100)),
        'y' | 'u' => write!(out, "{:0count$}", civil.year()),
        'M' | 'L' if count >= 3 => write!(out, "{}", name(MONTHS[usize::from(civil.month().unsigned_abs()) - 1])),
        'M' | 'L' => write!(out, "{:0count$}", civil.month()),
        'd' => write!(out, "{:0count$}", civil.day()),
        'D' => write!(out, "{:0count$}", civil.day_of_year()),
        'H' => write!(out, "{:0count$}", civil.hour()),
        'h' => write!(out, "{:0count$}", (civil.hour() + 11) % 12 + 1),
        'm' => write!(out, "{:0count$}", civil.minute()),
        's' => write!(out, "{:0count$}", civil.second()),
        'S' => write!(out, "{}", &format!("{:09}", civil.subsec_nanosecond())[..count.min(9)]),
        'a' => write!(out, "{}", if civil.hour() < 12 { "AM" } else { "PM" }),
        'E' => {
            let weekday = usize::from(civil.weekday().to_monday_zero_offset().unsigned_abs());
            write!(out, "{}", name(WEEKDAYS[weekday]))
        }
        _ => write_offset(out, letter, count, i64::from(offset.seconds())),
    };
}

fn write_offset(out: &mut String, letter: char, count: usize, seconds: i64) -> std::fmt::Result {
    if seconds == 0 && (letter == 'X' || letter == 'z') {
        return out.write_str(if letter == 'X' { "Z" } else { "UTC" });
    }
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    let colon = if letter == 'z' || (letter != 'Z' && count >= 3) || count == 5 { ":" } else { "" };
    write!(out, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
}

/// Reads one field into `parts` and gives what is left.
fn read_field<'a>(parts: &mut Parts, letter: char, count: usize, adjacent: bool, text: &'a str) -> Option<&'a str> {
    match letter {
        'M' | 'L' if count >= 3 => {
            let (at, rest) = read_name(&MONTHS, text)?;
            parts.month = Some(at + 1);
            return Some(rest);
        }
        'E' => return read_name(&WEEKDAYS, text).map(|(_, rest)| rest),
        'a' => {
            let half = text.get(..2)?;
            parts.afternoon = Some(half.eq_ignore_ascii_case("pm"));
            return (half.eq_ignore_ascii_case("am") || half.eq_ignore_ascii_case("pm")).then_some(&text[2..]);
        }
        'Z' | 'X' | 'x' | 'z' => return read_offset(parts, text),
        _ => {}
    }
    let most = match letter {
        'S' => count,
        _ if adjacent => count,
        'y' | 'u' if count != 2 => 4,
        'D' => 3,
        _ => 2,
    };
    let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if end == 0 || (end < count && letter != 'y' && letter != 'u') {
        return None;
    }
    let number: i64 = text[..end].parse().ok()?;
    match letter {
        'y' | 'u' => parts.year = Some(if count == 2 { 2000 + number } else { number }),
        'M' | 'L' => parts.month = Some(number),
        'd' => parts.day = Some(number),
        'D' => parts.day_of_year = Some(number),
        'H' | 'h' => parts.hour = number,
        'm' => parts.minute = number,
        's' => parts.second = number,
        'S' => parts.nanos = number.checked_mul(10_i64.checked_pow(9_u32.checked_sub(u32::try_from(end).ok()?)?)?)?,
        _ => return None,
    }
    Some(&text[end..])
}

fn read_name<'a>(names: &[&str], text: &'a str) -> Option<(i64, &'a str)> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    for (at, name) in (0..).zip(names) {
        for name in [name, &name[..3]] {
            if starts(name) {
                return Some((at, &text[name.len()..]));
            }
        }
    }
    None
}

fn read_offset<'a>(parts: &mut Parts, text: &'a str) -> Option<&'a str> {
    for utc in ["Z", "UTC", "GMT"] {
        if let Some(rest) = text.strip_prefix(utc) {
            parts.offset_s = Some(0);
            return Some(rest);
        }
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?;
    let hours = number(digits.get(..2)?, 2, 18)?;
    let rest = &digits[2..];
    let after = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = match after.get(..2).and_then(|minutes| number(minutes, 2, 59)) {
        Some(minutes) => (minutes, &after[2..]),
        None => (0, rest),
    };
    parts.offset_s = Some(sign * (hours * 3600 + minutes * 60));
    Some(rest)
}
