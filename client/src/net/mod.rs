//! One connection to one broker: dialling, version negotiation, pipelined requests answered in order.
//!
//! This module knows nothing of topics, leaders or retries.

mod backoff;
mod connection;
mod dial;
mod frames;
mod versions;

pub(crate) use backoff::Backoff;
pub(crate) use connection::Connection;
pub(crate) use dial::dial;
pub(crate) use versions::Versions;
