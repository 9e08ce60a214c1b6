//! A `SELECT` over a stream joined with a table: what is carried of either, and expressions over both.

use super::ResultColumn;
use super::catalog::{Catalog, Definition, SourceKind};
use super::fields::Fields;
use super::query::{Item, Planned, What, items_over, key_format_of, named, pruned, scope_of, source, source_from};
use super::scope::{Scope, Typed, prune};
use super::session::Session;
use super::typer::{Names, RowNames, condition, place, typed};
use crate::expr::Expr;
use crate::plan::{Body, Emit, Field, Format, From as Place, Join, Output, Plan, Source, Start};
use crate::sql::{Error, JoinClause, Name, Query};
use crate::value::Type;
use sqlparser::ast::{self, BinaryOperator};
use sqlparser::tokenizer::Location;

/// While expressions are read, a column from here on is the table's: there is no telling yet how much will be carried of the stream.
const FIRST_TABLE: usize = usize::MAX / 2;

/// Expressions over both sides.
struct JoinNames<'a> {
    sides: Sides<'a>,
    /// What the stream is joined by.
    keys: Vec<Typed>,
    /// The table's key, if it is the stream's wherever there is a result.
    equal: Vec<Expr>,
    carried: Vec<Typed>,
    table_carried: Vec<Typed>,
}

/// The rows of either side; the table's columns begin at [`FIRST_TABLE`].
#[derive(Clone, Copy)]
struct Sides<'a> {
    stream: &'a Scope,
    table: &'a Scope,
}

/// Names of one side alone.
struct Only<'a> {
    sides: Sides<'a>,
    table: bool,
}

/// A query over a join as a plan.
pub(super) fn plan(
    query: &Query,
    clause: &JoinClause,
    definition: &Definition,
    catalog: &Catalog,
    session: &Session,
) -> Result<Planned, Error> {
    refuse(query, definition)?;
    let table = table_of(clause, definition, catalog)?;
    let scope = scope_of(query, definition)?;
    let own = Name { text: table.name.clone(), quoted: false, at: clause.table.at };
    let table_scope = Scope::of(table, std::iter::once(own).chain(clause.alias.clone()).collect()).shifted(FIRST_TABLE);
    let sides = Sides { stream: &scope, table: &table_scope };
    let (keys, table_keys) = keys(clause, table, sides, session)?;
    let mut names = JoinNames {
        sides,
        keys: keys.iter().map(|key| Typed::new(key.expr.clone(), key.of.clone())).collect(),
        equal: if clause.outer { Vec::new() } else { table_keys.clone() },
        carried: Vec::new(),
        table_carried: Vec::new(),
    };
    let (mut before, mut after) = (None, None);
    for part in query.select.selection.iter().flat_map(conjuncts) {
        let of_stream = condition(part, &mut Only { sides, table: false });
        let (filter, of) = match of_stream {
            Ok(of) => (&mut before, of),
            Err(_) => (&mut after, condition(part, &mut names)?),
        };
        *filter = Some(match filter.take() {
            Some(others) => Expr::And(Box::new(others), Box::new(of)),
            None => of,
        });
    }
    let items = items_over(query, &[&scope, &table_scope], session)?;
    let values = values(&items, &mut names)?;
    let side = side(table, table_keys, &names.table_carried);
    let (join, columns) = join(clause, side, &names.carried, keys, after, values);
    let key_format = key_format_of(definition, &join.key);
    let mut notices = Vec::new();
    let source = source(query, definition, session, &mut notices);
    let output = Output {
        name: String::new(),
        topic: String::new(),
        partitions: None,
        is_table: false,
        key_format,
        value_format: if definition.value_format == Format::Kafka { Format::Json } else { definition.value_format },
        timestamps: definition.timestamps,
    };
    let explode = scope.exploded();
    let mut plan = Plan { source, filter: before, explode, body: Body::Join(Box::new(join)), output };
    plan.source.columns = pruned(&mut plan, definition);
    Ok(Planned { plan, columns, notices, windowed: false })
}

