//! A question to a table's state.

use super::catalog::{Catalog, Definition};
use super::query::{What, check, items, scope_of, source_of};
use super::scope::{Scope, Typed};
use super::session::Session;
use super::typer::{Names, RowNames, condition, typed};
use super::{Action, Pull};
use crate::expr::{Comparison, Expr};
use crate::plan::Field;
use crate::sql::{Error, Query};
use crate::value::Value;
use sqlparser::ast;

/// Names of a table's columns; `WINDOWSTART` is its `window_start`.
struct TableNames<'a>(RowNames<'a>, &'a Scope);

impl Names for TableNames<'_> {
    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error> {
        if let ast::Expr::Identifier(ident) = expr {
            let other = match ident.value.to_ascii_uppercase().as_str() {
                "WINDOWSTART" => Some("window_start"),
                "WINDOWEND" => Some("window_end"),
                _ => None,
            };
            let name = |text: &str| crate::sql::Name { text: text.to_owned(), quoted: false, at: ident.span.start };
            if let Some(found) = other.and_then(|other| self.1.find(&name(other))) {
                return Ok(found.clone());
            }
        }
        self.0.name(expr)
    }

    fn call(
        &mut self,
        call: &ast::Function,
        name: &str,
        at: sqlparser::tokenizer::Location,
    ) -> Result<Option<Typed>, Error> {
        self.0.call(call, name, at)
    }
}

/// A `SELECT` without `EMIT` over a table that a pipeline makes.
pub(super) fn pull(query: &Query, catalog: &Catalog, session: &Session) -> Result<Action, Error> {
    check(query)?;
    let table = source_of(query, catalog)?;
    if super::grouped::is_grouped(query) || query.window.is_some() || query.start.is_some() {
        return Err(Error::at(query.at, "a question to a table's state neither groups nor starts anywhere"));
    }
    let scope = scope_of(query, table)?;
    let mut names = TableNames(RowNames(&scope), &scope);
    let filter = query.select.selection.as_ref().map(|filter| condition(filter, &mut names)).transpose()?;
    let mut columns = Vec::new();
    for item in items(query, &scope, session)? {
        let of = match &item.what {
            What::Expr(expr) => typed(expr, &mut names)?,
            What::Column(_, of) => of.clone(),
        };
        columns.push(Field { name: item.name, of: of.of, expr: of.expr });
    }
    if scope.exploded().is_some() {
        return Err(Error::at(query.at, "a question to a table's state can't take arrays apart"));
    }
    let mut pull = Pull {
        table: table.clone(),
        key: Vec::new(),
        start_from: None,
        start_before: None,
        filter: filter.clone(),
        columns,
        limit: query.limit,
        at_least: query.at_least.clone(),
    };
    for bound in filter.iter().flat_map(conjuncts) {
        narrow(&mut pull.key, &mut pull.start_from, &mut pull.start_before, table, bound);
    }
    Ok(Action::Pull(Box::new(pull)))
}

/// What must all be true.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let (mut found, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        match expr {
            Expr::And(left, right) => open.extend([left.as_ref(), right.as_ref()]),
            other => found.push(other),
        }
    }
    found
}

/// Takes from a condition what it says of the key and the window's start.
fn narrow(
    key: &mut Vec<(usize, Value)>,
    from: &mut Option<i64>,
    before: &mut Option<i64>,
    table: &Definition,
    condition: &Expr,
) {
    let Expr::Compare(op, left, right) = condition else { return };
    let (op, at, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(at), Expr::Literal(value)) => (*op, *at, value),
        (Expr::Literal(value), Expr::Column(at)) => (flipped(*op), *at, value),
        _ => return,
    };
    let Some(column) = table.columns.get(at) else { return };
    if !matches!(column.from, crate::plan::From::Key(_)) {
        return;
    }
    let is_start = table.windowed && column.name.eq_ignore_ascii_case("window_start");
    match (op, value.as_int()) {
        (Comparison::Eq, _) if !is_start => key.push((at, value.clone())),
        (Comparison::Eq, Some(ms)) => {
            *from = Some(from.map_or(ms, |other| other.max(ms)));
            *before = Some(before.map_or(ms.saturating_add(1), |other| other.min(ms.saturating_add(1))));
        }
        (Comparison::GtEq, Some(ms)) if is_start => *from = Some(from.map_or(ms, |other| other.max(ms))),
        (Comparison::Gt, Some(ms)) if is_start => {
            *from = Some(from.map_or(ms.saturating_add(1), |other| other.max(ms.saturating_add(1))));
        }
        (Comparison::Lt, Some(ms)) if is_start => *before = Some(before.map_or(ms, |other| other.min(ms))),
        (Comparison::LtEq, Some(ms)) if is_start => {
            *before = Some(before.map_or(ms.saturating_add(1), |other| other.min(ms.saturating_add(1))));
        }
        _ => {}
    }
}

fn flipped(op: Comparison) -> Comparison {
    match op {
        Comparison::Lt => Comparison::Gt,
        Comparison::LtEq => Comparison::GtEq,
        Comparison::Gt => Comparison::Lt,
        Comparison::GtEq => Comparison::LtEq,
        same => same,
    }
}
