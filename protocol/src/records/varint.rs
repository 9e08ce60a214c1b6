//! Zigzag varints, as protocol buffers have them, over a slice that is checked at each step.

/// What is left to read of a batch's records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next byte.
    #[inline(always)]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next `len` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A signed 32-bit varint: 1 to 5 bytes.
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Option<i32> {
        // Lengths and deltas are nearly always below 64 or below 8192.
        let raw = match *self.0 {
            [a, ref rest @ ..] if a < 0x80 => {
                self.0 = rest;
                u32::from(a)
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.0 = rest;
                u32::from(a & 0x7f) | u32::from(b) << 7
            }
            _ => u32::try_from(self.unsigned(5)?).ok()?,
        };
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A signed 64-bit varint: 1 to 10 bytes.
    #[inline(always)]
    pub(super) fn varlong(&mut self) -> Option<i64> {
        let raw = match *self.0 {
            [a, ref rest @ ..] if a < 0x80 => {
                self.0 = rest;
                u64::from(a)
            }
            _ => self.unsigned(10)?,
        };
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// At most `max` bytes of seven bits; none if the last one says that more follow, or bits fall off the end.
    fn unsigned(&mut self, max: u32) -> Option<u64> {
        let mut value = 0u64;
        for at in 0..max {
            let byte = self.byte()?;
            if at == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

/// Appends a signed 32-bit varint.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, u64::from((value << 1) as u32 ^ (value >> 31) as u32));
}

/// Appends a signed 64-bit varint.
#[inline]
pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, zigzag(value));
}

/// Bytes that [`put_varint`] and [`put_varlong`] write.
#[inline]
pub(super) fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
fn zigzag(value: i64) -> u64 {
    (value << 1) as u64 ^ (value >> 63) as u64
}

#[inline]
fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
