//! Points in time as people and programs write them: ISO 8601 with a zone, or milliseconds since 1970.

use jiff::{Timestamp, Zoned, civil};

/// Reads `2013-01-15T08:00-05:00`, `2013-01-15T13:00Z` or `2013-01-15T08:00[America/New_York]` as
/// milliseconds since 1970.
///
/// A time without a zone is refused rather than guessed: the same command must mean the same on every machine.
pub(crate) fn parse_iso(text: &str) -> Result<i64, String> {
    let timestamp = if text.contains('[') {
        text.parse::<Zoned>().map(|zoned| zoned.timestamp())
    } else {
        text.parse::<Timestamp>()
    };
    match timestamp {
        Ok(timestamp) => check(timestamp.as_millisecond(), text),
        Err(_) if text.parse::<civil::DateTime>().is_ok() => Err(format!(
            "`{text}` has no time zone: add Z, an offset such as -05:00, or a name such as [America/New_York]"
        )),
        Err(error) => Err(format!("`{text}` is not a time: {error}")),
    }
}

/// Reads a timestamp of a record: milliseconds since 1970 as an integer, or what [`parse_iso`] takes.
pub(crate) fn parse_record_time(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(millis) => check(millis, text),
        Err(_) => parse_iso(text),
    }
}

/// Shows milliseconds since 1970 as ISO 8601 in UTC; what is outside jiff's years stays a number.
pub(crate) fn show(millis: i64) -> String {
    match Timestamp::from_millisecond(millis) {
        Ok(timestamp) if millis >= 0 => timestamp.to_string(),
        _ => millis.to_string(),
    }
}

fn check(millis: i64, text: &str) -> Result<i64, String> {
    if millis < 0 {
        return Err(format!("`{text}` is before 1970, which a Kafka timestamp can't be"));
    }
    Ok(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_instant_in_every_form() {
        for text in [
            "2013-01-15T13:00:00Z",
            "2013-01-15T13:00Z",
            "2013-01-15 08:00-05:00",
            "2013-01-15T08:00[America/New_York]",
            "2013-01-15T08:00:00.000-05:00[America/New_York]",
        ] {
            assert_eq!(parse_iso(text), Ok(1_358_254_800_000), "{text}");
        }
        assert_eq!(parse_record_time("1358254800000"), Ok(1_358_254_800_000));
    }

    #[test]
    fn a_time_without_a_zone_is_refused_with_the_remedy() {
        let error = parse_iso("2013-01-15T08:00").unwrap_err();
        assert!(error.contains("no time zone: add Z"), "{error}");
        assert!(parse_iso("2013-01-15").unwrap_err().contains("no time zone"));
    }

    #[test]
    fn nonsense_and_times_before_1970_are_refused() {
        assert!(parse_iso("yesterday").unwrap_err().contains("not a time"));
        assert!(parse_iso("1969-12-31T23:59:59Z").unwrap_err().contains("before 1970"));
        assert!(parse_record_time("-1").unwrap_err().contains("before 1970"));
    }

    #[test]
    fn shows_utc_to_the_millisecond() {
        assert_eq!(show(1_358_254_800_000), "2013-01-15T13:00:00Z");
        assert_eq!(show(1_358_254_800_123), "2013-01-15T13:00:00.123Z");
        assert_eq!(show(-1), "-1");
    }
}
