//! Functions of text. A position counts characters, from 1.

use super::Parameter::{Any, Text, Whole};
use super::{Function, Returns, Values, function, text, whole};
use crate::expr::Failed;
use crate::value::Value;

/// The longest text that a function makes, in bytes.
const LENGTH_MAX: usize = 1 << 20;

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        &["UPPER", "UCASE"],
        &[Text],
        Returns::Text,
        |v| Ok(text(v, 0).to_uppercase().into_value()),
        ("UPPER('Leat')", "LEAT"),
    ),
    function(
        &["LOWER", "LCASE"],
        &[Text],
        Returns::Text,
        |v| Ok(text(v, 0).to_lowercase().into_value()),
        ("LCASE('Leat')", "leat"),
    ),
    function(
        &["CHAR_LENGTH", "CHARACTER_LENGTH", "LEN", "LENGTH"],
        &[Text],
        Returns::Integer,
        |v| count(text(v, 0).chars().count()),
        ("LEN('Leat')", "4"),
    ),
    Function {
        required: 2,
        ..function(
            &["SUBSTRING", "SUBSTR"],
            &[Text, Whole, Whole],
            Returns::Text,
            substring,
            ("SUBSTRING('pipeline', 5, 3)", "lin"),
        )
    },
    Function {
        required: 1,
        ..function(&["TRIM", "BTRIM"], &[Text, Text], Returns::Text, |v| trim(v, true, true), ("TRIM('  a b ')", "a b"))
    },
    Function {
        required: 1,
        ..function(&["LTRIM"], &[Text, Text], Returns::Text, |v| trim(v, true, false), ("LTRIM('xxay', 'x')", "ay"))
    },
    Function {
        required: 1,
        ..function(&["RTRIM"], &[Text, Text], Returns::Text, |v| trim(v, false, true), ("RTRIM('a  ')", "a"))
    },
    function(&["||"], &[Any, Any], Returns::Text, concat, ("'a' || 1", "a1")),
    Function {
        required: 1,
        variadic: true,
        takes_null: true,
        ..function(&["CONCAT"], &[Any], Returns::Text, concat, ("CONCAT('a', 1, 'b')", "a1b"))
    },
    Function {
        required: 2,
        variadic: true,
        takes_null: true,
        ..function(&["CONCAT_WS"], &[Text, Text], Returns::Text, concat_ws, ("CONCAT_WS('-', 'a', 'b')", "a-b"))
    },
    function(&["SPLIT"], &[Text, Text], Returns::Texts, split, ("SPLIT('a,b', ',')", "[a, b]")),
    function(&["SPLIT_INDEX"], &[Text, Text, Whole], Returns::Text, split_index, ("SPLIT_INDEX('a,b', ',', 1)", "b")),
    function(&["REPLACE"], &[Text, Text, Text], Returns::Text, replace, ("REPLACE('a-b', '-', '+')", "a+b")),
    Function {
        required: 2,
        ..function(
            &["INSTR"],
            &[Text, Text, Whole, Whole],
            Returns::Integer,
            instr,
            ("INSTR('banana', 'an', 1, 2)", "4"),
        )
    },
    function(
        &["POSITION", "LOCATE"],
        &[Text, Text],
        Returns::Integer,
        |v| count(position(text(v, 1), text(v, 0), 0).unwrap_or(0)),
        ("POSITION('an' IN 'banana')", "2"),
    ),
    Function {
        required: 2,
        ..function(&["LPAD"], &[Text, Whole, Text], Returns::Text, |v| pad(v, true), ("LPAD('7', 3, '0')", "007"))
    },
    Function {
        required: 2,
        ..function(&["RPAD"], &[Text, Whole, Text], Returns::Text, |v| pad(v, false), ("RPAD('7', 3, '.')", "7.."))
    },
    function(
        &["REVERSE"],
        &[Text],
        Returns::Text,
        |v| Ok(text(v, 0).chars().rev().collect::<String>().into_value()),
        ("REVERSE('abc')", "cba"),
    ),
    function(&["REPEAT"], &[Text, Whole], Returns::Text, repeat, ("REPEAT('ab', 2)", "abab")),
    function(
        &["LEFT"],
        &[Text, Whole],
        Returns::Text,
        |v| Ok(Value::string(&left(text(v, 0), whole(v, 1)))),
        ("LEFT('abc', 2)", "ab"),
    ),
    function(&["RIGHT"], &[Text, Whole], Returns::Text, right, ("RIGHT('abc', 2)", "bc")),
    function(
        &["INITCAP"],
        &[Text],
        Returns::Text,
        |v| Ok(initcap(text(v, 0)).into_value()),
        ("INITCAP('the great')", "The Great"),
    ),
    function(
        &["STARTSWITH", "STARTS_WITH"],
        &[Text, Text],
        Returns::Boolean,
        |v| Ok(Value::Bool(text(v, 0).starts_with(text(v, 1)))),
        ("STARTSWITH('leat', 'le')", "true"),
    ),
    function(
        &["ENDSWITH", "ENDS_WITH"],
        &[Text, Text],
        Returns::Boolean,
        |v| Ok(Value::Bool(text(v, 0).ends_with(text(v, 1)))),
        ("ENDSWITH('leat', 'at')", "true"),
    ),
    function(
        &["ASCII"],
        &[Text],
        Returns::Integer,
        |v| Ok(Value::Int(text(v, 0).bytes().next().map_or(0, i64::from))),
        ("ASCII('A')", "65"),
    ),
];

trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::String(self.into())
    }
}

pub(super) fn count(count: usize) -> Result<Value, Failed> {
    i64::try_from(count).map(Value::Int).map_err(|_| Failed::new("too long"))
}

fn substring(values: Values<'_, '_>) -> Result<Value, Failed> {
    let text = text(values, 0);
    let from = whole(values, 1).unwrap_or(1);
    let skipped = match from {
        1.. => usize::try_from(from - 1).unwrap_or(usize::MAX),
        0 => 0,
        // From the end.
        _ => text.chars().count().saturating_sub(usize::try_from(from.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let most = whole(values, 2).map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(0));
    Ok(text.chars().skip(skipped).take(most).collect::<String>().into_value())
}

fn trim(values: Values<'_, '_>, start: bool, end: bool) -> Result<Value, Failed> {
    let mut rest = text(values, 0);
    let what = if values.len() > 1 { text(values, 1) } else { " " };
    let is_part = |char: char| what.contains(char);
    if start {
        rest = rest.trim_start_matches(is_part);
    }
    if end {
        rest = rest.trim_end_matches(is_part);
    }
    Ok(Value::string(rest))
}

/// As ksqlDB has it: nulls are left out.
fn concat(values: Values<'_, '_>) -> Result<Value, Failed> {
    Ok(values.iter().filter_map(|value| value.as_str()).collect::<String>().into_value())
}

fn concat_ws(values: Values<'_, '_>) -> Result<Value, Failed> {
    let Some(separator) = values.first().and_then(|value| value.as_str()) else { return Ok(Value::Null) };
    let parts: Vec<&str> = values[1..].iter().filter_map(|value| value.as_str()).collect();
    Ok(parts.join(separator).into_value())
}

fn split(values: Values<'_, '_>) -> Result<Value, Failed> {
    let (text, separator) = (text(values, 0), text(values, 1));
    Ok(Value::Array(if separator.is_empty() {
        text.chars().map(|char| Value::string(char.encode_utf8(&mut [0; 4]))).collect()
    } else {
        text.split(separator).map(Value::string).collect()
    }))
}

/// Flink's: counted from 0.
fn split_index(values: Values<'_, '_>) -> Result<Value, Failed> {
    let separator = text(values, 1);
    let at = whole(values, 2).and_then(|at| usize::try_from(at).ok());
    let found = at.filter(|_| !separator.is_empty()).and_then(|at| text(values, 0).split(separator).nth(at));
    Ok(found.map_or(Value::Null, Value::string))
}

fn replace(values: Values<'_, '_>) -> Result<Value, Failed> {
    let (text, old, new) = (text(values, 0), text(values, 1), text(values, 2));
    if old.is_empty() {
        return Ok(Value::string(text));
    }
    let grown = text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len());
    if grown > LENGTH_MAX.max(text.len()) {
        return Err(Failed::new("REPLACE makes a text of more than 1 MiB"));
    }
    Ok(text.replace(old, new).into_value())
}

/// Where `part` begins in `text`, in characters from 1, after so many characters.
fn position(text: &str, part: &str, skipped: usize) -> Option<usize> {
    let from = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
    let at = text[from..].find(part)?;
    Some(skipped + text[from..from + at].chars().count() + 1)
}

fn instr(values: Values<'_, '_>) -> Result<Value, Failed> {
    let (text, part) = (text(values, 0), text(values, 1));
    let from = whole(values, 2).unwrap_or(1);
    if from < 0 {
        // Backwards from the end, as ksqlDB has it.
        let end = text.chars().count().saturating_sub(usize::try_from(from.unsigned_abs()).unwrap_or(usize::MAX));
        let limit = text.char_indices().nth(end).map_or(text.len(), |(at, char)| at + char.len_utf8());
        let at = text.match_indices(part).map(|(at, _)| at).take_while(|at| *at < limit).last();
        return count(at.map_or(0, |at| text[..at].chars().count() + 1));
    }
    let mut skipped = usize::try_from(from).unwrap_or(1).saturating_sub(1);
    let mut found = 0;
    for _ in 0..whole(values, 3).unwrap_or(1).clamp(1, 1 << 20) {
        match position(text, part, skipped) {
            Some(at) => (found, skipped) = (at, at),
            None => return Ok(Value::Int(0)),
        }
    }
    count(found)
}

fn pad(values: Values<'_, '_>, before: bool) -> Result<Value, Failed> {
    let text = text(values, 0);
    let with = if values.len() > 2 { super::text(values, 2) } else { " " };
    let Some(length) = whole(values, 1).and_then(|length| usize::try_from(length).ok()) else { return Ok(Value::Null) };
    if length > LENGTH_MAX {
        return Err(Failed::new(format!("a text of {length} characters is too long")));
    }
    let missing = length.saturating_sub(text.chars().count());
    if missing > 0 && with.is_empty() {
        return Ok(Value::Null);
    }
    let padding: String = with.chars().cycle().take(missing).collect();
    let kept: String = text.chars().take(length).collect();
    Ok(if before { padding + &kept } else { kept + &padding }.into_value())
}

fn repeat(values: Values<'_, '_>) -> Result<Value, Failed> {
    let times = usize::try_from(whole(values, 1).unwrap_or(0)).unwrap_or(0);
    let text = text(values, 0);
    if text.len().saturating_mul(times) > LENGTH_MAX {
        return Err(Failed::new("REPEAT makes a text of more than 1 MiB"));
    }
    Ok(text.repeat(times).into_value())
}

fn left(text: &str, count: Option<i64>) -> String {
    text.chars().take(usize::try_from(count.unwrap_or(0)).unwrap_or(0)).collect()
}

fn right(values: Values<'_, '_>) -> Result<Value, Failed> {
    let text = text(values, 0);
    let kept = usize::try_from(whole(values, 1).unwrap_or(0)).unwrap_or(0);
    let skipped = text.chars().count().saturating_sub(kept);
    Ok(text.chars().skip(skipped).collect::<String>().into_value())
}

fn initcap(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if inside {
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
        }
        inside = char.is_alphanumeric();
    }
    out
}
