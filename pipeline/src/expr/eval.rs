//! The value of an expression for a row.

use super::{Comparison, Expr, Failed, Number, Operator, cast};
use crate::value::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

type Evaluated<'a> = Result<Cow<'a, Value>, Failed>;

const NULL: Value = Value::Null;

impl Expr {
    /// Its value for a row, borrowed from the row or the expression where it can be.
    ///
    /// # Errors
    /// Overflow, a division by zero, a text that is no number where one is asked for.
    #[inline]
    pub fn eval<'a>(&'a self, row: &'a [Value]) -> Evaluated<'a> {
        match self {
            Expr::Column(at) => Ok(Cow::Borrowed(row.get(*at).unwrap_or(&NULL))),
            Expr::Literal(value) => Ok(Cow::Borrowed(value)),
            Expr::Compare(op, left, right) => compare(*op, left, right, row).map(boolean),
            Expr::And(left, right) => logic(left, right, false, row),
            Expr::Or(left, right) => logic(left, right, true, row),
            Expr::Not(of) => Ok(boolean(of.eval(row)?.as_bool().map(|bool| !bool))),
            Expr::IsNull(of) => Ok(boolean(Some(of.eval(row)?.is_null()))),
            _ => self.eval_more(row),
        }
    }

    /// Whether it is true for a row; null is not.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    #[inline]
    pub fn is_true(&self, row: &[Value]) -> Result<bool, Failed> {
        Ok(self.eval(row)?.as_bool() == Some(true))
    }

    fn eval_more<'a>(&'a self, row: &'a [Value]) -> Evaluated<'a> {
        match self {
            Expr::Negate(number, of) => negate(*number, &*of.eval(row)?).map(Cow::Owned),
            Expr::Arithmetic(op, number, left, right) => {
                arithmetic(*op, *number, &*left.eval(row)?, &*right.eval(row)?).map(Cow::Owned)
            }
            Expr::Distinct(left, right) => Ok(boolean(Some(!same(&*left.eval(row)?, &*right.eval(row)?)))),
            Expr::Between(of, low, high) => between(of, low, high, row),
            Expr::In(of, list) => is_in(of, list, row),
            Expr::Case(branches, otherwise) => case(branches, otherwise, row),
            Expr::Cast { of, from, to, lenient } => match cast(&*of.eval(row)?, from, to) {
                Err(_) if *lenient => Ok(Cow::Owned(Value::Null)),
                result => result.map(Cow::Owned),
            },
            Expr::Array(list) => {
                let values: Result<Vec<Value>, Failed> = list.iter().map(|of| Ok(of.eval(row)?.into_owned())).collect();
                Ok(Cow::Owned(Value::Array(values?.into())))
            }
            Expr::Coalesce(list) => coalesce(list, row),
            Expr::Call(function, arguments) => call(function, arguments, row),
            Expr::Field(of, at) => part(of.eval(row)?, |value| match value {
                Value::Struct(fields) => fields.get(*at),
                _ => None,
            }),
            Expr::Element(of, at) => {
                let at = at.eval(row)?.as_int();
                part(of.eval(row)?, |value| element(value, at?))
            }
            Expr::Entry(of, key) => {
                let key = key.eval(row)?;
                part(of.eval(row)?, |value| entry(value, key.as_str()?))
            }
            _ => self.eval_text(row),
        }
    }

    /// Those that read a text or a time by a pattern.
    fn eval_text<'a>(&'a self, row: &'a [Value]) -> Evaluated<'a> {
        let (Expr::Matches(of, _)
        | Expr::Extract(of, ..)
        | Expr::Replace(of, ..)
        | Expr::Split(of, _)
        | Expr::Json(of, _)
        | Expr::FormatTime(of, _)
        | Expr::ParseTime(of, _)) = self
        else {
            return Ok(Cow::Owned(Value::Null));
        };
        let value = of.eval(row)?;
        if let (Expr::FormatTime(_, format), Some(time)) = (self, value.as_int()) {
            return format.write(time).map(|text| Cow::Owned(Value::String(text.into())));
        }
        let Some(text) = value.as_str() else { return Ok(Cow::Owned(Value::Null)) };
        let result = match self {
            Expr::Matches(_, pattern) => Value::Bool(pattern.regex().is_match(text)),
            Expr::Extract(_, pattern, group) => pattern.extract(text, *group),
            Expr::Replace(_, pattern, with) => match with.eval(row)?.as_str() {
                Some(with) => Value::string(&pattern.regex().replace_all(text, with)),
                None => Value::Null,
            },
            Expr::Split(_, pattern) => Value::Array(pattern.regex().split(text).map(Value::string).collect()),
            Expr::Json(_, path) => path.find(text),
            Expr::ParseTime(_, format) => format.read(text).map(Value::Int)?,
            _ => Value::Null,
        };
        Ok(Cow::Owned(result))
    }
}

fn boolean<'a>(bool: Option<bool>) -> Cow<'a, Value> {
    Cow::Owned(bool.map_or(Value::Null, Value::Bool))
}

fn compare(op: Comparison, left: &Expr, right: &Expr, row: &[Value]) -> Result<Option<bool>, Failed> {
    let (left, right) = (left.eval(row)?, right.eval(row)?);
    Ok(order(&left, &right).map(|order| match op {
        Comparison::Eq => order == Ordering::Equal,
        Comparison::NotEq => order != Ordering::Equal,
        Comparison::Lt => order == Ordering::Less,
        Comparison::LtEq => order != Ordering::Greater,
        Comparison::Gt => order == Ordering::Greater,
        Comparison::GtEq => order != Ordering::Less,
    }))
}

