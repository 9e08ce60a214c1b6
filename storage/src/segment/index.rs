//! Look-ups in the three indexes, as free functions on their bytes. Formats: docs/disk.md.

/// Bytes of an entry of `.index`: relative offset, position.
pub(crate) const INDEX_LEN: usize = 8;
/// Bytes of an entry of `.timeindex`: timestamp, relative offset.
pub(crate) const TIME_LEN: usize = 12;
/// Bytes of an entry of `.entries`: position, and whether it is a control frame.
pub(crate) const ENTRY_LEN: usize = 4;
/// The bit of an entry that says "control frame".
pub(crate) const CONTROL: u32 = 1 << 31;

/// An entry of `.index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetPosition {
    pub(crate) offset: u32,
    pub(crate) position: u32,
}

/// An entry of `.timeindex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOffset {
    pub(crate) timestamp: i64,
    pub(crate) offset: u32,
}

fn be_u32(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(field)
}

/// Entry `n` of an `.index`.
pub(crate) fn offset_at(index: &[u8], n: usize) -> OffsetPosition {
    OffsetPosition { offset: be_u32(index, n * INDEX_LEN), position: be_u32(index, n * INDEX_LEN + 4) }
}

/// Entry `n` of a `.timeindex`.
pub(crate) fn time_at(index: &[u8], n: usize) -> TimeOffset {
    let at = n * TIME_LEN;
    let mut timestamp = [0; 8];
    timestamp.copy_from_slice(&index[at..at + 8]);
    TimeOffset { timestamp: i64::from_be_bytes(timestamp), offset: be_u32(index, at + 8) }
}

/// Entry `n` of an `.entries`: position and whether it is a control frame.
pub(crate) fn entry_at(entries: &[u8], n: usize) -> (u32, bool) {
    let entry = be_u32(entries, n * ENTRY_LEN);
    (entry & !CONTROL, entry & CONTROL != 0)
}

/// How many of `0..len` come before the first for which `before` is false.
pub(crate) fn partition_point(len: usize, mut before: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The last entry of `.index` with an offset <= `offset` and a position below `end`.
pub(crate) fn floor_offset(index: &[u8], offset: u32, end: u32) -> Option<OffsetPosition> {
    let n = partition_point(index.len() / INDEX_LEN, |n| {
        let entry = offset_at(index, n);
        entry.offset <= offset && entry.position < end
    });
    n.checked_sub(1).map(|n| offset_at(index, n))
}

/// The number of the first entry of `.timeindex` with a timestamp >= `timestamp`.
pub(crate) fn ceiling_time(index: &[u8], timestamp: i64) -> Option<TimeOffset> {
    let len = index.len() / TIME_LEN;
    let n = partition_point(len, |n| time_at(index, n).timestamp < timestamp);
    (n < len).then(|| time_at(index, n))
}

/// The number of the first entry of `.entries` at or past `position`.
pub(crate) fn entry_from(entries: &[u8], position: u32) -> usize {
    partition_point(entries.len() / ENTRY_LEN, |n| entry_at(entries, n).0 < position)
}

pub(crate) fn put_offset(out: &mut Vec<u8>, entry: OffsetPosition) {
    out.extend_from_slice(&entry.offset.to_be_bytes());
    out.extend_from_slice(&entry.position.to_be_bytes());
}

pub(crate) fn put_time(out: &mut Vec<u8>, entry: TimeOffset) {
    out.extend_from_slice(&entry.timestamp.to_be_bytes());
    out.extend_from_slice(&entry.offset.to_be_bytes());
}

pub(crate) fn put_entry(out: &mut Vec<u8>, position: u32, control: bool) {
    let flag = if control { CONTROL } else { 0 };
    out.extend_from_slice(&(position | flag).to_be_bytes());
}

/// The indexes ascend and point into a log of `log_len` bytes; a page that was never written does not.
pub(crate) fn check(index: &[u8], timeindex: &[u8], entries: &[u8], log_len: u32) -> Result<(), &'static str> {
    let mut previous = OffsetPosition { offset: 0, position: 0 };
    for n in 0..index.len() / INDEX_LEN {
        let entry = offset_at(index, n);
        if entry.position <= previous.position
            || (n > 0 && entry.offset <= previous.offset)
            || entry.position >= log_len
        {
            return Err("its .index does not ascend");
        }
        previous = entry;
    }
    let mut previous = TimeOffset { timestamp: -1, offset: 0 };
    for n in 0..timeindex.len() / TIME_LEN {
        let entry = time_at(timeindex, n);
        if entry.timestamp <= previous.timestamp || (n > 0 && entry.offset <= previous.offset) {
            return Err("its .timeindex does not ascend");
        }
        previous = entry;
    }
    let mut previous = 0;
    for n in 0..entries.len() / ENTRY_LEN {
        let (position, _) = entry_at(entries, n);
        if position <= previous || position >= log_len {
            return Err("its .entries does not ascend");
        }
        previous = position;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_kafkas_bytes() {
        let mut out = Vec::new();
        put_offset(&mut out, OffsetPosition { offset: 0x0102_0304, position: 0x0506_0708 });
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8]);
        out.clear();
        put_time(&mut out, TimeOffset { timestamp: 0x0102_0304_0506_0708, offset: 9 });
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
        out.clear();
        put_entry(&mut out, 0x0102_0304, true);
        put_entry(&mut out, 0x0102_0304, false);
        assert_eq!(out, [0x81, 2, 3, 4, 1, 2, 3, 4]);
        assert_eq!((entry_at(&out, 0), entry_at(&out, 1)), ((0x0102_0304, true), (0x0102_0304, false)));
    }

    #[test]
    fn the_floor_and_the_ceiling_are_found_at_every_edge() {
        let (mut index, mut times) = (Vec::new(), Vec::new());
        for n in 0..10u32 {
            put_offset(&mut index, OffsetPosition { offset: n * 10 + 5, position: n * 100 + 50 });
            put_time(&mut times, TimeOffset { timestamp: i64::from(n) * 10, offset: n });
        }
        assert_eq!(floor_offset(&index, 4, u32::MAX), None);
        assert_eq!(floor_offset(&index, 5, u32::MAX).unwrap().position, 50);
        assert_eq!(floor_offset(&index, 14, u32::MAX).unwrap().position, 50);
        assert_eq!(floor_offset(&index, u32::MAX, u32::MAX).unwrap().position, 950);
        assert_eq!(floor_offset(&index, u32::MAX, 950).unwrap().position, 850);
        assert_eq!(ceiling_time(&times, -1).unwrap().offset, 0);
        assert_eq!(ceiling_time(&times, 1).unwrap().offset, 1);
        assert_eq!(ceiling_time(&times, 90).unwrap().offset, 9);
        assert_eq!(ceiling_time(&times, 91), None);
        assert_eq!((floor_offset(&[], 1, 1), ceiling_time(&[], 1), entry_from(&[], 1)), (None, None, 0));
    }

    #[test]
    fn a_page_of_zeroes_is_found() {
        let mut entries = Vec::new();
        put_entry(&mut entries, 100, true);
        put_entry(&mut entries, 200, false);
        assert!(check(&[], &[], &entries, 300).is_ok());
        assert!(check(&[], &[], &entries, 200).is_err());
        entries[4..].fill(0);
        assert!(check(&[], &[], &entries, 300).is_err());
        assert!(check(&[0; 8], &[], &[], 300).is_err());
        assert!(check(&[], &[0; 24], &[], 300).is_err());
    }
}
