//! Writes one frame as a list of parts.
//!
//! Small values are gathered in one buffer; a large payload becomes a part of its own and is never copied. A part
//! that lives in a file only has its length here; whoever owns the socket sends its bytes.

use bytes::{Bytes, BytesMut};

use super::{Error, ErrorKind};

/// Payloads up to this size are copied: one more entry in a vectored write costs about as much.
const COPY_MAX: usize = 1024;

/// A piece of an encoded frame; the frame is all of them in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that are somewhere else, such as in a segment file.
    External {
        /// The caller's own number for them.
        id: u32,
        /// How many they are.
        len: u32,
    },
}

impl Part {
    /// Bytes that this part takes on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::External { len, .. } => *len as usize,
        }
    }

    /// Whether this part takes no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Gathers the parts of one frame.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was copied, without gaps.
    own: BytesMut,
    /// What was not copied, each with the position in `own` that it stands before, ascending.
    cuts: Vec<(usize, Part)>,
    cuts_len: usize,
    /// Above zero inside a tagged field, whose size is found by looking back: there everything is copied.
    tagged_depth: u32,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($type:ty)) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, value: $type) {
            self.own.extend_from_slice(&value.to_be_bytes());
        }
    };
}

impl Writer {
    /// An empty frame.
    #[must_use]
    pub fn new() -> Self {
        Self { own: BytesMut::with_capacity(256), ..Self::default() }
    }

    /// Bytes written so far, those of external parts included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.cuts_len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    number!(
        /// One signed byte.
        i8(i8)
    );
    number!(
        /// Two bytes, big-endian.
        i16(i16)
    );
    number!(
        /// Two bytes, big-endian, unsigned.
        u16(u16)
    );
    number!(
        /// Four bytes, big-endian.
        i32(i32)
    );
    number!(
        /// Four bytes, big-endian, unsigned.
        u32(u32)
    );
    number!(
        /// Eight bytes, big-endian.
        i64(i64)
    );
    number!(
        /// Eight bytes, an IEEE 754 double.
        f64(f64)
    );

    /// An unsigned LEB128 number.
    #[inline]
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.own.extend_from_slice(&[value.to_le_bytes()[0] | 0x80]);
            value >>= 7;
        }
        self.own.extend_from_slice(&[value.to_le_bytes()[0]]);
    }

    /// Bytes as they are, copied.
    #[inline]
    pub fn slice(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// A payload as it is; a large one is shared, not copied.
    #[inline]
    pub fn bytes(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_MAX || self.tagged_depth > 0 {
            self.slice(bytes);
        } else {
            self.cut(Part::Bytes(bytes.clone()));
        }
    }

    /// A part as it is. An external one has no place inside a tagged field; no Kafka message has one there.
    pub fn part(&mut self, part: &Part) -> Result<(), Error> {
        match part {
            Part::Bytes(bytes) => self.bytes(bytes),
            Part::External { len, .. } if self.tagged_depth > 0 => {
                return Err(ErrorKind::External(*len).into());
            }
            Part::External { .. } => self.cut(part.clone()),
        }
        Ok(())
    }

    /// The length of a string (16 bits, or compact); `None` is null.
    #[inline]
    pub fn string_len(&mut self, len: Option<usize>, compact: bool) -> Result<(), Error> {
        if compact {
            return self.compact_len(len);
        }
        let len = len.map_or(Ok(-1), |len| i16::try_from(len).map_err(|_| ErrorKind::TooLong(len)))?;
        self.i16(len);
        Ok(())
    }

    /// The length of bytes, records or an array (32 bits, or compact); `None` is null.
    #[inline]
    pub fn put_len(&mut self, len: Option<usize>, compact: bool) -> Result<(), Error> {
        if compact {
            return self.compact_len(len);
        }
        let len = len.map_or(Ok(-1), |len| i32::try_from(len).map_err(|_| ErrorKind::TooLong(len)))?;
        self.i32(len);
        Ok(())
    }

    /// One tagged field: tag, size, then what `content` writes.
    pub fn tagged(&mut self, tag: u32, content: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.uvarint(tag);
        // Most are below 128 bytes, so one byte is kept free for the size; a longer content is moved up.
        let size_at = self.own.len();
        self.slice(&[0]);
        self.tagged_depth += 1;
        let result = content(self);
        self.tagged_depth -= 1;
        result?;
        let size = self.own.len() - size_at - 1;
        let mut varint = Self::default();
        varint.uvarint(u32::try_from(size).map_err(|_| ErrorKind::TooLong(size))?);
        let extra = varint.own.len() - 1;
        if extra > 0 {
            self.slice(&[0; 5][..extra]);
            let from = size_at + 1;
            self.own.copy_within(from..from + size, from + extra);
        }
        self.own[size_at..=size_at + extra].copy_from_slice(&varint.own);
        Ok(())
    }

    /// Writes the size of all that follows into the four bytes at the front, which the caller left free.
    pub(crate) fn set_size_prefix(&mut self) -> Result<(), Error> {
        let size = self.len().saturating_sub(4);
        let prefix = i32::try_from(size).map_err(|_| ErrorKind::TooLong(size))?;
        if let Some(front) = self.own.first_chunk_mut() {
            *front = prefix.to_be_bytes();
        }
        Ok(())
    }

    /// The frame's parts in order; none is empty.
    #[must_use]
    pub fn finish(self) -> Vec<Part> {
        let own = self.own.freeze();
        let mut parts = Vec::with_capacity(2 * self.cuts.len() + 1);
        let mut from = 0;
        for (at, part) in self.cuts {
            if at > from {
                parts.push(Part::Bytes(own.slice(from..at)));
                from = at;
            }
            parts.push(part);
        }
        if own.len() > from {
            parts.push(Part::Bytes(own.slice(from..)));
        }
        parts
    }

    /// The frame as one buffer: copies large payloads, and fails on external parts.
    pub fn finish_bytes(self) -> Result<Bytes, Error> {
        if self.cuts.is_empty() {
            return Ok(self.own.freeze());
        }
        let mut whole = BytesMut::with_capacity(self.len());
        for part in self.finish() {
            match part {
                Part::Bytes(bytes) => whole.extend_from_slice(&bytes),
                Part::External { len, .. } => return Err(ErrorKind::External(len).into()),
            }
        }
        Ok(whole.freeze())
    }

    #[inline]
    fn compact_len(&mut self, len: Option<usize>) -> Result<(), Error> {
        let plus_one = match len {
            None => 0,
            // Kafka reads these into an `int`, so the limit is that of the plain form.
            Some(len) if i32::try_from(len).is_ok_and(|len| len < i32::MAX) => len as u32 + 1,
            Some(len) => return Err(ErrorKind::TooLong(len).into()),
        };
        self.uvarint(plus_one);
        Ok(())
    }

    fn cut(&mut self, part: Part) {
        if !part.is_empty() {
            self.cuts_len += part.len();
            self.cuts.push((self.own.len(), part));
        }
    }
}
