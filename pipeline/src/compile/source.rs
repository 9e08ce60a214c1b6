//! `CREATE STREAM | TABLE ... WITH (...)`: a definition over a topic.

use super::catalog::{Bound, Definition, DefinitionColumn, Dialect, SourceKind};
use super::scope::Scope;
use super::session::Session;
use super::typer::{RowNames, typed};
use crate::expr::{Expr, TimeFormat};
use crate::plan::{Format, From as Place, Start, Timestamps};
use crate::sql::{self, Define, Error, Setting, What};
use crate::value::Type;
use sqlparser::ast;
use sqlparser::tokenizer::Location;

/// A partition is quiet after so many milliseconds.
const IDLE_MS: i64 = 30_000;
/// A row may be so many milliseconds ahead of the clock.
const FUTURE_MS: i64 = 3_600_000;

const KSQL: [&str; 15] = [
    "kafka_topic",
    "value_format",
    "key_format",
    "format",
    "partitions",
    "replicas",
    "timestamp",
    "timestamp_format",
    "value_delimiter",
    "key_delimiter",
    "wrap_single_value",
    "retention_ms",
    "idle",
    "future",
    "source_connector",
];

const FLINK: [&str; 25] = [
    "connector",
    "topic",
    "format",
    "value.format",
    "key.format",
    "key.fields",
    "value.fields-include",
    "scan.startup.mode",
    "scan.startup.timestamp-millis",
    "scan.startup.specific-offsets",
    "scan.bounded.mode",
    "scan.watermark.idle-timeout",
    "json.timestamp-format.standard",
    "csv.field-delimiter",
    "idle",
    "future",
    "partitions",
    "replicas",
    "properties.bootstrap.servers",
    "properties.group.id",
    "json.ignore-parse-errors",
    "json.fail-on-missing-field",
    "scan.parallelism",
    "scan.topic-partition-discovery.interval",
    "sink.parallelism",
];

/// The options of a `WITH (...)`.
pub(super) struct Options<'a>(pub(super) &'a [Setting]);

impl<'a> Options<'a> {
    pub(super) fn find(&self, name: &str) -> Option<&'a Setting> {
        self.0.iter().find(|setting| setting.name == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.find(name).map(|setting| setting.value.as_str())
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(setting) = self.find(name) else { return Ok(None) };
        let wrong = || Error::at(setting.value_at, format!("'{}' is not right", setting.value)).expected("a number");
        setting.value.parse().map(Some).map_err(|_| wrong())
    }

    pub(super) fn length(&self, name: &str, default: Option<i64>) -> Result<Option<i64>, Error> {
        match self.find(name) {
            Some(setting) => length(&setting.value, setting.value_at),
            None => Ok(default),
        }
    }

    /// Refuses what is not known.
    pub(super) fn check(&self, dialect: Dialect) -> Result<(), Error> {
        for setting in self.0 {
            let known: &[&str] = if dialect == Dialect::Flink { &FLINK } else { &KSQL };
            let prefix = ["properties.", "sink."].iter().any(|prefix| setting.name.starts_with(prefix));
            let is_known = known.contains(&setting.name.as_str()) || (prefix && dialect == Dialect::Flink);
            if !is_known {
                let error = Error::at(setting.at, format!("there is no option '{}'", setting.name));
                return Err(error.near(&setting.name, known.iter().copied()));
            }
        }
        Ok(())
    }

    /// A format by the first of these options that is given.
    pub(super) fn format(&self, names: &[&str], default: Format) -> Result<Format, Error> {
        let Some(setting) = names.iter().find_map(|name| self.find(name)) else { return Ok(default) };
        match setting.value.to_ascii_uppercase().as_str() {
            "JSON" => Ok(Format::Json),
            "KAFKA" | "RAW" => Ok(Format::Kafka),
            "NONE" => Ok(Format::None),
            "DELIMITED" | "CSV" => {
                let name = if names[0].starts_with("key") { "key_delimiter" } else { "value_delimiter" };
                let separator = self.find(name).or_else(|| self.find("csv.field-delimiter"));
                let separator = separator.map_or(Ok(','), separator_of)?;
                Ok(Format::Delimited { separator })
            }
            other => {
                let error = Error::at(setting.value_at, format!("there is no format '{other}'"));
                Err(error.expected("JSON, DELIMITED, KAFKA or NONE"))
            }
        }
    }
}

