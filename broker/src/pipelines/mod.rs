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
pub(crate) use self::entry::Stage;
pub(crate) use self::host::{Host, start};
