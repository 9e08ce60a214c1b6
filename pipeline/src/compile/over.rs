//! A `SELECT` with `OVER`: what is carried of each row, the frames, and expressions over both.

use super::aggregate::{aggregate_call, is_aggregate};
use super::call::{arguments, whole};
use super::catalog::Definition;
use super::fields::Fields;
use super::insert::constant;
use super::query::{Item, Projected, What, key_format_of};
use super::scope::{Scope, Typed};
use super::session::Session;
use super::typer::{Names, RowNames, condition, place, typed};
use crate::expr::Expr;
use crate::plan::{Body, Call, Emit, Field, Frame, FrameBound, Function, Lag, Over};
use crate::sql::{Error, Query};
use crate::value::{Type, Value};
use sqlparser::ast::{self, NamedWindowExpr, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType};
use sqlparser::tokenizer::Location;

/// The most rows that a frame by rows, or a lag, goes back.
const ROWS_MAX: i64 = 100_000;

/// Expressions over rows and frames. While they are read, a column below [`FIRST_RESULT`] is one of what is carried, any other a
/// result: there is no telling yet how many of either there will be.
struct OverNames<'a> {
    query: &'a Query,
    scope: &'a Scope,
    session: &'a Session,
    /// `PARTITION BY` of the first `OVER`; all have the same.
    keys: Option<Vec<Field>>,
    carried: Vec<Typed>,
    frames: Vec<Frame>,
    lags: Vec<Lag>,
    results: Vec<Slot>,
}

const FIRST_RESULT: usize = usize::MAX / 2;

/// Which result.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Call { frame: usize, call: usize },
    Lag(usize),
}

