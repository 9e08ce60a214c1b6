//! What each statement asks for.

use super::catalog::{Catalog, Definition, Dialect, SourceKind};
use super::coerce::coerce;
use super::insert::target;
use super::query::{self, Planned, output_definition};
use super::session::{self, Session};
use super::source::{Options, define};
use super::{Action, Compiled};
use crate::plan::{Body, Format, From as Place};
use crate::sql::{CreateAs, Error, Kind, Name, Query, Statement, What};
use sqlparser::tokenizer::Location;

/// What a statement asks for, given what there is.
///
/// # Errors
/// What is wrong with it, and where in the text it was parsed from.
pub fn compile(statement: &Statement, catalog: &Catalog, session: &Session) -> Result<Compiled, Error> {
    let compiled = action(&statement.kind, catalog, session);
    compiled.map_err(|error| {
        let error = if error.line == 0 {
            Error { line: statement.at.line, column: statement.at.column, ..error }
        } else {
            error
        };
        error.within(&statement.script)
    })
}

fn action(kind: &Kind, catalog: &Catalog, session: &Session) -> Result<Compiled, Error> {
    let mut notices = Vec::new();
    let action = match kind {
        Kind::Define(statement) => {
            let (exists, replaces) = there(&statement.name, statement.if_not_exists, statement.or_replace, catalog)?;
            let (definition, told) = define(statement, session)?;
            notices = told;
            Action::Define { definition, exists, replaces }
        }
        Kind::CreateAs(create) => return create_as(create, catalog, session),
        Kind::InsertSelect { into, query } => return insert_select(into, query, catalog, session),
        Kind::InsertValues { into, columns, rows } => super::insert::values(into, columns, rows, catalog)?,
        Kind::Select(query) => return select(query, catalog, session),
        Kind::Set { name, value } => {
            let (name, value) = session::check(&name.text, Some(value), name.at)?;
            Action::Set { name, value }
        }
        Kind::Unset(name) => {
            let (name, value) = session::check(&name.text, None, name.at)?;
            Action::Set { name, value }
        }
        Kind::Show(what) => Action::Show(*what),
        Kind::Describe { name, extended } => Action::Describe { name: known(name, catalog), extended: *extended },
        Kind::Explain(statement) => Action::Explain(Box::new(action_of(statement, catalog, session)?)),
        Kind::ExplainName(name) => Action::ExplainName(known(name, catalog)),
        Kind::Pause(name) => Action::Pause(known(name, catalog)),
        Kind::Resume(name) => Action::Resume(known(name, catalog)),
        Kind::Terminate(name) => Action::Terminate(name.as_ref().map(|name| known(name, catalog))),
        Kind::Drop { what, name, if_exists, delete_topic } => {
            let missing = catalog.find(name).is_none() && *what != What::Pipeline;
            if missing && !if_exists {
                target(name, catalog)?;
            }
            Action::Drop { what: *what, name: known(name, catalog), missing, delete_topic: *delete_topic }
        }
        Kind::Advance { stream, to_ms } => {
            let definition = target(stream, catalog)?;
            Action::Advance { stream: definition.name.clone(), topic: definition.topic.clone(), to_ms: *to_ms }
        }
        Kind::Savepoint { pipeline, name } => {
            Action::Savepoint { pipeline: known(pipeline, catalog), name: name.clone() }
        }
    };
    Ok(Compiled { action, notices })
}

fn action_of(statement: &Statement, catalog: &Catalog, session: &Session) -> Result<Compiled, Error> {
    action(&statement.kind, catalog, session)
}

/// The name as the catalog has it.
fn known(name: &Name, catalog: &Catalog) -> String {
    catalog.find(name).map_or_else(|| name.text.clone(), |definition| definition.name.clone())
}

/// Whether a name that is created is there already, and whether that is replaced.
fn there(name: &Name, if_not_exists: bool, or_replace: bool, catalog: &Catalog) -> Result<(bool, bool), Error> {
    let there = catalog.find(name).is_some();
    if there && !if_not_exists && !or_replace {
        let error = Error::at(name.at, format!("'{}' is there already", name.text));
        return Err(error.expected("another name, OR REPLACE or IF NOT EXISTS"));
    }
    Ok((there && if_not_exists, there && or_replace))
}

fn create_as(create: &CreateAs, catalog: &Catalog, session: &Session) -> Result<Compiled, Error> {
    let (exists, replaces) = there(&create.name, create.if_not_exists, create.or_replace, catalog)?;
    let mut planned = query::plan(&create.query, catalog, session)?;
    let source = query::source_of(&create.query, catalog)?;
    let grouped = matches!(planned.plan.body, Body::Aggregate(_));
    if let Some(limit) = create.query.limit {
        return Err(Error::at(create.query.at, format!("LIMIT {limit} belongs to a SELECT of its own")));
    }
    let wrong = match create.what {
        What::Stream if grouped => Some("a SELECT that groups makes a TABLE"),
        What::Table if !grouped && source.dialect == Dialect::Ksql && source.kind == SourceKind::Stream => {
            Some("a SELECT without GROUP BY over a STREAM makes a STREAM")
        }
        _ => None,
    };
    if let Some(why) = wrong {
        return Err(Error::at(create.name.at, why));
    }
    let replicas = output(create, source, &mut planned, session)?;
    let definition = output_definition(&planned, source.dialect, replicas);
    let start_given = create.query.start.is_some();
    let plan = Box::new(planned.plan);
    let action = Action::Create { plan, definition, exists, replaces, start_given };
    Ok(Compiled { action, notices: planned.notices })
}

