//! Expressions of a statement as typed expressions.

use super::coerce::{cast_to, coerce, common, pair, unify};
use super::scope::{Scope, Typed};
use crate::expr::{Comparison, Expr, Number, Operator, Pattern, cast};
use crate::sql::{Error, interval_ms, type_of};
use crate::value::{Type, Value};
use sqlparser::ast::{self, AccessExpr, BinaryOperator, Subscript, UnaryOperator};
use sqlparser::tokenizer::Location;

/// What becomes of names and of calls that are not functions of a row.
pub(super) trait Names {
    /// Takes an expression as a whole, before its parts are looked at.
    fn whole(&mut self, _expr: &ast::Expr) -> Result<Option<Typed>, Error> {
        Ok(None)
    }
    /// A name, with its first part.
    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error>;
    /// A call that is no function of values.
    fn call(&mut self, _call: &ast::Function, _name: &str, _at: Location) -> Result<Option<Typed>, Error> {
        Ok(None)
    }
    /// A call over rows around the row.
    fn over(
        &mut self,
        _call: &ast::Function,
        _over: &ast::WindowType,
        name: &str,
        at: Location,
    ) -> Result<Typed, Error> {
        Err(Error::at(at, format!("{name} OVER is not possible here")).expected("OVER in a SELECT without GROUP BY"))
    }
}

/// Where an expression begins.
pub(super) fn place(expr: &ast::Expr) -> Location {
    let mut expr = expr;
    loop {
        expr = match expr {
            ast::Expr::Identifier(ident) => return ident.span.start,
            ast::Expr::CompoundIdentifier(parts) => return parts.first().map_or(NOWHERE, |part| part.span.start),
            ast::Expr::Value(value) => return value.span.start,
            ast::Expr::TypedString(text) => return text.value.span.start,
            ast::Expr::Function(call) => return function_place(call),
            ast::Expr::Case { case_token, .. } => return case_token.0.span.start,
            ast::Expr::BinaryOp { left, .. } => left,
            ast::Expr::CompoundFieldAccess { root, .. } => root,
            ast::Expr::Interval(interval) => &interval.value,
            ast::Expr::Array(array) => match array.elem.first() {
                Some(first) => first,
                None => return NOWHERE,
            },
            ast::Expr::Nested(of)
            | ast::Expr::IsNull(of)
            | ast::Expr::IsNotNull(of)
            | ast::Expr::IsTrue(of)
            | ast::Expr::IsFalse(of)
            | ast::Expr::IsDistinctFrom(of, _)
            | ast::Expr::IsNotDistinctFrom(of, _) => of,
            ast::Expr::InList { expr, .. }
            | ast::Expr::Between { expr, .. }
            | ast::Expr::Like { expr, .. }
            | ast::Expr::ILike { expr, .. }
            | ast::Expr::UnaryOp { expr, .. }
            | ast::Expr::Cast { expr, .. }
            | ast::Expr::Extract { expr, .. }
            | ast::Expr::Ceil { expr, .. }
            | ast::Expr::Floor { expr, .. }
            | ast::Expr::Position { expr, .. }
            | ast::Expr::Substring { expr, .. }
            | ast::Expr::Trim { expr, .. } => expr,
            _ => return NOWHERE,
        };
    }
}

const NOWHERE: Location = Location { line: 0, column: 0 };

fn function_place(call: &ast::Function) -> Location {
    call.name.0.first().and_then(ast::ObjectNamePart::as_ident).map_or(NOWHERE, |ident| ident.span.start)
}

/// An expression with its type.
pub(super) fn typed(expr: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    if let Some(whole) = names.whole(expr)? {
        return Ok(whole);
    }
    match expr {
        ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_) => names.name(expr),
        ast::Expr::Nested(of) => typed(of, names),
        ast::Expr::Value(value) => literal(value),
        ast::Expr::TypedString(text) => typed_string(text),
        ast::Expr::Interval(interval) => match interval_ms(interval) {
            Some(ms) => Ok(Typed::new(Expr::Literal(Value::Int(ms)), Type::Interval)),
            None => Err(Error::at(place(expr), "this is no interval").expected("INTERVAL '5' SECOND")),
        },
        ast::Expr::UnaryOp { op, expr: of } => unary(*op, of, names),
        ast::Expr::BinaryOp { left, op: BinaryOperator::Arrow, right } => arrow(left, right, names),
        ast::Expr::BinaryOp { .. } => binary(expr, names),
        _ => made(expr, names),
    }
}

