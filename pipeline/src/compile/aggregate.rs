//! `GROUP BY`: what is grouped, and expressions over groups.

use super::call::{arguments, whole};
use super::catalog::Dialect;
use super::coerce::cast_to;
use super::scope::{Scope, Typed};
use super::typer::{Names, RowNames, condition, place, typed};
use crate::expr::{Expr, Number, Operator};
use crate::plan::{Call, Function, Window};
use crate::sql::Error;
use crate::value::{Type, Value};
use sqlparser::ast::{self, DuplicateTreatment, FunctionArguments};
use sqlparser::tokenizer::Location;

/// The most values of COLLECT_LIST, COLLECT_SET and HISTOGRAM where nothing is said.
const COLLECT_MAX: usize = 1_000;
/// The most that may be said.
const LIMIT_MAX: i64 = 100_000;

/// Aggregates by name.
pub const NAMES: [(&str, Function); 31] = [
    ("COUNT", Function::Count),
    ("COUNT_DISTINCT", Function::CountDistinct),
    ("SUM", Function::Sum),
    ("AVG", Function::Avg),
    ("MIN", Function::Min),
    ("MAX", Function::Max),
    ("VAR_POP", Function::VarPop),
    ("VAR_SAMP", Function::VarSamp),
    ("VARIANCE", Function::VarSamp),
    ("STDDEV_POP", Function::StddevPop),
    ("STDDEV_SAMP", Function::StddevSamp),
    ("STDDEV", Function::StddevSamp),
    ("STDDEV_SAMPLE", Function::StddevSamp),
    ("FIRST_VALUE", Function::First),
    ("EARLIEST_BY_OFFSET", Function::First),
    ("LAST_VALUE", Function::Last),
    ("LATEST_BY_OFFSET", Function::Last),
    ("COLLECT_LIST", Function::CollectList { limit: COLLECT_MAX }),
    ("ARRAY_AGG", Function::CollectList { limit: COLLECT_MAX }),
    ("COLLECT_SET", Function::CollectSet { limit: COLLECT_MAX }),
    ("COLLECT", Function::CollectList { limit: COLLECT_MAX }),
    ("TOPK", Function::TopK { k: 1 }),
    ("TOPKDISTINCT", Function::TopKDistinct { k: 1 }),
    ("HISTOGRAM", Function::Histogram { limit: COLLECT_MAX }),
    ("APPROX_COUNT_DISTINCT", Function::ApproxCountDistinct),
    ("COUNT_DISTINCT_APPROX", Function::ApproxCountDistinct),
    ("APPROX_PERCENTILE", Function::ApproxQuantile { q: 0.5 }),
    ("APPROX_QUANTILE", Function::ApproxQuantile { q: 0.5 }),
    ("PERCENTILE_APPROX", Function::ApproxQuantile { q: 0.5 }),
    ("APPROX_MEDIAN", Function::ApproxQuantile { q: 0.5 }),
    ("MEDIAN_APPROX", Function::ApproxQuantile { q: 0.5 }),
];

/// Whether a name, in upper case, is an aggregate's.
pub(super) fn is_aggregate(name: &str) -> bool {
    NAMES.iter().any(|(other, _)| *other == name)
}

/// Names within a grouped query: group keys, the window, aggregates.
pub(super) struct GroupNames<'a> {
    pub(super) scope: &'a Scope,
    pub(super) dialect: Dialect,
    pub(super) window: &'a Window,
    /// Over the row.
    pub(super) keys: Vec<Typed>,
    /// Over the row.
    pub(super) calls: Vec<Call>,
}

impl GroupNames<'_> {
    fn key(&self, of: &Typed) -> Option<Typed> {
        let at = self.keys.iter().position(|key| key.expr == of.expr)?;
        Some(Typed::new(Expr::Column(at), self.keys[at].of.clone()))
    }

    /// `WINDOWSTART`, `window_end` and the like.
    pub(super) fn bound(&self, name: &str) -> Option<Typed> {
        let at = self.keys.len();
        let of = if self.dialect == Dialect::Flink { Type::Timestamp } else { Type::BigInt };
        // A group's row says when its session ends for lack of rows; to ksqlDB it has ended with its last one.
        let end = match (self.dialect, self.window) {
            (Dialect::Ksql, Window::Session { gap_ms }) => before(Expr::Column(at + 1), *gap_ms),
            _ => Expr::Column(at + 1),
        };
        let expr = match name.to_ascii_uppercase().as_str() {
            _ if *self.window == Window::None => return None,
            "WINDOWSTART" | "WINDOW_START" => Expr::Column(at),
            "WINDOWEND" | "WINDOW_END" => end,
            // The last millisecond of the window.
            "WINDOW_TIME" => before(end, 1),
            _ => return None,
        };
        Some(Typed::new(expr, of))
    }
}

