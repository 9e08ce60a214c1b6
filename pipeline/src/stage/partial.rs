//! What a source stage tells a merge: records of the internal topic. The key is the group's; progress has none.
//!
//! ```text
//!   0 slice    start int | end int | since int | cell        since: the first window end that it counts for
//!   1 session  first int | last int | cell
//!   2 progress source partition int | watermark int | next offset int
//! ```

use super::cell::Cell;
use crate::codec::{Corrupt, Reader, put_int};
use crate::plan::Call;
use crate::window::Span;

/// What was added to a group since the last partial.
#[derive(Debug, Clone)]
pub(crate) enum Partial {
    Slice {
        slice: Span,
        /// Windows that end before it do not hold these rows, which were late for them.
        since: i64,
        cell: Cell,
    },
    Session {
        /// The first and the last event time.
        first: i64,
        last: i64,
        cell: Cell,
    },
    Progress(Progress),
}

/// How far a source partition is: nothing that comes from it later counts for a window that this closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) partition: i32,
    pub(crate) watermark: i64,
    pub(crate) next_offset: i64,
}

impl Partial {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        match self {
            Partial::Slice { slice, since, cell } => {
                out.push(0);
                [slice.start, slice.end, *since].iter().for_each(|&value| put_int(&mut out, value));
                cell.encode(&mut out);
            }
            Partial::Session { first, last, cell } => {
                out.push(1);
                put_int(&mut out, *first);
                put_int(&mut out, *last);
                cell.encode(&mut out);
            }
            Partial::Progress(progress) => {
                out.push(2);
                put_int(&mut out, i64::from(progress.partition));
                put_int(&mut out, progress.watermark);
                put_int(&mut out, progress.next_offset);
            }
        }
        out
    }

    pub(crate) fn decode(calls: &[Call], bytes: &[u8]) -> Result<Partial, Corrupt> {
        let mut reader = Reader::new(bytes);
        let partial = match reader.byte()? {
            0 => {
                let slice = Span { start: reader.int()?, end: reader.int()? };
                Partial::Slice { slice, since: reader.int()?, cell: Cell::decode(calls, &mut reader)? }
            }
            1 => {
                Partial::Session { first: reader.int()?, last: reader.int()?, cell: Cell::decode(calls, &mut reader)? }
            }
            2 => Partial::Progress(Progress {
                partition: i32::try_from(reader.int()?).map_err(|_| Corrupt("a partition"))?,
                watermark: reader.int()?,
                next_offset: reader.int()?,
            }),
            _ => return Err(Corrupt("a partial of an unknown kind")),
        };
        reader.end()?;
        Ok(partial)
    }
}
