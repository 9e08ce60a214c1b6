//! Input where each line is a JSON document; the key and the timestamp may be fields of it.

use serde_json::{Map, Value};

use super::Options;
use crate::instant;
use crate::record::Draft;

/// Makes a record of `line`: the value is the line as it stands.
pub(super) fn draft(line: &[u8], options: &Options) -> Result<Draft, String> {
    let document: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
    let key = match &options.key {
        Some(name) => key_bytes(field(&document, name)?, name)?,
        None => None,
    };
    let timestamp = match &options.timestamp {
        Some(name) => Some(timestamp(field(&document, name)?, name)?),
        None => None,
    };
    Ok(Draft { key, timestamp, value: Some(line.trim_ascii().to_vec()), ..Draft::default() })
}

fn field<'a>(document: &'a Value, name: &str) -> Result<&'a Value, String> {
    let Value::Object(fields) = document else {
        return Err(format!("not a JSON object, so it has no field `{name}`"));
    };
    fields.get(name).ok_or_else(|| format!("no field `{name}`: there are {}", names(fields)))
}

fn names(fields: &Map<String, Value>) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn key_bytes(value: &Value, name: &str) -> Result<Option<Vec<u8>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_bytes().to_vec())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string().into_bytes())),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("the key `{name}` is {value}: it must be a string, a number, true, false or null"))
        }
    }
}

fn timestamp(value: &Value, name: &str) -> Result<i64, String> {
    let parsed = match value {
        Value::Number(number) => instant::parse_record_time(&number.to_string()),
        Value::String(text) => instant::parse_record_time(text),
        other => Err(format!("{other} is not a time")),
    };
    parsed.map_err(|why| format!("the timestamp `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, draft, options};
    use super::super::{Format, Options};
    use super::*;

    fn named() -> Options {
        Options { key: Some("carrier".into()), timestamp: Some("at".into()), ..options(Format::Json) }
    }

    #[test]
    fn fields_give_key_and_timestamp_and_the_value_stays_as_written() {
        let read = all(
            b"{ \"carrier\": \"UA\", \"at\": 1358254800000 }\r\n\
              \n\
              {\"at\":\"2013-01-15T08:00-05:00\",\"carrier\":7}\n",
            named(),
        );
        let at = Some(1_358_254_800_000);
        assert_eq!(
            read,
            [
                Ok((
                    1,
                    Draft { timestamp: at, ..draft(Some("UA"), Some(r#"{ "carrier": "UA", "at": 1358254800000 }"#)) }
                )),
                Ok((
                    3,
                    Draft { timestamp: at, ..draft(Some("7"), Some(r#"{"at":"2013-01-15T08:00-05:00","carrier":7}"#)) }
                )),
            ]
        );
    }

    #[test]
    fn without_names_any_document_will_do() {
        assert_eq!(all(b"[1, 2]", options(Format::Json)), [Ok((1, draft(None, Some("[1, 2]"))))]);
    }

    #[test]
    fn a_line_that_does_not_fit_says_what_is_wrong() {
        let why = |line: &'static [u8]| all(line, named())[0].clone().unwrap_err().why;
        assert!(why(b"{\"carrier\":").contains("not JSON"));
        assert!(why(b"3").contains("not a JSON object"));
        assert!(why(b"{\"carier\":1,\"at\":2}").contains("no field `carrier`: there are"));
        assert!(why(b"{\"carrier\":[],\"at\":2}").contains("must be a string"));
        assert!(why(b"{\"carrier\":null,\"at\":\"noon\"}").contains("the timestamp `at`: `noon` is not a time"));
        assert!(why(b"{\"carrier\":null,\"at\":true}").contains("true is not a time"));
    }
}
