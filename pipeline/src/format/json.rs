//! JSON to columns: one pass over the bytes, what is not wanted is skipped.

use super::scalar;
use crate::plan::Timestamps;
use crate::value::{Type, Value};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The fields of a key or a value that are wanted.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    wanted: Vec<Wanted>,
    without_case: bool,
}

/// A field that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) of: Type,
    /// Its place in the row.
    pub(super) row: usize,
    /// Its place among the columns of the key or value.
    pub(super) place: usize,
}

impl Fields {
    pub(super) fn new(without_case: bool) -> Fields {
        Fields { wanted: Vec::new(), without_case }
    }

    pub(super) fn want(&mut self, name: &str, of: &Type, row: usize, place: usize) {
        self.wanted.push(Wanted { name: name.to_owned(), of: of.clone(), row, place });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Wanted> {
        self.wanted.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The field of this name, and whether it is exactly that.
    fn find(&self, name: &str) -> Option<(usize, bool)> {
        find(self.wanted.iter().map(|wanted| wanted.name.as_str()), name, self.without_case)
    }
}

fn find<'a>(names: impl Iterator<Item = &'a str> + Clone, name: &str, without_case: bool) -> Option<(usize, bool)> {
    match names.clone().position(|other| other == name) {
        Some(at) => Some((at, true)),
        None if without_case => {
            let mut names = names;
            names.position(|other| other.eq_ignore_ascii_case(name)).map(|at| (at, false))
        }
        None => None,
    }
}

/// Reads an object's fields into the row.
pub(super) fn read(bytes: &[u8], fields: &Fields, timestamps: Timestamps, row: &mut [Value]) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let seed = RowSeed { fields, timestamps, row };
    seed.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| error.to_string())
}

/// Reads a key: an object, or its only column by itself.
pub(super) fn read_key(bytes: &[u8], fields: &Fields, timestamps: Timestamps, row: &mut [Value]) -> Result<(), String> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match fields.wanted.as_slice() {
        [only] if first != Some(&b'{') && only.place == 0 => {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            let seed = ValueSeed { of: &only.of, timestamps, without_case: fields.without_case };
            row[only.row] = seed.deserialize(&mut json).map_err(|error| error.to_string())?;
            json.end().map_err(|error| error.to_string())
        }
        _ => read(bytes, fields, timestamps, row),
    }
}

struct RowSeed<'a> {
    fields: &'a Fields,
    timestamps: Timestamps,
    row: &'a mut [Value],
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Fields that were there by their exact name: one that differs in case does not take their place.
        let mut exact: u128 = 0;
        while let Some(found) = map.next_key_seed(NameSeed(|name: &str| self.fields.find(name)))? {
            let Some((at, is_exact)) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let bit = 1_u128.checked_shl(at as u32).unwrap_or(0);
            if !is_exact && exact & bit != 0 {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if is_exact {
                exact |= bit;
            }
            let wanted = &self.fields.wanted[at];
            let seed =
                ValueSeed { of: &wanted.of, timestamps: self.timestamps, without_case: self.fields.without_case };
            self.row[wanted.row] = map
                .next_value_seed(seed)
                .map_err(|error| de::Error::custom(format_args!("field '{}': {error}", wanted.name)))?;
        }
        Ok(())
    }
}

/// A field's name, looked up without being kept.
struct NameSeed<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for NameSeed<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for NameSeed<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        Ok((self.0)(name))
    }
}

/// A value of a type.
#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    of: &'a Type,
    timestamps: Timestamps,
    without_case: bool,
}

impl<'a> ValueSeed<'a> {
    fn part(&self, of: &'a Type) -> ValueSeed<'a> {
        ValueSeed { of, ..*self }
    }

    fn wrong<E: de::Error>(&self, found: &str) -> E {
        E::custom(format_args!("expected {}, found {found}", self.of))
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.of)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Value, E> {
        match self.of {
            Type::Boolean => Ok(Value::Bool(bool)),
            Type::String => Ok(Value::string(if bool { "true" } else { "false" })),
            _ => Err(self.wrong(&format!("the boolean {bool}"))),
        }
    }

    fn visit_i64<E: de::Error>(self, int: i64) -> Result<Value, E> {
        scalar::of_int(int, self.of, self.timestamps).ok_or_else(|| self.wrong(&format!("the number {int}")))
    }

    fn visit_u64<E: de::Error>(self, int: u64) -> Result<Value, E> {
        match (i64::try_from(int), self.of) {
            (Ok(int), _) => self.visit_i64(int),
            (_, Type::Double) => Ok(Value::Double(int as f64)),
            (_, Type::String) => Ok(Value::string(&int.to_string())),
            _ => Err(self.wrong(&format!("the number {int}"))),
        }
    }

    fn visit_f64<E: de::Error>(self, double: f64) -> Result<Value, E> {
        match self.of {
            Type::Double => Ok(Value::Double(double)),
            Type::String => Ok(Value::string(&serde_json::to_string(&double).unwrap_or_default())),
            _ => Err(self.wrong(&format!("the number {double}"))),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        if *self.of == Type::String {
            return Ok(Value::string(text));
        }
        let found = scalar::of_text(text, self.of, self.timestamps);
        found.ok_or_else(|| self.wrong(&format!("the text '{}'", crate::expr::shorten(text))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        match self.of {
            Type::Array(of) => {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element_seed(self.part(of))? {
                    values.push(value);
                }
                Ok(Value::Array(values.into()))
            }
            Type::String => json_text(de::value::SeqAccessDeserializer::new(seq)),
            _ => Err(self.wrong("an array")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match self.of {
            Type::Struct(fields) => {
                let mut values = vec![Value::Null; fields.len()];
                let names = fields.iter().map(|(name, _)| name.as_str());
                while let Some(found) =
                    map.next_key_seed(NameSeed(|name: &str| find(names.clone(), name, self.without_case)))?
                {
                    match found {
                        Some((at, _)) => values[at] = map.next_value_seed(self.part(&fields[at].1))?,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Value::Struct(values.into()))
            }
            Type::Map(of) => {
                let mut entries = std::collections::BTreeMap::new();
                while let Some(name) = map.next_key_seed(NameSeed(|name: &str| Box::<str>::from(name)))? {
                    entries.insert(name, map.next_value_seed(self.part(of))?);
                }
                Ok(Value::Map(entries.into_iter().collect()))
            }
            Type::String => json_text(de::value::MapAccessDeserializer::new(map)),
            _ => Err(self.wrong("an object")),
        }
    }
}

/// An array or object in a column of text: its JSON.
fn json_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let document = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;
    Ok(Value::string(&document.to_string()))
}
