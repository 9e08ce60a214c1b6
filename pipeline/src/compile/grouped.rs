//! A `SELECT` that groups: keys, window, aggregates, and what of them is the result's key and value.

use super::ResultColumn;
use super::aggregate::GroupNames;
use super::catalog::{Definition, Dialect, SourceKind};
use super::fields::Fields;
use super::query::{Item, What};
use super::scope::{Scope, Typed};
use super::session::Session;
use super::typer::{RowNames, condition, place, typed};
use crate::expr::Expr;
use crate::plan::{Aggregate, Body, Emit, Field, Format, Window};
use crate::sql::{Error, Query};
use crate::value::Type;
use sqlparser::ast;

const DAY_MS: i64 = 86_400_000;

/// Refuses a source whose rows replace others: what they had given would have to be taken back.
pub(super) fn appended(query: &Query, definition: &Definition) -> Result<(), Error> {
    if definition.kind == SourceKind::Stream || definition.has_finals() {
        return Ok(());
    }
    let error = Error::at(query.at, "a row of this TABLE replaces another, which aggregates can't take back yet");
    Err(error.expected("a STREAM, or a table of windows, of which the last results count"))
}

/// Whether a query groups.
pub(super) fn is_grouped(query: &Query) -> bool {
    let by = match &query.select.group_by {
        ast::GroupByExpr::Expressions(list, _) => !list.is_empty(),
        ast::GroupByExpr::All(_) => true,
    };
    by || query.select.projection.iter().any(has_aggregate)
}

fn has_aggregate(item: &ast::SelectItem) -> bool {
    match item {
        ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => match expr {
            ast::Expr::Function(call) => {
                call.over.is_none() && super::aggregate::is_aggregate(&call.name.to_string().to_uppercase())
            }
            _ => false,
        },
        _ => false,
    }
}

/// The body of a query that groups.
pub(super) fn body(
    query: &Query,
    definition: &Definition,
    scope: &Scope,
    items: &[Item<'_>],
    session: &Session,
    notices: &mut Vec<String>,
) -> Result<(Body, Vec<ResultColumn>, Format), Error> {
    appended(query, definition)?;
    let (window, grace_ms, retention_ms) = window(query, definition)?;
    let windowed = window != Window::None;
    let keys = keys(query, definition.dialect, windowed, scope, items, session)?;
    let mut names = GroupNames {
        scope,
        dialect: definition.dialect,
        window: &window,
        keys: keys.iter().map(|field| Typed::new(field.expr.clone(), field.of.clone())).collect(),
        calls: Vec::new(),
    };
    let mut fields = Fields::new(key_fields(&keys, &names, session));
    for item in items {
        let of = match &item.what {
            What::Expr(expr) => typed(expr, &mut names)?,
            What::Column(at, of) => match names.keys.iter().position(|key| key.expr == of.expr) {
                Some(key) => Typed::new(Expr::Column(key), of.of.clone()),
                None => {
                    let column = definition.columns.get(*at).map_or("", |column| column.name.as_str());
                    return Err(Error::at(
                        query.at,
                        format!("'{column}' of * is neither grouped by nor within an aggregate"),
                    ));
                }
            },
        };
        let renamed_window = definition.dialect == Dialect::Ksql && is_window(&of.expr, &names);
        fields.add(&item.name, of, !renamed_window);
    }
    let Fields { key, value, columns, .. } = fields;
    let having = query.select.having.as_ref().map(|having| condition(having, &mut names)).transpose()?;
    let emit = emit(query, definition.dialect, windowed, grace_ms, notices)?;
    let calls = names.calls;
    let aggregate = Aggregate { keys, window, grace_ms, calls, having, key, value, emit, retention_ms };
    Ok((Body::Aggregate(Box::new(aggregate)), columns, Format::Json))
}

fn is_window(expr: &Expr, names: &GroupNames<'_>) -> bool {
    ["window_start", "window_end"].iter().any(|name| names.bound(name).is_some_and(|bound| bound.expr == *expr))
}

/// The result's key: the group keys, then the window.
fn key_fields(keys: &[Field], names: &GroupNames<'_>, session: &Session) -> Vec<Field> {
    let mut key: Vec<Field> = keys
        .iter()
        .enumerate()
        .map(|(at, field)| Field { name: field.name.clone(), of: field.of.clone(), expr: Expr::Column(at) })
        .collect();
    for name in ["window_start", "window_end"] {
        if let Some(of) = names.bound(name) {
            key.push(Field { name: session.own_name(name), of: of.of, expr: of.expr });
        }
    }
    key
}

/// What is grouped by, over the row, without the window.
fn keys(
    query: &Query,
    dialect: Dialect,
    windowed: bool,
    scope: &Scope,
    items: &[Item<'_>],
    session: &Session,
) -> Result<Vec<Field>, Error> {
    let ast::GroupByExpr::Expressions(list, _) = &query.select.group_by else {
        return Err(Error::at(query.at, "GROUP BY ALL is not supported"));
    };
    let (mut keys, mut window_names): (Vec<Field>, Vec<String>) = (Vec::new(), Vec::new());
    for expr in list {
        if let ast::Expr::Identifier(ident) = expr
            && windowed
            && ["window_start", "window_end", "window_time"].iter().any(|name| ident.value.eq_ignore_ascii_case(name))
        {
            window_names.push(ident.value.to_lowercase());
            continue;
        }
        let of = match alias(expr, scope, items) {
            Some(aliased) => typed(aliased, &mut RowNames(scope))?,
            None => typed(expr, &mut RowNames(scope))?,
        };
        if matches!(of.of, Type::Map(_) | Type::Null) {
            return Err(Error::at(place(expr), format!("a {} can't be grouped by", of.of)));
        }
        let name = match expr {
            ast::Expr::Identifier(ident) => session.name(&crate::sql::of_ident(ident)),
            ast::Expr::CompoundIdentifier(parts) if !parts.is_empty() => {
                session.name(&crate::sql::of_ident(&parts[parts.len() - 1]))
            }
            _ => session.own_name(&format!("key_{}", keys.len())),
        };
        if !keys.iter().any(|key| key.expr == of.expr) {
            keys.push(Field { name, of: of.of, expr: of.expr });
        }
    }
    let named = |name: &str| window_names.iter().any(|other| other == name);
    if windowed && dialect == Dialect::Flink && !(named("window_start") && named("window_end")) {
        let at = query.window.as_ref().map_or(query.at, |window| window.at);
        return Err(Error::at(at, "the windows are not grouped by").expected("GROUP BY window_start, window_end"));
    }
    Ok(keys)
}

/// The expression that a name in GROUP BY stands for, if it is no column but the name of an item.
fn alias<'a>(expr: &ast::Expr, scope: &Scope, items: &[Item<'a>]) -> Option<&'a ast::Expr> {
    let ast::Expr::Identifier(ident) = expr else { return None };
    let name = crate::sql::of_ident(ident);
    if scope.find(&name).is_some() {
        return None;
    }
    items.iter().find(|item| name.matches(&item.name)).and_then(|item| match item.what {
        What::Expr(expr) => Some(expr),
        What::Column(..) => None,
    })
}