fn separator_of(setting: &Setting) -> Result<char, Error> {
    let mut characters = setting.value.chars();
    match (setting.value.as_str(), characters.next(), characters.next()) {
        ("SPACE", ..) => Ok(' '),
        ("TAB" | "\\t", ..) => Ok('\t'),
        (_, Some(only), None) => Ok(only),
        _ => Err(Error::at(setting.value_at, "this is no separator").expected("one character, SPACE or TAB")),
    }
}

/// A length of time, `30 s`, `500` (milliseconds), or `never`.
pub(super) fn length(text: &str, at: Location) -> Result<Option<i64>, Error> {
    let text = text.trim().to_ascii_lowercase();
    if text == "never" {
        return Ok(None);
    }
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].trim() {
        "" | "ms" => Some(1),
        "s" | "sec" | "second" | "seconds" => Some(1_000),
        "m" | "min" | "minute" | "minutes" => Some(60_000),
        "h" | "hour" | "hours" => Some(3_600_000),
        "d" | "day" | "days" => Some(86_400_000),
        _ => None,
    };
    let ms = unit.and_then(|unit| text[..end].parse::<i64>().ok()?.checked_mul(unit));
    match ms {
        Some(ms) => Ok(Some(ms)),
        None => Err(Error::at(at, format!("'{text}' is no length of time")).expected("'30 s' or 'never'")),
    }
}

/// The definition of a statement, and what the user should know.
pub(super) fn define(define: &Define, session: &Session) -> Result<(Definition, Vec<String>), Error> {
    let options = Options(&define.settings);
    let dialect = if options.find("connector").is_some() { Dialect::Flink } else { Dialect::Ksql };
    options.check(dialect)?;
    let mut notices = Vec::new();
    let mut definition = shell(define, &options, dialect, session)?;
    columns(define, &options, &mut definition)?;
    times(define, &options, &mut definition)?;
    if dialect == Dialect::Flink {
        (definition.start, definition.bound) = flink_start(&options)?;
        notices.extend(unused(&options));
    }
    Ok((definition, notices))
}

fn shell(define: &Define, options: &Options<'_>, dialect: Dialect, session: &Session) -> Result<Definition, Error> {
    let flink = dialect == Dialect::Flink;
    let topic = if flink { "topic" } else { "kafka_topic" };
    let Some(topic) = options.get(topic) else {
        return Err(Error::at(define.name.at, "the topic is not given").expected(format!("'{topic}' = '...' in WITH")));
    };
    if let Some(connector) = options.find("connector").filter(|connector| connector.value != "kafka") {
        let error = Error::at(connector.value_at, format!("there is no connector '{}'", connector.value));
        return Err(error.expected("'kafka'"));
    }
    let default = |name: &str, default| match session.get(name) {
        Some(text) => length(text, define.name.at),
        None => Ok(Some(default)),
    };
    let idle = options.length("scan.watermark.idle-timeout", default("idle", IDLE_MS)?)?;
    let timestamps = match options.find("json.timestamp-format.standard") {
        None if flink => Timestamps::Sql,
        None => Timestamps::Number,
        Some(setting) => match setting.value.to_ascii_uppercase().as_str() {
            "SQL" => Timestamps::Sql,
            "ISO-8601" => Timestamps::Iso,
            _ => return Err(Error::at(setting.value_at, "there is no such standard").expected("'SQL' or 'ISO-8601'")),
        },
    };
    let key_default = if flink { Format::None } else { Format::Kafka };
    let kind = if define.what == What::Table && !flink { SourceKind::Table } else { SourceKind::Stream };
    Ok(Definition {
        name: session.name(&define.name),
        kind,
        dialect,
        topic: topic.to_owned(),
        partitions: options.number("partitions")?,
        replicas: options.number("replicas")?,
        key_format: options.format(if flink { &["key.format"] } else { &["key_format", "format"] }, key_default)?,
        value_format: options.format(&["value_format", "value.format", "format"], Format::Json)?,
        columns: Vec::new(),
        event_time: None,
        time_column: None,
        disorder_ms: 0,
        idle_ms: options.length("idle", idle)?,
        future_ms: options.length("future", default("future", FUTURE_MS)?)?,
        timestamps,
        start: None,
        bound: Bound::None,
        windowed: false,
        materialized: false,
    })
}

