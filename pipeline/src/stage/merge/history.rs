//! What the rows of one key to come need of those before them: rows as far back as a frame or a lag reaches, and what unbounded
//! frames have gathered.
//!
//! ```text
//!   rows of a key    |--------- front ---------|----- back -----|  the newest
//!                    unions from each row to     one union, which
//!                    the front's end             grows at its end
//! ```
//! A bounded frame is the union of the front from its first row on and the back ("two stacks", as for a queue's maximum), so no
//! aggregate has to take a row back. The unions are no state: they follow from the rows.

use std::collections::VecDeque;

use crate::aggregate::{Accumulator, Full, Place};
use crate::codec::{Corrupt, Reader, put_int, put_len};
use crate::plan::{Call, FrameBound, Over};
use crate::stage::cell::{Argument, Cell, Row};
use crate::time::NEVER;
use crate::value::Value;

/// No key has so many rows.
const NUMBER_MAX: i64 = i64::MAX / 2;

/// A key's rows that went out.
#[derive(Debug)]
pub(super) struct History {
    /// The number of the first row that is kept; the key's first row has 0.
    first: i64,
    rows: VecDeque<Past>,
    frames: Vec<State>,
    /// The time of the newest row.
    latest: i64,
}

/// A row.
#[derive(Debug)]
struct Past {
    time: i64,
    /// Those of each frame's calls, then those of the lags.
    arguments: Box<[Argument]>,
}

/// What is known of a frame.
#[derive(Debug)]
enum State {
    /// Of all rows.
    Unbounded(Cell),
    Bounded(Unions),
}

/// Of the rows from `start` on.
#[derive(Debug)]
struct Unions {
    start: i64,
    /// The first row of the back.
    split: i64,
    /// The front: the union of its last rows first.
    front: Vec<Cell>,
    back: Option<Cell>,
    /// Unions are kept; else they would be as large as the rows, and are made when they are asked for.
    kept: bool,
}

/// For how long after its newest row a history is needed, in milliseconds; none where it is for ever.
pub(super) fn reach(over: &Over) -> Option<i64> {
    let mut reach = 0;
    for frame in &over.frames {
        match frame.bound {
            FrameBound::Range(Some(ms)) => reach = reach.max(ms),
            FrameBound::Rows(Some(0)) => {}
            FrameBound::Rows(_) | FrameBound::Range(None) => return None,
        }
    }
    over.lags.is_empty().then_some(reach)
}

impl History {
    pub(super) fn new(over: &Over) -> History {
        let state = |frame: &crate::plan::Frame| match frame.bound {
            FrameBound::Rows(None) | FrameBound::Range(None) => State::Unbounded(Cell::new(&frame.calls)),
            FrameBound::Rows(_) | FrameBound::Range(_) => State::Bounded(Unions {
                start: 0,
                split: 0,
                front: Vec::new(),
                back: None,
                kept: frame.calls.iter().all(Accumulator::is_small),
            }),
        };
        let frames = over.frames.iter().map(state).collect();
        History { first: 0, rows: VecDeque::new(), frames, latest: NEVER }
    }

    /// The time of the newest row.
    pub(super) fn latest(&self) -> i64 {
        self.latest
    }

    /// The next row's number.
    fn next(&self) -> i64 {
        self.first + self.rows.len() as i64
    }

    /// Takes the next row. Adds the results of frames by rows and the lags to `out`; where a frame goes by time, nulls.
    pub(super) fn push(
        &mut self,
        over: &Over,
        time: i64,
        arguments: Box<[Argument]>,
        out: &mut Vec<Value>,
    ) -> Result<(), Full> {
        let number = self.next();
        self.latest = time;
        self.rows.push_back(Past { time, arguments });
        let (rows, first) = (&self.rows, self.first);
        let mut from = 0;
        for (frame, state) in over.frames.iter().zip(&mut self.frames) {
            let part = Part { rows, first, calls: &frame.calls, from };
            from += frame.calls.len();
            match state {
                State::Unbounded(cell) => part.add_to(cell, number)?,
                State::Bounded(unions) => unions.push(&part, number)?,
            }
            match (frame.bound, state) {
                (FrameBound::Range(_), _) => out.extend(frame.calls.iter().map(|_| Value::Null)),
                (FrameBound::Rows(_), State::Unbounded(cell)) => out.extend(cell.results(&frame.calls)),
                (FrameBound::Rows(before), State::Bounded(unions)) => {
                    unions.begin_at(&part, number - i64::from(before.unwrap_or(0)))?;
                    out.extend(unions.results(&part)?);
                }
            }
        }
        for (at, lag) in over.lags.iter().enumerate() {
            let place = usize::try_from(number - i64::from(lag.rows) - first).ok();
            let past = place.and_then(|place| rows.get(place)).and_then(|past| past.arguments.get(from + at));
            out.push(match past {
                Some(Argument::Value(value)) => value.clone(),
                _ => lag.default.clone(),
            });
        }
        Ok(())
    }

    /// All rows of a time were taken: fills in, from `place` on, the results of the frames that go by time.
    pub(super) fn complete(&mut self, over: &Over, time: i64, place: usize, out: &mut [Value]) -> Result<(), Full> {
        let (rows, first) = (&self.rows, self.first);
        let mut from = 0;
        for (frame, state) in over.frames.iter().zip(&mut self.frames) {
            let part = Part { rows, first, calls: &frame.calls, from };
            from += frame.calls.len();
            let FrameBound::Range(before) = frame.bound else { continue };
            let results: Vec<Value> = match state {
                State::Unbounded(cell) => cell.results(&frame.calls).collect(),
                State::Bounded(unions) => {
                    let oldest = time.saturating_sub(before.unwrap_or(0));
                    let mut start = unions.start;
                    while part.row(start).is_some_and(|past| past.time < oldest) {
                        start += 1;
                    }
                    unions.begin_at(&part, start)?;
                    unions.results(&part)?
                }
            };
            for (to, result) in out.iter_mut().skip(place + part.from).zip(results) {
                *to = result;
            }
        }
        Ok(())
    }

