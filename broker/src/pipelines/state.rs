//! The head of a base: what the task itself has to know, before the stage's own state.
//!
//! ```text
//! version u8: 2 | generation u32 | next offset i64 | lanes u32 | { target u8, partition i32, next number u32 } ... | the stage's state
//! ```

use bytes::{Buf, BufMut};
use leat_pipeline::stage::Target;

const VERSION: u8 = 2;

/// What a base's head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Of the pipeline, whose plan the state is of.
    pub(super) generation: u32,
    pub(super) next_offset: i64,
    /// The number of the next record of each lane.
    pub(super) lanes: Vec<(Target, u32)>,
}

pub(super) fn encode(
    generation: u32,
    lanes: impl ExactSizeIterator<Item = (Target, u32)>,
    next_offset: i64,
) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u8(VERSION);
    out.put_u32(generation);
    out.put_i64(next_offset);
    out.put_u32(u32::try_from(lanes.len()).unwrap_or(u32::MAX));
    for (target, next) in lanes {
        let (kind, partition) = match target {
            Target::Merge(partition) => (0, partition),
            Target::Output(partition) => (1, partition),
            Target::Late => (2, 0),
            Target::Rejected => (3, 0),
        };
        out.put_u8(kind);
        out.put_i32(partition);
        out.put_u32(next);
    }
    out
}

/// The head and the bytes after it; `None` where it is not of this release.
pub(super) fn decode(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let mut at = bytes;
    if at.try_get_u8().ok()? != VERSION {
        return None;
    }
    let generation = at.try_get_u32().ok()?;
    let next_offset = at.try_get_i64().ok()?;
    let mut lanes = Vec::new();
    for _ in 0..at.try_get_u32().ok()? {
        let (kind, partition) = (at.try_get_u8().ok()?, at.try_get_i32().ok()?);
        let target = match kind {
            0 => Target::Merge(partition),
            1 => Target::Output(partition),
            2 => Target::Late,
            3 => Target::Rejected,
            _ => return None,
        };
        lanes.push((target, at.try_get_u32().ok()?));
    }
    Some((Head { generation, next_offset, lanes }, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_never_panics_when_it_is_short() {
        let lanes = vec![(Target::Merge(2), 7), (Target::Output(0), 1), (Target::Late, 0), (Target::Rejected, 9)];
        let mut bytes = encode(4, lanes.clone().into_iter(), 9);
        let len = bytes.len();
        bytes.extend([1, 2]);
        assert_eq!(decode(&bytes), Some((Head { generation: 4, next_offset: 9, lanes }, &[1, 2][..])));
        assert!((0..len).all(|len| decode(&bytes[..len]).is_none()));
    }
}
