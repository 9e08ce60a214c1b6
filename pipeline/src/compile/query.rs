//! A `SELECT` over a stream as a plan.

use super::ResultColumn;
use super::catalog::{Bound, Catalog, Definition, DefinitionColumn, Dialect, SourceKind};
use super::fields::Fields;
use super::scope::{Scope, Typed, prune};
use super::session::Session;
use super::typer::{RowNames, condition, place, typed};
use crate::expr::Expr;
use crate::plan::{Body, Field, Format, From as Place, Output, Plan, Source, Start};
use crate::sql::{Error, Name, Query};
use crate::value::Type;
use sqlparser::ast::{self, SelectItem};

/// What a query means, before it is known where its results go.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) columns: Vec<ResultColumn>,
    pub(super) notices: Vec<String>,
    pub(super) windowed: bool,
}

/// An item of a `SELECT`.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    /// Its name in the result.
    pub(super) name: String,
    pub(super) what: What<'a>,
}

/// What an item is.
#[derive(Debug, Clone)]
pub(super) enum What<'a> {
    /// An expression.
    Expr(&'a ast::Expr),
    /// A column of the source, of `*`.
    Column(usize, Typed),
}

/// The source that a query reads.
pub(super) fn source_of<'a>(query: &Query, catalog: &'a Catalog) -> Result<&'a Definition, Error> {
    let Some(from) = &query.from else {
        return Err(Error::at(query.at, "there is no FROM").expected("FROM and a name"));
    };
    catalog.find(from).ok_or_else(|| {
        let error = Error::at(from.at, format!("there is no stream or table '{}'", from.text));
        error.near(&from.text, catalog.iter().map(|definition| definition.name.as_str()))
    })
}

/// Refuses parts of a `SELECT` that mean nothing for a stream.
pub(super) fn check(query: &Query) -> Result<(), Error> {
    let select = &query.select;
    let group_modifiers = match &select.group_by {
        ast::GroupByExpr::Expressions(_, modifiers) => !modifiers.is_empty(),
        ast::GroupByExpr::All(_) => true,
    };
    let unsupported = [
        (select.distinct.is_some(), "SELECT DISTINCT"),
        (select.top.is_some(), "TOP"),
        (select.into.is_some(), "INTO"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.cluster_by.is_empty() || !select.sort_by.is_empty(), "SORT BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.named_window.is_empty() && !query.has_over, "WINDOW without OVER"),
        (select.qualify.is_some() && !query.has_over, "QUALIFY without OVER"),
        (select.exclude.is_some(), "EXCLUDE"),
        (group_modifiers, "this form of GROUP BY"),
    ];
    match unsupported.iter().find(|(is, _)| *is) {
        Some((_, what)) => Err(Error::at(query.at, format!("{what} is not supported yet"))),
        None => Ok(()),
    }
}

/// The items of a `SELECT`, `*` taken apart.
pub(super) fn items<'a>(query: &'a Query, scope: &Scope, session: &Session) -> Result<Vec<Item<'a>>, Error> {
    items_over(query, &[scope], session)
}

/// The same over the rows of several.
pub(super) fn items_over<'a>(query: &'a Query, scopes: &[&Scope], session: &Session) -> Result<Vec<Item<'a>>, Error> {
    let mut items = Vec::new();
    for item in &query.select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = named(expr, session).unwrap_or_else(|| session.own_name(&format!("col_{}", items.len())));
                items.push(Item { name, what: What::Expr(expr) });
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = session.name(&crate::sql::of_ident(alias));
                items.push(Item { name, what: What::Expr(expr) });
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                let of: Vec<_> = scopes.iter().filter(|scope| scopes.len() == 1 || scope.is_in(item)).collect();
                if of.is_empty() {
                    return Err(Error::at(query.at, format!("'{item}' is of nothing in FROM")));
                }
                for (at, (name, typed)) in of.into_iter().flat_map(|scope| scope.own()) {
                    items.push(Item { name: name.clone(), what: What::Column(at, typed.clone()) });
                }
            }
            SelectItem::ExprWithAliases { expr, .. } => {
                return Err(Error::at(place(expr), "several names for one value are not supported"));
            }
        }
    }
    for (at, item) in items.iter().enumerate() {
        if items[..at].iter().any(|other| other.name == item.name) {
            return Err(
                Error::at(query.at, format!("two columns of the result are named '{}'", item.name)).expected("AS")
            );
        }
    }
    Ok(items)
}

/// The name of a value without `AS`: that of its column or field.
pub(super) fn named(expr: &ast::Expr, session: &Session) -> Option<String> {
    match expr {
        ast::Expr::Identifier(ident) => Some(session.name(&crate::sql::of_ident(ident))),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map(|ident| session.name(&crate::sql::of_ident(ident))),
        ast::Expr::BinaryOp { op: ast::BinaryOperator::Arrow, right, .. } => named(right, session),
        ast::Expr::Nested(of) => named(of, session),
        _ => None,
    }
}

