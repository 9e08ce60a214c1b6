//! Windowed aggregation inside the broker: SQL that runs where the data is.
//!
//! Window state is a pure function of the log: every replica of a partition computes the same state from the same
//! entries, so a failover restores nothing, and results are the same bytes on every replica and after every crash.
//! This crate does no I/O, reads no clock and draws no random number.
//!
//! ```text
//!   SQL -> plan -> stages          apply(entry) -> state change + emissions
//!                    |
//!     rows -> slices (panes shared by overlapping windows) -> partials -> merge -> closed windows -> output topic
//! ```

#![forbid(unsafe_code)]

mod aggregate;
mod codec;
pub mod compile;
pub mod expr;
pub mod format;
mod partition;
pub mod plan;
pub mod sql;
pub mod stage;
pub mod time;
pub mod value;
mod window;