/// Parts of values, and values made of others.
fn made(expr: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    match expr {
        ast::Expr::CompoundFieldAccess { root, access_chain } => {
            let root = typed(root, names)?;
            chain(root, access_chain, place(expr), names)
        }
        ast::Expr::Case { operand, conditions, else_result, .. } => {
            case(operand.as_deref(), conditions, else_result.as_deref(), names)
        }
        ast::Expr::Cast { kind, expr: of, data_type, .. } => {
            let to = type_of(&data_type.to_string(), place(of))?;
            cast_to(
                typed(of, names)?,
                &to,
                !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon),
                place(of),
            )
        }
        ast::Expr::Array(array) => {
            list(&array.elem, names).map(|(elements, of)| Typed::new(Expr::Array(elements), Type::Array(Box::new(of))))
        }
        _ => predicate(expr, names),
    }
}

/// Those that are true or false, and the last.
fn predicate(expr: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    let boolean = |expr| Ok(Typed::new(expr, Type::Boolean));
    let not = |expr: Expr, negated: bool| if negated { Expr::Not(Box::new(expr)) } else { expr };
    match expr {
        ast::Expr::IsNull(of) => boolean(Expr::IsNull(typed(of, names)?.expr.into())),
        ast::Expr::IsNotNull(of) => boolean(not(Expr::IsNull(typed(of, names)?.expr.into()), true)),
        ast::Expr::IsTrue(of) | ast::Expr::IsFalse(of) | ast::Expr::IsNotTrue(of) | ast::Expr::IsNotFalse(of) => {
            let is_true = matches!(expr, ast::Expr::IsTrue(_) | ast::Expr::IsNotTrue(_));
            let negated = matches!(expr, ast::Expr::IsNotTrue(_) | ast::Expr::IsNotFalse(_));
            let wanted = Expr::Literal(Value::Bool(is_true));
            boolean(not(Expr::Distinct(condition(of, names)?.into(), wanted.into()), !negated))
        }
        ast::Expr::IsDistinctFrom(left, right) | ast::Expr::IsNotDistinctFrom(left, right) => {
            let (left, right, _) = pair(typed(left, names)?, typed(right, names)?, place(expr))?;
            let negated = matches!(expr, ast::Expr::IsNotDistinctFrom(..));
            boolean(not(Expr::Distinct(left.into(), right.into()), negated))
        }
        ast::Expr::Between { expr: of, negated, low, high } => {
            let value = typed(of, names)?;
            let (low, high) = (typed(low, names)?, typed(high, names)?);
            let at = place(expr);
            let (_, _, with_low) = pair(value.clone(), low.clone(), at)?;
            let (_, _, with_high) = pair(value.clone(), high.clone(), at)?;
            let to = common(&with_low, &with_high).unwrap_or(with_low);
            let [value, low, high] = [value, low, high].map(|part| coerce(part, &to, at));
            boolean(not(Expr::Between(value?.into(), low?.into(), high?.into()), *negated))
        }
        ast::Expr::InList { expr: of, list: values, negated } => {
            let all: Vec<ast::Expr> = std::iter::once(of.as_ref()).chain(values).cloned().collect();
            let (mut all, _) = list(&all, names)?;
            let first = all.remove(0);
            boolean(not(Expr::In(first.into(), all), *negated))
        }
        ast::Expr::Like { negated, expr: of, pattern, escape_char, any: false }
        | ast::Expr::ILike { negated, expr: of, pattern, escape_char, any: false } => {
            let without_case = matches!(expr, ast::Expr::ILike { .. });
            let escape = match escape_char {
                Some(escape) => constant_text(escape, names)?.chars().next(),
                None => None,
            };
            let text = coerce(typed(of, names)?, &Type::String, place(of))?;
            let made = Pattern::like(&constant_text(pattern, names)?, escape, without_case);
            let made = made.map_err(|failed| Error::at(place(pattern), failed.0))?;
            boolean(not(Expr::Matches(text.into(), made), *negated))
        }
        _ => super::call::special(expr, names),
    }
}

