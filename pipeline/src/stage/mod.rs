//! The stages of a pipeline: state machines that take a partition's entries in order and give records to write.
//!
//! ```text
//!   source topic, partition p  --> [Source]  -- partials, progress --> internal topic, partition q --> [Merge] --> output, q
//!                                      \-- late, rejected --> side topics
//! ```
//! Every source partition tells every merge partition how far its event time is; the least of them closes windows. So
//! lateness is decided once, where the rows are, and no merge ever calls anything late.

mod aside;
mod cell;
mod counts;
mod encoder;
mod merge;
mod panes;
mod partial;
mod sessions;
mod source;
mod united;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod join_tests;
#[cfg(test)]
mod over_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time_tests;

use leat_protocol::Str;
use leat_protocol::records::Header;

pub use self::counts::{Counts, Merged};
pub use self::merge::MergeStage;
pub use self::source::SourceStage;

/// Said with a window's last value.
pub const FINAL_HEADER: &str = "leat.final";

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A partition of the pipeline's internal topic.
    Merge(i32),
    /// A partition of the output topic.
    Output(i32),
    /// The topic of late records; which partition follows from the source's.
    Late,
    /// The topic of rejected records, likewise.
    Rejected,
}

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Where to.
    pub target: Target,
    /// Milliseconds since 1970, of event time.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<Header>,
}

/// Why a pipeline can't go on. It stops before the entry, so that nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// A group outgrew what its aggregate can hold.
    #[error(transparent)]
    Full(#[from] crate::aggregate::Full),
    /// What was read is not what the stage before wrote.
    #[error(transparent)]
    Corrupt(#[from] crate::codec::Corrupt),
}

/// What a stage waits for, so that its leader knows when to commit a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing that time would bring.
    Nothing,
    /// So many more milliseconds without data, from the last entry on.
    Quiet(i64),
    /// Changes wait to be flushed.
    Flush,
}

fn header(name: &'static str, value: impl ToString) -> Header {
    Header { key: Str::from_static(name), value: Some(value.to_string().into()) }
}
