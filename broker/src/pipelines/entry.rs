//! The payloads of the control frames that pipelines read: numbers big-endian, as everywhere in the log.
//!
//! ```text
//! tick      elapsed ms i64 | wall clock ms i64
//! advance   pipeline u64, 0 for all | watermark i64
//! pipeline  pipeline u64 | op u8: 1 begins | offset i64 | wall clock ms i64
//!                        | 2 goes on as another generation | generation u32
//! base      pipeline u64 | stage u8 | entry u64 | part u32 | parts u32 | the next bytes of the state
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use leat_protocol::records::entry::EntryKind;

/// Which state machine of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    Source,
    Merge,
    /// Of what a join's stream is joined with.
    Table,
}

/// Time that passed while no data came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) elapsed_ms: i64,
    pub(crate) wall_ms: i64,
}

/// Moves a watermark on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    /// 0 is every pipeline that reads the partition.
    pub(crate) pipeline: u64,
    pub(crate) watermark: i64,
}

/// A pipeline begins at an offset of this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) pipeline: u64,
    pub(crate) offset: i64,
    pub(crate) wall_ms: i64,
}

/// From the next entry on a pipeline is the next generation of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) pipeline: u64,
    pub(crate) generation: u32,
}

/// A part of a stage's state after an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) pipeline: u64,
    pub(crate) stage: Stage,
    /// The state is that after this entry.
    pub(crate) entry: u64,
    pub(crate) part: u32,
    pub(crate) parts: u32,
    pub(crate) state: Bytes,
}

/// What a pipeline finds in a log, beside records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    Tick(Tick),
    Advance(Advance),
    Begin(Begin),
    Switch(Switch),
    Base(Base),
}

const BEGINS: u8 = 1;
const SWITCHES: u8 = 2;

impl Control {
    pub(crate) fn encode(&self) -> (EntryKind, Bytes) {
        let mut out = BytesMut::new();
        let kind = match self {
            Control::Tick(tick) => {
                out.put_i64(tick.elapsed_ms);
                out.put_i64(tick.wall_ms);
                EntryKind::Tick
            }
            Control::Advance(advance) => {
                out.put_u64(advance.pipeline);
                out.put_i64(advance.watermark);
                EntryKind::Advance
            }
            Control::Begin(begin) => {
                out.put_u64(begin.pipeline);
                out.put_u8(BEGINS);
                out.put_i64(begin.offset);
                out.put_i64(begin.wall_ms);
                EntryKind::Pipeline
            }
            Control::Switch(switch) => {
                out.put_u64(switch.pipeline);
                out.put_u8(SWITCHES);
                out.put_u32(switch.generation);
                EntryKind::Pipeline
            }
            Control::Base(base) => {
                out.put_u64(base.pipeline);
                out.put_u8(base.stage.to_disk());
                out.put_u64(base.entry);
                out.put_u32(base.part);
                out.put_u32(base.parts);
                out.put_slice(&base.state);
                EntryKind::Base
            }
        };
        (kind, out.freeze())
    }

    /// `None` for what is no pipeline's.
    pub(crate) fn decode(kind: EntryKind, payload: &[u8]) -> Result<Option<Control>, bytes::TryGetError> {
        let mut at = payload;
        Ok(match kind {
            EntryKind::Tick => Some(Control::Tick(Tick { elapsed_ms: at.try_get_i64()?, wall_ms: at.try_get_i64()? })),
            EntryKind::Advance => {
                Some(Control::Advance(Advance { pipeline: at.try_get_u64()?, watermark: at.try_get_i64()? }))
            }
            EntryKind::Pipeline => {
                let (pipeline, op) = (at.try_get_u64()?, at.try_get_u8()?);
                match op {
                    BEGINS => {
                        let (offset, wall_ms) = (at.try_get_i64()?, at.try_get_i64()?);
                        Some(Control::Begin(Begin { pipeline, offset, wall_ms }))
                    }
                    SWITCHES => Some(Control::Switch(Switch { pipeline, generation: at.try_get_u32()? })),
                    _ => None,
                }
            }
            EntryKind::Base => {
                let (pipeline, stage) = (at.try_get_u64()?, at.try_get_u8()?);
                let (entry, part, parts) = (at.try_get_u64()?, at.try_get_u32()?, at.try_get_u32()?);
                let state = Bytes::copy_from_slice(at);
                Stage::from_disk(stage).map(|stage| Control::Base(Base { pipeline, stage, entry, part, parts, state }))
            }
            _ => None,
        })
    }
}

impl Stage {
    fn to_disk(self) -> u8 {
        match self {
            Stage::Source => 0,
            Stage::Merge => 1,
            Stage::Table => 2,
        }
    }

    fn from_disk(number: u8) -> Option<Stage> {
        match number {
            0 => Some(Stage::Source),
            1 => Some(Stage::Merge),
            2 => Some(Stage::Table),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_come_back_and_short_ones_are_refused() {
        let all = [
            (Control::Tick(Tick { elapsed_ms: 1, wall_ms: 2 }), vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]),
            (
                Control::Advance(Advance { pipeline: 3, watermark: -1 }),
                [vec![0, 0, 0, 0, 0, 0, 0, 3], vec![255; 8]].concat(),
            ),
            (
                Control::Begin(Begin { pipeline: 1, offset: 2, wall_ms: 3 }),
                vec![0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3],
            ),
            (Control::Switch(Switch { pipeline: 1, generation: 3 }), vec![0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]),
            (
                Control::Base(Base {
                    pipeline: 1,
                    stage: Stage::Merge,
                    entry: 2,
                    part: 0,
                    parts: 1,
                    state: Bytes::from_static(b"x"),
                }),
                vec![0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, b'x'],
            ),
        ];
        for (control, golden) in all {
            let (kind, payload) = control.encode();
            assert_eq!(payload, golden, "{control:?}");
            assert_eq!(Control::decode(kind, &payload), Ok(Some(control)));
            assert!(Control::decode(kind, &payload[..payload.len().min(16) - 1]).is_err());
        }
    }
}
