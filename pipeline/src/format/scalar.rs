//! Single values as JSON and DELIMITED have them.

use crate::expr::time;
use crate::plan::Timestamps;
use crate::value::{Type, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write as _;

/// A number in a column of this type.
pub(super) fn of_int(int: i64, of: &Type, timestamps: Timestamps) -> Option<Value> {
    match of {
        Type::BigInt => Some(Value::Int(int)),
        Type::Integer => i32::try_from(int).is_ok().then_some(Value::Int(int)),
        Type::Double => Some(Value::Double(int as f64)),
        Type::String => Some(Value::string(&int.to_string())),
        Type::Timestamp | Type::Date | Type::Time => (timestamps == Timestamps::Number).then_some(Value::Int(int)),
        _ => None,
    }
}

/// A text in a column of this type, which is not text.
pub(super) fn of_text(text: &str, of: &Type, timestamps: Timestamps) -> Option<Value> {
    let trimmed = text.trim();
    match of {
        Type::String => Some(Value::string(text)),
        Type::BigInt | Type::Integer => of_int(trimmed.parse().ok()?, of, timestamps),
        Type::Double => trimmed.parse().ok().filter(|double: &f64| double.is_finite()).map(Value::Double),
        Type::Boolean if trimmed.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        Type::Boolean if trimmed.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        Type::Bytes => BASE64.decode(trimmed).ok().map(|bytes| Value::Bytes(bytes.into())),
        Type::Timestamp | Type::Date | Type::Time if timestamps == Timestamps::Number => {
            trimmed.parse().ok().map(Value::Int)
        }
        Type::Timestamp => timestamp(trimmed, timestamps).map(Value::Int),
        Type::Date => time::parse_date(trimmed).map(Value::Int),
        Type::Time => time::parse_time(trimmed).map(Value::Int),
        _ => None,
    }
}

/// Flink's two forms differ in what stands between the date and the time.
fn timestamp(text: &str, timestamps: Timestamps) -> Option<i64> {
    let between = if timestamps == Timestamps::Iso { b'T' } else { b' ' };
    if text.as_bytes().get(10) != Some(&between) {
        return None;
    }
    time::parse_timestamp(text)
}

/// Writes a value that is not null and holds no others; text without quotes.
pub(super) fn write(value: &Value, of: &Type, timestamps: Timestamps, out: &mut Vec<u8>) {
    let text = match (value, of) {
        (Value::Int(ms), Type::Timestamp) if timestamps == Timestamps::Iso => time::timestamp_text(*ms, 'T'),
        (Value::Int(ms), Type::Timestamp) if timestamps == Timestamps::Sql => time::timestamp_text(*ms, ' '),
        (Value::Int(days), Type::Date) if timestamps != Timestamps::Number => time::date_text(*days),
        (Value::Int(ms), Type::Time) if timestamps != Timestamps::Number => time::time_text(*ms),
        (Value::String(text), _) => return out.extend_from_slice(text.as_bytes()),
        (Value::Bytes(bytes), _) => BASE64.encode(bytes),
        (Value::Bool(bool), _) => bool.to_string(),
        // Writing to a vector does not fail.
        (Value::Int(int), _) => return drop(write!(out, "{int}")),
        (Value::Double(double), _) => return drop(serde_json::to_writer(out, double)),
        _ => return,
    };
    out.extend_from_slice(text.as_bytes());
}

/// Whether a value of this type is written as text in JSON.
pub(super) fn is_text(of: &Type, timestamps: Timestamps) -> bool {
    match of {
        Type::String | Type::Bytes => true,
        Type::Timestamp | Type::Date | Type::Time => timestamps != Timestamps::Number,
        _ => false,
    }
}