/// What does not go with a join.
fn refuse(query: &Query, definition: &Definition) -> Result<(), Error> {
    let over_it = "CREATE STREAM joined AS SELECT ... JOIN ..., and a SELECT over that";
    let from = query.from.as_ref().map_or(query.at, |from| from.at);
    if definition.kind == SourceKind::Table {
        let error = Error::at(from, format!("'{}' is a table, of which no row is joined", definition.name));
        return Err(error.expected("a stream, JOIN, and a table"));
    }
    if super::grouped::is_grouped(query) {
        return Err(Error::at(query.at, "GROUP BY over a join is not supported yet").expected(over_it));
    }
    if query.has_over {
        return Err(Error::at(query.at, "OVER over a join is not supported yet").expected(over_it));
    }
    if let Some(window) = &query.window {
        return Err(Error::at(window.at, "windows over a join are not supported yet").expected(over_it));
    }
    if let Some((emit, at)) = query.emit.filter(|(emit, _)| *emit != Emit::Changes) {
        return Err(Error::at(at, format!("EMIT {emit:?} needs a window")).expected("EMIT CHANGES"));
    }
    if let Some(by) = query.partition_by.first() {
        let error = Error::at(place(by), "PARTITION BY of a join is not supported yet: its results are divided by ON");
        return Err(error.expected(over_it));
    }
    if let Some(having) = &query.select.having {
        return Err(Error::at(place(having), "HAVING needs GROUP BY").expected("WHERE"));
    }
    if !query.at_least.is_empty() {
        return Err(Error::at(query.at, "AT LEAST OFFSET belongs to a question to a table's state, without EMIT"));
    }
    Ok(())
}

/// The table that is joined.
fn table_of<'a>(clause: &JoinClause, stream: &Definition, catalog: &'a Catalog) -> Result<&'a Definition, Error> {
    let (name, at) = (&clause.table.text, clause.table.at);
    let Some(table) = catalog.find(&clause.table) else {
        let error = Error::at(at, format!("there is no table '{name}'"));
        return Err(error.near(name, catalog.iter().map(|definition| definition.name.as_str())));
    };
    let expected = "a TABLE with a PRIMARY KEY";
    if table.kind == SourceKind::Stream {
        let error = Error::at(at, format!("'{name}' is a stream: joins of two streams are not supported yet"));
        return Err(error.expected(expected));
    }
    if table.is_counts() {
        return Err(Error::at(at, format!("'{name}' is no topic that a pipeline could read")).expected(expected));
    }
    if table.windowed {
        return Err(Error::at(at, format!("'{name}' has windows: to join it is not supported yet")).expected(expected));
    }
    if table.topic == stream.topic {
        let error = Error::at(at, format!("'{name}' is the stream's own topic '{}'", table.topic));
        return Err(error.expected("a table over another topic, such as CREATE TABLE ... AS SELECT makes"));
    }
    Ok(table)
}

/// What `AND` unites.
fn conjuncts(expr: &ast::Expr) -> Vec<&ast::Expr> {
    let (mut parts, mut left) = (Vec::new(), vec![expr]);
    while let Some(expr) = left.pop() {
        match expr {
            ast::Expr::BinaryOp { left: first, op: BinaryOperator::And, right } => left.extend([&**right, &**first]),
            ast::Expr::Nested(of) => left.push(of),
            other => parts.push(other),
        }
    }
    parts
}

