//! The `records` type of the wire format: record batches as opaque bytes.
//!
//! Never looks inside; [`crate::records`] does.

use std::fmt;

use bytes::Bytes;

use super::Part;

/// Record batches, back to back. What was decoded is exactly one [`Part::Bytes`], possibly empty, that shares the
/// frame's memory; what is to be encoded may be any list of parts.
#[derive(Clone, PartialEq, Default)]
pub struct Records(pub Vec<Part>);

impl Records {
    /// Bytes that the batches take on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Part::len).sum()
    }

    /// Whether there is not a byte in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Part::is_empty)
    }

    /// The batches as one slice, where they are one part in memory, as after decoding.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match self.0.as_slice() {
            [Part::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self(vec![Part::Bytes(bytes)])
    }
}

/// Shows the size alone, so that a message can be logged.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Records").field(&self.len()).finish()
    }
}
