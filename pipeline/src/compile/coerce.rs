//! Types that are made equal: what two values have in common, and a value as another type.

use super::scope::Typed;
use crate::expr::{Expr, can_cast, cast};
use crate::sql::Error;
use crate::value::{Type, Value};
use sqlparser::tokenizer::Location;

/// The type that both can be made, if there is one.
pub(super) fn common(a: &Type, b: &Type) -> Option<Type> {
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Type::Null, of) | (of, Type::Null) => of.clone(),
        (Type::Integer | Type::BigInt, Type::Integer | Type::BigInt) => Type::BigInt,
        (Type::Integer | Type::BigInt | Type::Double, Type::Integer | Type::BigInt | Type::Double) => Type::Double,
        (Type::Timestamp, Type::Date) | (Type::Date, Type::Timestamp) => Type::Timestamp,
        (Type::Array(a), Type::Array(b)) => Type::Array(Box::new(common(a, b)?)),
        _ => return None,
    })
}

/// Two values as one type, to be compared. A literal text is read as the other's type.
pub(super) fn pair(left: Typed, right: Typed, at: Location) -> Result<(Expr, Expr, Type), Error> {
    let is_text = |typed: &Typed| typed.of == Type::String && matches!(typed.expr, Expr::Literal(_));
    let time = |of: &Type| matches!(of, Type::Timestamp | Type::Date | Type::Time | Type::BigInt);
    let to = match common(&left.of, &right.of) {
        Some(to) => to,
        None if is_text(&left) && time(&right.of) => right.of.clone(),
        None if is_text(&right) && time(&left.of) => left.of.clone(),
        None => return Err(Error::at(at, format!("{} and {} can't be compared", left.of, right.of))),
    };
    Ok((coerce(left, &to, at)?, coerce(right, &to, at)?, to))
}

/// A value as a type that it fits, without loss but for whole numbers that become doubles.
pub(super) fn coerce(typed: Typed, to: &Type, at: Location) -> Result<Expr, Error> {
    let Typed { expr, of } = typed;
    match (&of, to, &expr) {
        (of, to, _) if of == to => Ok(expr),
        (Type::Null, ..) | (Type::Integer, Type::BigInt, _) => Ok(expr),
        // A time in milliseconds compared with a text: WINDOWSTART >= '2026-01-31T00:00:00'.
        (Type::String, Type::BigInt, Expr::Literal(Value::String(text))) => {
            let time = crate::expr::time::parse_timestamp(text);
            time.map(|ms| Expr::Literal(Value::Int(ms))).ok_or_else(|| Error::at(at, format!("'{text}' is no time")))
        }
        (Type::String, Type::Timestamp | Type::Date | Type::Time, Expr::Literal(value)) => {
            cast(value, &of, to).map(Expr::Literal).map_err(|failed| Error::at(at, failed.0))
        }
        (Type::Integer | Type::BigInt, Type::Double, Expr::Literal(value)) => {
            Ok(Expr::Literal(value.as_double().map_or(Value::Null, Value::Double)))
        }
        (Type::Integer | Type::BigInt, Type::Double, _) | (Type::Date, Type::Timestamp, _) => {
            Ok(as_type(expr, &of, to))
        }
        (Type::Array(from), Type::Array(into), _) if common(from, into).as_ref() == Some(into) => {
            Ok(as_type(expr, &of, to))
        }
        _ => Err(Error::at(at, format!("this is a {of}")).expected(format!("a {to}"))),
    }
}

fn as_type(expr: Expr, from: &Type, to: &Type) -> Expr {
    Expr::Cast { of: expr.into(), from: from.clone(), to: to.clone(), lenient: false }
}

pub(super) fn cast_to(typed: Typed, to: &Type, lenient: bool, at: Location) -> Result<Typed, Error> {
    if !can_cast(&typed.of, to) {
        return Err(Error::at(at, format!("a {} can't be cast to {to}", typed.of)));
    }
    let expr = Expr::Cast { of: typed.expr.into(), from: typed.of, to: to.clone(), lenient };
    Ok(Typed::new(expr, to.clone()))
}

/// Values made one type.
pub(super) fn unify(values: Vec<Typed>, at: Location) -> Result<(Vec<Expr>, Type), Error> {
    let mut to = Type::Null;
    for value in &values {
        to = match common(&to, &value.of) {
            Some(to) => to,
            // A literal text takes the type of what stands before it.
            None if value.of == Type::String && matches!(value.expr, Expr::Literal(_)) => to,
            None => return Err(Error::at(at, format!("{to} and {} are of different types", value.of))),
        };
    }
    let values: Result<Vec<Expr>, Error> = values.into_iter().map(|value| coerce(value, &to, at)).collect();
    Ok((values?, to))
}