/// Where the results go; gives the topic's replicas.
fn output(
    create: &CreateAs,
    source: &Definition,
    planned: &mut Planned,
    session: &Session,
) -> Result<Option<i16>, Error> {
    let options = Options(&create.settings);
    let dialect = if options.find("connector").is_some() { Dialect::Flink } else { Dialect::Ksql };
    if source.dialect == Dialect::Flink && options.find("topic").is_some() {
        options.check(Dialect::Flink)?;
    } else {
        options.check(dialect)?;
    }
    let output = &mut planned.plan.output;
    output.name = session.name(&create.name);
    let topic = options.get("kafka_topic").or_else(|| options.get("topic"));
    output.topic = topic.map_or_else(|| output.name.clone(), str::to_owned);
    output.partitions = options.number("partitions")?;
    output.is_table = create.what == What::Table && matches!(planned.plan.body, Body::Aggregate(_));
    output.key_format = options.format(&["key_format", "key.format"], output.key_format)?;
    output.value_format = options.format(&["value_format", "value.format", "format"], output.value_format)?;
    let (key, _) = planned.plan.body.fields();
    let columns = key.len() - if planned.windowed { 2 } else { 0 };
    if output.key_format == Format::Kafka && columns > 1 {
        let at = options.find("key_format").map_or(create.name.at, |setting| setting.value_at);
        return Err(
            Error::at(at, format!("the format KAFKA can't hold the {columns} columns of the key")).expected("JSON")
        );
    }
    options.number("replicas")
}

fn insert_select(into: &Name, query: &Query, catalog: &Catalog, session: &Session) -> Result<Compiled, Error> {
    let definition = target(into, catalog)?;
    let mut planned = query::plan(query, catalog, session)?;
    let (key, value) = match &mut planned.plan.body {
        Body::Project { key, value } => (key, value),
        Body::Join(join) => (&mut join.key, &mut join.value),
        Body::Aggregate(_) | Body::Over(_) => {
            let error = Error::at(query.at, "INSERT INTO a stream does not group");
            return Err(error.expected("CREATE TABLE ... AS SELECT"));
        }
    };
    // The values in the order of the stream's columns, under their names.
    let mut fields = Vec::new();
    let targets = definition.columns.iter().filter(|column| matches!(column.from, Place::Value(_)));
    for column in targets.clone().filter(|column| column.computed.is_none()) {
        let found = value.iter().position(|field| field.name.eq_ignore_ascii_case(&column.name));
        let Some(mut field) = found.map(|at| value.remove(at)) else {
            return Err(Error::at(
                query.at,
                format!("the column '{}' of '{}' is missing", column.name, definition.name),
            ));
        };
        let typed = super::scope::Typed::new(field.expr, field.of);
        field.expr = coerce(typed, &column.of, query.at)?;
        (field.name, field.of) = (column.name.clone(), column.of.clone());
        fields.push(field);
    }
    if let Some(field) = value.first() {
        let error = Error::at(query.at, format!("'{}' has no column '{}'", definition.name, field.name));
        return Err(error.near(&field.name, targets.map(|column| column.name.as_str())));
    }
    *value = fields;
    let keys = definition.columns.iter().filter(|column| matches!(column.from, Place::Key(_)));
    for (field, column) in key.iter_mut().zip(keys) {
        field.name.clone_from(&column.name);
    }
    let output = &mut planned.plan.output;
    (output.name, output.topic) = (definition.name.clone(), definition.topic.clone());
    (output.key_format, output.value_format) = (definition.key_format, definition.value_format);
    (output.partitions, output.timestamps, output.is_table) = (definition.partitions, definition.timestamps, false);
    let action = Action::Insert { plan: Box::new(planned.plan), into: definition.name.clone() };
    Ok(Compiled { action, notices: planned.notices })
}

fn select(query: &Query, catalog: &Catalog, session: &Session) -> Result<Compiled, Error> {
    if query.from.is_none() {
        query::check(query)?;
        let items = query::items(query, &super::scope::Scope::default(), session)?;
        return Ok(Compiled { action: super::insert::row(&items)?, notices: Vec::new() });
    }
    let source = query::source_of(query, catalog)?;
    if query.emit.is_none() {
        if source.materialized && query.window.is_none() && query.join.is_none() {
            return Ok(Compiled { action: super::pull::pull(query, catalog, session)?, notices: Vec::new() });
        }
        if source.dialect == Dialect::Ksql {
            return Err(without_emit(source, query.from.as_ref().map_or(query.at, |from| from.at)));
        }
    }
    let mut planned = query::plan(query, catalog, session)?;
    // Whoever reads the rows is given JSON, whatever the topic has.
    (planned.plan.output.key_format, planned.plan.output.value_format) = (Format::Json, Format::Json);
    let action = Action::Push { plan: Box::new(planned.plan), columns: planned.columns, limit: query.limit };
    Ok(Compiled { action, notices: planned.notices })
}

fn without_emit(source: &Definition, at: Location) -> Error {
    let what = match source.kind {
        SourceKind::Stream => "a stream, which has no end",
        SourceKind::Table => "a table that no pipeline makes, so that it has no state to ask",
    };
    Error::at(at, format!("'{}' is {what}", source.name)).expected("EMIT CHANGES at the end")
}
