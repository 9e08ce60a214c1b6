//! The binary, run as a person or a script runs it.
//!
//! `LEAT_TEST_BOOTSTRAP=HOST:PORT` runs the client commands against another broker, such as Apache Kafka.

mod broker;
mod demo;
mod groups;
mod leat;
mod log;
mod pipes;
mod records;
mod topics;
mod usage;