/// The row that a query's expressions are over.
pub(super) fn scope_of(query: &Query, definition: &Definition) -> Result<Scope, Error> {
    let own = Name { text: definition.name.clone(), quoted: false, at: query.at };
    let mut scope = Scope::of(definition, std::iter::once(own).chain(query.alias.clone()).collect());
    if let Some((array, column)) = &query.unnest {
        let array = typed(array, &mut RowNames(&scope))?;
        scope.unnest(array, column)?;
    }
    Ok(scope)
}

/// A query over a stream as a plan.
pub(super) fn plan(query: &Query, catalog: &Catalog, session: &Session) -> Result<Planned, Error> {
    check(query)?;
    let definition = source_of(query, catalog)?;
    if definition.is_counts() {
        let error = Error::at(query.at, format!("'{}' is no topic that a pipeline could read", definition.name));
        return Err(error.expected("SELECT without EMIT"));
    }
    if let Some(clause) = &query.join {
        return super::join::plan(query, clause, definition, catalog, session);
    }
    let scope = scope_of(query, definition)?;
    let filter = query.select.selection.as_ref();
    let filter = filter.map(|filter| condition(filter, &mut RowNames(&scope))).transpose()?;
    if !query.at_least.is_empty() {
        return Err(Error::at(query.at, "AT LEAST OFFSET belongs to a question to a table's state, without EMIT"));
    }
    let items = items(query, &scope, session)?;
    let mut notices = Vec::new();
    let grouped = super::grouped::is_grouped(query);
    let (body, columns, key_format) = if grouped {
        super::grouped::body(query, definition, &scope, &items, session, &mut notices)?
    } else if query.has_over {
        super::over::body(query, definition, &scope, &items, session)?
    } else {
        project(query, definition, &scope, &items, session)?
    };
    let mut source = source(query, definition, session, &mut notices);
    source.finals_only = definition.has_finals() && body.is_shuffled();
    let output = Output {
        name: String::new(),
        topic: String::new(),
        partitions: None,
        is_table: grouped || definition.kind == SourceKind::Table,
        key_format,
        value_format: if definition.value_format == Format::Kafka { Format::Json } else { definition.value_format },
        timestamps: definition.timestamps,
    };
    let windowed = matches!(&body, Body::Aggregate(aggregate) if aggregate.window != crate::plan::Window::None);
    let mut plan = Plan { source, filter, explode: scope.exploded(), body, output };
    plan.source.columns = pruned(&mut plan, definition);
    Ok(Planned { plan, columns, notices, windowed })
}

/// Leaves out the columns that no expression over the row uses.
pub(super) fn pruned(plan: &mut Plan, definition: &Definition) -> Vec<crate::plan::Column> {
    let mut expressions: Vec<&mut Expr> = Vec::new();
    expressions.extend(plan.source.event_time.as_mut());
    expressions.extend(plan.filter.as_mut());
    expressions.extend(plan.explode.as_mut());
    match &mut plan.body {
        Body::Project { key, value } => expressions.extend(key.iter_mut().chain(value).map(|field| &mut field.expr)),
        Body::Join(join) => {
            expressions.extend(join.keys.iter_mut().map(|field| &mut field.expr).chain(&mut join.carried));
        }
        Body::Over(over) => {
            expressions.extend(over.keys.iter_mut().map(|field| &mut field.expr).chain(&mut over.carried));
            expressions.extend(over.lags.iter_mut().map(|lag| &mut lag.argument));
            for call in over.frames.iter_mut().flat_map(|frame| &mut frame.calls) {
                expressions.extend(call.argument.iter_mut().chain(&mut call.filter));
            }
        }
        Body::Aggregate(aggregate) => {
            expressions.extend(aggregate.keys.iter_mut().map(|field| &mut field.expr));
            for call in &mut aggregate.calls {
                expressions.extend(call.argument.as_mut());
                expressions.extend(call.filter.as_mut());
            }
        }
    }
    prune(definition, &mut expressions)
}

pub(super) fn source(query: &Query, definition: &Definition, session: &Session, notices: &mut Vec<String>) -> Source {
    let setting = match session.get("auto.offset.reset") {
        Some("latest") => Some(Start::Latest),
        Some(_) => Some(Start::Earliest),
        None => None,
    };
    let start = query.start.clone().or_else(|| definition.start.clone()).or(setting).unwrap_or_else(|| {
        notices
            .push("Reading begins at EARLIEST; SET 'auto.offset.reset'='latest' or START FROM changes it.".to_owned());
        Start::Earliest
    });
    source_from(definition, start)
}

/// A definition's topic as a source, read from `start` on.
pub(super) fn source_from(definition: &Definition, start: Start) -> Source {
    let ksql = definition.dialect == Dialect::Ksql;
    Source {
        name: definition.name.clone(),
        topic: definition.topic.clone(),
        key_format: definition.key_format,
        value_format: definition.value_format,
        columns: Vec::new(),
        event_time: definition.event_time.clone(),
        disorder_ms: definition.disorder_ms,
        idle_ms: definition.idle_ms,
        future_ms: definition.future_ms,
        finals_only: false,
        fields_without_case: ksql,
        null_key_filtered: ksql,
        start,
        timestamps: definition.timestamps,
        until_end: definition.bound == Bound::Latest,
    }
}

