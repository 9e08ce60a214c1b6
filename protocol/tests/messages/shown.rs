//! A structure's `Debug` output, read back so that it can be compared with JSON.
//!
//! It is the only view that every structure has of its real fields, so no other code has to be trusted.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

/// Those of Java's ids; the golden bytes need none of the two that differ elsewhere.
const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Reads `Debug` output: structures become objects, `Some(x)` is x, `None` null, an error code its number, records
/// their size, an id a string, bytes a string in base 64.
pub(crate) fn parse(shown: &str) -> Value {
    let mut chars = shown.chars().peekable();
    let parsed = value(&mut chars);
    assert_eq!(chars.next(), None, "something is left of {shown}");
    parsed
}

/// Insists that `ours` has each field of `theirs`, with the same value.
pub(crate) fn assert_same(ours: &Value, theirs: &Value, path: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, theirs) in theirs {
                let (name, theirs) = match name.strip_suffix("SizeInBytes") {
                    Some(bytes) => (bytes, theirs),
                    None => (name.as_str(), theirs),
                };
                let ours = ours.get(&plain(name)).unwrap_or_else(|| panic!("no {path}.{name}"));
                assert_same(ours, theirs, &format!("{path}.{name}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{path}");
            for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                assert_same(ours, theirs, &format!("{path}[{i}]"));
            }
        }
        (Value::String(ours), Value::String(theirs)) => {
            assert!(ours == theirs || Some(ours) == id(theirs).as_ref(), "{path}: {ours} is not {theirs}");
        }
        (ours, theirs) => assert_eq!(ours, theirs, "{path}"),
    }
}

/// Java says `topicId` where we say `topic_id`.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// An id in Java's base 64, in the form that `Debug` has.
fn id(base64: &str) -> Option<String> {
    if base64.len() != 22 {
        return None;
    }
    // 22 digits of 6 bits are 132 bits; the last 4 are padding.
    let bits = base64.bytes().try_fold((0u128, 0), |(bits, n), c| {
        let digit = DIGITS.iter().position(|d| *d == c)? as u128;
        Some(if n == 21 { (bits << 2 | digit >> 4, n + 1) } else { (bits << 6 | digit, n + 1) })
    })?;
    Some(leat_protocol::Uuid::from_u128(bits.0).to_string())
}

/// Bytes as Java's JSON has them. The golden ones are ASCII, so that they are the same in `Debug` output.
fn base64(bytes: &[u8]) -> String {
    let digit = |bits: u32, n: u32| char::from(DIGITS[(bits >> (18 - 6 * n) & 63) as usize]);
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().enumerate().map(|(i, byte)| u32::from(*byte) << (16 - 8 * i)).sum();
        (0..4).map(|n| if n as usize > chunk.len() { '=' } else { digit(bits, n) }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

fn value(chars: &mut Peekable<Chars>) -> Value {
    match chars.peek().copied() {
        Some('b') if chars.clone().nth(1) == Some('"') => {
            chars.next();
            Value::String(base64(quoted(chars).as_bytes()))
        }
        Some('[') => {
            chars.next();
            Value::Array(list(chars, ']', value))
        }
        Some('"') => Value::String(quoted(chars)),
        _ => word(chars),
    }
}

fn word(chars: &mut Peekable<Chars>) -> Value {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || "_-".contains(*c)) {
        word.push(c);
    }
    match (word.as_str(), chars.peek().copied()) {
        ("None", _) => Value::Null,
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        // `Some(x)`, `Records(size)` and error codes such as `NONE(0)`.
        (_, Some('(')) => tuple(chars),
        (_, Some(' ')) if chars.clone().nth(1) == Some('{') => {
            chars.nth(1);
            Value::Object(Map::from_iter(list(chars, '}', field)))
        }
        (number, _) => number.parse::<i64>().map_or_else(|_| Value::String(number.to_owned()), Value::from),
    }
}

fn tuple(chars: &mut Peekable<Chars>) -> Value {
    chars.next();
    list(chars, ')', value).pop().expect("one element")
}

fn field(chars: &mut Peekable<Chars>) -> (String, Value) {
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| *c != ':') {
        name.push(c);
    }
    chars.next();
    skip_space(chars);
    (plain(&name), value(chars))
}

fn list<T>(chars: &mut Peekable<Chars>, end: char, element: fn(&mut Peekable<Chars>) -> T) -> Vec<T> {
    let mut elements = Vec::new();
    loop {
        skip_space(chars);
        if chars.next_if_eq(&end).is_some() {
            return elements;
        }
        elements.push(element(chars));
        chars.next_if_eq(&',');
    }
}

fn skip_space(chars: &mut Peekable<Chars>) {
    while chars.next_if_eq(&' ').is_some() {}
}

/// The characters between two quotes.
fn quoted(chars: &mut Peekable<Chars>) -> String {
    chars.next();
    let mut content = String::new();
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return content,
            '\\' => content.push(escape(chars)),
            c => content.push(c),
        }
    }
}

fn escape(chars: &mut Peekable<Chars>) -> char {
    let hex = |digits: String| {
        let code = u32::from_str_radix(&digits, 16).expect("hexadecimal digits");
        char::from_u32(code).expect("a character")
    };
    match chars.next().expect("an escaped character") {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'u' => hex(chars.skip(1).take_while(|c| *c != '}').collect()),
        c => c,
    }
}