fn literal(value: &ast::ValueWithSpan) -> Result<Typed, Error> {
    let (value, of) = match &value.value {
        ast::Value::Number(text, _) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(int), _) if i32::try_from(int).is_ok() => (Value::Int(int), Type::Integer),
            (Ok(int), _) => (Value::Int(int), Type::BigInt),
            (_, Ok(double)) if double.is_finite() => (Value::Double(double), Type::Double),
            _ => return Err(Error::at(value.span.start, format!("{text} is out of range"))),
        },
        ast::Value::SingleQuotedString(text) => (Value::string(text), Type::String),
        ast::Value::Boolean(bool) => (Value::Bool(*bool), Type::Boolean),
        ast::Value::Null => (Value::Null, Type::Null),
        other => return Err(Error::at(value.span.start, format!("'{other}' is not understood here"))),
    };
    Ok(Typed::new(Expr::Literal(value), of))
}

/// `TIMESTAMP '2026-01-31 12:00:00'`.
fn typed_string(text: &ast::TypedString) -> Result<Typed, Error> {
    let at = text.value.span.start;
    let to = type_of(&text.data_type.to_string(), at)?;
    let value = text.value.value.clone().into_string().unwrap_or_default();
    let value = cast(&Value::string(&value), &Type::String, &to).map_err(|failed| Error::at(at, failed.0))?;
    Ok(Typed::new(Expr::Literal(value), to))
}

/// A condition.
pub(super) fn condition(expr: &ast::Expr, names: &mut dyn Names) -> Result<Expr, Error> {
    let of = typed(expr, names)?;
    coerce(of, &Type::Boolean, place(expr))
}

fn number(of: &Type) -> Option<Number> {
    Some(match of {
        Type::Integer => Number::Integer,
        Type::BigInt | Type::Interval | Type::Timestamp => Number::BigInt,
        Type::Double => Number::Double,
        _ => return None,
    })
}

fn unary(op: UnaryOperator, of: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    if op == UnaryOperator::Not {
        return Ok(Typed::new(Expr::Not(condition(of, names)?.into()), Type::Boolean));
    }
    let value = typed(of, names)?;
    match (op, number(&value.of)) {
        (UnaryOperator::Plus, Some(_)) => Ok(value),
        (UnaryOperator::Minus, Some(number)) if value.of != Type::Timestamp => {
            let folded = match &value.expr {
                Expr::Literal(Value::Int(int)) => int.checked_neg().map(Value::Int),
                Expr::Literal(Value::Double(double)) => Some(Value::Double(-double)),
                _ => None,
            };
            let expr = folded.map_or_else(|| Expr::Negate(number, value.expr.into()), Expr::Literal);
            Ok(Typed::new(expr, value.of))
        }
        _ => Err(Error::at(place(of), format!("'{op}' is not defined for {}", value.of)).expected("a number")),
    }
}

/// Operators between two values. A chain of them, `1 + 1 + ...`, is deep on its left, so that side is walked.
fn binary(expr: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    let at = place(expr);
    let mut chain = Vec::new();
    let mut inner = expr;
    let mut of = loop {
        match inner {
            ast::Expr::BinaryOp { left, op, right } if *op != BinaryOperator::Arrow => {
                chain.push((op, right.as_ref()));
                inner = left;
            }
            _ => break typed(inner, names)?,
        }
        if let Some(whole) = names.whole(inner)? {
            break whole;
        }
    };
    while let Some((op, right)) = chain.pop() {
        let right_at = place(right);
        of = operator(op, of, typed(right, names)?, at, right_at)?;
    }
    Ok(of)
}

