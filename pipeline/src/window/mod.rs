//! Windows that do not depend on the rows: which slice a time belongs to, and which windows a slice is part of.
//!
//! ```text
//!   hopping, size 5, advance 2      windows   [------------)
//!                                                  [------------)
//!                                                       [------------)
//!                                   slices         |  |    |  |    |  |     edges are all starts and ends of windows
//! ```
//! A row is added to one slice, whatever the overlap; a window is the union of its slices.

mod civil;

pub(crate) use self::civil::Calendar;
use crate::plan::Window;

/// From its start, in milliseconds, up to and without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// All time, where there are no windows.
pub(crate) const ALWAYS: Span = Span { start: i64::MIN, end: i64::MAX };

/// How windows are made of slices.
#[derive(Debug, Clone)]
pub(crate) enum Slicer {
    Always,
    Hopping { size: i64, advance: i64, offset: i64 },
    Cumulate { size: i64, step: i64, offset: i64 },
    Civil(Calendar),
}

impl Slicer {
    /// `None` for sessions.
    pub(crate) fn new(window: &Window) -> Result<Option<Slicer>, String> {
        Ok(Some(match *window {
            Window::None => Slicer::Always,
            Window::Hopping { size_ms: size, advance_ms: advance, offset_ms: offset } => {
                Slicer::Hopping { size, advance, offset }
            }
            Window::Cumulate { size_ms: size, step_ms: step, offset_ms: offset } => {
                Slicer::Cumulate { size, step, offset }
            }
            Window::Civil { unit, count, ref zone } => Slicer::Civil(Calendar::new(unit, count, zone)?),
            Window::Session { .. } => return Ok(None),
        }))
    }

    /// Whether a slice may be part of several windows.
    pub(crate) fn overlaps(&self) -> bool {
        match self {
            Slicer::Always | Slicer::Civil(_) => false,
            Slicer::Hopping { size, advance, .. } => size > advance,
            Slicer::Cumulate { size, step, .. } => size > step,
        }
    }

    /// The slice that a time belongs to. Where windows leave gaps it may be of none.
    #[inline]
    pub(crate) fn slice(&self, time: i64) -> Span {
        match self {
            Slicer::Always => ALWAYS,
            Slicer::Hopping { size, advance, offset } => {
                let start = floor(time, *advance, *offset);
                // Between two starts at most one window ends.
                let inner = size.rem_euclid(*advance);
                let edge = start.saturating_add(inner);
                if inner == 0 {
                    Span { start, end: start.saturating_add(*advance) }
                } else if time < edge {
                    Span { start, end: edge }
                } else {
                    Span { start: edge, end: start.saturating_add(*advance) }
                }
            }
            Slicer::Cumulate { step, offset, .. } => {
                let start = floor(time, *step, *offset);
                Span { start, end: start.saturating_add(*step) }
            }
            Slicer::Civil(calendar) => calendar.window(time),
        }
    }

    /// The windows that a slice is part of, by their ends.
    pub(crate) fn windows(&self, slice: Span) -> impl Iterator<Item = Span> + use<> {
        let mut each = Vec::new();
        match self {
            Slicer::Always | Slicer::Civil(_) => each.push(slice),
            Slicer::Hopping { size, advance, offset } => {
                let mut start = floor(slice.start, *advance, *offset);
                // The last window that holds the slice begins last.
                while start.saturating_add(*size) >= slice.end {
                    each.push(Span { start, end: start.saturating_add(*size) });
                    let Some(before) = start.checked_sub(*advance) else { break };
                    start = before;
                }
                each.reverse();
            }
            Slicer::Cumulate { size, step, offset } => {
                let start = floor(slice.start, *size, *offset);
                let mut end = slice.end;
                while end <= start.saturating_add(*size) {
                    each.push(Span { start, end });
                    end = end.saturating_add(*step);
                }
            }
        }
        each.into_iter()
    }

    /// The first end of a window that is after `time`.
    pub(crate) fn next_edge(&self, time: i64) -> i64 {
        match self {
            Slicer::Always => i64::MAX,
            Slicer::Hopping { advance, .. } => self.edge(time).saturating_add(*advance),
            Slicer::Cumulate { step, .. } => self.edge(time).saturating_add(*step),
            Slicer::Civil(calendar) => calendar.window(time).end,
        }
    }

    /// The last end of a window that is not after `time`: two times with the same edge close the same windows.
    pub(crate) fn edge(&self, time: i64) -> i64 {
        match self {
            Slicer::Always => i64::MIN,
            Slicer::Hopping { size, advance, offset } => floor(time, *advance, offset.saturating_add(*size)),
            Slicer::Cumulate { step, offset, .. } => floor(time, *step, *offset),
            Slicer::Civil(calendar) => calendar.window(time).start,
        }
    }
}

/// The largest `offset + n * step` that is not after `time`.
#[inline]
pub(crate) fn floor(time: i64, step: i64, offset: i64) -> i64 {
    time.saturating_sub(time.wrapping_sub(offset).rem_euclid(step))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hopping(size: i64, advance: i64, offset: i64) -> Slicer {
        Slicer::Hopping { size, advance, offset }
    }

    fn windows_by_definition(time: i64, size: i64, advance: i64, offset: i64) -> Vec<Span> {
        let last = floor(time, advance, offset);
        let starts = (0..=size / advance + 1).rev().map(|n| last - n * advance);
        starts.map(|start| Span { start, end: start + size }).filter(|w| w.start <= time && time < w.end).collect()
    }

    proptest! {
        #[test]
        fn a_times_slice_is_in_exactly_the_windows_that_hold_the_time(
            time in -1_000i64..1_000, size in 1i64..50, advance in 1i64..60, offset in -20i64..20,
        ) {
            let slicer = hopping(size, advance, offset);
            let slice = slicer.slice(time);
            prop_assert!(slice.start <= time && time < slice.end);
            let windows: Vec<Span> = slicer.windows(slice).collect();
            prop_assert_eq!(windows, windows_by_definition(time, size, advance, offset));
            for within in slice.start..slice.end {
                prop_assert_eq!(slicer.slice(within), slice);
            }
        }

        #[test]
        fn edges_are_the_ends_of_windows(time in -1_000i64..1_000, size in 1i64..50, advance in 1i64..60) {
            let slicer = hopping(size, advance, 0);
            let edge = slicer.edge(time);
            prop_assert!(edge <= time && edge + advance > time);
            prop_assert_eq!((edge - size).rem_euclid(advance), 0);
        }
    }

    #[test]
    fn cumulating_windows_share_their_start() {
        let slicer = Slicer::Cumulate { size: 6, step: 2, offset: 0 };
        let windows = |time| slicer.windows(slicer.slice(time)).map(|w| (w.start, w.end)).collect::<Vec<_>>();
        assert_eq!(windows(0), [(0, 2), (0, 4), (0, 6)]);
        assert_eq!(windows(3), [(0, 4), (0, 6)]);
        assert_eq!(windows(-1), [(-6, 0)]);
    }
}
