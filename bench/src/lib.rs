//! The load generator behind `leat bench`, and what it measures with. Works against any Kafka-compatible broker.
//!
//! ```text
//! command ─► produce    records through the client library, flat out or at a rate
//!            consume    a topic read to its end
//!            latency    from send to receive, at a rate
//!            requests   one-record requests on raw sockets, many in flight
//!                │
//!                ├─ pace      when each record is due, by a timer that does not round to milliseconds
//!                ├─ payload   random letters, the same at each run
//!                ├─ process   CPU seconds and memory of a broker, or of oneself
//!                ├─ report    text and JSON
//!                └─ wire      requests without the client library
//! ```
//!
//! At a fixed rate a latency counts from when the record was *due*, so a stall shows in every record that it held up
//! (no coordinated omission). The side-by-side runs against Apache Kafka are in `bench/peers`.

#![forbid(unsafe_code)]

mod command;
pub mod consume;
mod error;
pub mod latency;
mod pace;
mod payload;
pub mod process;
pub mod produce;
pub mod report;
pub mod requests;
pub mod wire;

pub use command::{Command, Common};
pub use error::Error;
pub use report::Report;
