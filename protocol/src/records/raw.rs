//! One record as it lies in a batch: slices of the body, deltas not yet added to their bases.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//! | key length varint, key | value length varint, value | header count varint
//! | { key length varint, key | value length varint, value } ...
//! ```
//! A length of -1 is null; a header's key is never null. This is the hot path of a produce: no allocation, and each byte
//! of a key or value is skipped, not read.

use bytes::Bytes;

use super::Header;
use super::varint::Cursor;
use crate::Str;

/// A record's parts, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawRecord<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: HeaderRefs<'a>,
}

impl<'a> RawRecord<'a> {
    /// Takes the next record off `body`. The error says what is wrong with it.
    #[inline(always)]
    pub(super) fn take(body: &mut Cursor<'a>) -> Result<Self, &'static str> {
        let length = body.varint().ok_or("its length is cut off or too long a number")?;
        let length = usize::try_from(length).map_err(|_| "its length is negative")?;
        let mut record = Cursor(body.take(length).ok_or("its length goes past the end of the batch")?);

        record.byte().ok_or("it ends before its attributes")?;
        let timestamp_delta = record.varlong().ok_or("its timestamp is cut off or too long a number")?;
        let offset_delta = record.varint().ok_or("its offset is cut off or too long a number")?;
        let key = nullable(&mut record).ok_or("its key goes past the end of the record")?;
        let value = nullable(&mut record).ok_or("its value goes past the end of the record")?;
        let count = record.varint().ok_or("its header count is cut off or too long a number")?;
        let headers = HeaderRefs::check(record.0, count)?;
        Ok(Self { timestamp_delta, offset_delta, key, value, headers })
    }
}

/// A length and as many bytes; -1 is null, a lower one is an error.
#[inline(always)]
fn nullable<'a>(record: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    match record.varint()? {
        -1 => Some(None),
        length => Some(Some(record.take(usize::try_from(length).ok()?)?)),
    }
}

/// A record header, borrowed from the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// Its name; meant to be UTF-8, which no broker checks.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl HeaderRef<'_> {
    /// The same with memory of its own. A name that is not UTF-8 is changed where it is not.
    pub fn to_header(&self) -> Header {
        let key = Str::from(String::from_utf8_lossy(self.key).into_owned());
        Header { key, value: self.value.map(Bytes::copy_from_slice) }
    }
}

/// The headers of one record, already checked.
#[derive(Debug, Clone, Copy)]
pub struct HeaderRefs<'a> {
    rest: Cursor<'a>,
    count: i32,
}

impl<'a> HeaderRefs<'a> {
    #[inline(always)]
    fn check(bytes: &'a [u8], count: i32) -> Result<Self, &'static str> {
        if count == 0 && bytes.is_empty() {
            return Ok(Self { rest: Cursor(bytes), count });
        }
        Self::check_each(bytes, count)
    }

    fn check_each(bytes: &'a [u8], count: i32) -> Result<Self, &'static str> {
        if count < 0 {
            return Err("its header count is negative");
        }
        let mut rest = Cursor(bytes);
        for _ in 0..count {
            header(&mut rest).ok_or("a header goes past the end of the record, or has no key")?;
        }
        if !rest.0.is_empty() {
            return Err("bytes follow its last header");
        }
        Ok(Self { rest: Cursor(bytes), count })
    }
}

#[inline]
fn header<'a>(rest: &mut Cursor<'a>) -> Option<HeaderRef<'a>> {
    let length = usize::try_from(rest.varint()?).ok()?;
    Some(HeaderRef { key: rest.take(length)?, value: nullable(rest)? })
}

impl<'a> Iterator for HeaderRefs<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        header(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count as usize, Some(self.count as usize))
    }
}

impl ExactSizeIterator for HeaderRefs<'_> {}
