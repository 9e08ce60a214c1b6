//! A stream, a table or a pipeline, as the metadata keeps it: its text, and the topics it was given.

use leat_protocol::Uuid;

use super::record::{PipelineTopics, StatementStored};
use crate::config::Overrides;

/// A statement that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The name of what it defines.
    pub name: String,
    /// As it was written.
    pub text: String,
    /// The session's settings that it was compiled with.
    pub settings: Overrides,
    /// The proposer's clock: milliseconds since 1970.
    pub created_ms: i64,
    /// Given once: statements are compiled in this order, and a pipeline is known by it.
    pub number: u64,
    /// A pipeline that is paused.
    pub paused: bool,
    /// Where it is a pipeline.
    pub topics: Option<Topics>,
    /// What a pipeline was before it was replaced and went on, the oldest first: its generation is their number.
    pub before: Vec<Text>,
}

/// A statement's text, and the session's settings that it was compiled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    pub settings: Overrides,
}

/// A pipeline can be replaced so often and go on: each generation is kept, since a log may still be in it.
pub(super) const GENERATIONS_MAX: usize = 32;

/// The topics of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics {
    /// What it reads.
    pub source: Uuid,
    /// Its results.
    pub output: Uuid,
    /// Partials, where it groups.
    pub partials: Option<Uuid>,
    /// Rows that were late, where it groups by windows.
    pub late: Option<Uuid>,
    /// Records that gave no row.
    pub rejected: Option<Uuid>,
    /// The table that it joins.
    pub table: Option<Uuid>,
}

impl Statement {
    pub(super) fn from_record(record: &StatementStored, number: u64) -> Option<Statement> {
        let settings = record.settings.iter().filter_map(|entry| Some((entry.key.clone(), entry.value.clone()?)));
        let topics = match &record.pipeline {
            None => None,
            Some(topics) => Some(Topics {
                source: Uuid::from_slice(&topics.source).ok()?,
                output: Uuid::from_slice(&topics.output).ok()?,
                partials: optional(&topics.partials)?,
                late: optional(&topics.late)?,
                rejected: optional(&topics.rejected)?,
                table: optional(&topics.table)?,
            }),
        };
        Some(Statement {
            name: record.name.clone(),
            text: record.text.clone(),
            settings: settings.collect(),
            created_ms: record.created_ms,
            number,
            paused: false,
            topics,
            before: Vec::new(),
        })
    }

    /// The next generation of it: as the record says, with what is its own.
    pub(super) fn replaced(&self, record: &StatementStored) -> Option<Statement> {
        let mut before = self.before.clone();
        before.push(Text { text: self.text.clone(), settings: self.settings.clone() });
        let next = Statement::from_record(record, self.number)?;
        Some(Statement { paused: self.paused, topics: self.topics, before, ..next })
    }

    pub(super) fn to_record(&self) -> StatementStored {
        let settings = self.settings.iter().map(|(key, value)| super::record::ConfigEntry::set(key, value));
        StatementStored {
            name: self.name.clone(),
            text: self.text.clone(),
            settings: settings.collect(),
            created_ms: self.created_ms,
            pipeline: self.topics.map(PipelineTopics::from),
            replaces: false,
            goes_on: false,
        }
    }
}

impl Topics {
    /// Those that the pipeline reads, and others write.
    pub fn read(&self) -> impl Iterator<Item = Uuid> {
        [Some(self.source), self.table].into_iter().flatten()
    }

    /// Those that the pipeline writes to.
    pub fn written(&self) -> impl Iterator<Item = Uuid> {
        [Some(self.output), self.partials, self.late, self.rejected].into_iter().flatten()
    }
}

impl From<Topics> for PipelineTopics {
    fn from(topics: Topics) -> PipelineTopics {
        let bytes = |id: Option<Uuid>| id.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        PipelineTopics {
            source: bytes(Some(topics.source)),
            output: bytes(Some(topics.output)),
            partials: bytes(topics.partials),
            late: bytes(topics.late),
            rejected: bytes(topics.rejected),
            table: bytes(topics.table),
        }
    }
}

fn optional(bytes: &[u8]) -> Option<Option<Uuid>> {
    if bytes.is_empty() { Some(None) } else { Uuid::from_slice(bytes).ok().map(Some) }
}
