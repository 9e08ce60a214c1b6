//! `WINDOW TUMBLING (...)` and `TABLE(TUMBLE(...))`.

use super::cursor::Cursor;
use super::select::decimal_ms;
use super::{Error, Name, WindowClause};
use crate::plan::{CivilUnit, Window};
use sqlparser::tokenizer::Token;

/// A length of time: milliseconds, or months.
#[derive(Debug, Clone, Copy)]
struct Length {
    ms: i64,
    /// How many of which unit; months have no milliseconds.
    count: i64,
    unit: &'static str,
}

const UNITS: [&str; 14] = [
    "MILLISECOND",
    "MILLISECONDS",
    "SECOND",
    "SECONDS",
    "MINUTE",
    "MINUTES",
    "HOUR",
    "HOURS",
    "DAY",
    "DAYS",
    "WEEK",
    "WEEKS",
    "MONTH",
    "MONTHS",
];

/// Milliseconds of a unit of time in the singular or plural; none for one that has no fixed length.
pub(super) fn unit_ms(unit: &str) -> Option<i64> {
    Some(match unit.to_ascii_uppercase().trim_end_matches('S') {
        "MILLISECOND" => 1,
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        "WEEK" => 7 * 86_400_000,
        _ => return None,
    })
}

/// `1 MINUTE`, `INTERVAL '1' MINUTE`.
fn length(cursor: &mut Cursor<'_>) -> Result<Length, Error> {
    cursor.takes(&["INTERVAL"]);
    let at = cursor.place();
    let text = cursor.scalar("a length of time, like 1 MINUTE")?;
    let unit = cursor.one_of(&UNITS)?;
    let count: Option<i64> = text.trim().parse().ok();
    let ms = match unit_ms(unit) {
        Some(of) => decimal_ms(&text, of).filter(|ms| *ms > 0),
        None => count.filter(|count| *count > 0).map(|_| 0),
    };
    let ms =
        ms.ok_or_else(|| Error::at(at, format!("'{text}' {unit} is no length of time")).expected("a number above 0"))?;
    Ok(Length { ms, count: count.unwrap_or(0), unit })
}

/// What follows `WINDOW`.
pub(super) fn clause(cursor: &mut Cursor<'_>) -> Result<WindowClause, Error> {
    let at = cursor.place();
    let kind = cursor.one_of(&["TUMBLING", "HOPPING", "SESSION"])?;
    cursor.token(&Token::LParen)?;
    let (mut size, mut advance, mut offset_ms, mut zone) = (None, None, 0, None);
    let (mut grace_ms, mut retention_ms) = (None, None);
    loop {
        if cursor.takes(&["SIZE"]) {
            size = Some(length(cursor)?);
        } else if cursor.takes(&["ADVANCE", "BY"]) {
            advance = Some(length(cursor)?);
        } else if cursor.takes(&["RETENTION"]) {
            retention_ms = Some(length(cursor)?.ms);
        } else if cursor.takes(&["GRACE", "PERIOD"]) {
            grace_ms = Some(grace(cursor)?);
        } else if cursor.takes(&["OFFSET"]) {
            offset_ms = length(cursor)?.ms;
        } else if cursor.takes(&["TIME", "ZONE"]) {
            zone = Some(cursor.string("a time zone's name, like 'Europe/Oslo'")?);
        } else if kind == "SESSION" && size.is_none() {
            size = Some(length(cursor)?);
        } else {
            return Err(cursor.wrong("SIZE, ADVANCE BY, GRACE PERIOD, RETENTION, OFFSET or TIME ZONE"));
        }
        if !cursor.takes_token(&Token::Comma) {
            break;
        }
    }
    let Some(size) = size else { return Err(cursor.wrong("SIZE and a length of time, like 1 MINUTE")) };
    cursor.token(&Token::RParen)?;
    let shape = match (kind, advance) {
        ("SESSION", _) => Window::Session { gap_ms: size.ms },
        ("HOPPING", None) => return Err(Error::at(at, "a hopping window needs ADVANCE BY")),
        ("TUMBLING", Some(_)) => return Err(Error::at(at, "a tumbling window has no ADVANCE BY").expected("HOPPING")),
        (_, advance) => hopping(at, size, advance.unwrap_or(size), offset_ms, zone)?,
    };
    Ok(WindowClause { shape, descriptor: None, partition_by: Vec::new(), grace_ms, retention_ms, at })
}

/// What follows `GRACE PERIOD`. No grace is one, too.
pub(super) fn grace(cursor: &mut Cursor<'_>) -> Result<i64, Error> {
    if !matches!(cursor.peek(), Token::Number(text, _) if text == "0") {
        return Ok(length(cursor)?.ms);
    }
    cursor.integer("0")?;
    cursor.one_of(&UNITS)?;
    Ok(0)
}

