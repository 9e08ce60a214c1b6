//! gzip, by zlib. Members that follow one another are read as one, as Java's reader does.

use super::{Failure, read_bounded};
use flate2::Compression as Level;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::Write;

pub(super) fn decompress(stored: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    read_bounded(MultiGzDecoder::new(stored), stored.len(), max)
}

pub(super) fn compress(body: &[u8], level: Option<i32>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let level = match level {
        Some(level @ 0..=9) => Level::new(level as u32),
        _ => Level::default(),
    };
    let mut encoder = GzEncoder::new(out, level);
    encoder.write_all(body)?;
    encoder.finish()?;
    Ok(())
}