/// What the stream's rows find the table's by, for each column of the table's key, and these.
fn keys(
    clause: &JoinClause,
    table: &Definition,
    sides: Sides<'_>,
    session: &Session,
) -> Result<(Vec<Field>, Vec<Expr>), Error> {
    let of_key: Vec<&(String, Typed)> = sides
        .table
        .own()
        .filter(|(at, _)| matches!(table.columns.get(*at), Some(column) if matches!(column.from, Place::Key(_))))
        .map(|(_, column)| column)
        .collect();
    if of_key.is_empty() {
        let error = Error::at(clause.table.at, format!("'{}' has no key", table.name));
        return Err(error.expected("a TABLE with a PRIMARY KEY"));
    }
    let mut found: Vec<Option<Field>> = vec![None; of_key.len()];
    for part in conjuncts(&clause.on) {
        let ast::Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = part else {
            let error = Error::at(place(part), "a join needs equality");
            return Err(error.expected("stream.column = table.key, several of them united by AND"));
        };
        let only = |expr: &ast::Expr, table| typed(expr, &mut Only { sides, table });
        let (stream, table) = match (only(left, false), only(right, true)) {
            (Ok(of), Ok(key)) => ((of, left), (key, right)),
            (first, second) => match (only(right, false), only(left, true)) {
                (Ok(of), Ok(key)) => ((of, right), (key, left)),
                _ => return Err(first.err().or(second.err()).unwrap_or_else(|| Error::at(place(part), "no join"))),
            },
        };
        let ((of, expr), (key, key_expr)) = (stream, table);
        let Some(at) = of_key.iter().position(|(_, other)| other.expr == key.expr) else {
            let error = Error::at(place(key_expr), "this is not the table's key, by which alone its rows are found");
            return Err(error.expected(of_key.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")));
        };
        let is_whole = |of: &Type| matches!(of, Type::Integer | Type::BigInt);
        if of.of != key.of && !(is_whole(&of.of) && is_whole(&key.of)) {
            let error = Error::at(place(expr), format!("this is a {}, and the table's key a {}", of.of, key.of));
            return Err(error.expected("values of one type, by CAST"));
        }
        let name = named(expr, session).unwrap_or_else(|| session.own_name(&format!("key_{at}")));
        found[at] = Some(Field { name, of: of.of, expr: of.expr });
    }
    let table_keys = of_key.iter().map(|(_, key)| key.expr.clone()).collect();
    match found.iter().position(Option::is_none) {
        None => Ok((found.into_iter().flatten().collect(), table_keys)),
        Some(missing) => {
            let error = Error::at(place(&clause.on), format!("the table's key '{}' is missing", of_key[missing].0));
            Err(error.expected("an equality for each column of the key"))
        }
    }
}

/// The result's columns.
fn values(items: &[Item<'_>], names: &mut JoinNames<'_>) -> Result<Vec<(String, Typed)>, Error> {
    let each = |item: &Item<'_>| {
        let of = match &item.what {
            What::Expr(expr) => typed(expr, names)?,
            What::Column(_, of) => names.carry(of.clone()),
        };
        Ok((item.name.clone(), of))
    };
    items.iter().map(each).collect()
}

/// The join, with the columns of the joined row in their places.
fn join(
    clause: &JoinClause,
    (table, table_keys, table_carried): (Source, Vec<Expr>, Vec<Expr>),
    carried: &[Typed],
    keys: Vec<Field>,
    filter: Option<Expr>,
    values: Vec<(String, Typed)>,
) -> (Join, Vec<ResultColumn>) {
    // What is carried and a key, too, is not carried.
    let key_of = |of: &Typed| keys.iter().position(|key| key.expr == of.expr);
    let (mut places, mut count) = (Vec::new(), keys.len());
    for of in carried {
        places.push(key_of(of).unwrap_or(count));
        count += usize::from(key_of(of).is_none());
    }
    let to = |at: usize| match at.checked_sub(FIRST_TABLE) {
        None => places[at],
        Some(at) => count + at,
    };
    let named = |(at, field): (usize, &Field)| Field { expr: Expr::Column(at), ..field.clone() };
    let mut fields = Fields::new(keys.iter().enumerate().map(named).collect());
    for (name, mut of) in values {
        of.expr.map_columns(&to);
        fields.add(&name, of, true);
    }
    let filter = filter.map(|mut expr| {
        expr.map_columns(&to);
        expr
    });
    let Fields { key, value, columns, .. } = fields;
    let carried = carried.iter().filter(|of| key_of(of).is_none()).map(|of| of.expr.clone()).collect();
    let (outer, wait_ms) = (clause.outer, clause.wait_ms);
    let join = Join { table, table_keys, table_carried, keys, carried, outer, wait_ms, filter, key, value };
    (join, columns)
}

/// The side of the table, of which it reads what these use: its keys, and what is carried of it.
fn side(table: &Definition, mut keys: Vec<Expr>, carried: &[Typed]) -> (Source, Vec<Expr>, Vec<Expr>) {
    let mut source = source_from(table, Start::Earliest);
    let mut carried: Vec<Expr> = carried.iter().map(|of| of.expr.clone()).collect();
    let mut all: Vec<&mut Expr> = keys.iter_mut().chain(&mut carried).collect();
    for expr in &mut all {
        expr.map_columns(&|at| at - FIRST_TABLE);
    }
    source.columns = prune(table, &mut all);
    (source, keys, carried)
}

impl<'a> Sides<'a> {
    fn names(&self, table: bool) -> RowNames<'a> {
        RowNames(if table { self.table } else { self.stream })
    }

    /// Whether a name is the table's.
    fn is_of_table(&self, expr: &ast::Expr) -> Result<bool, Error> {
        let (first, is_qualified) = match expr {
            ast::Expr::Identifier(ident) => (crate::sql::of_ident(ident), false),
            ast::Expr::CompoundIdentifier(parts) if !parts.is_empty() => (crate::sql::of_ident(&parts[0]), true),
            _ => return Ok(false),
        };
        let (in_stream, in_table) = if is_qualified && (self.stream.is_table(&first) || self.table.is_table(&first)) {
            (self.stream.is_table(&first), self.table.is_table(&first))
        } else {
            (self.stream.has_own(&first), self.table.has_own(&first))
        };
        if in_stream && in_table {
            let error = Error::at(first.at, format!("both sides of the join have a '{}'", first.text));
            return Err(error.expected("the name of one of them, and a dot, before it"));
        }
        Ok(in_table)
    }
}

impl JoinNames<'_> {
    fn carry(&mut self, of: Typed) -> Typed {
        let of = match self.equal.iter().position(|key| *key == of.expr) {
            Some(key) => self.keys[key].clone(),
            None => of,
        };
        let mut is_of_table = false;
        of.expr.for_each_column(&mut |at| is_of_table |= at >= FIRST_TABLE);
        let (carried, first) =
            if is_of_table { (&mut self.table_carried, FIRST_TABLE) } else { (&mut self.carried, 0) };
        let at = carried.iter().position(|other| *other == of).unwrap_or_else(|| {
            carried.push(of.clone());
            carried.len() - 1
        });
        Typed::new(Expr::Column(first + at), of.of)
    }
}

