//! What a statement means: a plan that the stages carry out, compiled from text and never stored.
//!
//! ```text
//!   record -> [source: columns that are used] -> row -> filter -> { project                              } -> output
//!                                                               { group keys, window, aggregates -> group row -> having, project }
//! ```
//! A *row* holds the source's columns in the order of [`Source::columns`]; a *group row* holds the group keys, then the
//! window's start and end (both null without a window), then the result of each aggregate.

use crate::expr::Expr;
use crate::value::{Type, Value};

/// A pipeline's plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where rows come from.
    pub source: Source,
    /// Rows for which it is not true are filtered out.
    pub filter: Option<Expr>,
    /// One row becomes one row for each element of this array, appended to the row as one more column (`EXPLODE`, `UNNEST`).
    pub explode: Option<Expr>,
    /// What is done with the rows that are left.
    pub body: Body,
    /// Where results go.
    pub output: Output,
}

impl Plan {
    /// What it reads.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let table = match &self.body {
            Body::Join(join) => Some(&join.table),
            _ => None,
        };
        std::iter::once(&self.source).chain(table)
    }
}

/// A topic as rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The stream's or table's name, as written.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// How keys are read.
    pub key_format: Format,
    /// How values are read.
    pub value_format: Format,
    /// Columns that the plan uses, and nothing else.
    pub columns: Vec<Column>,
    /// The event time: a timestamp or bigint of the row, `None` for the record's timestamp.
    pub event_time: Option<Expr>,
    /// Allowed disorder in milliseconds: how far the watermark stays behind the largest event time.
    pub disorder_ms: i64,
    /// A partition is quiet after so many milliseconds without data; `None` is never.
    pub idle_ms: Option<i64>,
    /// A row further ahead of the wall clock is rejected; `None` is never.
    pub future_ms: Option<i64>,
    /// Only a window's last result is a row: of a table of windows, which also has results that others replace.
    pub finals_only: bool,
    /// Field names match without case when they match in no other way (ksqlDB).
    pub fields_without_case: bool,
    /// A null group key filters the row out (ksqlDB); else null is a group of its own (Flink).
    pub null_key_filtered: bool,
    /// Where reading begins.
    pub start: Start,
    /// How a timestamp is written in text (JSON, DELIMITED).
    pub timestamps: Timestamps,
    /// Reading ends where the log ended when it began (`'scan.bounded.mode'='latest-offset'`).
    pub until_end: bool,
}

/// How a timestamp is written in JSON and DELIMITED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// Milliseconds since 1970 as a number; dates are days (ksqlDB).
    #[default]
    Number,
    /// `yyyy-MM-dd HH:mm:ss[.SSS]`, read as UTC (Flink).
    Sql,
    /// `yyyy-MM-ddTHH:mm:ss[.SSS]`, a `Z` or an offset allowed.
    Iso,
}

/// Where a pipeline begins in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is.
    Earliest,
    /// At what comes from now on.
    Latest,
    /// At the first record whose timestamp, in milliseconds, is not before.
    Timestamp(i64),
    /// At an offset in each partition, by partition; those that are not named begin at the first record.
    Offsets(Vec<(i32, i64)>),
    /// Where a consumer group is; the first record where it has no offset.
    Group(String),
    /// At a savepoint, with the state it holds.
    Savepoint(String),
}

/// How a key or a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON text.
    Json,
    /// Text with a separator.
    Delimited {
        /// Between two columns.
        separator: char,
    },
    /// Kafka's own serializers: one primitive.
    Kafka,
    /// Nothing is read.
    None,
}

/// A column of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, as written.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Where it is in the record.
    pub from: From,
}

/// Where a column is in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A field of the value; its place among the value's columns, for formats without names.
    Value(usize),
    /// A field of the key, likewise.
    Key(usize),
    /// A header's value, the last one of that name.
    Header(String),
    /// All headers, as an array of structs of a name and bytes.
    Headers,
    /// The record's timestamp.
    RowTime,
    /// The record's partition.
    RowPartition,
    /// The record's offset.
    RowOffset,
}

