//! The functions of expressions, by name.

mod collection;
mod math;
mod string;
mod temporal;

pub(crate) use temporal::is_field as is_time_field;

use super::Failed;
use crate::value::{Type, Value};
use std::borrow::Cow;

/// The most arguments of a call.
pub const ARGUMENTS_MAX: usize = 16;

/// Values of arguments.
pub type Values<'a, 'b> = &'a [Cow<'b, Value>];

/// A function of values.
pub struct Function {
    /// Its names, upper case; the first is its own, the others are what a dialect calls it.
    pub names: &'static [&'static str],
    /// Types of its arguments.
    pub parameters: &'static [Parameter],
    /// How many of them must be given.
    pub required: usize,
    /// The last parameter may be given several times.
    pub variadic: bool,
    /// It is called with nulls, too; else it is null where an argument is.
    pub takes_null: bool,
    /// The type of its result.
    pub result: Returns,
    /// Its value.
    pub eval: fn(Values<'_, '_>) -> Result<Value, Failed>,
    /// An example: a call and what it gives as text. The documents show it and a test runs it.
    pub example: (&'static str, &'static str),
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// A double; whole numbers become one.
    Double,
    /// Any number.
    Number,
    /// A timestamp.
    Timestamp,
    /// An array.
    Array,
    /// A map.
    Map,
    /// An array, a map or text.
    Sized,
    /// The type of the array's elements, the array being the first argument.
    Element,
    /// Anything; all of these arguments are made one type.
    Same,
    /// Anything.
    Any,
}

/// The type of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// Always this.
    Text,
    /// `BOOLEAN`.
    Boolean,
    /// `INTEGER`.
    Integer,
    /// `BIGINT`.
    BigInt,
    /// `DOUBLE`.
    Double,
    /// `TIMESTAMP`.
    Timestamp,
    /// `DATE`.
    Date,
    /// That of the first argument.
    First,
    /// That of the elements of the first argument.
    Element,
    /// `ARRAY<STRING>`.
    Texts,
    /// An array of the first argument's values, a map.
    MapValues,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name() == other.name()
    }
}

impl Function {
    /// Its own name.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }

    /// What its arguments are, for messages.
    pub fn usage(&self) -> String {
        let of = |parameter: &Parameter| format!("{parameter:?}").to_lowercase();
        let mut arguments: Vec<String> = self.parameters.iter().map(of).collect();
        for optional in arguments.iter_mut().skip(self.required) {
            *optional = format!("[{optional}]");
        }
        if self.variadic {
            arguments.push("...".to_owned());
        }
        format!("{}({})", self.name(), arguments.join(", "))
    }
}

impl Returns {
    /// The type, given those of the arguments.
    pub fn of(self, arguments: &[Type]) -> Type {
        match (self, arguments.first()) {
            (Returns::Text, _) => Type::String,
            (Returns::Boolean, _) => Type::Boolean,
            (Returns::Integer, _) => Type::Integer,
            (Returns::BigInt, _) => Type::BigInt,
            (Returns::Double, _) => Type::Double,
            (Returns::Timestamp, _) => Type::Timestamp,
            (Returns::Date, _) => Type::Date,
            (Returns::Texts, _) => Type::Array(Box::new(Type::String)),
            (Returns::First, Some(first)) => first.clone(),
            (Returns::Element, Some(Type::Array(of))) => (**of).clone(),
            (Returns::MapValues, Some(Type::Map(of))) => Type::Array(of.clone()),
            _ => Type::Null,
        }
    }
}

/// All functions.
pub fn all() -> impl Iterator<Item = &'static Function> {
    [string::FUNCTIONS, math::FUNCTIONS, temporal::FUNCTIONS, collection::FUNCTIONS].into_iter().flatten()
}

/// A function by one of its names.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.names.iter().any(|other| other.eq_ignore_ascii_case(name)))
}

/// Most functions: so many arguments of these types, null where one is null.
const fn function(
    names: &'static [&'static str],
    parameters: &'static [Parameter],
    result: Returns,
    eval: fn(Values<'_, '_>) -> Result<Value, Failed>,
    example: (&'static str, &'static str),
) -> Function {
    Function {
        names,
        parameters,
        required: parameters.len(),
        variadic: false,
        takes_null: false,
        result,
        eval,
        example,
    }
}

fn text<'a>(values: Values<'a, '_>, at: usize) -> &'a str {
    values.get(at).and_then(|value| value.as_str()).unwrap_or_default()
}

fn whole(values: Values<'_, '_>, at: usize) -> Option<i64> {
    values.get(at).and_then(|value| value.as_int())
}

fn double(values: Values<'_, '_>, at: usize) -> f64 {
    values.get(at).and_then(|value| value.as_double()).unwrap_or_default()
}
