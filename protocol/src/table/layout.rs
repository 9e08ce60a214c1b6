//! What a message table says, as data: for documents and for tests that read bytes without the generated code.

use std::fmt;

/// An inclusive range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The lowest version.
    pub min: i16,
    /// The highest version; [`i16::MAX`] where it is open.
    pub max: i16,
}

impl Versions {
    /// No version at all.
    pub const NONE: Self = Self { min: 0, max: -1 };

    /// From `min` on.
    #[must_use]
    pub const fn since(min: i16) -> Self {
        Self { min, max: i16::MAX }
    }

    /// Whether `version` is one of them.
    #[inline]
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        version >= self.min && version <= self.max
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, i16::MAX) => write!(f, "{min}+"),
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min}-{max}"),
        }
    }
}

/// The first column of a table: in which versions a field exists, and how.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The versions that have the field.
    pub versions: Versions,
    /// The versions in which it may be null; said only by fields whose type has a null.
    pub nullable: Versions,
    /// Its tag, if it stands among the tagged fields.
    pub tag: Option<u32>,
    /// Whether it is an error to encode a set value in a version that has no such field.
    pub strict: bool,
}

impl Column {
    pub(crate) const fn new(versions: Versions) -> Self {
        Self { versions, nullable: versions, tag: None, strict: false }
    }

    pub(crate) const fn null(self, nullable: Versions) -> Self {
        Self { nullable, ..self }
    }

    pub(crate) const fn tag(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    pub(crate) const fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Whether the field stands in the body of `version`, not among the tagged fields.
    #[inline]
    pub(crate) const fn in_body(self, version: i16) -> bool {
        self.tag.is_none() && self.versions.contains(version)
    }

    /// Whether the field is the tagged one with this tag.
    #[inline]
    pub(crate) const fn is_tagged(self, tag: u32, version: i16) -> bool {
        matches!(self.tag, Some(own) if own == tag) && self.versions.contains(version)
    }

    /// Whether the field stands in the body of all these versions.
    pub(crate) const fn in_body_of_all(self, api: Versions) -> bool {
        self.tag.is_none() && self.versions.min <= api.min && self.versions.max >= api.max
    }
}

/// The type of a field on the wire.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Kind {
    /// One byte.
    Bool,
    /// One signed byte.
    Int8,
    /// Two bytes.
    Int16,
    /// Two bytes, unsigned.
    Uint16,
    /// Four bytes.
    Int32,
    /// Eight bytes.
    Int64,
    /// Eight bytes, IEEE 754.
    Float64,
    /// Two bytes, a number of [`ErrorCode`](crate::ErrorCode).
    ErrorCode,
    /// Sixteen bytes.
    Uuid,
    /// UTF-8 with its length in front.
    String,
    /// Bytes with their length in front.
    Bytes,
    /// Record batches with their length in bytes in front.
    Records,
    /// Elements with their number in front.
    Array(&'static Kind),
    /// A structure of its own.
    Struct(&'static Layout),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(element) => write!(f, "[]{element}"),
            Self::Struct(layout) => f.write_str(layout.name),
            Self::ErrorCode => f.write_str("error code"),
            other => f.write_str(&format!("{other:?}").to_lowercase()),
        }
    }
}

/// A structure's table.
#[derive(Debug)]
pub struct Layout {
    /// Its name, as in Kafka's JSON.
    pub name: &'static str,
    /// What it is, from its doc comment.
    pub doc: &'static str,
    /// Its fields in the order of the wire.
    pub fields: &'static [FieldLayout],
}

impl Layout {
    /// Stops the compiler at a table that the encoder could not follow.
    pub(crate) const fn check(&self, flexible_since: i16) {
        let (mut i, mut next_tag) = (0, 0);
        while i < self.fields.len() {
            let column = self.fields[i].column;
            assert!(column.versions.min <= column.versions.max, "a field is in no version");
            if let Some(tag) = column.tag {
                assert!(tag >= next_tag, "tagged fields stand in the order of their tags");
                assert!(column.versions.min >= flexible_since, "only flexible versions have tagged fields");
                next_tag = tag + 1;
            }
            i += 1;
        }
    }
}

/// One row of a structure's table.
#[derive(Debug)]
pub struct FieldLayout {
    /// Its name.
    pub name: &'static str,
    /// What it is, from its doc comment; may be empty where the name says it.
    pub doc: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether its type has a null at all; `column.nullable` says in which versions.
    pub option: bool,
    /// Where it exists.
    pub column: Column,
    /// Its default as written in the table; empty where it is the type's own (zero, empty, null).
    pub default: &'static str,
}
