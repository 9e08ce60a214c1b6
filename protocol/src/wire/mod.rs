//! Kafka's primitive encodings: numbers, strings, compact lengths, tagged fields.
//!
//! Reading never panics, never reserves memory for a length it has not checked, and never copies a payload.
//! Source of the forms: Kafka's protocol guide and KIP-482 (compact forms and tagged fields).

mod error;
mod reader;
mod records;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{Error, ErrorKind};
pub use reader::Reader;
pub use records::Records;
pub use writer::{Part, Writer};
