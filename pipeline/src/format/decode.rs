//! A record as a row of the columns that a plan uses.

use super::json::Fields;
use super::{Rejected, delimited, json, kafka};
use crate::plan::{Format, From as Place, Source, Timestamps};
use crate::value::{Type, Value};

/// A header: its name and its value.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// What a decoder reads of a record.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers; may be left empty where [`Decoder::needs_headers`] is false.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// Reads records of a source.
#[derive(Debug, Clone)]
pub struct Decoder {
    key: Part,
    value: Part,
    /// Columns of the record itself.
    record: Vec<(usize, Place, Type)>,
    columns: usize,
    timestamps: Timestamps,
}

/// The key or the value of a record.
#[derive(Debug, Clone)]
struct Part {
    what: &'static str,
    format: Format,
    fields: Fields,
}

impl Decoder {
    /// For the columns that a plan uses.
    ///
    /// # Errors
    /// A format that can't hold them.
    pub fn new(source: &Source) -> Result<Decoder, String> {
        let mut key = Part::new("key", source.key_format, source.fields_without_case);
        let mut value = Part::new("value", source.value_format, source.fields_without_case);
        let mut record = Vec::new();
        for (at, column) in source.columns.iter().enumerate() {
            match &column.from {
                Place::Key(place) => key.fields.want(&column.name, &column.of, at, *place),
                Place::Value(place) => value.fields.want(&column.name, &column.of, at, *place),
                place => record.push((at, place.clone(), column.of.clone())),
            }
        }
        for part in [&key, &value] {
            part.check()?;
        }
        Ok(Decoder { key, value, record, columns: source.columns.len(), timestamps: source.timestamps })
    }

    /// Whether a column is a header.
    pub fn needs_headers(&self) -> bool {
        self.record.iter().any(|(_, place, _)| matches!(place, Place::Header(_) | Place::Headers))
    }

    /// Fills `row` with the record's columns; what it held before is gone.
    ///
    /// # Errors
    /// Why the record is no row.
    pub fn decode(&self, record: &Input<'_>, row: &mut Vec<Value>) -> Result<(), Rejected> {
        let value =
            record.value.ok_or_else(|| Rejected("the value is null, which is no row of a stream".to_owned()))?;
        self.rest(record, row)?;
        self.value.decode(value, self.timestamps, row)
    }

    /// The same of a table's record, whose key says which row it is. False where its value is null, so that there is no such row any
    /// more: then the columns of the value are null.
    ///
    /// # Errors
    /// Why the record is no row.
    pub fn decode_table(&self, record: &Input<'_>, row: &mut Vec<Value>) -> Result<bool, Rejected> {
        if record.key.is_none() {
            return Err(Rejected("the key is null, by which a table's row is known".to_owned()));
        }
        self.rest(record, row)?;
        match record.value {
            None => Ok(false),
            Some(value) => self.value.decode(value, self.timestamps, row).map(|()| true),
        }
    }

    /// Everything but the value.
    fn rest(&self, record: &Input<'_>, row: &mut Vec<Value>) -> Result<(), Rejected> {
        row.clear();
        row.resize(self.columns, Value::Null);
        if let Some(key) = record.key
            && !self.key.fields.is_empty()
        {
            self.key.decode(key, self.timestamps, row)?;
        }
        for (at, place, of) in &self.record {
            row[*at] = of_record(record, place, of)?;
        }
        Ok(())
    }
}

impl Part {
    fn new(what: &'static str, format: Format, without_case: bool) -> Part {
        Part { what, format, fields: Fields::new(without_case) }
    }

    fn check(&self) -> Result<(), String> {
        if self.format != Format::Kafka {
            return Ok(());
        }
        for field in self.fields.iter() {
            if !kafka::can_hold(&field.of) {
                return Err(format!("the format KAFKA can't hold '{}', a {}", field.name, field.of));
            }
            if field.place > 0 {
                return Err(format!("the format KAFKA holds one column, and '{}' is another", field.name));
            }
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8], timestamps: Timestamps, row: &mut [Value]) -> Result<(), Rejected> {
        let read = match self.format {
            Format::Json if self.what == "key" => json::read_key(bytes, &self.fields, timestamps, row),
            Format::Json => json::read(bytes, &self.fields, timestamps, row),
            Format::Delimited { separator } => delimited::read(bytes, separator, &self.fields, timestamps, row),
            Format::Kafka => kafka::read(bytes, &self.fields, row),
            Format::None => Ok(()),
        };
        read.map_err(|why| Rejected(format!("the {}: {why}", self.what)))
    }
}

fn of_record(record: &Input<'_>, place: &Place, of: &Type) -> Result<Value, Rejected> {
    Ok(match place {
        Place::RowTime => Value::Int(record.timestamp),
        Place::RowPartition => Value::Int(record.partition.into()),
        Place::RowOffset => Value::Int(record.offset),
        Place::Header(name) => {
            let found = record.headers.iter().rev().find(|(other, _)| other == name);
            found.and_then(|(_, value)| *value).map_or(Ok(Value::Null), |value| header(name, value, of))?
        }
        Place::Headers => {
            let each = |(name, value): &Header<'_>| {
                Value::Struct(
                    [Value::string(name), value.map_or(Value::Null, |value| Value::Bytes(value.into()))].into(),
                )
            };
            Value::Array(record.headers.iter().map(each).collect())
        }
        Place::Key(_) | Place::Value(_) => Value::Null,
    })
}

fn header(name: &str, value: &[u8], of: &Type) -> Result<Value, Rejected> {
    kafka::primitive(value, of).map_err(|why| Rejected(format!("the header '{name}': {why}")))
}
