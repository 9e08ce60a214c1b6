//! What became of rows: nothing is dropped silently.

use crate::codec::{Corrupt, Reader, put_uint};

/// What became of a partition's rows: `rows = applied + late + filtered + rejected`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that came.
    pub rows: u64,
    /// For at least one window.
    pub applied: u64,
    /// For all their windows.
    pub late: u64,
    /// By `WHERE`, or by a null group key.
    pub filtered: u64,
    /// Not readable, or an expression had no value.
    pub rejected: u64,
    /// Windows that rows were assigned to: `assigned = aggregated + window_late`.
    pub assigned: u64,
    /// Of them, windows that were closed already.
    pub window_late: u64,
}

impl Counts {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let Counts { rows, applied, late, filtered, rejected, assigned, window_late } = *self;
        [rows, applied, late, filtered, rejected, assigned, window_late].iter().for_each(|&count| put_uint(out, count));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Counts, Corrupt> {
        Ok(Counts {
            rows: reader.uint()?,
            applied: reader.uint()?,
            late: reader.uint()?,
            filtered: reader.uint()?,
            rejected: reader.uint()?,
            assigned: reader.uint()?,
            window_late: reader.uint()?,
        })
    }
}

/// What became of what a merge partition was sent. Over all of them, `rows` are the rows that all source partitions applied, and
/// `aggregated` what they assigned less what was late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows that its partials stood for.
    pub rows: u64,
    /// Windows that these rows count for.
    pub aggregated: u64,
    /// Of them, windows that have closed.
    pub closed: u64,
    /// Rows of a join, of those that are closed, that gave no result: by `WHERE`, or for want of a row of the table.
    pub filtered: u64,
}

impl Merged {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let Merged { rows, aggregated, closed, filtered } = *self;
        [rows, aggregated, closed, filtered].iter().for_each(|&count| put_uint(out, count));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Merged, Corrupt> {
        Ok(Merged {
            rows: reader.uint()?,
            aggregated: reader.uint()?,
            closed: reader.uint()?,
            filtered: reader.uint()?,
        })
    }
}