/// The body of a query with `OVER`.
pub(super) fn body(
    query: &Query,
    definition: &Definition,
    scope: &Scope,
    items: &[Item<'_>],
    session: &Session,
) -> Result<Projected, Error> {
    refuse(query, definition)?;
    let (keys, carried) = (None, Vec::new());
    let mut names =
        OverNames { query, scope, session, keys, carried, frames: Vec::new(), lags: Vec::new(), results: Vec::new() };
    let mut values = Vec::new();
    for item in items {
        let of = match &item.what {
            What::Expr(expr) => typed(expr, &mut names)?,
            What::Column(_, of) => names.carry(of.clone()),
        };
        values.push((item.name.clone(), of));
    }
    let qualify = query.select.qualify.as_ref().map(|of| condition(of, &mut names)).transpose()?;
    let OverNames { keys, carried, frames, lags, results, .. } = names;
    let keys = keys.ok_or_else(|| Error::at(query.at, "no aggregate of this SELECT has an OVER"))?;
    // What is carried and a key, too, is not carried.
    let key_of = |of: &Typed| keys.iter().position(|key| key.expr == of.expr);
    let mut places = Vec::new();
    let mut count = keys.len();
    for of in &carried {
        places.push(key_of(of).unwrap_or(count));
        count += usize::from(key_of(of).is_none());
    }
    let starts: Vec<usize> =
        frames.iter().scan(count, |next, frame| Some(std::mem::replace(next, *next + frame.calls.len()))).collect();
    let after = count + frames.iter().map(|frame| frame.calls.len()).sum::<usize>();
    let to = |at: usize| match at.checked_sub(FIRST_RESULT).map(|result| results[result]) {
        None => places[at],
        Some(Slot::Call { frame, call }) => starts[frame] + call,
        Some(Slot::Lag(lag)) => after + lag,
    };
    let named = |(at, field): (usize, &Field)| Field { expr: Expr::Column(at), ..field.clone() };
    let mut fields = Fields::new(keys.iter().enumerate().map(named).collect());
    for (name, mut of) in values {
        of.expr.map_columns(&to);
        fields.add(&name, of, true);
    }
    let Fields { key, value, columns, .. } = fields;
    let qualify = qualify.map(|mut expr| {
        expr.map_columns(&to);
        expr
    });
    let carried = carried.iter().filter(|of| key_of(of).is_none()).map(|of| of.expr.clone()).collect();
    let key_format = key_format_of(definition, &key);
    let grace_ms = query.grace_ms.unwrap_or(0);
    let over = Over { keys, grace_ms, carried, frames, lags, qualify, key, value };
    Ok((Body::Over(Box::new(over)), columns, key_format))
}

/// What does not go with `OVER`.
fn refuse(query: &Query, definition: &Definition) -> Result<(), Error> {
    super::grouped::appended(query, definition)?;
    if let Some(window) = &query.window {
        return Err(Error::at(window.at, "a window beside OVER is not possible").expected("OVER (...), or GROUP BY"));
    }
    if let Some((emit, at)) = query.emit.filter(|(emit, _)| *emit != Emit::Changes) {
        return Err(Error::at(at, format!("EMIT {emit:?} needs a window")).expected("EMIT CHANGES"));
    }
    if let Some(by) = query.partition_by.first() {
        let error = Error::at(place(by), "PARTITION BY of the whole query is not possible beside OVER");
        return Err(error.expected("PARTITION BY within OVER, by which the results are divided"));
    }
    if let Some(having) = &query.select.having {
        return Err(Error::at(place(having), "HAVING needs GROUP BY").expected("QUALIFY"));
    }
    Ok(())
}

impl OverNames<'_> {
    fn carry(&mut self, of: Typed) -> Typed {
        let found = self.carried.iter().position(|other| *other == of);
        let at = found.unwrap_or_else(|| {
            self.carried.push(of.clone());
            self.carried.len() - 1
        });
        Typed::new(Expr::Column(at), of.of)
    }

    fn result(&mut self, slot: Slot, of: Type) -> Typed {
        let found = self.results.iter().position(|other| *other == slot);
        let at = found.unwrap_or_else(|| {
            self.results.push(slot);
            self.results.len() - 1
        });
        Typed::new(Expr::Column(FIRST_RESULT + at), of)
    }

    /// A window by its name in `WINDOW name AS (...)`.
    fn named(&self, name: &ast::Ident) -> Result<&WindowSpec, Error> {
        let at = name.span.start;
        let windows = &self.query.select.named_window;
        let named = crate::sql::of_ident(name);
        match windows.iter().find(|window| named.matches(&window.0.value)) {
            Some(ast::NamedWindowDefinition(_, NamedWindowExpr::WindowSpec(spec))) => Ok(spec),
            Some(_) => Err(Error::at(at, format!("the window '{named}' names another", named = named.text))),
            None => {
                let error = Error::at(at, format!("there is no window '{}'", named.text));
                Err(error.near(&named.text, windows.iter().map(|window| window.0.value.as_str())))
            }
        }
    }

    /// Where the frame of an `OVER` begins; its keys and its order must be those of the others.
    fn bound(&mut self, over: &WindowType, at: Location) -> Result<FrameBound, Error> {
        let spec = match over {
            WindowType::WindowSpec(spec) => spec.clone(),
            WindowType::NamedWindow(name) => self.named(name)?.clone(),
        };
        let base = spec.window_name.as_ref().map(|name| self.named(name).cloned()).transpose()?;
        let of_base = |of: fn(&WindowSpec) -> bool| base.as_ref().filter(|base| of(base));
        let by = of_base(|base| !base.partition_by.is_empty()).map_or(&spec.partition_by, |base| &base.partition_by);
        let order = of_base(|base| !base.order_by.is_empty()).map_or(&spec.order_by, |base| &base.order_by);
        let frame = spec.window_frame.as_ref().or(base.as_ref().and_then(|base| base.window_frame.as_ref()));
        let keys = self.partition(by)?;
        if self.keys.get_or_insert_with(|| keys.clone()) != &keys {
            return Err(Error::at(at, "every OVER of a SELECT has to be partitioned alike"));
        }
        let time = self.order(order, at)?;
        let Some(frame) = frame else { return Ok(FrameBound::Range(None)) };
        if !matches!(frame.end_bound, None | Some(WindowFrameBound::CurrentRow)) {
            return Err(Error::at(at, "a frame can't end elsewhere than at its row").expected("AND CURRENT ROW"));
        }
        let before = match &frame.start_bound {
            WindowFrameBound::CurrentRow => Some(0),
            WindowFrameBound::Preceding(None) => None,
            WindowFrameBound::Preceding(Some(expr)) => Some(self.before(expr, frame.units, &time)?),
            WindowFrameBound::Following(_) => {
                return Err(Error::at(at, "a frame can't begin after its row").expected("PRECEDING"));
            }
        };
        match frame.units {
            WindowFrameUnits::Range => Ok(FrameBound::Range(before)),
            // Within the bound.
            WindowFrameUnits::Rows => Ok(FrameBound::Rows(before.map(|rows| u32::try_from(rows).unwrap_or(u32::MAX)))),
            WindowFrameUnits::Groups => {
                Err(Error::at(at, "frames by GROUPS are not supported").expected("ROWS or RANGE"))
            }
        }
    }

    fn partition(&self, by: &[ast::Expr]) -> Result<Vec<Field>, Error> {
        let mut keys: Vec<Field> = Vec::new();
        for expr in by {
            let of = typed(expr, &mut RowNames(self.scope))?;
            if matches!(of.of, Type::Map(_) | Type::Null) {
                return Err(Error::at(place(expr), format!("rows can't be partitioned by a {}", of.of)));
            }
            let name = match expr {
                ast::Expr::Identifier(ident) => self.session.name(&crate::sql::of_ident(ident)),
                _ => self.session.own_name(&format!("key_{}", keys.len())),
            };
            if !keys.iter().any(|key| key.expr == of.expr) {
                keys.push(Field { name, of: of.of, expr: of.expr });
            }
        }
        Ok(keys)
    }

    /// The order has to be that of the event time, whose type it gives.
    fn order(&self, by: &[ast::OrderByExpr], at: Location) -> Result<Type, Error> {
        let rowtime = crate::sql::Name { text: "ROWTIME".to_owned(), quoted: false, at };
        let time = self.scope.column(&rowtime)?;
        let wrong = |at| Error::at(at, "rows come in the order of event time, oldest first");
        let [only] = by else { return Err(wrong(at).expected("ORDER BY and the event time")) };
        let of = typed(&only.expr, &mut RowNames(self.scope))?;
        let ast::OrderByOptions { sort, nulls_first } = &only.options;
        let ascending = matches!(sort, None | Some(ast::OrderBySort::Asc)) && nulls_first.is_none();
        if of.expr != time.expr || !ascending {
            let error = wrong(place(&only.expr));
            return Err(error.expected("ROWTIME, or the column of timestamp= or WATERMARK FOR, without DESC"));
        }
        Ok(of.of)
    }

    /// How far back a frame goes.
    fn before(&self, expr: &ast::Expr, units: WindowFrameUnits, time: &Type) -> Result<i64, Error> {
        let of = typed(expr, &mut RowNames(self.scope))?;
        let (at, is_interval) = (place(expr), of.of == Type::Interval);
        let is_number = matches!(of.of, Type::Integer | Type::BigInt);
        let amount = whole(of).filter(|amount| *amount >= 0);
        match (units, amount) {
            (WindowFrameUnits::Rows, Some(rows)) if is_number && rows <= ROWS_MAX => Ok(rows),
            (WindowFrameUnits::Rows, _) => Err(Error::at(at, "this is no number of rows")
                .expected(format!("a number up to {ROWS_MAX}, or UNBOUNDED PRECEDING"))),
            // Milliseconds, where the event time is a number of them.
            (_, Some(ms)) if is_interval || (is_number && *time == Type::BigInt) => Ok(ms),
            _ => Err(Error::at(at, "this is no length of time").expected("INTERVAL '5' MINUTE")),
        }
    }

    fn add(&mut self, bound: FrameBound, call: Call) -> Typed {
        let of = call.of.clone();
        let frame = self.frames.iter().position(|frame| frame.bound == bound).unwrap_or_else(|| {
            self.frames.push(Frame { bound, calls: Vec::new() });
            self.frames.len() - 1
        });
        let calls = &mut self.frames[frame].calls;
        let call = calls.iter().position(|other| *other == call).unwrap_or_else(|| {
            calls.push(call);
            calls.len() - 1
        });
        self.result(Slot::Call { frame, call }, of)
    }

    /// `LAG(x[, n[, default]])`.
    fn lag(&mut self, call: &ast::Function, at: Location) -> Result<Typed, Error> {
        let wrong = || Error::at(at, "the arguments of LAG are not right");
        let usage = "LAG(value[, rows[, default]]), of which the last two are the same for each row";
        let given = arguments(call, at)?;
        let (Some(first), true) = (given.first(), given.len() <= 3) else { return Err(wrong().expected(usage)) };
        let of = typed(first, &mut RowNames(self.scope))?;
        let rows = given.get(1).map(|rows| typed(rows, &mut RowNames(self.scope))).transpose()?;
        let rows = match rows {
            None => 1,
            Some(rows) => whole(rows)
                .filter(|rows| (0..=ROWS_MAX).contains(rows))
                .and_then(|rows| u32::try_from(rows).ok())
                .ok_or_else(|| wrong().expected(usage))?,
        };
        let default = given.get(2).map_or(Ok(Value::Null), |default| constant(default, &of.of))?;
        let lag = Lag { argument: of.expr, rows, default };
        let found = self.lags.iter().position(|other| *other == lag);
        let at = found.unwrap_or_else(|| {
            self.lags.push(lag);
            self.lags.len() - 1
        });
        Ok(self.result(Slot::Lag(at), of.of))
    }
}