/// What is done with rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Each row becomes a record.
    Project {
        /// What the output's key holds, over the row; empty keeps the record's key.
        key: Vec<Field>,
        /// The output's value, over the row.
        value: Vec<Field>,
    },
    /// Rows are grouped and aggregated.
    Aggregate(Box<Aggregate>),
    /// Each row becomes a record, with aggregates over the rows before it.
    Over(Box<Over>),
    /// Each row becomes a record, with the row of a table that has its key.
    Join(Box<Join>),
}

impl Body {
    /// The fields of the result's key and of its value.
    pub fn fields(&self) -> (&[Field], &[Field]) {
        match self {
            Body::Project { key, value } => (key, value),
            Body::Aggregate(aggregate) => (&aggregate.key, &aggregate.value),
            Body::Over(over) => (&over.key, &over.value),
            Body::Join(join) => (&join.key, &join.value),
        }
    }

    /// Whether it needs a second stage, which reads an internal topic.
    pub fn is_shuffled(&self) -> bool {
        !matches!(self, Body::Project { .. })
    }
}

/// A field of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, as written.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Its value.
    pub expr: Expr,
}

/// Groups, windows and aggregates.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Over the row.
    pub keys: Vec<Field>,
    /// How rows are put into windows.
    pub window: Window,
    /// How long a window stays open after its end, in milliseconds of event time.
    pub grace_ms: i64,
    /// Over the row.
    pub calls: Vec<Call>,
    /// Over the group row.
    pub having: Option<Expr>,
    /// The output's key, over the group row: the group keys, and the window where there is one.
    pub key: Vec<Field>,
    /// The output's value, over the group row.
    pub value: Vec<Field>,
    /// When results come out.
    pub emit: Emit,
    /// How long results of closed windows can be asked for, in milliseconds of event time.
    pub retention_ms: i64,
}

/// `OVER`: each row of a key, in the order of event time, with what the rows before it give. An *over row* holds the keys, then
/// what is carried of the row, then the results of each frame's calls, then the lags.
#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    /// `PARTITION BY`, over the row.
    pub keys: Vec<Field>,
    /// How long a row waits beyond the watermark for older ones, in milliseconds of event time.
    pub grace_ms: i64,
    /// Over the row.
    pub carried: Vec<Expr>,
    /// Which rows before it count, and what is asked of them.
    pub frames: Vec<Frame>,
    /// Values of single rows before it.
    pub lags: Vec<Lag>,
    /// Over the over row.
    pub qualify: Option<Expr>,
    /// The output's key, over the over row: the keys.
    pub key: Vec<Field>,
    /// The output's value, over the over row.
    pub value: Vec<Field>,
}

/// A stream joined with a table. A *joined row* holds the keys, then what is carried of the stream's row, then what is carried of
/// the table's: nulls where it has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// The table: the newest row of each key.
    pub table: Source,
    /// Its key, over its row.
    pub table_keys: Vec<Expr>,
    /// What is carried of it, over its row.
    pub table_carried: Vec<Expr>,
    /// What the stream's rows find theirs by, over the row: one for each of the table's keys.
    pub keys: Vec<Field>,
    /// Over the row.
    pub carried: Vec<Expr>,
    /// `LEFT JOIN`: a row without one of the table goes out with nulls.
    pub outer: bool,
    /// How long a row waits for that of the table, in milliseconds of event time.
    pub wait_ms: Option<i64>,
    /// Over the joined row; what of `WHERE` concerns the stream alone is [`Plan::filter`].
    pub filter: Option<Expr>,
    /// The output's key, over the joined row: the keys.
    pub key: Vec<Field>,
    /// The output's value, over the joined row.
    pub value: Vec<Field>,
}

impl Join {
    /// Whether a row that waits in vain goes aside.
    pub fn has_late(&self) -> bool {
        !self.outer && self.wait_ms.is_some()
    }
}

/// Rows up to and with the current one.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Where it begins.
    pub bound: FrameBound,
    /// Over the row.
    pub calls: Vec<Call>,
}

/// Where a frame begins; without a number, at the key's first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameBound {
    /// So many rows before the current one.
    Rows(Option<u32>),
    /// So many milliseconds before the current row's time. Rows of its own time all count.
    Range(Option<i64>),
}

