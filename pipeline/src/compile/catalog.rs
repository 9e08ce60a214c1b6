//! The streams and tables that statements have defined.

use crate::expr::Expr;
use crate::plan::{self, Format, Start, Timestamps};
use crate::sql::Name;
use crate::value::Type;
use std::collections::BTreeMap;

/// Whose rules a statement follows where the dialects differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// ksqlDB's.
    Ksql,
    /// Flink's: sources made with `'connector'`.
    Flink,
}

/// What a definition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Every record is a row.
    Stream,
    /// A record is the newest row of its key.
    Table,
}

/// Where reading of a source ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Nowhere.
    None,
    /// At the end that the log had when reading began.
    Latest,
}

/// A stream or table: a topic with columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its name, as written.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// Whose rules queries over it follow.
    pub dialect: Dialect,
    /// Its topic.
    pub topic: String,
    /// Partitions that the topic is made with, where they are stated.
    pub partitions: Option<i32>,
    /// Replicas that the topic is made with, where they are stated.
    pub replicas: Option<i16>,
    /// How keys are written.
    pub key_format: Format,
    /// How values are written.
    pub value_format: Format,
    /// Its columns: those of the key, then those of the value, then others; without the record's own (`ROWTIME`).
    pub columns: Vec<DefinitionColumn>,
    /// The event time over [`Definition::columns`] followed by the pseudo columns; `None` is the record's timestamp.
    pub event_time: Option<Expr>,
    /// The column that `WATERMARK FOR` names.
    pub time_column: Option<usize>,
    /// Allowed disorder in milliseconds.
    pub disorder_ms: i64,
    /// A partition is quiet after so many milliseconds; `None` is never.
    pub idle_ms: Option<i64>,
    /// A row further ahead of the wall clock is rejected; `None` is never.
    pub future_ms: Option<i64>,
    /// How a timestamp is written in text.
    pub timestamps: Timestamps,
    /// Where reading begins, if the definition says it.
    pub start: Option<Start>,
    /// Where reading ends.
    pub bound: Bound,
    /// Its key holds a window.
    pub windowed: bool,
    /// A pipeline makes it: its state can be asked by a pull query.
    pub materialized: bool,
}

impl Definition {
    /// Whether it is what a pipeline has counted, which is in no topic.
    pub(super) fn is_counts(&self) -> bool {
        self.name.ends_with(COUNTS) && self.topic.is_empty()
    }

    /// Whether it is a table of windows that a pipeline makes: the last result of each window and key never changes, so that these
    /// are the rows of a stream.
    pub(super) fn has_finals(&self) -> bool {
        self.kind == SourceKind::Table && self.windowed && self.materialized
    }
}

/// A column of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionColumn {
    /// Its name, as written.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Where it is in the record.
    pub from: plan::From,
    /// Computed from the columns before it instead (`name AS expression`).
    pub computed: Option<Expr>,
}

/// The streams and tables that there are, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    definitions: BTreeMap<String, Definition>,
    /// Of each pipeline, by its name and [`COUNTS`].
    counts: BTreeMap<String, Definition>,
}

/// What follows a pipeline's name in that of the table of its counts.
pub const COUNTS: &str = "$counts";

/// The columns of a pipeline's counts. What a stage has not is null.
pub const COUNTS_COLUMNS: [&str; 11] = [
    "stage",
    "partition",
    "rows",
    "applied",
    "late",
    "filtered",
    "rejected",
    "assigned",
    "window_late",
    "aggregated",
    "closed",
];

impl Catalog {
    /// An empty one.
    pub fn new() -> Catalog {
        Catalog::default()
    }

    /// Adds a definition, in place of one of the same name.
    pub fn put(&mut self, definition: Definition) {
        self.definitions.insert(definition.name.clone(), definition);
    }

    /// Adds the counts of a pipeline.
    pub fn put_counts(&mut self, pipeline: &str) {
        let column = |(at, name): (usize, &&str)| DefinitionColumn {
            name: (*name).to_owned(),
            of: if at == 0 { Type::String } else { Type::BigInt },
            from: plan::From::Value(at),
            computed: None,
        };
        let definition = Definition {
            name: format!("{pipeline}{COUNTS}"),
            kind: SourceKind::Table,
            dialect: Dialect::Ksql,
            topic: String::new(),
            partitions: None,
            replicas: None,
            key_format: Format::None,
            value_format: Format::None,
            columns: COUNTS_COLUMNS.iter().enumerate().map(column).collect(),
            event_time: None,
            time_column: None,
            disorder_ms: 0,
            idle_ms: None,
            future_ms: None,
            timestamps: Timestamps::Number,
            start: None,
            bound: Bound::None,
            windowed: false,
            materialized: true,
        };
        self.counts.insert(definition.name.clone(), definition);
    }

    /// Takes a definition out, by its exact name.
    pub fn remove(&mut self, name: &str) -> Option<Definition> {
        self.definitions.remove(name)
    }

    /// A definition by its exact name.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// A definition by its name in a statement: exactly, else without case where it is not quoted.
    pub fn find(&self, name: &Name) -> Option<&Definition> {
        let all = || self.definitions.values().chain(self.counts.values());
        self.get(&name.text).or_else(|| all().find(|other| name.matches(&other.name)))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.values()
    }
}