fn columns(define: &Define, options: &Options<'_>, definition: &mut Definition) -> Result<(), Error> {
    let key_fields: Vec<&str> = options.get("key.fields").map_or(Vec::new(), |fields| fields.split(';').collect());
    let except_key = options.get("value.fields-include") == Some("EXCEPT_KEY");
    let (mut keys, mut values) = (0, 0);
    for column in &define.columns {
        let name = column.name.text.clone();
        if definition.columns.iter().any(|other| other.name == name) {
            return Err(Error::at(column.name.at, format!("there are two columns '{name}'")));
        }
        let of = column.of.clone();
        let from = match &column.place {
            sql::Place::Value if key_fields.contains(&name.as_str()) => {
                values += usize::from(!except_key);
                next(&mut keys, Place::Key)
            }
            sql::Place::Value => next(&mut values, Place::Value),
            sql::Place::Key => next(&mut keys, Place::Key),
            sql::Place::Header(header) => Place::Header(header.clone()),
            sql::Place::Headers => Place::Headers,
            sql::Place::Metadata(what) => match what.to_ascii_lowercase().as_str() {
                "timestamp" => Place::RowTime,
                "partition" => Place::RowPartition,
                "offset" => Place::RowOffset,
                "headers" => Place::Headers,
                other => {
                    let error = Error::at(column.name.at, format!("there is no metadata '{other}'"));
                    return Err(error.expected("'timestamp', 'partition', 'offset' or 'headers'"));
                }
            },
            // Never read: the expression stands for it.
            sql::Place::Computed(_) => Place::Value(usize::MAX),
        };
        definition.columns.push(DefinitionColumn { name, of, from, computed: None });
    }
    // Now that all columns have their places.
    for (at, column) in define.columns.iter().enumerate() {
        if let sql::Place::Computed(expr) = &column.place {
            let typed = typed(expr, &mut RowNames(&Scope::of(definition, Vec::new())))?;
            definition.columns[at].of = typed.of;
            definition.columns[at].computed = Some(typed.expr);
        }
    }
    Ok(())
}

fn next(counter: &mut usize, place: fn(usize) -> Place) -> Place {
    *counter += 1;
    place(*counter - 1)
}

fn times(define: &Define, options: &Options<'_>, definition: &mut Definition) -> Result<(), Error> {
    if let Some((column, expr)) = &define.watermark {
        let scope = Scope::of(definition, Vec::new());
        let time = scope.column(column)?;
        if !matches!(time.of, Type::Timestamp | Type::BigInt) {
            return Err(Error::at(column.at, format!("'{}' is a {}", column.text, time.of)).expected("a TIMESTAMP(3)"));
        }
        let (of, disorder_ms) = match expr {
            ast::Expr::BinaryOp { left, op: ast::BinaryOperator::Minus, right } => match right.as_ref() {
                ast::Expr::Interval(interval) => (left.as_ref(), sql::interval_ms(interval)),
                _ => (expr, None),
            },
            _ => (expr, Some(0)),
        };
        let at = super::typer::place(expr);
        let same = typed(of, &mut RowNames(&scope))? == time;
        let Some(disorder_ms) = disorder_ms.filter(|ms| same && *ms >= 0) else {
            return Err(Error::at(at, "this watermark is not supported yet")
                .expected(format!("{0} or {0} - INTERVAL '5' SECOND", column.text)));
        };
        definition.time_column = definition.columns.iter().position(|other| column.matches(&other.name));
        (definition.event_time, definition.disorder_ms) = (Some(time.expr), disorder_ms);
    }
    if let Some(setting) = options.find("timestamp") {
        let name = sql::Name { text: setting.value.clone(), quoted: false, at: setting.value_at };
        let time = Scope::of(definition, Vec::new()).column(&name)?;
        definition.event_time = Some(match (options.find("timestamp_format"), &time.of) {
            (Some(format), Type::String) => {
                let made = TimeFormat::new(&format.value, jiff::tz::TimeZone::UTC);
                let made = made.map_err(|failed| Error::at(format.value_at, failed.0))?;
                Expr::ParseTime(time.expr.into(), made)
            }
            (None, Type::BigInt | Type::Timestamp) => time.expr,
            (_, of) => {
                let error = Error::at(setting.value_at, format!("'{}' is a {of}", setting.value));
                return Err(error.expected("a BIGINT or TIMESTAMP, or a VARCHAR with timestamp_format"));
            }
        });
    }
    Ok(())
}

