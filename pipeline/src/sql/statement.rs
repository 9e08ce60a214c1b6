//! Statements as they were written, before any name in them is looked up.

use crate::plan::{Emit, Start, Window};
use crate::value::Type;
use sqlparser::ast::{Expr, Select};
use sqlparser::tokenizer::Location;

/// A name as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Without quotes.
    pub text: String,
    /// A quoted name is matched exactly, any other without case.
    pub quoted: bool,
    /// Where it stands.
    pub at: Location,
}

impl Name {
    /// Whether it means `other`.
    pub fn matches(&self, other: &str) -> bool {
        if self.quoted { self.text == other } else { self.text.eq_ignore_ascii_case(other) }
    }
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub kind: Kind,
    /// Its own text, without the semicolon.
    pub text: String,
    /// All that it was parsed from; errors point into it.
    pub script: std::sync::Arc<str>,
    /// Where it begins.
    pub at: Location,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `CREATE STREAM | TABLE name (columns) WITH (...)`.
    Define(Box<Define>),
    /// `CREATE STREAM | TABLE name [WITH (...)] AS SELECT ...`.
    CreateAs(Box<CreateAs>),
    /// `INSERT INTO name SELECT ...`.
    InsertSelect {
        /// Into this stream.
        into: Name,
        /// The rows.
        query: Box<Query>,
    },
    /// `INSERT INTO name [(columns)] VALUES (...), ...`.
    InsertValues {
        /// Into this stream or table.
        into: Name,
        /// The columns that are given; all of them where empty.
        columns: Vec<Name>,
        /// The rows.
        rows: Vec<Vec<Expr>>,
    },
    /// `SELECT ...`.
    Select(Box<Query>),
    /// `SET 'name' = 'value'`.
    Set {
        /// The setting.
        name: Name,
        /// Its value.
        value: String,
    },
    /// `UNSET 'name'`, `RESET 'name'`.
    Unset(Name),
    /// `SHOW | LIST ...`.
    Show(Show),
    /// `DESCRIBE name [EXTENDED]`.
    Describe {
        /// A stream, table or pipeline.
        name: Name,
        /// With what runs.
        extended: bool,
    },
    /// `EXPLAIN statement`.
    Explain(Box<Statement>),
    /// `EXPLAIN name`.
    ExplainName(Name),
    /// `PAUSE name`.
    Pause(Name),
    /// `RESUME name`.
    Resume(Name),
    /// `DROP STREAM | TABLE | PIPELINE [IF EXISTS] name [DELETE TOPIC]`.
    Drop {
        /// What is dropped.
        what: What,
        /// Its name.
        name: Name,
        /// It need not be there.
        if_exists: bool,
        /// Its topic is deleted, too.
        delete_topic: bool,
    },
    /// `TERMINATE name | ALL`.
    Terminate(Option<Name>),
    /// `ADVANCE stream TO TIMESTAMP '...'`.
    Advance {
        /// The stream.
        stream: Name,
        /// Milliseconds since 1970.
        to_ms: i64,
    },
    /// `SAVEPOINT 'savepoint' OF pipeline` or `SAVEPOINT pipeline 'savepoint'`.
    Savepoint {
        /// The pipeline.
        pipeline: Name,
        /// The savepoint's name.
        name: String,
    },
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A stream.
    Stream,
    /// A table.
    Table,
    /// A pipeline.
    Pipeline,
}

/// What `SHOW` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Streams.
    Streams,
    /// Tables.
    Tables,
    /// Pipelines (also `QUERIES`).
    Pipelines,
    /// Topics.
    Topics,
    /// Settings of the session (`PROPERTIES`).
    Settings,
    /// Functions.
    Functions,
}

/// `'name' = 'value'` in `WITH (...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name, in lower case.
    pub name: String,
    /// Its value, without quotes.
    pub value: String,
    /// Where the name stands.
    pub at: Location,
    /// Where the value stands.
    pub value_at: Location,
}

/// A source over a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Define {
    /// Its name.
    pub name: Name,
    /// Stream or table, as written.
    pub what: What,
    /// It may be there already, and stays.
    pub if_not_exists: bool,
    /// It may be there already, and is replaced.
    pub or_replace: bool,
    /// Its columns.
    pub columns: Vec<ColumnDef>,
    /// `WATERMARK FOR column AS expression`.
    pub watermark: Option<(Name, Expr)>,
    /// `WITH (...)`.
    pub settings: Vec<Setting>,
}

/// A column of a [`Define`].
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub of: Type,
    /// Where its value is.
    pub place: Place,
}

/// Where the value of a defined column is.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In the record's value.
    Value,
    /// In the record's key (`KEY`, `PRIMARY KEY`).
    Key,
    /// In a header (`HEADER('name')`).
    Header(String),
    /// All headers (`HEADERS`).
    Headers,
    /// Of the record itself (`METADATA FROM 'timestamp'`).
    Metadata(String),
    /// Computed from others (`name AS expression`).
    Computed(Box<Expr>),
}

/// `CREATE ... AS SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateAs {
    /// The output's name.
    pub name: Name,
    /// Stream or table.
    pub what: What,
    /// It may be there already, and stays.
    pub if_not_exists: bool,
    /// It may be there already, and is replaced.
    pub or_replace: bool,
    /// `WITH (...)`.
    pub settings: Vec<Setting>,
    /// The rows.
    pub query: Box<Query>,
}

/// A `SELECT` with its streaming clauses.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is left for SQL itself.
    pub select: Box<Select>,
    /// `FROM`; none for `SELECT 1 + 1`.
    pub from: Option<Name>,
    /// Its alias.
    pub alias: Option<Name>,
    /// `JOIN`.
    pub join: Option<JoinClause>,
    /// How rows are put into windows.
    pub window: Option<WindowClause>,
    /// `PARTITION BY`.
    pub partition_by: Vec<Expr>,
    /// `CROSS JOIN UNNEST(array) AS t (column)`: the array and the column.
    pub unnest: Option<(Box<Expr>, Name)>,
    /// `EMIT ...`.
    pub emit: Option<(Emit, Location)>,
    /// A call has an `OVER`.
    pub has_over: bool,
    /// `GRACE PERIOD` within an `OVER` or `WINDOW name AS (...)`.
    pub grace_ms: Option<i64>,
    /// `LIMIT n`.
    pub limit: Option<u64>,
    /// `START FROM ...`.
    pub start: Option<Start>,
    /// `AT LEAST OFFSET p:n, ...`.
    pub at_least: Vec<(i32, i64)>,
    /// Where it begins.
    pub at: Location,
}

/// `[LEFT] JOIN table [alias] [WAIT length] ON condition`.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinClause {
    /// What is joined.
    pub table: Name,
    /// Its alias.
    pub alias: Option<Name>,
    /// `LEFT JOIN`.
    pub outer: bool,
    /// `ON`.
    pub on: Box<Expr>,
    /// `WAIT`.
    pub wait_ms: Option<i64>,
}

/// How rows are put into windows.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowClause {
    /// Their shape.
    pub shape: Window,
    /// The event time that Flink's `DESCRIPTOR(column)` names.
    pub descriptor: Option<Name>,
    /// `PARTITION BY` of a session.
    pub partition_by: Vec<Name>,
    /// `GRACE PERIOD`.
    pub grace_ms: Option<i64>,
    /// `RETENTION`.
    pub retention_ms: Option<i64>,
    /// Where it begins.
    pub at: Location,
}
