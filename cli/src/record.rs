//! A record as the commands show it and read it back: the JSON form of `--json` and `--input records`.
//!
//! One JSON object per line. Keys and values are text where they are UTF-8; other bytes stand in base64 under
//! another name (`value_base64`), so nothing is lost and nothing is guessed.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A record that was read from a topic, borrowed from wherever it lies.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970; -1 if the record has none.
    pub(crate) timestamp: i64,
    /// `create`, `append` or `none`.
    pub(crate) timestamp_type: &'static str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    topic: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    timestamp_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value_base64: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderLine<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    value_base64: Option<Cow<'a, str>>,
}

/// Writes `record` as one line of JSON.
pub(crate) fn write_json(out: &mut impl Write, record: &Shown<'_>) -> io::Result<()> {
    let (key, key_base64) = text_or_base64(record.key);
    let (value, value_base64) = text_or_base64(record.value);
    let headers = record
        .headers
        .iter()
        .map(|(key, value)| {
            let (value, value_base64) = text_or_base64(*value);
            HeaderLine { key: Cow::Borrowed(key), value, value_base64 }
        })
        .collect();
    let line = Line {
        topic: Some(Cow::Borrowed(record.topic)),
        partition: Some(record.partition),
        offset: Some(record.offset),
        timestamp: Some(record.timestamp),
        timestamp_type: Some(Cow::Borrowed(record.timestamp_type)),
        key,
        key_base64,
        value,
        value_base64,
        headers,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => (None, None),
        Some(Ok(text)) => (Some(Cow::Borrowed(text)), None),
        Some(Err(bytes)) => (None, Some(Cow::Owned(STANDARD.encode(bytes)))),
    }
}

/// A record to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) partition: Option<i32>,
    /// Milliseconds since 1970; none means the time of sending.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Reads a line that [`write_json`] wrote. Topic, offset and the timestamp's type are where the record came from,
/// not where it goes, and are ignored; so is the partition unless `keep_partition`.
pub(crate) fn read_json(line: &[u8], keep_partition: bool) -> Result<Draft, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| format!("not a record in JSON: {error}"))?;
    let headers = line
        .headers
        .into_iter()
        .map(|header| Ok((header.key.into_owned(), bytes(header.value, header.value_base64, "value")?)));
    Ok(Draft {
        partition: line.partition.filter(|_| keep_partition),
        timestamp: line.timestamp.filter(|&millis| millis >= 0),
        key: bytes(line.key, line.key_base64, "key")?,
        value: bytes(line.value, line.value_base64, "value")?,
        headers: headers.collect::<Result<_, String>>()?,
    })
}

fn bytes(text: Option<Cow<'_, str>>, base64: Option<Cow<'_, str>>, name: &str) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("`{name}` and `{name}_base64` are both given")),
        (text, None) => Ok(text.map(|text| text.into_owned().into_bytes())),
        (None, Some(base64)) => match STANDARD.decode(base64.as_bytes()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(format!("`{name}_base64`: {error}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Shown<'a> {
        Shown {
            topic: "flights",
            partition: 2,
            offset: 7,
            timestamp: 1_358_254_800_000,
            timestamp_type: "create",
            key,
            value,
            headers: vec![("trace", Some(b"\xff\x00")), ("none", None), ("text", Some(b"a"))],
        }
    }

    fn json(record: &Shown<'_>) -> String {
        let mut out = Vec::new();
        write_json(&mut out, record).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_text_and_other_bytes_are_base64() {
        assert_eq!(
            json(&shown(Some(b"UA"), Some(b"\x80"))),
            "{\"topic\":\"flights\",\"partition\":2,\"offset\":7,\"timestamp\":1358254800000,\
             \"timestamp_type\":\"create\",\"key\":\"UA\",\"value\":null,\"value_base64\":\"gA==\",\
             \"headers\":[{\"key\":\"trace\",\"value\":null,\"value_base64\":\"/wA=\"},\
             {\"key\":\"none\",\"value\":null},{\"key\":\"text\",\"value\":\"a\"}]}\n"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        for (key, value) in [
            (None, None),
            (Some(&b""[..]), Some(&b"line\n\"quoted\""[..])),
            (Some(&b"\xfe"[..]), Some(&b"\xff\xff"[..])),
        ] {
            let record = shown(key, value);
            let draft = read_json(json(&record).as_bytes(), true).unwrap();
            assert_eq!(draft.key.as_deref(), key);
            assert_eq!(draft.value.as_deref(), value);
            assert_eq!(draft.timestamp, Some(record.timestamp));
            assert_eq!(draft.partition, Some(2));
            let headers: Vec<_> = draft.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
            assert_eq!(headers, record.headers);
            assert_eq!(read_json(json(&record).as_bytes(), false).unwrap().partition, None);
        }
    }

    #[test]
    fn a_misspelt_field_is_named() {
        let error = read_json(br#"{"kye":"a","value":"b"}"#, false).unwrap_err();
        assert!(error.contains("unknown field `kye`"), "{error}");
        assert!(read_json(b"plain text", false).unwrap_err().contains("not a record in JSON"));
        assert!(read_json(br#"{"key":"a","key_base64":"YQ=="}"#, false).unwrap_err().contains("both given"));
        assert!(read_json(br#"{"value_base64":"?"}"#, false).unwrap_err().contains("value_base64"));
    }
}
