//! A place in a partition as `--from`, `--until` and `--before` take it.

use std::str::FromStr;

use crate::instant;

/// What the options that take a [`Position`] say about it.
pub(crate) const HELP: &str = "\
A position is one of
  earliest        the first record that is still there
  latest          the end of the log: only what is written from now on
  OFFSET          a whole number is always an offset: 1200
  -N              the last N records of each partition: -10
  @MILLIS         the first record at or past this time, in milliseconds since 1970: @1358254800000
  ISO 8601 time   the same, with a time zone: 2013-01-15T13:00Z, 2013-01-15T08:00-05:00,
                  2013-01-15T08:00[America/New_York]";

/// A place in each partition that a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The log's start.
    Earliest,
    /// The log's end.
    Latest,
    /// The record with this offset.
    Offset(i64),
    /// This many records before the end.
    Last(u64),
    /// The first record with this timestamp or a later one.
    Time(i64),
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" | "beginning" => return Ok(Position::Earliest),
            "latest" | "end" => return Ok(Position::Latest),
            _ => {}
        }
        if let Some(millis) = text.strip_prefix('@') {
            return match millis.parse() {
                Ok(millis) if millis >= 0 => Ok(Position::Time(millis)),
                _ => Err(format!("`{text}`: after @ come the milliseconds since 1970, as in @1358254800000")),
            };
        }
        if is_integer(text) {
            return integer(text);
        }
        match text.as_bytes().first() {
            Some(b'0'..=b'9') => instant::parse_iso(text).map(Position::Time),
            _ => Err(format!(
                "`{text}` is not a position: give earliest, latest, an offset, -N for the last N, @ and milliseconds, \
                 or a time such as 2013-01-15T13:00Z"
            )),
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer(text: &str) -> Result<Position, String> {
    let number: i64 = text.parse().map_err(|_| format!("`{text}` is larger than any offset"))?;
    match text.strip_prefix('-') {
        Some(_) => Ok(Position::Last(number.unsigned_abs())),
        None => Ok(Position::Offset(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Position, String> {
        text.parse()
    }

    #[test]
    fn each_form_is_told_from_the_others() {
        assert_eq!(parse("earliest"), Ok(Position::Earliest));
        assert_eq!(parse("latest"), Ok(Position::Latest));
        assert_eq!(parse("0"), Ok(Position::Offset(0)));
        assert_eq!(parse("1358254800000"), Ok(Position::Offset(1_358_254_800_000)), "a number is always an offset");
        assert_eq!(parse("-10"), Ok(Position::Last(10)));
        assert_eq!(parse("-0"), Ok(Position::Last(0)));
        assert_eq!(parse("@1358254800000"), Ok(Position::Time(1_358_254_800_000)));
        assert_eq!(parse("2013-01-15T08:00[America/New_York]"), Ok(Position::Time(1_358_254_800_000)));
        assert_eq!(parse("2013-01-15T13:00Z"), Ok(Position::Time(1_358_254_800_000)));
    }

    #[test]
    fn what_is_none_of_them_is_refused_with_what_would_be_right() {
        assert!(parse("newest").unwrap_err().contains("give earliest, latest"));
        assert!(parse("").unwrap_err().contains("is not a position"));
        assert!(parse("--5").unwrap_err().contains("is not a position"));
        assert!(parse("@soon").unwrap_err().contains("milliseconds since 1970"));
        assert!(parse("@-5").unwrap_err().contains("milliseconds since 1970"));
        assert!(parse("99999999999999999999").unwrap_err().contains("larger than any offset"));
        assert!(parse("2013-01-15T08:00").unwrap_err().contains("no time zone"));
    }
}
