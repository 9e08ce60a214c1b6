//! A result as the bytes of a key or a value. The same values give the same bytes, always.

use super::{delimited, kafka, scalar};
use crate::plan::{Format, Timestamps};
use crate::value::{Type, Value};

/// Appends the fields' values to `out`.
///
/// KAFKA writes one primitive, nothing for null; what follows it, a window's start, is appended as eight bytes, as
/// Kafka Streams' windowed keys have it (without the end).
pub fn encode(fields: &[(String, Type)], values: &[Value], format: Format, timestamps: Timestamps, out: &mut Vec<u8>) {
    match format {
        Format::Json => object(fields, values, timestamps, out),
        Format::Delimited { separator } => delimited::write(fields, values, separator, timestamps, out),
        Format::Kafka => {
            for ((_, of), value) in fields.iter().zip(values).take(2) {
                kafka::write(value, of, out);
            }
        }
        Format::None => {}
    }
}

fn object(fields: &[(String, Type)], values: &[Value], timestamps: Timestamps, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, ((name, of), value)) in fields.iter().zip(values).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(name, out);
        out.push(b':');
        json(value, of, timestamps, out);
    }
    out.push(b'}');
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    drop(serde_json::to_writer(out, text));
}

fn array(values: &[Value], of: &Type, timestamps: Timestamps, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json(value, of, timestamps, out);
    }
    out.push(b']');
}

/// One value as JSON.
pub(super) fn json(value: &Value, of: &Type, timestamps: Timestamps, out: &mut Vec<u8>) {
    match (value, of) {
        (Value::Null, _) => out.extend_from_slice(b"null"),
        (Value::String(text), _) => string(text, out),
        (Value::Array(values), Type::Array(of)) => array(values, of, timestamps, out),
        (Value::Struct(values), Type::Struct(fields)) => object(fields, values, timestamps, out),
        (Value::Map(entries), Type::Map(of)) => {
            out.push(b'{');
            for (at, (name, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                json(value, of, timestamps, out);
            }
            out.push(b'}');
        }
        // A value that holds others has a type that does.
        (Value::Array(_) | Value::Map(_) | Value::Struct(_), _) => out.extend_from_slice(b"null"),
        _ if scalar::is_text(of, timestamps) => {
            out.push(b'"');
            scalar::write(value, of, timestamps, out);
            out.push(b'"');
        }
        _ => scalar::write(value, of, timestamps, out),
    }
}
