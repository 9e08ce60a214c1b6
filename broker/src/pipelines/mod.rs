//! Pipelines: the stages of `leat-pipeline`, run where their partitions are led.
//!
//! ```text
//!   metadata: statements --compile--> plans        host: a task for each stage and partition of this node
//!
//!   source partition's log --read--> [task: source stage] --lanes--> internal topic --read--> [task: merge stage] --lanes--> output
//!         ^   ticks, begins, bases |                                        ^  bases |
//!         +------------------------+                                        +--------+
//! ```
//!
//! A stage's state is a function of its partition's log: of the newest *base*, which lies in that log too, and the entries after
//! it. So a task that follows another one needs nothing of it. What comes out is numbered, so it may be sent twice.

mod board;
mod budget;
mod catalog;
mod delivery;
pub(crate) mod engine;
mod entry;
mod host;
mod lane;
mod log;
mod state;
mod task;

pub(crate) use self::board::{Name, Standing};
pub(crate) use self::catalog::{Catalog, Known};
pub(crate) use self::delivery::{Delivered, advance, advanced, emitted};
pub(crate) use self::entry::{Advance, Stage};
pub(crate) use self::host::{Host, start};

use crate::metadata::Topics;
use crate::server::Server;

/// Records of its input that a stage has not applied, as far as this node knows the input.
pub(crate) fn lag(server: &Server, topics: &Topics, name: Name, standing: &Standing) -> i64 {
    let input = match name.stage {
        Stage::Source => Some(topics.source),
        Stage::Merge => topics.partials,
        Stage::Table => topics.table,
    };
    let partition = input.and_then(|topic| server.partitions.get(topic, name.partition));
    partition.map_or(0, |partition| (partition.high_watermark() - standing.next_offset).max(0))
}
