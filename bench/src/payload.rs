//! Values to send: random letters, so that compression finds what it finds in text without repeats; the same letters in
//! every run and against every broker.

use bytes::Bytes;

/// Letters to cut values from: more than any codec's window of lz4 and snappy, less than a CPU's cache.
const POOL: usize = 1 << 20;

/// A source of values of one size. Each value is a slice of the pool at another place.
#[derive(Debug)]
pub(crate) struct Payload {
    pool: Bytes,
    size: usize,
    state: u64,
}

impl Payload {
    pub(crate) fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15;
        let letters: Vec<u8> =
            (0..POOL + size).map(|_| b'A' + u8::try_from(next(&mut state) % 26).unwrap_or(0)).collect();
        Self { pool: Bytes::from(letters), size, state }
    }

    /// The next value; shares the pool's memory.
    #[inline]
    pub(crate) fn value(&mut self) -> Bytes {
        let at = (next(&mut self.state) % POOL as u64) as usize;
        self.pool.slice(at..at + self.size)
    }
}

/// xorshift64*: a few instructions, and good enough for letters.
#[inline]
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
}