fn operator(op: &BinaryOperator, left: Typed, right: Typed, at: Location, right_at: Location) -> Result<Typed, Error> {
    let comparison = match op {
        BinaryOperator::And | BinaryOperator::Or => return logic(op, left, right, at, right_at),
        BinaryOperator::StringConcat => return super::call::function("PIPE_CONCAT", &mut vec![left, right], at),
        BinaryOperator::Plus => return arithmetic(Operator::Add, left, right, at),
        BinaryOperator::Minus => return arithmetic(Operator::Subtract, left, right, at),
        BinaryOperator::Multiply => return arithmetic(Operator::Multiply, left, right, at),
        BinaryOperator::Divide => return arithmetic(Operator::Divide, left, right, at),
        BinaryOperator::Modulo => return arithmetic(Operator::Modulo, left, right, at),
        BinaryOperator::Eq => Comparison::Eq,
        BinaryOperator::NotEq => Comparison::NotEq,
        BinaryOperator::Lt => Comparison::Lt,
        BinaryOperator::LtEq => Comparison::LtEq,
        BinaryOperator::Gt => Comparison::Gt,
        BinaryOperator::GtEq => Comparison::GtEq,
        _ => return Err(Error::at(at, format!("the operator '{op}' is not supported"))),
    };
    let (left, right, _) = pair(left, right, at)?;
    Ok(Typed::new(Expr::Compare(comparison, left.into(), right.into()), Type::Boolean))
}

fn logic(op: &BinaryOperator, left: Typed, right: Typed, at: Location, right_at: Location) -> Result<Typed, Error> {
    let left = coerce(left, &Type::Boolean, at)?.into();
    let right = coerce(right, &Type::Boolean, right_at)?.into();
    let expr = if *op == BinaryOperator::And { Expr::And(left, right) } else { Expr::Or(left, right) };
    Ok(Typed::new(expr, Type::Boolean))
}

fn arithmetic(op: Operator, left: Typed, right: Typed, at: Location) -> Result<Typed, Error> {
    let sum = matches!(op, Operator::Add | Operator::Subtract);
    let of = match (&left.of, &right.of) {
        (Type::Timestamp, Type::Interval) if sum => Type::Timestamp,
        (Type::Interval, Type::Timestamp) if op == Operator::Add => Type::Timestamp,
        (Type::BigInt, Type::Interval) if sum => Type::BigInt,
        (Type::Interval, Type::Interval) if sum => Type::Interval,
        (Type::Interval, Type::Integer | Type::BigInt) if op == Operator::Multiply => Type::Interval,
        (Type::Null, of) | (of, Type::Null) if number(of).is_some() => of.clone(),
        (Type::Integer, Type::Integer) => Type::Integer,
        (Type::Integer | Type::BigInt, Type::Integer | Type::BigInt) => Type::BigInt,
        (Type::Integer | Type::BigInt | Type::Double, Type::Integer | Type::BigInt | Type::Double) => Type::Double,
        (a, b) => return Err(Error::at(at, format!("{a} and {b} can't be calculated with")).expected("numbers")),
    };
    let number = number(&of).unwrap_or(Number::Double);
    Ok(Typed::new(Expr::Arithmetic(op, number, left.expr.into(), right.expr.into()), of))
}

/// Values made one type.
pub(super) fn list(values: &[ast::Expr], names: &mut dyn Names) -> Result<(Vec<Expr>, Type), Error> {
    let at = values.first().map_or(NOWHERE, place);
    let values: Vec<Typed> = values.iter().map(|value| typed(value, names)).collect::<Result<_, _>>()?;
    unify(values, at)
}

fn case(
    operand: Option<&ast::Expr>,
    branches: &[ast::CaseWhen],
    otherwise: Option<&ast::Expr>,
    names: &mut dyn Names,
) -> Result<Typed, Error> {
    let operand = operand.map(|operand| typed(operand, names)).transpose()?;
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for branch in branches {
        let at = place(&branch.condition);
        conditions.push(match &operand {
            Some(operand) => {
                let (left, right, _) = pair(operand.clone(), typed(&branch.condition, names)?, at)?;
                Expr::Compare(Comparison::Eq, left.into(), right.into())
            }
            None => condition(&branch.condition, names)?,
        });
        values.push(typed(&branch.result, names)?);
    }
    values.push(match otherwise {
        Some(otherwise) => typed(otherwise, names)?,
        None => Typed::new(Expr::Literal(Value::Null), Type::Null),
    });
    let (mut values, of) = unify(values, branches.first().map_or(NOWHERE, |branch| place(&branch.result)))?;
    let otherwise = values.pop().unwrap_or(Expr::Literal(Value::Null));
    Ok(Typed::new(Expr::Case(conditions.into_iter().zip(values).collect(), otherwise.into()), of))
}