/// A call of an aggregate over the rows of a scope.
pub(super) fn aggregate_call(scope: &Scope, call: &ast::Function, name: &str, at: Location) -> Result<Call, Error> {
    let mut function =
        NAMES.iter().find(|(other, _)| *other == name).map_or(Function::Count, |(_, function)| *function);
    let given = arguments(call, at)?;
    let distinct = match &call.args {
        FunctionArguments::List(list) => list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
        _ => false,
    };
    let mut row = RowNames(scope);
    let argument = given.first().map(|argument| typed(argument, &mut row)).transpose()?;
    let second = given.get(1).map(|argument| typed(argument, &mut row)).transpose()?;
    let filter = call.filter.as_ref().map(|filter| condition(filter, &mut row)).transpose()?;
    if distinct {
        function = match function {
            Function::Count => Function::CountDistinct,
            Function::Min | Function::Max => function,
            Function::CollectList { limit } => Function::CollectSet { limit },
            Function::TopK { k } => Function::TopKDistinct { k },
            _ => return Err(Error::at(at, format!("{name}(DISTINCT) is not supported"))),
        };
    }
    if given.len() > 2 || (given.is_empty() && function != Function::Count) {
        return Err(Error::at(at, format!("the arguments of {name} are not right")).expected("one value"));
    }
    if let Some(second) = second {
        function = with_second(function, second).ok_or_else(|| {
            Error::at(place(given[1]), format!("the second argument of {name} is not right"))
                .expected("a number: how many up to 100000, or a quantile from 0 to 1")
        })?;
    }
    let (argument, argument_type, of) = match argument {
        Some(argument) => {
            let (argument, of) = result(function, name, argument, at)?;
            (Some(argument.expr), argument.of, of)
        }
        None => (None, Type::Null, Type::BigInt),
    };
    Ok(Call { function, argument, argument_type, filter, of })
}

/// The last millisecond of a window, over the group row.
pub(super) fn window_time(keys: usize) -> Expr {
    before(Expr::Column(keys + 1), 1)
}

fn before(time: Expr, ms: i64) -> Expr {
    Expr::Arithmetic(Operator::Subtract, Number::BigInt, time.into(), Expr::Literal(Value::Int(ms)).into())
}

fn with_second(function: Function, second: Typed) -> Option<Function> {
    if let Function::ApproxQuantile { .. } = function {
        let Expr::Literal(value) = &second.expr else { return None };
        let q = value.as_double().filter(|q| (0.0..=1.0).contains(q))?;
        return Some(Function::ApproxQuantile { q });
    }
    let count = whole(second).filter(|count| (1..=LIMIT_MAX).contains(count))?;
    let count = usize::try_from(count).ok()?;
    Some(match function {
        Function::TopK { .. } => Function::TopK { k: count },
        Function::TopKDistinct { .. } => Function::TopKDistinct { k: count },
        Function::CollectList { .. } => Function::CollectList { limit: count },
        Function::CollectSet { .. } => Function::CollectSet { limit: count },
        Function::Histogram { .. } => Function::Histogram { limit: count },
        _ => return None,
    })
}

/// The argument as the function takes it, and the type of the result.
fn result(function: Function, name: &str, argument: Typed, at: Location) -> Result<(Typed, Type), Error> {
    let is_number = matches!(argument.of, Type::Integer | Type::BigInt | Type::Double | Type::Null);
    let of = argument.of.clone();
    Ok(match function {
        Function::Count | Function::CountDistinct | Function::ApproxCountDistinct => (argument, Type::BigInt),
        Function::Min | Function::Max if matches!(of, Type::Map(_) | Type::Struct(_) | Type::Array(_)) => {
            return Err(Error::at(at, format!("{name} of a {of} is not defined")));
        }
        Function::Min | Function::Max | Function::First | Function::Last => (argument, of),
        Function::CollectList { .. }
        | Function::CollectSet { .. }
        | Function::TopK { .. }
        | Function::TopKDistinct { .. } => (argument, Type::Array(Box::new(of))),
        Function::Histogram { .. } => (cast_to(argument, &Type::String, false, at)?, Type::Map(Box::new(Type::BigInt))),
        _ if !is_number => return Err(Error::at(at, format!("{name} of a {of} is not defined")).expected("a number")),
        Function::Sum if of == Type::Double => (argument, Type::Double),
        Function::Sum => (Typed::new(argument.expr, Type::BigInt), Type::BigInt),
        _ => (cast_to(argument, &Type::Double, false, at)?, Type::Double),
    })
}

impl Names for GroupNames<'_> {
    fn whole(&mut self, expr: &ast::Expr) -> Result<Option<Typed>, Error> {
        if matches!(expr, ast::Expr::Value(_) | ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)) {
            return Ok(None);
        }
        // A group key that is no column: the same expression means it. What is no expression of a row is none.
        let keys_are_columns = self.keys.iter().all(|key| matches!(key.expr, Expr::Column(_)));
        if keys_are_columns {
            return Ok(None);
        }
        Ok(typed(expr, &mut RowNames(self.scope)).ok().and_then(|of| self.key(&of)))
    }

    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error> {
        let last = match expr {
            ast::Expr::Identifier(ident) => Some(ident),
            ast::Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if let Some(window) = last.and_then(|ident| self.bound(&ident.value)) {
            return Ok(window);
        }
        let of = typed(expr, &mut RowNames(self.scope))?;
        self.key(&of).ok_or_else(|| {
            let error = Error::at(place(expr), format!("'{expr}' is neither grouped by nor within an aggregate"));
            error.expected(format!("'{expr}' in GROUP BY, or an aggregate of it"))
        })
    }

    fn call(&mut self, call: &ast::Function, name: &str, at: Location) -> Result<Option<Typed>, Error> {
        if name == "EXPLODE" || name == "UNNEST" {
            return Err(Error::at(at, format!("{name} belongs in a statement before the one that groups")));
        }
        if !is_aggregate(name) {
            return Ok(None);
        }
        let call = aggregate_call(self.scope, call, name, at)?;
        let found = self.calls.iter().position(|other| *other == call);
        let of = call.of.clone();
        let position = found.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        Ok(Some(Typed::new(Expr::Column(self.keys.len() + 2 + position), of)))
    }
}
