//! Reads one frame from front to back.
//!
//! Nothing is reserved, sliced or indexed before its length was compared with what is left. Payloads are
//! slices of the frame (they share its memory); only numbers are copied.

use bytes::Bytes;
use bytestring::ByteString;
use uuid::Uuid;

use super::{Error, ErrorKind};

/// Memory that a length field may reserve before its elements have been seen.
const RESERVE_MAX: usize = 64 * 1024;

/// A cursor over one frame.
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    at: usize,
    end: usize,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident -> $type:ty) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self) -> Result<$type, Error> {
            self.chunk().map(<$type>::from_be_bytes)
        }
    };
}

impl Reader {
    /// Starts at the front of `frame`.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        let end = frame.len();
        Self { frame, at: 0, end }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Fails if anything is left.
    pub fn expect_end(&self) -> Result<(), Error> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(ErrorKind::Trailing(left).into()),
        }
    }

    number!(
        /// One signed byte.
        i8 -> i8
    );
    number!(
        /// Two bytes, big-endian.
        i16 -> i16
    );
    number!(
        /// Two bytes, big-endian, unsigned.
        u16 -> u16
    );
    number!(
        /// Four bytes, big-endian.
        i32 -> i32
    );
    number!(
        /// Four bytes, big-endian, unsigned.
        u32 -> u32
    );
    number!(
        /// Eight bytes, big-endian.
        i64 -> i64
    );
    number!(
        /// Eight bytes, an IEEE 754 double.
        f64 -> f64
    );

    /// One byte; anything but 0 is true, as in Kafka.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, Error> {
        Ok(self.i8()? != 0)
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid, Error> {
        self.chunk().map(Uuid::from_bytes)
    }

    /// An unsigned LEB128 number of at most 32 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, Error> {
        let left = self.left();
        if let Some(&first) = left.first()
            && first < 0x80
        {
            self.at += 1;
            return Ok(u32::from(first));
        }
        let mut value = 0u32;
        for (i, &byte) in left.iter().take(5).enumerate() {
            if i == 4 && byte > 0x0f {
                return Err(ErrorKind::Varint.into());
            }
            value |= u32::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        if left.len() < 5 { Err(self.short(left.len() + 1)) } else { Err(ErrorKind::Varint.into()) }
    }

    /// The next `len` bytes, sharing the frame's memory.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<Bytes, Error> {
        if len > self.remaining() {
            return Err(self.short(len));
        }
        let from = self.at;
        self.at += len;
        Ok(self.frame.slice(from..self.at))
    }

    /// The next `len` bytes as a string, sharing the frame's memory.
    #[inline]
    pub fn string(&mut self, len: usize) -> Result<ByteString, Error> {
        ByteString::try_from(self.bytes(len)?).map_err(|_| ErrorKind::Utf8.into())
    }

    /// The length of a string: 16 bits, or compact. `None` is null.
    #[inline]
    pub fn string_len(&mut self, compact: bool) -> Result<Option<usize>, Error> {
        if compact {
            return self.compact_len();
        }
        match self.i16()? {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| ErrorKind::NegativeLength(i64::from(len)).into()),
        }
    }

    /// The length of bytes, records or an array: 32 bits, or compact. `None` is null.
    #[inline]
    pub fn len(&mut self, compact: bool) -> Result<Option<usize>, Error> {
        if compact {
            return self.compact_len();
        }
        match self.i32()? {
            -1 => Ok(None),
            len => usize::try_from(len).map(Some).map_err(|_| ErrorKind::NegativeLength(i64::from(len)).into()),
        }
    }

    /// An empty vector for `claimed` elements of at least `min_size` bytes each.
    ///
    /// A claim that the rest of the frame can't meet is an error; one that it can reserves at most 64 KiB, and the
    /// vector grows with what is really there.
    #[inline]
    pub fn vec<T>(&self, claimed: usize, min_size: usize) -> Result<Vec<T>, Error> {
        if claimed > self.remaining() / min_size.max(1) {
            return Err(ErrorKind::Array { claimed, left: self.remaining() }.into());
        }
        Ok(Vec::with_capacity(claimed.min(RESERVE_MAX / size_of::<T>().max(1))))
    }

    /// Reads the tagged fields at the end of a structure. `known` is given the tag and reads its content, or answers
    /// `false` for a tag that it does not know, which is skipped.
    #[inline]
    pub fn tagged_fields(&mut self, mut known: impl FnMut(&mut Self, u32) -> Result<bool, Error>) -> Result<(), Error> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            if size > self.remaining() {
                return Err(self.short(size));
            }
            let (outer, end) = (self.end, self.at + size);
            self.end = end;
            let result = known(self, tag);
            self.end = outer;
            if !result? {
                self.at = end;
            }
            if self.at != end {
                return Err(ErrorKind::TaggedField { tag, left: end - self.at }.into());
            }
        }
        Ok(())
    }

    #[inline]
    fn left(&self) -> &[u8] {
        self.frame.get(self.at..self.end).unwrap_or_default()
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.left().first_chunk().copied() {
            Some(bytes) => {
                self.at += N;
                Ok(bytes)
            }
            None => Err(self.short(N)),
        }
    }

    #[inline]
    fn compact_len(&mut self) -> Result<Option<usize>, Error> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    #[cold]
    fn short(&self, needed: usize) -> Error {
        ErrorKind::Short { needed, left: self.remaining() }.into()
    }
}
