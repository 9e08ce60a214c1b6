//! Makes the three indexes of a sealed segment again from its log.

use std::path::Path;
use std::sync::Arc;

use super::header::SegmentHeader;
use super::indexer::{Indexer, Marks};
use super::name::{self, Part};
use super::scan::{Found, Scanner};
use crate::error::{Error, Result};
use crate::frame;
use crate::fs::{File, Fs};

/// Kafka's `index.interval.bytes`; a rebuilt index need not be as dense as the lost one.
const INTERVAL: u32 = 4096;

/// Replaces the indexes. The log must be whole: a bad frame is an error and changes nothing.
pub(crate) fn rebuild(
    fs: &dyn Fs,
    folder: &Path,
    header: &SegmentHeader,
    header_len: u32,
    log: Arc<dyn File>,
) -> Result<()> {
    let base = header.base_offset;
    let path = name::path(folder, base, Part::Log);
    let end = log.stat().map_err(|e| Error::io("stat", &path, e))?.len;
    let mut scanner = Scanner::new(&path, log, header_len, end);
    let mut indexer = Indexer::new(base, Marks::empty(header_len, base));
    loop {
        match scanner.next()? {
            Found::Frame { header, .. } => indexer.add(&header, INTERVAL),
            Found::End => break,
            Found::Bad(bad) => return Err(Error::corrupt(&path, bad.position.into(), bad.what)),
        }
    }
    indexer.add_time();
    let parts =
        [(Part::Index, &indexer.index), (Part::TimeIndex, &indexer.timeindex), (Part::Entries, &indexer.entries)];
    for (part, bytes) in parts {
        frame::replace(fs, &name::path(folder, base, part), bytes)?;
    }
    Ok(())
}