/// `LAG(x, n, default)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    /// Over the row.
    pub argument: Expr,
    /// How many rows before.
    pub rows: u32,
    /// Where there are fewer.
    pub default: Value,
}

/// How rows are put into windows. Starts are aligned to `offset_ms` after 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// One group for all time: a running table.
    None,
    /// Windows of `size_ms`, one every `advance_ms`; tumbling where they are equal.
    Hopping {
        /// Length.
        size_ms: i64,
        /// From one start to the next.
        advance_ms: i64,
        /// Of the first start.
        offset_ms: i64,
    },
    /// Windows that begin every `size_ms` and grow by `step_ms` up to that.
    Cumulate {
        /// Largest length; a multiple of the step.
        size_ms: i64,
        /// From one end to the next.
        step_ms: i64,
        /// Of the first start.
        offset_ms: i64,
    },
    /// As long as rows of a key come within `gap_ms` of each other.
    Session {
        /// The gap that ends it.
        gap_ms: i64,
    },
    /// Tumbling windows on civil time.
    Civil {
        /// What a window is.
        unit: CivilUnit,
        /// How many of them, counted from the start of 1970 there.
        count: i64,
        /// The time zone's IANA name.
        zone: String,
    },
}

/// A unit of civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CivilUnit {
    /// An hour of the local clock.
    Hour,
    /// A day, of 23 to 25 hours.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

/// When results come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// The newest value of each key that changed, at each flush.
    Changes,
    /// Once, when a window closes.
    Final,
    /// When the watermark passes a window's end, and again for each late row within the grace.
    OnTime,
}

/// An aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which one.
    pub function: Function,
    /// Its argument, over the row; `COUNT(*)` has none.
    pub argument: Option<Expr>,
    /// The argument's type.
    pub argument_type: Type,
    /// `FILTER (WHERE ...)`, over the row.
    pub filter: Option<Expr>,
    /// The type of its result.
    pub of: Type,
}

/// An aggregate function. Nulls are left out of all but `COUNT(*)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `COUNT(*)`, `COUNT(x)`.
    Count,
    /// `COUNT(DISTINCT x)`, exact.
    CountDistinct,
    /// `SUM(x)`.
    Sum,
    /// `AVG(x)`.
    Avg,
    /// `MIN(x)`.
    Min,
    /// `MAX(x)`.
    Max,
    /// `VAR_POP(x)`.
    VarPop,
    /// `VAR_SAMP(x)`, `VARIANCE(x)`.
    VarSamp,
    /// `STDDEV_POP(x)`.
    StddevPop,
    /// `STDDEV_SAMP(x)`, `STDDEV(x)`, `STDDEV_SAMPLE(x)`.
    StddevSamp,
    /// `FIRST_VALUE(x)`, `EARLIEST_BY_OFFSET(x)`.
    First,
    /// `LAST_VALUE(x)`, `LATEST_BY_OFFSET(x)`.
    Last,
    /// `COLLECT_LIST(x)`: the first values by partition and offset.
    CollectList {
        /// The most values.
        limit: usize,
    },
    /// `COLLECT_SET(x)`: the smallest distinct values.
    CollectSet {
        /// The most values.
        limit: usize,
    },
    /// `TOPK(x, k)`: the largest values, descending.
    TopK {
        /// How many.
        k: usize,
    },
    /// `TOPKDISTINCT(x, k)`.
    TopKDistinct {
        /// How many.
        k: usize,
    },
    /// `HISTOGRAM(x)`: how often each value comes; the smallest values where there are too many.
    Histogram {
        /// The most values.
        limit: usize,
    },
    /// `APPROX_COUNT_DISTINCT(x)`: a HyperLogLog sketch.
    ApproxCountDistinct,
    /// `APPROX_PERCENTILE(x, q)`: a t-digest or KLL sketch.
    ApproxQuantile {
        /// Between 0 and 1.
        q: f64,
    },
}

/// Where results go.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The stream's or table's name, as written.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// Its partitions, where they are stated; else as many as the source has.
    pub partitions: Option<i32>,
    /// A table's topic is compacted.
    pub is_table: bool,
    /// How keys are written.
    pub key_format: Format,
    /// How values are written.
    pub value_format: Format,
    /// How a timestamp is written in text.
    pub timestamps: Timestamps,
}