/// The order of two values of one type, as SQL has it: unknown where one is null; 0.0 and -0.0 are equal.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (a, b) => Some(a.cmp(b)),
    }
}

fn same(left: &Value, right: &Value) -> bool {
    (left.is_null() && right.is_null()) || order(left, right) == Some(Ordering::Equal)
}

/// `AND` (ends at false) and `OR` (ends at true) of three values.
fn logic<'a>(left: &'a Expr, right: &'a Expr, ends: bool, row: &'a [Value]) -> Evaluated<'a> {
    let left = left.eval(row)?.as_bool();
    if left == Some(ends) {
        return Ok(boolean(left));
    }
    let right = right.eval(row)?.as_bool();
    Ok(boolean(if right == Some(ends) { right } else { left.and(right) }))
}

fn between<'a>(of: &'a Expr, low: &'a Expr, high: &'a Expr, row: &'a [Value]) -> Evaluated<'a> {
    let value = of.eval(row)?;
    let from = order(&value, &*low.eval(row)?).map(|order| order != Ordering::Less);
    let to = order(&value, &*high.eval(row)?).map(|order| order != Ordering::Greater);
    Ok(boolean(match (from, to) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }))
}

fn is_in<'a>(of: &'a Expr, list: &'a [Expr], row: &'a [Value]) -> Evaluated<'a> {
    let value = of.eval(row)?;
    let mut unknown = value.is_null();
    for other in list {
        match order(&value, &*other.eval(row)?) {
            Some(Ordering::Equal) => return Ok(boolean(Some(true))),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(boolean((!unknown).then_some(false)))
}

fn case<'a>(branches: &'a [(Expr, Expr)], otherwise: &'a Expr, row: &'a [Value]) -> Evaluated<'a> {
    for (condition, value) in branches {
        if condition.is_true(row)? {
            return value.eval(row);
        }
    }
    otherwise.eval(row)
}

fn coalesce<'a>(list: &'a [Expr], row: &'a [Value]) -> Evaluated<'a> {
    for of in list {
        let value = of.eval(row)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Cow::Owned(Value::Null))
}

fn call<'a>(function: &super::Function, arguments: &'a [Expr], row: &'a [Value]) -> Evaluated<'a> {
    let mut values: [Cow<'a, Value>; super::function::ARGUMENTS_MAX] = [const { Cow::Borrowed(&NULL) }; _];
    // More arguments than the array holds are refused when a call is compiled.
    for (place, argument) in values.iter_mut().zip(arguments) {
        *place = argument.eval(row)?;
        if place.is_null() && !function.takes_null {
            return Ok(Cow::Owned(Value::Null));
        }
    }
    let count = arguments.len().min(values.len());
    (function.eval)(&values[..count]).map(Cow::Owned)
}

/// A part of a value, borrowed where the value is.
fn part<'a>(value: Cow<'a, Value>, find: impl FnOnce(&Value) -> Option<&Value>) -> Evaluated<'a> {
    Ok(match value {
        Cow::Borrowed(value) => Cow::Borrowed(find(value).unwrap_or(&NULL)),
        Cow::Owned(value) => Cow::Owned(find(&value).cloned().unwrap_or_default()),
    })
}

/// An element from 1, or from the end where negative.
pub(super) fn element(value: &Value, at: i64) -> Option<&Value> {
    let Value::Array(values) = value else { return None };
    let count = i64::try_from(values.len()).ok()?;
    let at = if at < 0 { count.checked_add(at)? } else { at.checked_sub(1)? };
    values.get(usize::try_from(at).ok()?)
}

/// A map's value.
pub(super) fn entry<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let Value::Map(entries) = value else { return None };
    entries.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok().map(|at| &entries[at].1)
}

fn negate(number: Number, of: &Value) -> Result<Value, Failed> {
    match of {
        Value::Double(double) => Ok(Value::Double(-double)),
        Value::Int(_) => arithmetic(Operator::Subtract, number, &Value::Int(0), of),
        _ => Ok(Value::Null),
    }
}

fn arithmetic(op: Operator, number: Number, left: &Value, right: &Value) -> Result<Value, Failed> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Int(a), Value::Int(b)) if number != Number::Double => {
            let result = integers(op, *a, *b)?;
            if number == Number::Integer && i32::try_from(result).is_err() {
                return Err(overflow(op, a, b));
            }
            Ok(Value::Int(result))
        }
        (a, b) => match (a.as_double(), b.as_double()) {
            (Some(a), Some(b)) => doubles(op, a, b).map(Value::Double),
            _ => Ok(Value::Null),
        },
    }
}

fn integers(op: Operator, a: i64, b: i64) -> Result<i64, Failed> {
    if b == 0 && matches!(op, Operator::Divide | Operator::Modulo) {
        return Err(Failed::new(format!("{a} is divided by zero")));
    }
    let result = match op {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => a.checked_div(b),
        Operator::Modulo => a.checked_rem(b),
    };
    result.ok_or_else(|| overflow(op, &a, &b))
}

fn doubles(op: Operator, a: f64, b: f64) -> Result<f64, Failed> {
    if b == 0.0 && matches!(op, Operator::Divide | Operator::Modulo) {
        return Err(Failed::new(format!("{a} is divided by zero")));
    }
    let result = match op {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
    };
    if result.is_finite() { Ok(result) } else { Err(overflow(op, &a, &b)) }
}

fn overflow(op: Operator, a: &dyn std::fmt::Display, b: &dyn std::fmt::Display) -> Failed {
    let sign = match op {
        Operator::Add => '+',
        Operator::Subtract => '-',
        Operator::Multiply => '*',
        Operator::Divide => '/',
        Operator::Modulo => '%',
    };
    Failed::new(format!("{a} {sign} {b} is out of range"))
}
