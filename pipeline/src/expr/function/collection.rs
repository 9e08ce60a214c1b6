//! Functions of arrays and maps, and those that choose.

use super::Parameter::{Any, Array, Element, Map, Sized, Text};
use super::string::count;
use super::{Function, Returns, Values, function, text};
use crate::expr::{Failed, cast};
use crate::value::{Type, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    function(
        &["CARDINALITY", "ARRAY_LENGTH"],
        &[Sized],
        Returns::Integer,
        cardinality,
        ("CARDINALITY(ARRAY[1, 2, 3])", "3"),
    ),
    Function {
        takes_null: true,
        ..function(
            &["ARRAY_CONTAINS"],
            &[Array, Element],
            Returns::Boolean,
            contains,
            ("ARRAY_CONTAINS(ARRAY['a', 'b'], 'b')", "true"),
        )
    },
    function(
        &["ARRAY_MAX"],
        &[Array],
        Returns::Element,
        |v| Ok(present(v).max().cloned().unwrap_or_default()),
        ("ARRAY_MAX(ARRAY[1, 3, 2])", "3"),
    ),
    function(
        &["ARRAY_MIN"],
        &[Array],
        Returns::Element,
        |v| Ok(present(v).min().cloned().unwrap_or_default()),
        ("ARRAY_MIN(ARRAY[1, 3, 2])", "1"),
    ),
    function(&["ARRAY_DISTINCT"], &[Array], Returns::First, distinct, ("ARRAY_DISTINCT(ARRAY[1, 2, 1])", "[1, 2]")),
    function(&["ARRAY_SORT"], &[Array], Returns::First, sort, ("ARRAY_SORT(ARRAY[3, 1, 2])", "[1, 2, 3]")),
    function(&["ARRAY_JOIN"], &[Array, Text], Returns::Text, join, ("ARRAY_JOIN(ARRAY['a', 'b'], '-')", "a-b")),
    function(&["MAP_KEYS"], &[Map], Returns::Texts, keys, ("MAP_KEYS(m)", "")),
    function(&["MAP_VALUES"], &[Map], Returns::MapValues, values_of, ("MAP_VALUES(m)", "")),
    Function {
        takes_null: true,
        ..function(
            &["NULLIF"],
            &[super::Parameter::Same, super::Parameter::Same],
            Returns::First,
            nullif,
            ("NULLIF(1, 1)", "null"),
        )
    },
    function(&["AS_VALUE"], &[Any], Returns::First, |v| Ok(v[0].as_ref().clone()), ("AS_VALUE(1)", "1")),
];

fn elements<'a>(values: Values<'a, '_>) -> &'a [Value] {
    match values.first().map(AsRef::as_ref) {
        Some(Value::Array(elements)) => elements,
        _ => &[],
    }
}

fn present<'a>(values: Values<'a, '_>) -> impl Iterator<Item = &'a Value> {
    elements(values).iter().filter(|value| !value.is_null())
}

fn cardinality(values: Values<'_, '_>) -> Result<Value, Failed> {
    count(match values[0].as_ref() {
        Value::Array(elements) => elements.len(),
        Value::Map(entries) => entries.len(),
        Value::String(text) => text.chars().count(),
        _ => 0,
    })
}

fn contains(values: Values<'_, '_>) -> Result<Value, Failed> {
    if values[0].is_null() {
        return Ok(Value::Null);
    }
    Ok(Value::Bool(elements(values).contains(&values[1])))
}

fn distinct(values: Values<'_, '_>) -> Result<Value, Failed> {
    let mut seen = std::collections::BTreeSet::new();
    Ok(Value::Array(elements(values).iter().filter(|value| seen.insert(*value)).cloned().collect()))
}

/// Ascending, nulls last as ksqlDB has it.
fn sort(values: Values<'_, '_>) -> Result<Value, Failed> {
    let mut sorted = elements(values).to_vec();
    sorted.sort_by(|a, b| a.is_null().cmp(&b.is_null()).then_with(|| a.cmp(b)));
    Ok(Value::Array(sorted.into()))
}

fn join(values: Values<'_, '_>) -> Result<Value, Failed> {
    let of = |value: &Value| match value {
        Value::String(text) => text.to_string(),
        Value::Double(_) => cast::to_text(value, &Type::Double),
        other => cast::to_text(other, &Type::BigInt),
    };
    let parts: Vec<String> = present(values).map(of).collect();
    Ok(Value::string(&parts.join(text(values, 1))))
}

fn keys(values: Values<'_, '_>) -> Result<Value, Failed> {
    match values[0].as_ref() {
        Value::Map(entries) => Ok(Value::Array(entries.iter().map(|(key, _)| Value::string(key)).collect())),
        _ => Ok(Value::Null),
    }
}

fn values_of(values: Values<'_, '_>) -> Result<Value, Failed> {
    match values[0].as_ref() {
        Value::Map(entries) => Ok(Value::Array(entries.iter().map(|(_, value)| value.clone()).collect())),
        _ => Ok(Value::Null),
    }
}

fn nullif(values: Values<'_, '_>) -> Result<Value, Failed> {
    Ok(if values[0] == values[1] { Value::Null } else { values[0].as_ref().clone() })
}
