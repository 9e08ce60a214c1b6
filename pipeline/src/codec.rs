//! The binary form of values and state: little numbers are short, and what is read is checked at every step.
//!
//! ```text
//!   uint    LEB128, 7 bits a byte          int     zigzag, then uint
//!   double  8 bytes, little-endian bits    bytes   uint length, then the bytes
//!   value   one byte of what it is (0 null, 1 false, 2 true, 3 int, 4 double, 5 text, 6 bytes, 7 array, 8 map, 9 struct), then it
//! ```
//! Equal values have equal bytes, so a group is known by the bytes of its key.

use crate::value::Value;

/// Values nest no deeper than this.
const DEPTH_MAX: u32 = 64;

/// Bytes that are no state of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state is damaged: {0}")]
pub struct Corrupt(pub &'static str);

/// An unsigned number.
pub(crate) fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A signed number.
pub(crate) fn put_int(out: &mut Vec<u8>, value: i64) {
    put_uint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// A count of what follows.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_uint(out, len as u64);
}

/// Bytes and their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A double, by its bits.
pub(crate) fn put_double(out: &mut Vec<u8>, double: f64) {
    out.extend_from_slice(&double.to_bits().to_le_bytes());
}

/// A value.
pub(crate) fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(bool) => out.push(1 + u8::from(*bool)),
        Value::Int(int) => {
            out.push(3);
            put_int(out, *int);
        }
        Value::Double(double) => {
            out.push(4);
            put_double(out, *double);
        }
        Value::String(text) => {
            out.push(5);
            put_bytes(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(6);
            put_bytes(out, bytes);
        }
        Value::Array(values) | Value::Struct(values) => {
            out.push(if matches!(value, Value::Array(_)) { 7 } else { 9 });
            put_len(out, values.len());
            values.iter().for_each(|value| put_value(out, value));
        }
        Value::Map(entries) => {
            out.push(8);
            put_len(out, entries.len());
            for (key, value) in entries {
                put_bytes(out, key.as_bytes());
                put_value(out, value);
            }
        }
    }
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends: nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Corrupt> {
        if self.is_empty() { Ok(()) } else { Err(Corrupt("something is left over")) }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (&byte, rest) = self.0.split_first().ok_or(Corrupt("it ends early"))?;
        self.0 = rest;
        Ok(byte)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Corrupt("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn uint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Corrupt("a number is too large"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number is too long"))
    }

    pub(crate) fn int(&mut self) -> Result<i64, Corrupt> {
        let raw = self.uint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// A count of things of at least one byte each: so it can be believed as far as there are bytes.
    pub(crate) fn len(&mut self) -> Result<usize, Corrupt> {
        let len = usize::try_from(self.uint()?).map_err(|_| Corrupt("a length is too large"))?;
        if len > self.0.len() { Err(Corrupt("a length is beyond the end")) } else { Ok(len) }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let len = self.len()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Corrupt("a text is not UTF-8"))
    }

    pub(crate) fn double(&mut self) -> Result<f64, Corrupt> {
        let bits = self.take(8)?.try_into().map_err(|_| Corrupt("it ends early"))?;
        Ok(f64::from_bits(u64::from_le_bytes(bits)))
    }

    pub(crate) fn value(&mut self) -> Result<Value, Corrupt> {
        self.value_at(0)
    }

    fn value_at(&mut self, depth: u32) -> Result<Value, Corrupt> {
        if depth > DEPTH_MAX {
            return Err(Corrupt("a value nests too deep"));
        }
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.int()?),
            4 => Value::Double(self.double()?),
            5 => Value::string(self.text()?),
            6 => Value::Bytes(self.bytes()?.into()),
            kind @ (7 | 9) => {
                let count = self.len()?;
                let values: Vec<Value> = (0..count).map(|_| self.value_at(depth + 1)).collect::<Result<_, _>>()?;
                if kind == 7 { Value::Array(values.into()) } else { Value::Struct(values.into()) }
            }
            8 => {
                let count = self.len()?;
                let entry = |_| Ok((self.text()?.into(), self.value_at(depth + 1)?));
                Value::Map((0..count).map(entry).collect::<Result<Vec<_>, Corrupt>>()?.into())
            }
            _ => return Err(Corrupt("a value of an unknown kind")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_kinds() -> Value {
        Value::Struct(
            [
                Value::Null,
                Value::Bool(false),
                Value::Bool(true),
                Value::Int(i64::MIN),
                Value::Int(-1),
                Value::Int(300),
                Value::Double(-0.5),
                Value::string("é"),
                Value::Bytes([0, 255].into()),
                Value::Array([Value::Int(1), Value::Null].into()),
                Value::Map([("a".into(), Value::Int(2))].into()),
            ]
            .into(),
        )
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let mut out = Vec::new();
        put_value(&mut out, &all_kinds());
        let mut reader = Reader::new(&out);
        assert_eq!(reader.value().unwrap(), all_kinds());
        reader.end().unwrap();
    }

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        put_value(&mut out, &Value::Array([Value::Int(-3), Value::string("ab"), Value::Null].into()));
        assert_eq!(out, [7, 3, 3, 5, 5, 2, b'a', b'b', 0]);
    }

    #[test]
    fn cut_short_is_an_error_and_never_a_panic() {
        let mut out = Vec::new();
        put_value(&mut out, &all_kinds());
        for len in 0..out.len() {
            assert!(Reader::new(&out[..len]).value().is_err(), "{len} bytes");
        }
        let deep: Vec<u8> = [7, 1].repeat(100_000);
        assert!(Reader::new(&deep).value().is_err());
    }
}
