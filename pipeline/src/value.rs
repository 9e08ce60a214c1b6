//! What a column holds, and its type.
//!
//! Values have one total order and one binary form, so that state, group keys and results are the same bytes everywhere.
//! Numbers of SQL that are equal but of different types are made one type by the compiler, never here.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The type of a column or an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// `BOOLEAN`.
    Boolean,
    /// `INT`, `INTEGER`: 32 bits; a value is held as [`Value::Int`].
    Integer,
    /// `BIGINT`: 64 bits.
    BigInt,
    /// `DOUBLE`, `FLOAT`, `DECIMAL`.
    Double,
    /// `VARCHAR`, `STRING`, `CHAR`.
    String,
    /// `BYTES`, `VARBINARY`.
    Bytes,
    /// `TIMESTAMP(p)`, `TIMESTAMP_LTZ(p)`: milliseconds since 1970 in UTC.
    Timestamp,
    /// `DATE`: days since 1970.
    Date,
    /// `TIME`: milliseconds since midnight.
    Time,
    /// `INTERVAL`: milliseconds. Only within expressions.
    Interval,
    /// `ARRAY<T>`.
    Array(Box<Type>),
    /// `MAP<STRING, T>`.
    Map(Box<Type>),
    /// `STRUCT<name T, ...>`, `ROW<...>`.
    Struct(Vec<(String, Type)>),
    /// Of a literal `NULL`: fits every type.
    Null,
}

/// A value. Its type is known from the plan; the value itself says only how it is held.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// No value, of any type.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// Integers, timestamps, dates, times and intervals.
    Int(i64),
    /// A double.
    Double(f64),
    /// Text.
    String(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// Elements, in order.
    Array(Box<[Value]>),
    /// Entries, sorted by key, each key once.
    Map(Box<[(Box<str>, Value)]>),
    /// Fields in the order of the type.
    Struct(Box<[Value]>),
}

impl Value {
    /// Text.
    pub fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// An integer, a timestamp, a date or a time.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// A number as a double.
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Int(int) => Some(*int as f64),
            Value::Double(double) => Some(*double),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// Text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Double(_) => 2,
            Value::String(_) => 3,
            Value::Bytes(_) => 4,
            Value::Array(_) => 5,
            Value::Map(_) => 6,
            Value::Struct(_) => 7,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
            // A column has one of them; this order only has to be total.
            (Value::Int(_), Value::Double(_)) => Ordering::Less,
            (Value::Double(_), Value::Int(_)) => Ordering::Greater,
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => a.cmp(b),
            (Value::Map(a), Value::Map(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Bool(bool) => bool.hash(state),
            Value::Int(int) => int.hash(state),
            Value::Double(double) => double.to_bits().hash(state),
            Value::String(text) => text.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            Value::Array(values) | Value::Struct(values) => values.hash(state),
            Value::Map(entries) => entries.hash(state),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Boolean => f.write_str("BOOLEAN"),
            Type::Integer => f.write_str("INTEGER"),
            Type::BigInt => f.write_str("BIGINT"),
            Type::Double => f.write_str("DOUBLE"),
            Type::String => f.write_str("STRING"),
            Type::Bytes => f.write_str("BYTES"),
            Type::Timestamp => f.write_str("TIMESTAMP"),
            Type::Date => f.write_str("DATE"),
            Type::Time => f.write_str("TIME"),
            Type::Interval => f.write_str("INTERVAL"),
            Type::Array(of) => write!(f, "ARRAY<{of}>"),
            Type::Map(of) => write!(f, "MAP<STRING, {of}>"),
            Type::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (at, (name, of)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {of}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(">")
            }
            Type::Null => f.write_str("NULL"),
        }
    }
}
