//! What a source stage tells a merge: records of the internal topic. The key is the group's; progress has none.
//!
//! ```text
//!   0 slice    start int | end int | since int | cell        since: the first window end that it counts for
//!   1 session  first int | last int | cell
//!   2 progress source partition int | watermark int | next offset int
//!   3 row      time int | place | count, values | count, arguments       of OVER
//! ```

use super::cell::{Argument, Cell};
use crate::aggregate::Place;
use crate::codec::{Corrupt, Reader, put_int, put_len, put_value};
use crate::plan::Call;
use crate::value::Value;
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
    Row(Sent),
}

/// A row that is sent as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) time: i64,
    pub(crate) place: Place,
    pub(crate) carried: Box<[Value]>,
    pub(crate) arguments: Box<[Argument]>,
}

impl Sent {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.time);
        self.place.encode(out);
        put_len(out, self.carried.len());
        self.carried.iter().for_each(|value| put_value(out, value));
        put_len(out, self.arguments.len());
        self.arguments.iter().for_each(|argument| argument.encode(out));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Sent, Corrupt> {
        let (time, place) = (reader.int()?, Place::decode(reader)?);
        let carried = (0..reader.len()?).map(|_| reader.value()).collect::<Result<_, Corrupt>>()?;
        let arguments = (0..reader.len()?).map(|_| Argument::decode(reader)).collect::<Result<_, Corrupt>>()?;
        Ok(Sent { time, place, carried, arguments })
    }
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
            Partial::Row(sent) => {
                out.push(3);
                sent.encode(&mut out);
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
            3 => Partial::Row(Sent::decode(&mut reader)?),
            _ => return Err(Corrupt("a partial of an unknown kind")),
        };
        reader.end()?;
        Ok(partial)
    }
}
