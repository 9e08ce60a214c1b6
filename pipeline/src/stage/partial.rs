//! What a source stage tells a merge: records of the internal topic. The key is the group's; progress has none.
//!
//! ```text
//!   0 slice    start int | end int | since int | cell        since: the first window end that it counts for
//!   1 session  first int | last int | cell
//!   2 progress source partition int | watermark int | next offset int
//!   3 row      time int | place | count, values | count, arguments       of OVER, and of a join
//!   4 entry    is there u8 | count, values                               of a join's table: the newest row of the key, or that it is gone
//!   5 loaded   partition int | partitions int                            of a join's table: what was there at the beginning has come
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
    Entry(Option<Box<[Value]>>),
    Loaded {
        partition: i32,
        /// How many the table has.
        partitions: i32,
    },
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
        put_values(out, &self.carried);
        put_len(out, self.arguments.len());
        self.arguments.iter().for_each(|argument| argument.encode(out));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Sent, Corrupt> {
        let (time, place) = (reader.int()?, Place::decode(reader)?);
        let carried = values(reader)?;
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
            Partial::Entry(values) => {
                out.extend([4, u8::from(values.is_some())]);
                put_values(&mut out, values.as_deref().unwrap_or_default());
            }
            Partial::Loaded { partition, partitions } => {
                out.push(5);
                put_int(&mut out, i64::from(*partition));
                put_int(&mut out, i64::from(*partitions));
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
                partition: number(&mut reader)?,
                watermark: reader.int()?,
                next_offset: reader.int()?,
            }),
            3 => Partial::Row(Sent::decode(&mut reader)?),
            4 => {
                let is_there = reader.byte()? != 0;
                let values = values(&mut reader)?;
                Partial::Entry(is_there.then_some(values))
            }
            5 => Partial::Loaded { partition: number(&mut reader)?, partitions: number(&mut reader)? },
            _ => return Err(Corrupt("a partial of an unknown kind")),
        };
        reader.end()?;
        Ok(partial)
    }
}

/// How many values, and they.
pub(crate) fn put_values(out: &mut Vec<u8>, values: &[Value]) {
    put_len(out, values.len());
    values.iter().for_each(|value| put_value(out, value));
}

pub(crate) fn values(reader: &mut Reader<'_>) -> Result<Box<[Value]>, Corrupt> {
    (0..reader.len()?).map(|_| reader.value()).collect()
}

fn number(reader: &mut Reader<'_>) -> Result<i32, Corrupt> {
    i32::try_from(reader.int()?).map_err(|_| Corrupt("a partition"))
}
