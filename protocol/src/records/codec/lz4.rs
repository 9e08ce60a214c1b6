//! LZ4 frames with independent blocks of 64 KiB, which is what Java writes and all that Java reads.

use super::{Failure, read_bounded};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::Write;

pub(super) fn decompress(stored: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    read_bounded(FrameDecoder::new(stored), stored.len(), max)
}

pub(super) fn compress(body: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
    let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, out);
    encoder.write_all(body)?;
    encoder.finish().map_err(|error| Failure::Invalid(error.to_string()))?;
    Ok(())
}
