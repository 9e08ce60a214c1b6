//! Patterns that a statement gives: regular expressions, `LIKE`, JSON paths. Compiled once.

use super::Failed;
use crate::value::Value;
use regex::Regex;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The largest compiled form of a regular expression, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// A regular expression, equal by its text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// A regular expression (of the `regex` crate: linear time, neither look-around nor back references).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn regex_of(text: &str) -> Result<Pattern, Failed> {
        let built = regex::RegexBuilder::new(text).size_limit(SIZE_MAX).build();
        built.map(Pattern).map_err(|error| Failed::new(format!("not a regular expression: {error}")))
    }

    /// `LIKE`: `%` is any text, `_` any character; after `escape` a character stands for itself.
    ///
    /// # Errors
    /// It is too long.
    pub fn like(text: &str, escape: Option<char>, without_case: bool) -> Result<Pattern, Failed> {
        let mut regex = String::from(if without_case { "(?si)^" } else { "(?s)^" });
        let mut characters = text.chars();
        while let Some(char) = characters.next() {
            match char {
                _ if Some(char) == escape => {
                    let Some(next) = characters.next() else {
                        return Err(Failed::new("nothing follows the escape character"));
                    };
                    regex.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
                }
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push('$');
        Pattern::regex_of(&regex)
    }

    pub(super) fn regex(&self) -> &Regex {
        &self.0
    }

    pub(super) fn extract(&self, text: &str, group: usize) -> Value {
        let found = self.0.captures(text).and_then(|groups| groups.get(group));
        found.map_or(Value::Null, |found| Value::string(found.as_str()))
    }

    /// How many groups it has, the whole match included.
    pub fn groups(&self) -> usize {
        self.0.captures_len()
    }
}

/// A path into a JSON text: `$.a.b[0]`, `$['a b']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
    /// Arrays and objects are null (`JSON_VALUE`) rather than their text (`EXTRACTJSONFIELD`).
    scalar: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
}

impl JsonPath {
    /// A path from its text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, scalar: bool) -> Result<JsonPath, Failed> {
        let wrong = || Failed::new(format!("'{text}' is no JSON path like '$.a.b[0]'"));
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(field) = rest.strip_prefix('.') {
                let end = field.find(['.', '[']).unwrap_or(field.len());
                (Step::Field(field[..end].to_owned()), &field[end..])
            } else {
                let (inner, after) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(wrong)?;
                (bracket(inner).ok_or_else(wrong)?, after)
            };
            if step == Step::Field(String::new()) {
                return Err(wrong());
            }
            steps.push(step);
            rest = after;
        }
        Ok(JsonPath { steps, scalar })
    }

    /// What is there: the text of a string, else the JSON text; null where there is nothing or the text is no JSON.
    pub(super) fn find(&self, text: &str) -> Value {
        let mut at = text;
        for step in &self.steps {
            let next = match step {
                Step::Field(name) => serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(at)
                    .ok()
                    .and_then(|mut fields| fields.remove(name.as_str())),
                Step::Element(index) => {
                    serde_json::from_str::<Vec<&RawValue>>(at).ok().and_then(|values| values.get(*index).copied())
                }
            };
            match next {
                Some(raw) => at = raw.get(),
                None => return Value::Null,
            }
        }
        match serde_json::from_str::<&RawValue>(at).map(RawValue::get) {
            Ok("null") | Err(_) => Value::Null,
            Ok(raw) if raw.starts_with('"') => {
                serde_json::from_str::<Cow<'_, str>>(raw).map_or(Value::Null, |text| Value::string(&text))
            }
            Ok(raw) if self.scalar && raw.starts_with(['{', '[']) => Value::Null,
            Ok(raw) => Value::string(raw),
        }
    }
}

fn bracket(inner: &str) -> Option<Step> {
    let quoted = |quote| inner.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    match quoted('\'').or_else(|| quoted('"')) {
        Some(name) => Some(Step::Field(name.to_owned())),
        None => inner.parse().ok().map(Step::Element),
    }
}