/// `struct->field`; `a->b[1]` is `(a->b)[1]`.
fn arrow(left: &ast::Expr, right: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    let left = typed(left, names)?;
    match right {
        ast::Expr::Identifier(ident) => field(left, &crate::sql::of_ident(ident)),
        ast::Expr::CompoundFieldAccess { root, access_chain } => match root.as_ref() {
            ast::Expr::Identifier(ident) => {
                let root = field(left, &crate::sql::of_ident(ident))?;
                chain(root, access_chain, place(right), names)
            }
            _ => Err(Error::at(place(right), "this is no field").expected("a field's name")),
        },
        _ => Err(Error::at(place(right), "this is no field").expected("a field's name")),
    }
}

/// A field of a struct.
pub(super) fn field(of: Typed, name: &crate::sql::Name) -> Result<Typed, Error> {
    let Type::Struct(fields) = &of.of else {
        return Err(Error::at(name.at, format!("a {} has no fields", of.of)).expected("a STRUCT"));
    };
    let exact = fields.iter().position(|(other, _)| *other == name.text);
    let Some(at) = exact.or_else(|| fields.iter().position(|(other, _)| name.matches(other))) else {
        let error = Error::at(name.at, format!("there is no field '{}'", name.text));
        return Err(error.near(&name.text, fields.iter().map(|(name, _)| name.as_str())));
    };
    let field_type = fields[at].1.clone();
    Ok(Typed::new(Expr::Field(of.expr.into(), at), field_type))
}

fn chain(root: Typed, chain: &[AccessExpr], at: Location, names: &mut dyn Names) -> Result<Typed, Error> {
    let mut of = root;
    for access in chain {
        of = match access {
            AccessExpr::Dot(ast::Expr::Identifier(ident)) => field(of, &crate::sql::of_ident(ident))?,
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let key = typed(index, names)?;
                match of.of.clone() {
                    Type::Array(element) => {
                        let key = coerce(key, &Type::BigInt, place(index))?;
                        Typed::new(Expr::Element(of.expr.into(), key.into()), *element)
                    }
                    Type::Map(value) => {
                        let key = coerce(key, &Type::String, place(index))?;
                        Typed::new(Expr::Entry(of.expr.into(), key.into()), *value)
                    }
                    other => {
                        return Err(Error::at(at, format!("a {other} has no elements")).expected("an ARRAY or MAP"));
                    }
                }
            }
            _ => return Err(Error::at(at, "this is not supported").expected("a field or an element")),
        };
    }
    Ok(of)
}

/// A text that is the same for each row.
pub(super) fn constant_text(expr: &ast::Expr, names: &mut dyn Names) -> Result<String, Error> {
    let of = typed(expr, names)?;
    let value = if of.expr.is_constant() { of.expr.eval(&[]).ok().map(std::borrow::Cow::into_owned) } else { None };
    match value.as_ref().and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::at(place(expr), "this must be the same for each row").expected("a text in quotes")),
    }
}

/// Names of a row's columns.
pub(super) struct RowNames<'a>(pub(super) &'a Scope);

impl Names for RowNames<'_> {
    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error> {
        match expr {
            ast::Expr::Identifier(ident) => self.0.column(&crate::sql::of_ident(ident)),
            ast::Expr::CompoundIdentifier(parts) => {
                let mut names = parts.iter().map(crate::sql::of_ident).peekable();
                let Some(mut first) = names.next() else { return Err(Error::at(NOWHERE, "a name is missing")) };
                if self.0.is_table(&first)
                    && let Some(column) = names.next()
                {
                    first = column;
                }
                names.try_fold(self.0.column(&first)?, |of, name| field(of, &name))
            }
            _ => Err(Error::at(place(expr), "this is not supported here")),
        }
    }

    fn call(&mut self, call: &ast::Function, name: &str, at: Location) -> Result<Option<Typed>, Error> {
        if matches!(name, "EXPLODE" | "UNNEST") {
            let [argument] = super::call::arguments(call, at)?[..] else {
                return Err(Error::at(at, format!("{name} takes one array")));
            };
            let array = typed(argument, self)?;
            return self.0.explode(array, at).map(Some);
        }
        if super::aggregate::is_aggregate(name) {
            return Err(Error::at(at, format!("{name} is an aggregate, which is not possible here")));
        }
        Ok(None)
    }
}
