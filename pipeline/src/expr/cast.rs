//! A value as another type.

use super::{Failed, time};
use crate::value::{Type, Value};

/// A value of one type as another; null stays null.
///
/// # Errors
/// It can't be had: a text that is no number, a number that is out of range.
pub fn cast(value: &Value, from: &Type, to: &Type) -> Result<Value, Failed> {
    if value.is_null() || from == to {
        return Ok(value.clone());
    }
    match (value, from, to) {
        (_, _, Type::String) => Ok(Value::String(to_text(value, from).into())),
        (Value::String(text), Type::String, _) => from_text(text, to),
        (Value::Int(int), Type::BigInt | Type::Integer | Type::Timestamp, Type::Integer) => match i32::try_from(*int) {
            Ok(_) => Ok(value.clone()),
            Err(_) => Err(out_of_range(int, to)),
        },
        (Value::Int(days), Type::Date, Type::Timestamp) => Ok(Value::Int(days.saturating_mul(time::DAY_MS))),
        (Value::Int(ms), Type::Timestamp, Type::Date) => Ok(Value::Int(ms.div_euclid(time::DAY_MS))),
        (Value::Int(ms), Type::Timestamp, Type::Time) => Ok(Value::Int(ms.rem_euclid(time::DAY_MS))),
        (Value::Int(int), _, Type::Double) => Ok(Value::Double(*int as f64)),
        (Value::Int(_), _, _) => Ok(value.clone()),
        (Value::Double(double), _, Type::Integer | Type::BigInt) => whole(*double, to),
        (Value::Array(values), Type::Array(from), Type::Array(to)) => {
            values.iter().map(|value| cast(value, from, to)).collect::<Result<_, _>>().map(Value::Array)
        }
        _ => Ok(value.clone()),
    }
}

/// Whether a value of one type can be had as another at all.
pub(crate) fn can_cast(from: &Type, to: &Type) -> bool {
    use Type::{Array, BigInt, Boolean, Bytes, Date, Double, Integer, Interval, Null, String, Time, Timestamp};
    match (from, to) {
        (a, b) if a == b => true,
        (Null, _) => true,
        (Array(from), Array(to)) => can_cast(from, to),
        (_, Interval | Null | Bytes) | (Interval | Bytes, _) => false,
        (_, String) => true,
        (String, Boolean | Integer | BigInt | Double | Timestamp | Date | Time) => true,
        (Integer | BigInt | Double, Integer | BigInt | Double) => true,
        (Timestamp, BigInt | Date | Time) | (BigInt | Date, Timestamp) => true,
        _ => false,
    }
}

/// A value as text, as `CAST(x AS STRING)` writes it.
pub fn to_text(value: &Value, of: &Type) -> String {
    match (value, of) {
        (Value::Null, _) => "null".to_owned(),
        (Value::Bool(bool), _) => bool.to_string(),
        (Value::Int(ms), Type::Timestamp) => time::timestamp_text(*ms, ' '),
        (Value::Int(days), Type::Date) => time::date_text(*days),
        (Value::Int(ms), Type::Time) => time::time_text(*ms),
        (Value::Int(int), _) => int.to_string(),
        (Value::Double(double), _) => serde_json::to_string(double).unwrap_or_default(),
        (Value::String(text), _) => text.to_string(),
        (Value::Bytes(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
        (Value::Array(values), Type::Array(of)) => {
            format!("[{}]", values.iter().map(|value| to_text(value, of)).collect::<Vec<_>>().join(", "))
        }
        (Value::Map(entries), Type::Map(of)) => {
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}={}", to_text(value, of))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            let fields = fields.iter().zip(values).map(|((name, of), value)| format!("{name}={}", to_text(value, of)));
            format!("Struct{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        _ => String::new(),
    }
}

fn from_text(text: &str, to: &Type) -> Result<Value, Failed> {
    let trimmed = text.trim();
    let wrong = || Failed::new(format!("'{}' is no {to}", shorten(text)));
    match to {
        Type::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Type::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        Type::Integer => trimmed.parse::<i32>().map(|int| Value::Int(int.into())).map_err(|_| wrong()),
        Type::BigInt => trimmed.parse().map(Value::Int).map_err(|_| wrong()),
        Type::Double => match trimmed.parse::<f64>() {
            Ok(double) if double.is_finite() => Ok(Value::Double(double)),
            _ => Err(wrong()),
        },
        Type::Timestamp => time::parse_timestamp(trimmed).map(Value::Int).ok_or_else(wrong),
        Type::Date => time::parse_date(trimmed).map(Value::Int).ok_or_else(wrong),
        Type::Time => time::parse_time(trimmed).map(Value::Int).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn whole(double: f64, to: &Type) -> Result<Value, Failed> {
    let whole = double.trunc();
    let fits = match to {
        Type::Integer => (-2_147_483_648.0..=2_147_483_647.0).contains(&whole),
        // The largest double below 2^63.
        _ => (-9_223_372_036_854_775_808.0..=9_223_372_036_854_774_784.0).contains(&whole),
    };
    if fits { Ok(Value::Int(whole as i64)) } else { Err(out_of_range(&double, to)) }
}

fn out_of_range(value: &dyn std::fmt::Display, to: &Type) -> Failed {
    Failed::new(format!("{value} is out of the range of {to}"))
}

/// The beginning of a text, for messages.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