pub(super) type Projected = (Body, Vec<ResultColumn>, Format);

/// A query that does not group: each row becomes a record.
fn project(
    query: &Query,
    definition: &Definition,
    scope: &Scope,
    items: &[Item<'_>],
    session: &Session,
) -> Result<Projected, Error> {
    if let Some(having) = &query.select.having {
        return Err(Error::at(place(having), "HAVING needs GROUP BY or an aggregate"));
    }
    if let Some(window) = &query.window {
        return Err(Error::at(window.at, "a window without GROUP BY is not supported yet").expected("GROUP BY"));
    }
    if let Some((emit, at)) = query.emit.filter(|(emit, _)| *emit != crate::plan::Emit::Changes) {
        return Err(Error::at(at, format!("EMIT {emit:?} needs a window")).expected("EMIT CHANGES"));
    }
    let mut names = RowNames(scope);
    let mut key: Vec<Field> = Vec::new();
    for expr in &query.partition_by {
        let of = typed(expr, &mut names)?;
        let name = match expr {
            ast::Expr::Identifier(ident) => session.name(&crate::sql::of_ident(ident)),
            _ => session.own_name(&format!("key_{}", key.len())),
        };
        key.push(Field { name, of: of.of, expr: of.expr });
    }
    let keeps = key.is_empty();
    if keeps {
        let is_key = |column: &&DefinitionColumn| matches!(column.from, Place::Key(_));
        for (at, column) in definition.columns.iter().enumerate().filter(|(_, column)| is_key(column)) {
            key.push(Field { name: column.name.clone(), of: column.of.clone(), expr: Expr::Column(at) });
        }
    }
    let mut fields = Fields::new(key);
    for item in items {
        let of = match &item.what {
            What::Expr(expr) => typed(expr, &mut names)?,
            What::Column(_, of) => of.clone(),
        };
        // AS_VALUE(column) is a copy of a key column.
        fields.add(&item.name, of, true);
    }
    let Fields { key, value, columns, .. } = fields;
    let key_format = if keeps { definition.key_format } else { key_format_of(definition, &key) };
    Ok((Body::Project { key, value }, columns, key_format))
}

/// How a key that is not the source's is written.
pub(super) fn key_format_of(definition: &Definition, key: &[Field]) -> Format {
    let primitive = matches!(key, [only] if only.of != Type::Timestamp);
    match definition.key_format {
        Format::Kafka | Format::None if primitive => Format::Kafka,
        _ => Format::Json,
    }
}

/// The definition of what a plan writes.
pub(super) fn output_definition(planned: &Planned, dialect: Dialect, replicas: Option<i16>) -> Definition {
    let output = &planned.plan.output;
    let (key, value) = planned.plan.body.fields();
    // Rows are as far out of order as they were. Results of windows, and of OVER, are not.
    let disorder_ms = match planned.plan.body {
        Body::Project { .. } | Body::Join(_) => planned.plan.source.disorder_ms,
        Body::Aggregate(_) | Body::Over(_) => 0,
    };
    let column =
        |field: &Field, from| DefinitionColumn { name: field.name.clone(), of: field.of.clone(), from, computed: None };
    let keys = key.iter().enumerate().map(|(at, field)| column(field, Place::Key(at)));
    let values = value.iter().enumerate().map(|(at, field)| column(field, Place::Value(at)));
    Definition {
        name: output.name.clone(),
        kind: if output.is_table { SourceKind::Table } else { SourceKind::Stream },
        dialect,
        topic: output.topic.clone(),
        partitions: output.partitions,
        replicas,
        key_format: output.key_format,
        value_format: output.value_format,
        columns: keys.chain(values).collect(),
        event_time: None,
        time_column: time_column(&planned.plan),
        disorder_ms,
        idle_ms: planned.plan.source.idle_ms,
        future_ms: planned.plan.source.future_ms,
        timestamps: output.timestamps,
        start: None,
        bound: Bound::None,
        windowed: planned.windowed,
        materialized: matches!(planned.plan.body, Body::Aggregate(_)),
    }
}

/// The column of the result that has its record's timestamp: the event time, or the last millisecond of the window.
fn time_column(plan: &Plan) -> Option<usize> {
    let (key, value) = plan.body.fields();
    let time = match &plan.body {
        Body::Project { .. } => plan.source.event_time.clone(),
        Body::Over(over) => carried_time(plan, over.keys.len(), &over.carried),
        Body::Join(join) => carried_time(plan, join.keys.len(), &join.carried),
        Body::Aggregate(aggregate) => Some(super::aggregate::window_time(aggregate.keys.len())),
    };
    time.and_then(|time| key.iter().chain(value).position(|field| field.expr == time))
}

/// The event time, where it is carried behind so many keys.
fn carried_time(plan: &Plan, keys: usize, carried: &[Expr]) -> Option<Expr> {
    let at = carried.iter().position(|expr| Some(expr) == plan.source.event_time.as_ref())?;
    Some(Expr::Column(keys + at))
}
