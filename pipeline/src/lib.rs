//! Windowed aggregation inside the broker. This crate holds its plan until its code comes; there is nothing to call yet.
//!
//! A pipeline is SQL that the broker runs where the data is. Window state is a pure function of the log: every replica of
//! a partition computes the same state from the same entries, so a failover restores nothing, and results are the same
//! bytes on every replica and after every crash.
//!
//! ```text
//!   SQL -> plan -> operator          apply(entry) -> state change + emissions
//!                     |
//!     rows -> slices (panes shared by overlapping windows) -> closed windows -> numbered emissions -> output topic
//! ```
//!
//! What is reserved for it already, so that its coming changes no format:
//!
//! - the log's control frames `tick`, `advance`, `pipeline`, `base` (`leat_protocol::records::entry::EntryKind`): time moves
//!   only by what the log holds, and a pipeline begins, pauses and ends at an entry of its source;
//! - a partition's retention can be held back by the newest base;
//! - one trait from a log to a state (`shard::Machine` of the broker), which the metadata uses today.
//!
//! It will do no I/O, read no clock and draw no random number.

#![forbid(unsafe_code)]