    /// Lets go the rows that no later row reaches.
    pub(super) fn trim(&mut self, over: &Over) {
        let next = self.next();
        let starts = self.frames.iter().filter_map(|state| match state {
            State::Unbounded(_) => None,
            State::Bounded(unions) => Some(unions.start),
        });
        let lags = over.lags.iter().map(|lag| next - i64::from(lag.rows));
        let needed = starts.chain(lags).min().unwrap_or(next);
        while self.first < needed && self.rows.pop_front().is_some() {
            self.first += 1;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows.iter().map(|past| size_of::<Past>() + size_of_val(&*past.arguments));
        let frames = self.frames.iter().map(|state| match state {
            State::Unbounded(cell) => cell.bytes(),
            State::Bounded(unions) => unions.front.iter().chain(&unions.back).map(Cell::bytes).sum(),
        });
        rows.sum::<usize>() + frames.sum::<usize>()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.first);
        put_int(out, self.latest);
        put_len(out, self.rows.len());
        for past in &self.rows {
            put_int(out, past.time);
            past.arguments.iter().for_each(|argument| argument.encode(out));
        }
        for state in &self.frames {
            match state {
                State::Unbounded(cell) => cell.encode(out),
                State::Bounded(unions) => put_int(out, unions.start),
            }
        }
    }

    pub(super) fn decode(over: &Over, reader: &mut Reader<'_>) -> Result<History, Corrupt> {
        let mut history = History::new(over);
        (history.first, history.latest) = (reader.int()?, reader.int()?);
        if !(0..=NUMBER_MAX).contains(&history.first) {
            return Err(Corrupt("the number of a row"));
        }
        let count = over.frames.iter().map(|frame| frame.calls.len()).sum::<usize>() + over.lags.len();
        for _ in 0..reader.len()? {
            let time = reader.int()?;
            let arguments = (0..count).map(|_| Argument::decode(reader)).collect::<Result<_, Corrupt>>()?;
            history.rows.push_back(Past { time, arguments });
        }
        let (rows, first, next) = (&history.rows, history.first, history.next());
        let mut from = 0;
        for (frame, state) in over.frames.iter().zip(&mut history.frames) {
            let part = Part { rows, first, calls: &frame.calls, from };
            from += frame.calls.len();
            match state {
                State::Unbounded(cell) => *cell = Cell::decode(&frame.calls, reader)?,
                State::Bounded(unions) => {
                    let start = reader.int()?;
                    if !(first..=next).contains(&start) {
                        return Err(Corrupt("a frame that begins where there is no row"));
                    }
                    unions.turn(&part, start, next).map_err(|_| Corrupt("a frame that holds too much"))?;
                }
            }
        }
        Ok(history)
    }
}

/// The rows as one frame sees them.
#[derive(Clone, Copy)]
struct Part<'a> {
    rows: &'a VecDeque<Past>,
    first: i64,
    calls: &'a [Call],
    /// Where its calls' arguments begin.
    from: usize,
}

impl Part<'_> {
    fn row(&self, number: i64) -> Option<&Past> {
        self.rows.get(usize::try_from(number - self.first).ok()?)
    }

    /// Adds a row. What has an order takes it from the rows' numbers.
    fn add_to(&self, cell: &mut Cell, number: i64) -> Result<(), Full> {
        let Some(past) = self.row(number) else { return Ok(()) };
        let arguments = past.arguments.get(self.from..self.from + self.calls.len()).unwrap_or_default();
        let place = Place { partition: 0, offset: number, element: 0 };
        cell.add(self.calls, &Row { time: past.time, place, arguments })
    }
}

impl Unions {
    fn push(&mut self, part: &Part<'_>, number: i64) -> Result<(), Full> {
        if self.kept { part.add_to(self.back.get_or_insert_with(|| Cell::new(part.calls)), number) } else { Ok(()) }
    }

    /// Rows before `start` leave the frame.
    fn begin_at(&mut self, part: &Part<'_>, start: i64) -> Result<(), Full> {
        if start <= self.start {
            return Ok(());
        }
        if start > self.split {
            return self.turn(part, start, part.first + part.rows.len() as i64);
        }
        let gone = usize::try_from(start - self.start).unwrap_or(usize::MAX);
        self.front.truncate(self.front.len().saturating_sub(gone));
        self.start = start;
        Ok(())
    }

    /// Makes all rows from `start` on the front.
    fn turn(&mut self, part: &Part<'_>, start: i64, next: i64) -> Result<(), Full> {
        (self.front, self.back) = (Vec::new(), None);
        (self.start, self.split) = (start, next);
        for number in (start..next).rev().take_while(|_| self.kept) {
            let mut union = self.front.last().cloned().unwrap_or_else(|| Cell::new(part.calls));
            part.add_to(&mut union, number)?;
            self.front.push(union);
        }
        Ok(())
    }

    fn results(&self, part: &Part<'_>) -> Result<Vec<Value>, Full> {
        let mut union = self.front.last().cloned().unwrap_or_else(|| Cell::new(part.calls));
        if let Some(back) = &self.back {
            union.merge(part.calls, back)?;
        }
        for number in (self.start..part.first + part.rows.len() as i64).take_while(|_| !self.kept) {
            part.add_to(&mut union, number)?;
        }
        Ok(union.results(part.calls).collect())
    }
}
