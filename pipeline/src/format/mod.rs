//! Records as rows, and results as records.
//!
//! A decoder builds only the columns that its plan uses, and never an intermediate document.

mod decode;
mod delimited;
mod encode;
mod json;
mod kafka;
mod scalar;

pub use decode::{Decoder, Header, Input};
pub use encode::encode;

/// Why a record gives no row; it is kept with this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(pub String);

#[cfg(test)]
mod tests;
