//! Calls of functions.

use super::coerce::{cast_to, coerce, unify};
use super::scope::Typed;
use super::typer::{Names, constant_text, place, typed};
use crate::expr::function::{self, ARGUMENTS_MAX, Parameter};
use crate::expr::{Expr, JsonPath, Pattern, TimeFormat, time};
use crate::sql::Error;
use crate::value::{Type, Value};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::tokenizer::Location;

/// Functions that are not functions of values alone: they take patterns, or choose.
pub const SPECIAL: [&str; 22] = [
    "COALESCE",
    "IFNULL",
    "IF",
    "REGEXP_EXTRACT",
    "REGEXP_REPLACE",
    "REGEXP_LIKE",
    "REGEXP",
    "REGEXP_SPLIT_TO_ARRAY",
    "EXTRACTJSONFIELD",
    "JSON_VALUE",
    "JSON_QUERY",
    "FORMAT_TIMESTAMP",
    "DATE_FORMAT",
    "TIMESTAMPTOSTRING",
    "FORMAT_DATE",
    "PARSE_TIMESTAMP",
    "TO_TIMESTAMP",
    "STRINGTOTIMESTAMP",
    "UNIX_TIMESTAMP",
    "FROM_UNIXTIME",
    "PARSE_DATE",
    "TO_DATE",
];

/// Functions that do not depend on the row alone.
const NOT_DETERMINISTIC: [&str; 16] = [
    "NOW",
    "RAND",
    "RANDOM",
    "RAND_INTEGER",
    "UUID",
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "LOCALTIMESTAMP",
    "LOCALTIME",
    "PROCTIME",
    "CURRENT_ROW_TIMESTAMP",
    "UNIX_DATE",
    "CURRENT_DATABASE",
    "CURRENT_WATERMARK",
    "GENERATE_UUID",
];

/// The arguments of a call; `*` has none.
pub(super) fn arguments(call: &ast::Function, at: Location) -> Result<Vec<&ast::Expr>, Error> {
    let FunctionArguments::List(list) = &call.args else { return Ok(Vec::new()) };
    let mut arguments = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
            _ => return Err(Error::at(at, "named arguments are not supported here")),
        }
    }
    if let Some(clause) = list.clauses.first() {
        return Err(Error::at(at, format!("'{clause}' is not supported")));
    }
    Ok(arguments)
}

/// Calls, and what SQL writes as if it were none: `EXTRACT(HOUR FROM t)`, `TRIM(BOTH ' ' FROM x)`.
pub(super) fn special(expr: &ast::Expr, names: &mut dyn Names) -> Result<Typed, Error> {
    let at = place(expr);
    let mut of = |expr: &ast::Expr| typed(expr, names);
    let text = |text: &str| Typed::new(Expr::Literal(Value::string(text)), Type::String);
    let (name, mut arguments) = match expr {
        ast::Expr::Function(function) => return call(function, at, names),
        ast::Expr::Extract { field, .. } if !function::is_time_field(&field.to_string()) => {
            return Err(Error::at(at, format!("'{field}' is no part of a time")).expected("YEAR, MONTH, DAY, HOUR ..."));
        }
        ast::Expr::Extract { field, expr, .. } => ("EXTRACT", vec![text(&field.to_string()), of(expr)?]),
        ast::Expr::Ceil { expr, .. } => ("CEIL", vec![of(expr)?]),
        ast::Expr::Floor { expr, .. } => ("FLOOR", vec![of(expr)?]),
        ast::Expr::Position { expr, r#in } => ("POSITION", vec![of(expr)?, of(r#in)?]),
        ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
            let mut arguments = vec![of(expr)?];
            for part in [substring_from, substring_for].into_iter().flatten() {
                arguments.push(of(part)?);
            }
            ("SUBSTRING", arguments)
        }
        ast::Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
            let mut arguments = vec![of(expr)?];
            let what = trim_what.as_deref().or_else(|| trim_characters.as_ref().and_then(|all| all.first()));
            arguments.extend(what.map(&mut of).transpose()?);
            let name = match trim_where {
                Some(ast::TrimWhereField::Leading) => "LTRIM",
                Some(ast::TrimWhereField::Trailing) => "RTRIM",
                _ => "TRIM",
            };
            (name, arguments)
        }
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
            return Err(Error::at(at, "a SELECT within an expression is not supported yet"));
        }
        _ => return Err(Error::at(at, "this expression is not supported")),
    };
    function(name, &mut arguments, at)
}

