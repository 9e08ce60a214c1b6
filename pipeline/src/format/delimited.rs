//! Lines of text with a separator; a field may stand in double quotes, a double quote in it is doubled.

use super::json::Fields;
use super::scalar;
use crate::plan::Timestamps;
use crate::value::{Type, Value};
use std::borrow::Cow;

pub(super) fn read(
    bytes: &[u8],
    separator: char,
    fields: &Fields,
    timestamps: Timestamps,
    row: &mut [Value],
) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let mut rest = Some(text.trim_end_matches(['\r', '\n']));
    let mut missing = fields.iter().count();
    let mut place = 0;
    while let Some(line) = rest
        && missing > 0
    {
        let (part, after) = next(line, separator)?;
        for field in fields.iter().filter(|field| field.place == place) {
            missing -= 1;
            if !part.is_empty() {
                row[field.row] = scalar::of_text(&part, &field.of, timestamps)
                    .ok_or_else(|| format!("field '{}': expected {}, found '{part}'", field.name, field.of))?;
            }
        }
        (rest, place) = (after, place + 1);
    }
    if missing > 0 { Err(format!("there are only {place} fields")) } else { Ok(()) }
}

/// The next field and what follows its separator.
fn next(line: &str, separator: char) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let Some(quoted) = line.strip_prefix('"') else {
        return Ok(match line.split_once(separator) {
            Some((field, rest)) => (Cow::Borrowed(field), Some(rest)),
            None => (Cow::Borrowed(line), None),
        });
    };
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None if after.is_empty() => return Ok((Cow::Owned(field), None)),
            None => {
                let rest = after.strip_prefix(separator).ok_or("text follows a closing quote")?;
                return Ok((Cow::Owned(field), Some(rest)));
            }
        }
    }
}

pub(super) fn write(
    fields: &[(String, Type)],
    values: &[Value],
    separator: char,
    timestamps: Timestamps,
    out: &mut Vec<u8>,
) {
    let mut part = Vec::new();
    for (at, ((_, of), value)) in fields.iter().zip(values).enumerate() {
        if at > 0 {
            out.extend_from_slice(separator.encode_utf8(&mut [0; 4]).as_bytes());
        }
        part.clear();
        match value {
            Value::Array(_) | Value::Map(_) | Value::Struct(_) => super::encode::json(value, of, timestamps, &mut part),
            _ => scalar::write(value, of, timestamps, &mut part),
        }
        let text = String::from_utf8_lossy(&part);
        if text.contains([separator, '"', '\n', '\r']) {
            out.push(b'"');
            out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    }
}
