//! Zstandard. Contexts are kept per thread: making one costs more than a small batch.

use super::Failure;
use std::cell::RefCell;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// The largest window that a frame may ask for: 2^27 bytes is the format's own default bound, and what level 22 uses.
const WINDOW_LOG_MAX: u32 = 27;
/// A context that has grown past this, which levels up to 19 do not need, is not kept.
const KEPT_BYTES: usize = 16 << 20;
/// More than any real data compresses: a claim beyond it reserves nothing ahead.
const PLAUSIBLE_RATIO: usize = 64;

pub(super) fn decompress(stored: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    thread_local! {
        static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => kept.insert(DCtx::try_create().ok_or_else(|| Failure::Invalid("out of memory".into()))?),
        };
        context.reset(ResetDirective::SessionAndParameters).map_err(invalid)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(invalid)?;
        let out = frames(context, stored, max);
        if context.sizeof() > KEPT_BYTES {
            *kept = None;
        }
        out
    })
}

/// Frame after frame, into a buffer that grows up to one byte past the bound.
fn frames(context: &mut DCtx<'_>, stored: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let plausible = stored.len().saturating_mul(PLAUSIBLE_RATIO);
    let claimed = zstd_safe::get_frame_content_size(stored).ok().flatten();
    let claimed = claimed.and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= plausible);
    let limit = max.saturating_add(1);
    // Room for all at once lets zstd write without a window of its own.
    let mut out = Vec::with_capacity(claimed.unwrap_or(stored.len().saturating_mul(4)).clamp(64, limit.max(64)));
    let mut input = InBuffer::around(stored);
    loop {
        let at = out.len();
        let left = context.decompress_stream(&mut OutBuffer::around_pos(&mut out, at), &mut input).map_err(invalid)?;
        if out.len() > max {
            return Err(Failure::TooLarge);
        }
        let read = input.pos() == stored.len();
        match left {
            0 if read => return Ok(out),
            _ if out.len() == out.capacity() => {
                let more = out.len().min(limit - out.len());
                out.reserve_exact(more);
            }
            0 => {}
            _ if read => return Err(Failure::Invalid("the data is cut off".into())),
            _ => {}
        }
    }
}

fn invalid(code: zstd_safe::ErrorCode) -> Failure {
    Failure::Invalid(zstd_safe::get_error_name(code).into())
}

pub(super) fn compress(body: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), Failure> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => {
                compressor.set_compression_level(level)?;
                compressor
            }
            None => kept.insert(Compressor::new(level)?),
        };
        let at = out.len();
        out.resize(at + zstd::zstd_safe::compress_bound(body.len()), 0);
        let written = compressor.compress_to_buffer(body, &mut out[at..])?;
        out.truncate(at + written);
        Ok(())
    })
}
