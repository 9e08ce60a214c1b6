//! What is kept of one group's rows.

use crate::aggregate::{Accumulator, Full, Place};
use crate::codec::{Corrupt, Reader, put_int, put_uint, put_value};
use crate::plan::Call;
use crate::time::NEVER;
use crate::value::Value;

/// One accumulator for each aggregate of the plan.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// Rows that it stands for.
    pub(crate) rows: u64,
    /// The largest event time among them.
    pub(crate) latest: i64,
    accumulators: Box<[Accumulator]>,
}

impl Cell {
    pub(crate) fn new(calls: &[Call]) -> Cell {
        Cell { rows: 0, latest: NEVER, accumulators: calls.iter().map(Accumulator::new).collect() }
    }

    /// Takes a row: an argument for each aggregate, `None` where its filter leaves the row out.
    #[inline]
    pub(crate) fn add(&mut self, calls: &[Call], row: &Row<'_>) -> Result<(), Full> {
        self.rows += 1;
        self.latest = self.latest.max(row.time);
        for ((accumulator, call), argument) in self.accumulators.iter_mut().zip(calls).zip(row.arguments) {
            match argument {
                Argument::Value(value) => accumulator.add(call, Some(value), row.place)?,
                Argument::Row => accumulator.add(call, None, row.place)?,
                Argument::LeftOut => {}
            }
        }
        Ok(())
    }

    pub(crate) fn merge(&mut self, calls: &[Call], other: &Cell) -> Result<(), Full> {
        self.rows += other.rows;
        self.latest = self.latest.max(other.latest);
        for ((own, call), other) in self.accumulators.iter_mut().zip(calls).zip(&other.accumulators) {
            own.merge(call, other)?;
        }
        Ok(())
    }

    pub(crate) fn results<'a>(&'a self, calls: &'a [Call]) -> impl Iterator<Item = Value> + 'a {
        self.accumulators.iter().zip(calls).map(|(accumulator, call)| accumulator.result(call))
    }

    pub(crate) fn bytes(&self) -> usize {
        let own = size_of::<Cell>() + size_of_val(&*self.accumulators);
        own + self.accumulators.iter().map(Accumulator::bytes).sum::<usize>()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_uint(out, self.rows);
        put_int(out, self.latest);
        self.accumulators.iter().for_each(|accumulator| accumulator.encode(out));
    }

    pub(crate) fn decode(calls: &[Call], reader: &mut Reader<'_>) -> Result<Cell, Corrupt> {
        let (rows, latest) = (reader.uint()?, reader.int()?);
        let accumulators = calls.iter().map(|call| Accumulator::decode(call, reader)).collect::<Result<_, _>>()?;
        Ok(Cell { rows, latest, accumulators })
    }
}

/// A row as a group takes it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) time: i64,
    pub(crate) place: Place,
    pub(crate) arguments: &'a [Argument],
}

/// What a row gives to an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Argument {
    Value(Value),
    /// Itself: `COUNT(*)`.
    Row,
    /// Nothing: the aggregate's filter is not true.
    LeftOut,
}

impl Argument {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Argument::LeftOut => out.push(0),
            Argument::Row => out.push(1),
            Argument::Value(value) => {
                out.push(2);
                put_value(out, value);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Argument, Corrupt> {
        Ok(match reader.byte()? {
            0 => Argument::LeftOut,
            1 => Argument::Row,
            2 => Argument::Value(reader.value()?),
            _ => return Err(Corrupt("an argument of an unknown kind")),
        })
    }
}