/// The window, its grace and its retention.
fn window(query: &Query, definition: &Definition) -> Result<(Window, i64, i64), Error> {
    let Some(clause) = &query.window else { return Ok((Window::None, 0, 0)) };
    let flink = definition.dialect == Dialect::Flink;
    if let Some(descriptor) = &clause.descriptor {
        let time = definition.time_column.and_then(|at| definition.columns.get(at));
        match time {
            Some(time) if descriptor.matches(&time.name) => {}
            Some(time) => {
                let error = Error::at(descriptor.at, format!("'{}' is not the event time", descriptor.text));
                return Err(error.expected(format!("'{}', which WATERMARK FOR names", time.name)));
            }
            None => {
                let error = Error::at(descriptor.at, format!("'{}' has no watermark", descriptor.text));
                return Err(error.expected(format!("WATERMARK FOR in the definition of '{}'", definition.name)));
            }
        }
    }
    let window = clause.shape.clone();
    let size = match window {
        Window::Hopping { size_ms, .. } | Window::Cumulate { size_ms, .. } => size_ms,
        Window::Session { gap_ms } => gap_ms,
        Window::Civil { .. } => DAY_MS,
        Window::None => 0,
    };
    let grace_ms = clause.grace_ms.unwrap_or(if flink { 0 } else { DAY_MS });
    let least = size.saturating_add(grace_ms);
    if let Some(retention_ms) =
        clause.retention_ms.filter(|retention_ms| clause.grace_ms.is_some() && *retention_ms < least)
    {
        let error =
            Error::at(clause.at, format!("RETENTION of {retention_ms} ms is less than size and grace together"));
        return Err(error.expected(format!("at least {least} ms")));
    }
    Ok((window, grace_ms, clause.retention_ms.unwrap_or(DAY_MS.max(least))))
}

fn emit(
    query: &Query,
    dialect: Dialect,
    windowed: bool,
    grace_ms: i64,
    notices: &mut Vec<String>,
) -> Result<Emit, Error> {
    let Some((emit, at)) = query.emit else {
        return Ok(if windowed && dialect == Dialect::Flink { Emit::Final } else { Emit::Changes });
    };
    if !windowed && emit != Emit::Changes {
        return Err(Error::at(at, format!("EMIT {emit:?} needs a window")).expected("EMIT CHANGES, or a WINDOW"));
    }
    let stated = query.window.as_ref().is_some_and(|window| window.grace_ms.is_some());
    if emit == Emit::Final && grace_ms > 0 && !stated {
        notices.push(format!(
            "EMIT FINAL: a result comes when the watermark is {} h past its window's end; GRACE PERIOD changes that.",
            grace_ms / 3_600_000
        ));
    }
    Ok(emit)
}