fn call(call: &ast::Function, at: Location, names: &mut dyn Names) -> Result<Typed, Error> {
    let name = call.name.to_string().to_uppercase();
    if let Some(over) = &call.over {
        return names.over(call, over, &name, at);
    }
    if let Some(result) = names.call(call, &name, at)? {
        return Ok(result);
    }
    if call.filter.is_some() {
        return Err(Error::at(at, "FILTER belongs to an aggregate"));
    }
    if NOT_DETERMINISTIC.contains(&name.as_str()) {
        let why = format!("{name} is not the same on every replica and at every replay, so a pipeline can't have it");
        return Err(Error::at(at, why).expected("a column of the row, like ROWTIME"));
    }
    let arguments = arguments(call, at)?;
    if SPECIAL.contains(&name.as_str()) {
        return with_pattern(&name, &arguments, at, names);
    }
    let unit = |expr: &ast::Expr| match expr {
        // TIMESTAMPDIFF(MINUTE, a, b): the unit is no column.
        ast::Expr::Identifier(ident) => Some(Typed::new(Expr::Literal(Value::string(&ident.value)), Type::String)),
        _ => None,
    };
    let mut values = Vec::new();
    for (position, argument) in arguments.into_iter().enumerate() {
        let is_unit = position == 0 && matches!(name.as_str(), "TIMESTAMPDIFF" | "TIMESTAMPADD");
        values.push(match unit(argument).filter(|_| is_unit) {
            Some(unit) => unit,
            None => typed(argument, names)?,
        });
    }
    function(&name, &mut values, at)
}

/// A function of values.
pub(super) fn function(name: &str, arguments: &mut Vec<Typed>, at: Location) -> Result<Typed, Error> {
    // `a || b` is null where one is; CONCAT leaves nulls out.
    let strict = name == "PIPE_CONCAT";
    let name = if strict { "||" } else { name };
    let Some(function) = function::find(name) else {
        let known = function::all().flat_map(|function| function.names.iter().copied());
        let known = known.chain(SPECIAL).chain(super::aggregate::NAMES.iter().map(|(name, _)| *name));
        return Err(Error::at(at, format!("there is no function '{name}'")).near(name, known));
    };
    let wrong = || Error::at(at, format!("the arguments of {name} are not right")).expected(function.usage());
    let most = if function.variadic { ARGUMENTS_MAX } else { function.parameters.len() };
    if arguments.len() < function.required || arguments.len() > most {
        return Err(wrong());
    }
    let last = function.parameters.len() - 1;
    if function.parameters[last] == Parameter::Same {
        let (values, of) = unify(std::mem::take(arguments), at)?;
        *arguments = values.into_iter().map(|expr| Typed::new(expr, of.clone())).collect();
    }
    let element = match arguments.first().map(|first| &first.of) {
        Some(Type::Array(of)) => (**of).clone(),
        _ => Type::Null,
    };
    let (mut values, mut types) = (Vec::new(), Vec::new());
    for (position, argument) in arguments.drain(..).enumerate() {
        let parameter = function.parameters[position.min(last)];
        let to = target(parameter, &argument.of, &element).ok_or_else(wrong)?;
        let text = (name == "CONCAT" || strict) && argument.of != Type::String;
        let argument = if text { cast_to(argument, &Type::String, false, at)? } else { argument };
        let to = if text { Type::String } else { to };
        values.push(coerce(argument, &to, at).map_err(|error| Error { expected: Some(function.usage()), ..error })?);
        types.push(to);
    }
    Ok(Typed::new(Expr::Call(function, values), function.result.of(&types)))
}

/// The type that an argument must become; none if it can't be right.
fn target(parameter: Parameter, of: &Type, element: &Type) -> Option<Type> {
    let null = *of == Type::Null;
    Some(match parameter {
        Parameter::Text => Type::String,
        Parameter::Whole => Type::BigInt,
        Parameter::Double => Type::Double,
        Parameter::Timestamp => Type::Timestamp,
        Parameter::Element => element.clone(),
        Parameter::Number if null || matches!(of, Type::Integer | Type::BigInt | Type::Double) => of.clone(),
        Parameter::Array if null || matches!(of, Type::Array(_)) => of.clone(),
        Parameter::Map if null || matches!(of, Type::Map(_)) => of.clone(),
        Parameter::Sized if null || matches!(of, Type::Array(_) | Type::Map(_) | Type::String) => of.clone(),
        Parameter::Any | Parameter::Same => of.clone(),
        _ => return None,
    })
}