fn hopping(
    at: sqlparser::tokenizer::Location,
    size: Length,
    advance: Length,
    offset_ms: i64,
    zone: Option<String>,
) -> Result<Window, Error> {
    if let Some(zone) = zone {
        let unit = match size.unit.trim_end_matches('S') {
            "HOUR" => CivilUnit::Hour,
            "DAY" => CivilUnit::Day,
            "WEEK" => CivilUnit::Week,
            "MONTH" => CivilUnit::Month,
            _ => return Err(Error::at(at, "a window in a time zone is of hours, days, weeks or months")),
        };
        crate::expr::time::zone(&zone).map_err(|failed| Error::at(at, failed.0))?;
        if advance.ms != size.ms || offset_ms != 0 || size.count < 1 {
            return Err(Error::at(at, "a window in a time zone tumbles, without an offset"));
        }
        return Ok(Window::Civil { unit, count: size.count, zone });
    }
    if size.ms == 0 || advance.ms == 0 {
        return Err(Error::at(at, "months differ in length").expected("TIME ZONE '...' beside SIZE"));
    }
    if advance.ms > size.ms {
        return Err(Error::at(at, "windows that advance by more than their size leave gaps"));
    }
    Ok(Window::Hopping { size_ms: size.ms, advance_ms: advance.ms, offset_ms })
}

/// What follows `FROM TABLE`: the window and the table's name.
pub(super) fn table_function(cursor: &mut Cursor<'_>) -> Result<(WindowClause, Name), Error> {
    cursor.token(&Token::LParen)?;
    let at = cursor.place();
    let kind = cursor.one_of(&["TUMBLE", "HOP", "CUMULATE", "SESSION"])?;
    cursor.token(&Token::LParen)?;
    argument_name(cursor);
    cursor.word("TABLE")?;
    let table = cursor.name("a table's name")?;
    let mut partition_by = Vec::new();
    if cursor.takes(&["PARTITION", "BY"]) {
        let round = cursor.takes_token(&Token::LParen);
        partition_by.push(cursor.name("a column")?);
        while !(cursor.sees_descriptor()) && cursor.takes_token(&Token::Comma) {
            partition_by.push(cursor.name("a column")?);
        }
        if round {
            cursor.token(&Token::RParen)?;
        }
    }
    cursor.token(&Token::Comma)?;
    argument_name(cursor);
    cursor.word("DESCRIPTOR")?;
    cursor.token(&Token::LParen)?;
    let descriptor = cursor.name("the column of the event time")?;
    cursor.token(&Token::RParen)?;
    let (mut lengths, mut zone) = (Vec::new(), None);
    while cursor.takes_token(&Token::Comma) {
        argument_name(cursor);
        match cursor.peek() {
            Token::SingleQuotedString(name) => {
                cursor.next();
                zone = Some(name.clone());
            }
            _ => lengths.push(length(cursor)?),
        }
    }
    let end = cursor.place();
    cursor.token(&Token::RParen)?;
    cursor.token(&Token::RParen)?;
    let offset = |at: usize| lengths.get(at).map_or(0, |offset| offset.ms);
    let shape = match (kind, lengths.as_slice()) {
        ("TUMBLE", [size] | [size, _]) => hopping(at, *size, *size, offset(1), zone)?,
        ("HOP", [slide, size] | [slide, size, _]) => hopping(at, *size, *slide, offset(2), zone)?,
        ("CUMULATE", [step, size] | [step, size, _]) if step.ms > 0 && size.ms % step.ms == 0 => {
            Window::Cumulate { size_ms: size.ms, step_ms: step.ms, offset_ms: offset(2) }
        }
        ("CUMULATE", [_, _]) => return Err(Error::at(at, "the size of CUMULATE is not a multiple of its step")),
        ("SESSION", [gap]) if gap.ms > 0 => Window::Session { gap_ms: gap.ms },
        ("TUMBLE", _) => {
            return Err(Error::at(end, "the arguments are not right").expected("a size, and an offset or none"));
        }
        ("SESSION", _) => return Err(Error::at(end, "the arguments are not right").expected("a gap")),
        ("HOP", _) => return Err(Error::at(end, "the arguments are not right").expected("a slide and a size")),
        _ => return Err(Error::at(end, "the arguments are not right").expected("a step and a size")),
    };
    let window =
        WindowClause { shape, descriptor: Some(descriptor), partition_by, grace_ms: None, retention_ms: None, at };
    Ok((window, table))
}

/// `NAME =>` in front of an argument.
fn argument_name(cursor: &mut Cursor<'_>) {
    if matches!(cursor.peek(), Token::Word(_)) && *cursor.peek_at(1) == Token::RArrow {
        cursor.next();
        cursor.next();
    }
}

impl Cursor<'_> {
    /// Whether `, DESCRIPTOR` or `, NAME => DESCRIPTOR` is next.
    fn sees_descriptor(&self) -> bool {
        super::cursor::is_word(self.peek_at(1), "DESCRIPTOR") || *self.peek_at(2) == Token::RArrow
    }
}
