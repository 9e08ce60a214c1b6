//! Typed expressions over one row.
//!
//! A row on which an expression fails is rejected alone, so expressions are evaluated row by row. Nothing here depends on
//! anything but the row: no clock, no random number, no locale, no time zone but those that are named.

mod cast;
mod eval;
pub mod function;
mod pattern;
pub mod time;

pub(crate) use cast::{can_cast, shorten};
pub use cast::{cast, to_text};
pub use function::Function;
pub use pattern::{JsonPath, Pattern};
pub use time::Format as TimeFormat;

use crate::value::{Type, Value};

/// A typed expression, compiled: its columns are places in the row, its functions are known, its types agree.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// The row's value at this place.
    Column(usize),
    /// Always this value.
    Literal(Value),
    /// `-x`.
    Negate(Number, Box<Expr>),
    /// `x + y` and the like, over two values of one kind.
    Arithmetic(Operator, Number, Box<Expr>, Box<Expr>),
    /// `x = y` and the like, over two values of one type.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `x AND y`.
    And(Box<Expr>, Box<Expr>),
    /// `x OR y`.
    Or(Box<Expr>, Box<Expr>),
    /// `NOT x`.
    Not(Box<Expr>),
    /// `x IS NULL`.
    IsNull(Box<Expr>),
    /// `x IS DISTINCT FROM y`.
    Distinct(Box<Expr>, Box<Expr>),
    /// `x BETWEEN low AND high`.
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `x IN (...)`.
    In(Box<Expr>, Vec<Expr>),
    /// `CASE WHEN condition THEN value ... ELSE value END`.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    /// `CAST(x AS type)`; null instead of a failure where lenient.
    Cast {
        /// What is cast.
        of: Box<Expr>,
        /// From this type.
        from: Type,
        /// To this type.
        to: Type,
        /// `TRY_CAST`.
        lenient: bool,
    },
    /// A struct's field.
    Field(Box<Expr>, usize),
    /// An array's element, from 1; from the end where negative; null where there is none.
    Element(Box<Expr>, Box<Expr>),
    /// A map's value; null where there is none.
    Entry(Box<Expr>, Box<Expr>),
    /// `ARRAY[...]`.
    Array(Vec<Expr>),
    /// The first that is not null.
    Coalesce(Vec<Expr>),
    /// A function of values that are not null; null where one of them is.
    Call(&'static Function, Vec<Expr>),
    /// `LIKE`, `REGEXP_LIKE`: whether the text matches.
    Matches(Box<Expr>, Pattern),
    /// `REGEXP_EXTRACT`: the text of a group of the first match.
    Extract(Box<Expr>, Pattern, usize),
    /// `REGEXP_REPLACE`: all matches replaced; `$1` is a group.
    Replace(Box<Expr>, Pattern, Box<Expr>),
    /// `REGEXP_SPLIT_TO_ARRAY`.
    Split(Box<Expr>, Pattern),
    /// `EXTRACTJSONFIELD`, `JSON_VALUE`.
    Json(Box<Expr>, JsonPath),
    /// `FORMAT_TIMESTAMP`: a time as text.
    FormatTime(Box<Expr>, TimeFormat),
    /// `PARSE_TIMESTAMP`: text as a time.
    ParseTime(Box<Expr>, TimeFormat),
}

/// What numbers are calculated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// 32 bits.
    Integer,
    /// 64 bits; also times and intervals.
    BigInt,
    /// Doubles, never infinite and never no number.
    Double,
}

/// An operator between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

/// Why an expression has no value for a row; such a row is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl Failed {
    pub(crate) fn new(why: impl Into<String>) -> Failed {
        Failed(why.into())
    }
}

impl Expr {
    /// Calls `with` for each expression right below this one.
    pub fn for_each_child<'a>(&'a self, with: &mut dyn FnMut(&'a Expr)) {
        match self {
            Expr::Column(_) | Expr::Literal(_) => {}
            Expr::Negate(_, of) | Expr::Not(of) | Expr::IsNull(of) | Expr::Cast { of, .. } | Expr::Field(of, _) => {
                with(of)
            }
            Expr::Matches(of, _) | Expr::Extract(of, ..) | Expr::Split(of, _) | Expr::Json(of, _) => with(of),
            Expr::FormatTime(of, _) | Expr::ParseTime(of, _) => with(of),
            Expr::Arithmetic(_, _, a, b) | Expr::Compare(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) => {
                with(a);
                with(b);
            }
            Expr::Distinct(a, b) | Expr::Element(a, b) | Expr::Entry(a, b) | Expr::Replace(a, _, b) => {
                with(a);
                with(b);
            }
            Expr::Between(a, b, c) => {
                with(a);
                with(b);
                with(c);
            }
            Expr::In(of, list) => {
                with(of);
                list.iter().for_each(with);
            }
            Expr::Array(list) | Expr::Coalesce(list) | Expr::Call(_, list) => list.iter().for_each(with),
            Expr::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    with(condition);
                    with(value);
                }
                with(otherwise);
            }
        }
    }

    /// Calls `with` for each expression right below this one.
    pub fn for_each_child_mut(&mut self, with: &mut dyn FnMut(&mut Expr)) {
        match self {
            Expr::Column(_) | Expr::Literal(_) => {}
            Expr::Negate(_, of) | Expr::Not(of) | Expr::IsNull(of) | Expr::Cast { of, .. } | Expr::Field(of, _) => {
                with(of)
            }
            Expr::Matches(of, _) | Expr::Extract(of, ..) | Expr::Split(of, _) | Expr::Json(of, _) => with(of),
            Expr::FormatTime(of, _) | Expr::ParseTime(of, _) => with(of),
            Expr::Arithmetic(_, _, a, b) | Expr::Compare(_, a, b) | Expr::And(a, b) | Expr::Or(a, b) => {
                with(a);
                with(b);
            }
            Expr::Distinct(a, b) | Expr::Element(a, b) | Expr::Entry(a, b) | Expr::Replace(a, _, b) => {
                with(a);
                with(b);
            }
            Expr::Between(a, b, c) => {
                with(a);
                with(b);
                with(c);
            }
            Expr::In(of, list) => {
                with(of);
                list.iter_mut().for_each(with);
            }
            Expr::Array(list) | Expr::Coalesce(list) | Expr::Call(_, list) => list.iter_mut().for_each(with),
            Expr::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    with(condition);
                    with(value);
                }
                with(otherwise);
            }
        }
    }

    /// Calls `with` for the place of each column that it uses.
    pub fn for_each_column(&self, with: &mut dyn FnMut(usize)) {
        if let Expr::Column(at) = self {
            with(*at);
        }
        self.for_each_child(&mut |child| child.for_each_column(with));
    }

    /// Gives each column another place.
    pub fn map_columns(&mut self, to: &dyn Fn(usize) -> usize) {
        if let Expr::Column(at) = self {
            *at = to(*at);
        }
        self.for_each_child_mut(&mut |child| child.map_columns(to));
    }

    /// Whether it is the same for each row.
    pub fn is_constant(&self) -> bool {
        let mut constant = true;
        self.for_each_column(&mut |_| constant = false);
        constant
    }
}

#[cfg(test)]
mod tests;