fn with_pattern(name: &str, arguments: &[&ast::Expr], at: Location, names: &mut dyn Names) -> Result<Typed, Error> {
    let usage = usage(name);
    let wrong = || Error::at(at, format!("the arguments of {name} are not right")).expected(usage);
    let failed = |failed: crate::expr::Failed| Error::at(at, failed.0);
    let text = |expr: &ast::Expr, names: &mut dyn Names| coerce(typed(expr, names)?, &Type::String, place(expr));
    let string = |expr| Ok(Typed::new(expr, Type::String));
    match (name, arguments) {
        ("COALESCE" | "IFNULL", [_, ..]) => {
            let values = arguments.iter().map(|argument| typed(argument, names)).collect::<Result<_, _>>()?;
            let (values, of) = unify(values, at)?;
            Ok(Typed::new(Expr::Coalesce(values), of))
        }
        ("IF", [condition, yes, no]) => {
            let condition = super::typer::condition(condition, names)?;
            let (mut values, of) = unify(vec![typed(yes, names)?, typed(no, names)?], at)?;
            let otherwise = values.pop().ok_or_else(wrong)?;
            let branch = values.pop().ok_or_else(wrong)?;
            Ok(Typed::new(Expr::Case(vec![(condition, branch)], otherwise.into()), of))
        }
        // Flink has the text first, ksqlDB the pattern.
        ("REGEXP_EXTRACT", [first, second, rest @ ..]) if rest.len() <= 1 => {
            let (of, pattern) = either(first, second, names)?;
            let pattern = Pattern::regex_of(&pattern).map_err(failed)?;
            let group = match rest.first() {
                Some(group) => {
                    whole(typed(group, names)?).and_then(|group| usize::try_from(group).ok()).ok_or_else(wrong)?
                }
                None => 0,
            };
            if group >= pattern.groups() {
                return Err(Error::at(at, format!("the pattern has no group {group}")));
            }
            string(Expr::Extract(of.into(), pattern, group))
        }
        ("REGEXP_REPLACE", [of, pattern, with]) => {
            let pattern = Pattern::regex_of(&constant_text(pattern, names)?).map_err(failed)?;
            string(Expr::Replace(text(of, names)?.into(), pattern, text(with, names)?.into()))
        }
        ("REGEXP_LIKE" | "REGEXP", [of, pattern]) => {
            let pattern = Pattern::regex_of(&constant_text(pattern, names)?).map_err(failed)?;
            Ok(Typed::new(Expr::Matches(text(of, names)?.into(), pattern), Type::Boolean))
        }
        ("REGEXP_SPLIT_TO_ARRAY", [of, pattern]) => {
            let pattern = Pattern::regex_of(&constant_text(pattern, names)?).map_err(failed)?;
            Ok(Typed::new(Expr::Split(text(of, names)?.into(), pattern), Type::Array(Type::String.into())))
        }
        ("EXTRACTJSONFIELD" | "JSON_VALUE" | "JSON_QUERY", [of, path]) => {
            let path = JsonPath::new(&constant_text(path, names)?, name == "JSON_VALUE").map_err(failed)?;
            string(Expr::Json(text(of, names)?.into(), path))
        }
        _ => times(name, arguments, at, names),
    }
}

