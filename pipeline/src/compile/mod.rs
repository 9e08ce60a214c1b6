//! From a statement to what is to be done: names are looked up, types are checked, what is not used is left out.
//!
//! Compiling needs nothing but the statement, the catalog and the session's settings, and gives the same each time: a
//! pipeline's statement is kept as text and compiled again when it is loaded.

mod aggregate;
mod call;
mod catalog;
mod coerce;
mod compatible;
mod fields;
mod grouped;
mod insert;
mod join;
mod over;
mod pull;
mod query;
mod scope;
mod session;
mod source;
mod statement;
mod typer;

pub use aggregate::NAMES as AGGREGATES;
pub use call::SPECIAL as PATTERN_FUNCTIONS;
pub use catalog::{Bound, COUNTS, COUNTS_COLUMNS, Catalog, Definition, DefinitionColumn, Dialect, SourceKind};
pub use compatible::compatible;
pub use session::{SETTINGS, Session};
pub use statement::compile;

use crate::expr::Expr;
use crate::plan::{Field, Plan};
use crate::sql::{Show, What};
use crate::value::{Type, Value};

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What is to be done.
    pub action: Action,
    /// What the user should know, a sentence each: where reading starts, options that need nothing here.
    pub notices: Vec<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Add a stream or table over a topic to the catalog.
    Define {
        /// What it is.
        definition: Definition,
        /// It is there already, and stays as it is: nothing is to be done.
        exists: bool,
        /// It is put in the place of one that is there.
        replaces: bool,
    },
    /// Run a pipeline and add its output to the catalog.
    Create {
        /// What runs.
        plan: Box<Plan>,
        /// Its output.
        definition: Definition,
        /// It is there already, and stays as it is: nothing is to be done.
        exists: bool,
        /// It is put in the place of one that is there.
        replaces: bool,
        /// `START FROM` was given.
        start_given: bool,
    },
    /// Run a pipeline that adds to a stream that is there.
    Insert {
        /// What runs.
        plan: Box<Plan>,
        /// The stream's name.
        into: String,
    },
    /// Write records to a topic.
    InsertValues {
        /// The topic.
        topic: String,
        /// How many partitions it is made with, if it has to be made.
        partitions: Option<i32>,
        /// The records.
        records: Vec<NewRecord>,
    },
    /// A push query: a temporary pipeline whose results are sent as they come.
    Push {
        /// What runs.
        plan: Box<Plan>,
        /// How a result is shown, in the order of the statement.
        columns: Vec<ResultColumn>,
        /// Ends after so many rows.
        limit: Option<u64>,
    },
    /// A pull query: answered from a table's state.
    Pull(Box<Pull>),
    /// `SELECT expr, ...` without a source: one row.
    Row {
        /// The columns.
        columns: Vec<(String, Type)>,
        /// Their values.
        values: Vec<Value>,
    },
    /// A setting of the session.
    Set {
        /// Its name.
        name: String,
        /// Its value; none to go back to the default.
        value: Option<String>,
    },
    /// List what there is.
    Show(Show),
    /// Say what a stream, table or pipeline is.
    Describe {
        /// Its name; that of the catalog where it has one.
        name: String,
        /// With what runs.
        extended: bool,
    },
    /// Say how a statement would run.
    Explain(Box<Compiled>),
    /// Say how a pipeline runs.
    ExplainName(String),
    /// Stop applying entries for a while.
    Pause(String),
    /// Go on after a pause.
    Resume(String),
    /// End a pipeline (`None`: all of them) and keep its output.
    Terminate(Option<String>),
    /// Drop a stream, table or pipeline.
    Drop {
        /// What it is.
        what: What,
        /// Its name.
        name: String,
        /// There is none of that name, and that is as it should be.
        missing: bool,
        /// Its topic is deleted, too.
        delete_topic: bool,
    },
    /// Commit a punctuation to each partition of a topic.
    Advance {
        /// The stream's name.
        stream: String,
        /// Its topic.
        topic: String,
        /// Milliseconds since 1970.
        to_ms: i64,
    },
    /// Keep a pipeline's state under a name.
    Savepoint {
        /// The pipeline.
        pipeline: String,
        /// The savepoint's name.
        name: String,
    },
}

/// A record that `INSERT INTO ... VALUES` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its timestamp, where `ROWTIME` was given.
    pub timestamp: Option<i64>,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Where it is in the result.
    pub place: ResultPlace,
}

/// Where a column is in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultPlace {
    /// Among the key's fields.
    Key(usize),
    /// Among the value's fields.
    Value(usize),
}

/// A question to a table's state. Its row holds the table's columns in the order of [`Definition::columns`].
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// The table.
    pub table: Definition,
    /// Key columns that must be equal to a value: the column and the value.
    pub key: Vec<(usize, Value)>,
    /// Window starts from here, in milliseconds.
    pub start_from: Option<i64>,
    /// Window starts before this.
    pub start_before: Option<i64>,
    /// Rows for which it is not true are left out; includes what `key` and the bounds say.
    pub filter: Option<Expr>,
    /// The result.
    pub columns: Vec<Field>,
    /// The most rows.
    pub limit: Option<u64>,
    /// The state must include these offsets: partition and offset.
    pub at_least: Vec<(i32, i64)>,
}

#[cfg(test)]
mod tests;
