//! What can be wrong with bytes read, or with a value to be written.
//!
//! Errors carry the field they were met in; none of them is a panic, whatever the bytes were.

use std::fmt;

/// A message that cannot be read, or cannot be written as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    field: &'static str,
}

/// What exactly was wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The frame ends inside a value.
    #[error("{needed} bytes are needed, {left} are left")]
    Short {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that the frame still has.
        left: usize,
    },
    /// A length below -1, or a null where its type has none.
    #[error("a length of {0} is negative")]
    NegativeLength(i64),
    /// An array that claims more elements than the rest of the frame could hold.
    #[error("an array of {claimed} elements can't be in the {left} bytes that are left")]
    Array {
        /// Elements claimed.
        claimed: usize,
        /// Bytes that the frame still has.
        left: usize,
    },
    /// A variable-length number of more than five bytes, or above 2^32 - 1.
    #[error("a variable-length number does not end within 32 bits")]
    Varint,
    /// Null in a version that does not allow it.
    #[error("null is not allowed in this version")]
    Null,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A tagged field whose content is shorter than its own length says.
    #[error("tagged field {tag} leaves {left} of its bytes unread")]
    TaggedField {
        /// The tag.
        tag: u32,
        /// Bytes left unread.
        left: usize,
    },
    /// Bytes after the end of the message.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// A version outside the API's row in [`APIS`](crate::apis::APIS).
    #[error("version {version} is not one of {min} to {max}")]
    Version {
        /// The version asked for.
        version: i16,
        /// The lowest one known.
        min: i16,
        /// The highest one known.
        max: i16,
    },
    /// A field that is set, matters, and cannot be said in this version.
    #[error("version {0} has no such field, and it is set")]
    NotInVersion(i16),
    /// A value longer than the wire format can say.
    #[error("a length of {0} is more than the wire format can say")]
    TooLong(usize),
    /// Bytes were asked for where a part lives outside of memory.
    #[error("a part of {0} bytes is not in memory")]
    External(u32),
}

impl Error {
    /// Names the field, unless an inner one is named already.
    #[must_use]
    pub fn at(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }

    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The innermost field it was met in, as `Struct.field`; empty outside of any.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self { kind, field: "" }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { self.kind.fmt(f) } else { write!(f, "{}: {}", self.field, self.kind) }
    }
}

impl std::error::Error for Error {}
