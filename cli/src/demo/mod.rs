//! What `leat demo` is made of: the flights, the load, a replay that counts what it finds, the windows, and the tables.

mod flights;
pub(crate) mod produce;
mod replay;
mod report;
mod sums;
pub(crate) mod windows;

pub(crate) use flights::{Flight, Scheduled, read_flights};
pub(crate) use replay::{Found, Replayer};
pub(crate) use report::Report;
pub(crate) use sums::{PartitionSums, Sums};
