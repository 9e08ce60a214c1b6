//! The columns that an expression may name.

use super::catalog::Definition;
use crate::expr::Expr;
use crate::plan::{self, Column};
use crate::sql::{Error, Name, of_ident};
use crate::value::Type;
use sqlparser::ast::{ObjectNamePart, SelectItem, SelectItemQualifiedWildcardKind};
use std::cell::RefCell;

/// An expression and its type.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) of: Type,
}

impl Typed {
    pub(super) fn new(expr: Expr, of: Type) -> Typed {
        Typed { expr, of }
    }
}

/// The row of a definition: its columns, then the record's own, then an element of an array.
#[derive(Debug, Default)]
pub(super) struct Scope {
    columns: Vec<(String, Typed)>,
    /// How many of them `*` means.
    own: usize,
    /// Names that may stand in front of a column's.
    tables: Vec<Name>,
    /// Each row becomes one for each element of this array.
    explode: RefCell<Option<Typed>>,
    /// The place of the element in the row.
    element: usize,
}

/// The record's own columns, in their order behind a definition's.
const RECORD: [(&str, plan::From); 3] = [
    ("ROWTIME", plan::From::RowTime),
    ("ROWPARTITION", plan::From::RowPartition),
    ("ROWOFFSET", plan::From::RowOffset),
];

impl Scope {
    /// The row of a definition.
    pub(super) fn of(definition: &Definition, tables: Vec<Name>) -> Scope {
        let mut columns: Vec<(String, Typed)> = Vec::new();
        for (at, column) in definition.columns.iter().enumerate() {
            let expr = column.computed.clone().unwrap_or(Expr::Column(at));
            columns.push((column.name.clone(), Typed::new(expr, column.of.clone())));
        }
        let own = columns.len();
        for (at, (name, _)) in RECORD.iter().enumerate() {
            let time = definition.event_time.clone().filter(|_| *name == "ROWTIME");
            columns.push(((*name).to_owned(), Typed::new(time.unwrap_or(Expr::Column(own + at)), Type::BigInt)));
        }
        let element = columns.len();
        Scope { columns, own, tables, explode: RefCell::new(None), element }
    }

    /// Columns that `*` means.
    pub(super) fn own(&self) -> impl Iterator<Item = (usize, &(String, Typed))> {
        self.columns.iter().enumerate().take(self.own)
    }

    pub(super) fn is_table(&self, name: &Name) -> bool {
        self.tables.iter().any(|table| name.matches(&table.text))
    }

    /// Whether `*`, or `name.*`, means its columns.
    pub(super) fn is_in(&self, star: &SelectItem) -> bool {
        match star {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let table = name.0.first().and_then(ObjectNamePart::as_ident);
                table.is_some_and(|table| self.is_table(&of_ident(table)))
            }
            _ => true,
        }
    }

    /// The same row behind `by` others.
    pub(super) fn shifted(mut self, by: usize) -> Scope {
        self.columns.iter_mut().for_each(|(_, typed)| typed.expr.map_columns(&|at| at + by));
        self
    }

    /// Whether a column of its own, not of the record's, has this name.
    pub(super) fn has_own(&self, name: &Name) -> bool {
        self.own().any(|(_, (own, _))| name.matches(own))
    }

    /// A column by its name: exactly, else without case where it is not quoted.
    pub(super) fn find(&self, name: &Name) -> Option<&Typed> {
        let exact = self.columns.iter().find(|(other, _)| *other == name.text);
        exact.or_else(|| self.columns.iter().find(|(other, _)| name.matches(other))).map(|(_, typed)| typed)
    }

    /// As [`Scope::find`], or what is wrong.
    pub(super) fn column(&self, name: &Name) -> Result<Typed, Error> {
        self.find(name).cloned().ok_or_else(|| {
            let error = Error::at(name.at, format!("there is no column '{}'", name.text));
            error.near(&name.text, self.columns.iter().map(|(name, _)| name.as_str()))
        })
    }

    /// Gives the elements of `array`, one for each row.
    pub(super) fn explode(&self, array: Typed, at: sqlparser::tokenizer::Location) -> Result<Typed, Error> {
        let Type::Array(of) = array.of.clone() else {
            return Err(Error::at(at, format!("{} has no elements", array.of)).expected("an array"));
        };
        let mut explode = self.explode.borrow_mut();
        if explode.as_ref().is_some_and(|other| *other != array) {
            return Err(Error::at(at, "only one array can be taken apart"));
        }
        *explode = Some(array);
        Ok(Typed::new(Expr::Column(self.element), *of))
    }

    /// The elements of `array` as a column.
    pub(super) fn unnest(&mut self, array: Typed, name: &Name) -> Result<(), Error> {
        let element = self.explode(array, name.at)?;
        self.columns.push((name.text.clone(), element));
        Ok(())
    }

    pub(super) fn exploded(&self) -> Option<Expr> {
        self.explode.borrow().as_ref().map(|typed| typed.expr.clone())
    }
}

/// Keeps of a definition's row only the columns that the expressions use, and gives these their places.
pub(super) fn prune(definition: &Definition, expressions: &mut [&mut Expr]) -> Vec<Column> {
    let own = definition.columns.len();
    let element = own + RECORD.len();
    let mut used = std::collections::BTreeSet::new();
    for expr in expressions.iter() {
        expr.for_each_column(&mut |at| {
            used.insert(at);
        });
    }
    let places: Vec<usize> = used.into_iter().filter(|at| *at < element).collect();
    let to = |at: usize| places.binary_search(&at).unwrap_or(places.len());
    for expr in expressions.iter_mut() {
        expr.map_columns(&to);
    }
    let column = |at: &usize| match definition.columns.get(*at) {
        Some(column) => Column { name: column.name.clone(), of: column.of.clone(), from: column.from.clone() },
        None => {
            let (name, from) = &RECORD[at - own];
            Column { name: (*name).to_owned(), of: Type::BigInt, from: from.clone() }
        }
    };
    places.iter().map(column).collect()
}