fn times(name: &str, arguments: &[&ast::Expr], at: Location, names: &mut dyn Names) -> Result<Typed, Error> {
    let wrong = || Error::at(at, format!("the arguments of {name} are not right")).expected(usage(name));
    let (Some(first), rest) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else { return Err(wrong()) };
    if rest.len() > 2 {
        return Err(wrong());
    }
    let of = typed(first, names)?;
    let pattern = match rest.first() {
        Some(pattern) => constant_text(pattern, names)?,
        None => "yyyy-MM-dd HH:mm:ss".to_owned(),
    };
    let zone = match rest.get(1) {
        Some(zone) => time::zone(&constant_text(zone, names)?),
        None => time::zone("UTC"),
    };
    let failed = |failed: crate::expr::Failed| Error::at(at, failed.0);
    let format = TimeFormat::new(&pattern, zone.map_err(failed)?).map_err(failed)?;
    let to_seconds = |ms: Expr| {
        let second = Expr::Literal(Value::Int(1_000));
        Expr::Arithmetic(crate::expr::Operator::Divide, crate::expr::Number::BigInt, ms.into(), second.into())
    };
    let (expr, result) = match (name, &of.of) {
        (
            "FORMAT_TIMESTAMP" | "DATE_FORMAT" | "TIMESTAMPTOSTRING" | "FORMAT_DATE",
            Type::Timestamp | Type::BigInt | Type::Null,
        ) => (Expr::FormatTime(of.expr.into(), format), Type::String),
        ("FORMAT_TIMESTAMP" | "DATE_FORMAT" | "FORMAT_DATE", Type::Date) => {
            let ms = cast_to(of, &Type::Timestamp, false, at)?;
            (Expr::FormatTime(ms.expr.into(), format), Type::String)
        }
        ("FROM_UNIXTIME", Type::Integer | Type::BigInt) => {
            let second = Expr::Literal(Value::Int(1_000));
            let ms = Expr::Arithmetic(
                crate::expr::Operator::Multiply,
                crate::expr::Number::BigInt,
                of.expr.into(),
                second.into(),
            );
            (Expr::FormatTime(ms.into(), format), Type::String)
        }
        ("TO_TIMESTAMP", Type::String) if rest.is_empty() => return cast_to(of, &Type::Timestamp, false, at),
        ("PARSE_TIMESTAMP" | "TO_TIMESTAMP", Type::String) => {
            (Expr::ParseTime(of.expr.into(), format), Type::Timestamp)
        }
        ("STRINGTOTIMESTAMP", Type::String) => (Expr::ParseTime(of.expr.into(), format), Type::BigInt),
        ("UNIX_TIMESTAMP", Type::String) => (to_seconds(Expr::ParseTime(of.expr.into(), format)), Type::BigInt),
        ("UNIX_TIMESTAMP", Type::Timestamp) => (to_seconds(of.expr), Type::BigInt),
        ("TO_DATE", Type::String) if rest.is_empty() => return cast_to(of, &Type::Date, false, at),
        ("PARSE_DATE" | "TO_DATE", Type::String) => {
            let ms = Typed::new(Expr::ParseTime(of.expr.into(), format), Type::Timestamp);
            return cast_to(ms, &Type::Date, false, at);
        }
        _ => return Err(wrong()),
    };
    Ok(Typed::new(expr, result))
}

/// The text and the pattern, in whichever order they are.
fn either(first: &ast::Expr, second: &ast::Expr, names: &mut dyn Names) -> Result<(Expr, String), Error> {
    let (of, pattern) = match (constant_text(first, names), constant_text(second, names)) {
        (_, Ok(pattern)) => (first, pattern),
        (Ok(pattern), _) => (second, pattern),
        (_, Err(error)) => return Err(error),
    };
    Ok((coerce(typed(of, names)?, &Type::String, place(of))?, pattern))
}

/// A whole number that is the same for each row.
pub(super) fn whole(of: Typed) -> Option<i64> {
    match of.expr {
        Expr::Literal(Value::Int(int)) => Some(int),
        _ => None,
    }
}

fn usage(name: &str) -> &'static str {
    match name {
        "COALESCE" | "IFNULL" => "values of one type",
        "IF" => "a condition and two values",
        "REGEXP_EXTRACT" => "REGEXP_EXTRACT(text, pattern[, group])",
        "REGEXP_REPLACE" => "REGEXP_REPLACE(text, pattern, replacement)",
        "REGEXP_LIKE" | "REGEXP" | "REGEXP_SPLIT_TO_ARRAY" => "a text and a pattern",
        "EXTRACTJSONFIELD" | "JSON_VALUE" | "JSON_QUERY" => "a text and a path like '$.a.b[0]'",
        "PARSE_TIMESTAMP" | "TO_TIMESTAMP" | "STRINGTOTIMESTAMP" | "PARSE_DATE" | "TO_DATE" => {
            "a text, a pattern like 'yyyy-MM-dd HH:mm:ss' and a time zone or none"
        }
        "FROM_UNIXTIME" => "seconds since 1970, a pattern and a time zone or none",
        _ => "a time, a pattern like 'yyyy-MM-dd HH:mm:ss' and a time zone or none",
    }
}