fn flink_start(options: &Options<'_>) -> Result<(Option<Start>, Bound), Error> {
    let start = match options.find("scan.startup.mode") {
        None => None,
        Some(mode) => Some(match mode.value.as_str() {
            "earliest-offset" => Start::Earliest,
            "latest-offset" => Start::Latest,
            "group-offsets" => Start::Group(options.get("properties.group.id").unwrap_or_default().to_owned()),
            "timestamp" => match options.number("scan.startup.timestamp-millis")? {
                Some(ms) => Start::Timestamp(ms),
                None => return Err(Error::at(mode.at, "'scan.startup.timestamp-millis' is missing")),
            },
            "specific-offsets" => specific_offsets(options, mode)?,
            other => {
                let modes = ["earliest-offset", "latest-offset", "group-offsets", "timestamp", "specific-offsets"];
                let error = Error::at(mode.value_at, format!("there is no start '{other}'"));
                return Err(error.expected(modes.join(", ")).near(other, modes));
            }
        }),
    };
    let bound = match options.find("scan.bounded.mode").map(|mode| (mode, mode.value.as_str())) {
        None | Some((_, "unbounded")) => Bound::None,
        Some((_, "latest-offset")) => Bound::Latest,
        Some((mode, other)) => {
            let error = Error::at(mode.value_at, format!("the bound '{other}' is not supported"));
            return Err(error.expected("'unbounded' or 'latest-offset'"));
        }
    };
    Ok((start, bound))
}

/// `partition:0,offset:42;partition:1,offset:300`.
fn specific_offsets(options: &Options<'_>, mode: &Setting) -> Result<Start, Error> {
    let Some(setting) = options.find("scan.startup.specific-offsets") else {
        return Err(Error::at(mode.at, "'scan.startup.specific-offsets' is missing"));
    };
    let one = |part: &str| {
        let (partition, offset) = part.trim().split_once(',')?;
        let partition = partition.trim().strip_prefix("partition:")?.parse().ok()?;
        Some((partition, offset.trim().strip_prefix("offset:")?.parse().ok()?))
    };
    let offsets: Option<Vec<(i32, i64)>> = setting.value.split(';').map(one).collect();
    let wrong = || {
        Error::at(setting.value_at, "these are no offsets").expected("'partition:0,offset:42;partition:1,offset:300'")
    };
    offsets.map(Start::Offsets).ok_or_else(wrong)
}

/// Names the options that need nothing here.
fn unused(options: &Options<'_>) -> Option<String> {
    let start = options.get("scan.startup.mode") == Some("group-offsets");
    let needless = |name: &&str| match *name {
        "properties.group.id" => !start,
        name => {
            let known = ["json.ignore-parse-errors", "json.fail-on-missing-field", "scan.parallelism"];
            let prefix = ["properties.", "sink."].iter().any(|prefix| name.starts_with(prefix));
            prefix || known.contains(&name) || name == "scan.topic-partition-discovery.interval"
        }
    };
    let names: Vec<&str> = options.0.iter().map(|setting| setting.name.as_str()).filter(needless).collect();
    (!names.is_empty()).then(|| format!("Options that need nothing here: {}.", names.join(", ")))
}
