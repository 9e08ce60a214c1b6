//! The map of keys: which offset holds the latest record of each key of the dirty part.
//!
//! A key is kept as 128 bits of SipHash-1-3 under a secret of its own for each pass, beside its offset: 24 bytes whatever its
//! length. Two of n keys fall together with a chance of n² / 2^129: 1 in 10^25 for the 5 million of a map of 128 MiB. Nobody can
//! make such a pair without the secret, as anybody can for MD5.

use siphasher::sip128::SipHasher13;

/// Bytes of a key in the map.
pub(super) const SLOT_BYTES: usize = 24;

/// Two halves of a hash and the offset plus one; 0: free.
type Slot = [u64; 3];

/// See the module. Open addressing; never grows.
#[derive(Debug)]
pub(super) struct Keys {
    slots: Vec<Slot>,
    len: usize,
    len_max: usize,
    hasher: SipHasher13,
}

impl Keys {
    /// For at most `keys` keys in at most `bytes_max` bytes, filled up to `load_factor`. Holds at least one key.
    pub(super) fn new(keys: u64, bytes_max: usize, load_factor: f64, secret: [u8; 16]) -> Self {
        let load_factor = load_factor.clamp(0.01, 0.95);
        let wanted = ((keys as f64 / load_factor).ceil() as usize).saturating_add(1);
        let slots = wanted.min(bytes_max / SLOT_BYTES).max(2);
        let len_max = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        // Zeroed pages cost nothing until they are written to.
        Self { slots: vec![[0; 3]; slots], len: 0, len_max, hasher: SipHasher13::new_with_key(&secret) }
    }

    /// Takes note of a record, later than all before; false where there is no room for another key.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let (place, [high, low]) = self.find(key);
        if self.slots[place][2] == 0 {
            if self.len == self.len_max {
                return false;
            }
            self.len += 1;
        }
        self.slots[place] = [high, low, offset as u64 + 1];
        true
    }

    /// The offset of the key's latest record in the dirty part.
    pub(super) fn latest(&self, key: &[u8]) -> Option<i64> {
        let (place, _) = self.find(key);
        self.slots[place][2].checked_sub(1).map(|offset| offset as i64)
    }

    /// The slot of a key, or the free one where it belongs. There is always a free one.
    fn find(&self, key: &[u8]) -> (usize, [u64; 2]) {
        let hash = self.hasher.hash(key);
        let len = self.slots.len();
        let mut place = ((u128::from(hash.h1) * len as u128) >> 64) as usize;
        loop {
            let [high, low, offset] = self.slots[place];
            if offset == 0 || (high, low) == (hash.h1, hash.h2) {
                return (place, [hash.h1, hash.h2]);
            }
            place = if place + 1 == len { 0 } else { place + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_offset_of_each_key_is_found_up_to_the_last_one_that_fits() {
        for fit in [1, 2, 100, 1000] {
            let mut keys = Keys::new(fit, usize::MAX, 0.9, [7; 16]);
            let fits = (0..10_000u64).take_while(|n| keys.put(&n.to_be_bytes(), *n as i64)).count() as u64;
            assert!(fits >= fit && fits <= fit + 2, "{fits} of {fit}");
            assert!(!keys.put(b"another", 5));
            for n in 0..fits {
                assert!(keys.put(&n.to_be_bytes(), 20_000 + n as i64), "one that is known fits");
            }
            for n in 0..fits {
                assert_eq!(keys.latest(&n.to_be_bytes()), Some(20_000 + n as i64));
            }
            assert_eq!(keys.latest(b"another"), None);
        }
    }

    #[test]
    fn memory_is_bounded_and_one_key_always_fits() {
        let keys = Keys::new(u64::MAX, 24 * 100, 0.9, [0; 16]);
        assert_eq!((keys.slots.len(), keys.len_max), (100, 90));
        let mut least = Keys::new(u64::MAX, 0, 0.9, [0; 16]);
        assert!(least.put(b"a", 0) && least.put(b"a", 3) && !least.put(b"b", 4));
    }
}
