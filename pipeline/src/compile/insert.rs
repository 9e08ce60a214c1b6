//! `INSERT INTO ... VALUES`.

use super::catalog::{Catalog, Definition, DefinitionColumn};
use super::coerce::{cast_to, coerce};
use super::scope::{Scope, Typed};
use super::typer::{RowNames, place, typed};
use super::{Action, NewRecord};
use crate::expr::can_cast;
use crate::format::encode;
use crate::plan::{Format, From as Place};
use crate::sql::{Error, Name};
use crate::value::{Type, Value};
use sqlparser::ast;

/// A stream or table by its name.
pub(super) fn target<'a>(name: &Name, catalog: &'a Catalog) -> Result<&'a Definition, Error> {
    catalog.find(name).ok_or_else(|| {
        let error = Error::at(name.at, format!("there is no stream or table '{}'", name.text));
        error.near(&name.text, catalog.iter().map(|definition| definition.name.as_str()))
    })
}

/// The records of `VALUES`.
pub(super) fn values(
    into: &Name,
    columns: &[Name],
    rows: &[Vec<ast::Expr>],
    catalog: &Catalog,
) -> Result<Action, Error> {
    let definition = target(into, catalog)?;
    if definition.materialized {
        return Err(Error::at(into.at, format!("'{}' is made by a pipeline", definition.name)).expected("a source"));
    }
    let places = columns_of(columns, definition)?;
    let mut records = Vec::new();
    for row in rows {
        if row.len() != places.len() {
            let at = row.first().map_or(into.at, place);
            return Err(Error::at(at, format!("there are {} values for {} columns", row.len(), places.len())));
        }
        let mut values = vec![Value::Null; definition.columns.len()];
        let mut timestamp = None;
        for (expr, column) in row.iter().zip(&places) {
            let of = column.map_or(&Type::BigInt, |at| &definition.columns[at].of);
            let value = constant(expr, of)?;
            match column {
                Some(at) => values[*at] = value,
                None => timestamp = value.as_int(),
            }
        }
        records.push(record(definition, &values, timestamp));
    }
    Ok(Action::InsertValues { topic: definition.topic.clone(), partitions: definition.partitions, records })
}

/// The columns that are given; none is the record's timestamp.
fn columns_of(names: &[Name], definition: &Definition) -> Result<Vec<Option<usize>>, Error> {
    let written =
        |column: &DefinitionColumn| column.computed.is_none() && matches!(column.from, Place::Key(_) | Place::Value(_));
    if names.is_empty() {
        let all = definition.columns.iter().enumerate().filter(|(_, column)| written(column));
        return Ok(all.map(|(at, _)| Some(at)).collect());
    }
    let find = |name: &Name| {
        let at = definition.columns.iter().position(|column| name.matches(&column.name) && written(column));
        if at.is_none() && !name.text.eq_ignore_ascii_case("ROWTIME") {
            let error = Error::at(name.at, format!("there is no column '{}' to write", name.text));
            return Err(error.near(&name.text, definition.columns.iter().map(|column| column.name.as_str())));
        }
        Ok(at)
    };
    names.iter().map(find).collect()
}

/// A value that needs no row.
pub(super) fn constant(expr: &ast::Expr, to: &Type) -> Result<Value, Error> {
    let at = place(expr);
    let of = typed(expr, &mut RowNames(&Scope::default()))?;
    let expr = match coerce(of.clone(), to, at) {
        Ok(expr) => expr,
        Err(_) if can_cast(&of.of, to) && of.of != Type::String => cast_to(of, to, false, at)?.expr,
        Err(error) => return Err(error),
    };
    expr.eval(&[]).map(std::borrow::Cow::into_owned).map_err(|failed| Error::at(at, failed.0))
}

/// One row without a source.
pub(super) fn row(items: &[super::query::Item<'_>]) -> Result<Action, Error> {
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for item in items {
        let super::query::What::Expr(expr) = item.what else { continue };
        let Typed { expr: value, of } = typed(expr, &mut RowNames(&Scope::default()))?;
        let value = value.eval(&[]).map_err(|failed| Error::at(place(expr), failed.0))?;
        values.push(value.into_owned());
        columns.push((item.name.clone(), of));
    }
    Ok(Action::Row { columns, values })
}

fn record(definition: &Definition, values: &[Value], timestamp: Option<i64>) -> NewRecord {
    let part = |is: fn(&Place) -> Option<usize>, format: Format| {
        let mut columns: Vec<(usize, usize)> =
            definition.columns.iter().enumerate().filter_map(|(at, column)| Some((is(&column.from)?, at))).collect();
        columns.retain(|(place, _)| *place != usize::MAX);
        columns.sort_unstable();
        let fields: Vec<(String, Type)> = columns
            .iter()
            .map(|(_, at)| (definition.columns[*at].name.clone(), definition.columns[*at].of.clone()))
            .collect();
        let values: Vec<Value> = columns.iter().map(|(_, at)| values[*at].clone()).collect();
        let all_null = values.iter().all(Value::is_null);
        if fields.is_empty() || format == Format::None || (all_null && format == Format::Kafka) {
            return None;
        }
        let mut out = Vec::new();
        encode(&fields, &values, format, definition.timestamps, &mut out);
        Some(out)
    };
    let key = part(|from| if let Place::Key(at) = from { Some(*at) } else { None }, definition.key_format);
    let value = part(|from| if let Place::Value(at) = from { Some(*at) } else { None }, definition.value_format);
    NewRecord { key, value, timestamp }
}