impl Names for JoinNames<'_> {
    /// What is the stream's alone is carried as a whole: evaluated beside the source, where a row that fails is rejected.
    fn whole(&mut self, expr: &ast::Expr) -> Result<Option<Typed>, Error> {
        match typed(expr, &mut Only { sides: self.sides, table: false }) {
            Ok(of) if of.expr.is_constant() => Ok(Some(of)),
            Ok(of) => Ok(Some(self.carry(of))),
            // It names the table, or is wrong, which its parts will say.
            Err(_) => Ok(None),
        }
    }

    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error> {
        let of = typed(expr, &mut self.sides.names(self.sides.is_of_table(expr)?))?;
        Ok(self.carry(of))
    }

    fn call(&mut self, call: &ast::Function, name: &str, at: Location) -> Result<Option<Typed>, Error> {
        self.sides.names(false).call(call, name, at)
    }
}

impl Names for Only<'_> {
    fn name(&mut self, expr: &ast::Expr) -> Result<Typed, Error> {
        if self.sides.is_of_table(expr)? != self.table {
            let expected = if self.table { "a column of the table" } else { "a column of the stream" };
            return Err(Error::at(place(expr), "this is of the other side of the join").expected(expected));
        }
        self.sides.names(self.table).name(expr)
    }

    fn call(&mut self, call: &ast::Function, name: &str, at: Location) -> Result<Option<Typed>, Error> {
        self.sides.names(self.table).call(call, name, at)
    }
}