impl Names for OverNames<'_> {
    /// Everything without an `OVER` is carried as a whole: evaluated beside the source, where a row that fails is rejected.
    fn whole(&mut self, expr: &ast::Expr) -> Result<Option<Typed>, Error> {
        match typed(expr, &mut RowNames(self.scope)) {
            Ok(of) if of.expr.is_constant() => Ok(Some(of)),
            Ok(of) => Ok(Some(self.carry(of))),
            // It has one, or is wrong, which its parts will say.
            Err(_) => Ok(None),
        }
    }

    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error> {
        let of = typed(expr, &mut RowNames(self.scope))?;
        Ok(self.carry(of))
    }

    fn call(&mut self, call: &ast::Function, name: &str, at: Location) -> Result<Option<Typed>, Error> {
        RowNames(self.scope).call(call, name, at)
    }

    fn over(&mut self, call: &ast::Function, over: &WindowType, name: &str, at: Location) -> Result<Typed, Error> {
        let bound = self.bound(over, at)?;
        match name {
            "LAG" => self.lag(call, at),
            "ROW_NUMBER" => {
                let (function, argument_type) = (Function::Count, Type::Null);
                let count = Call { function, argument: None, argument_type, filter: None, of: Type::BigInt };
                Ok(self.add(FrameBound::Rows(None), count))
            }
            "LEAD" => Err(Error::at(at, "LEAD asks for a row that has not come").expected("LAG")),
            name if is_aggregate(name) => {
                let call = aggregate_call(self.scope, call, name, at)?;
                Ok(self.add(bound, call))
            }
            name => {
                Err(Error::at(at, format!("{name} OVER is not supported")).expected("an aggregate, LAG or ROW_NUMBER"))
            }
        }
    }
}
