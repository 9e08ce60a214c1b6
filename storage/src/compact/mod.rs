//! Keyed compaction: of each key the latest record stays, at its offset. What changes on disk, and in which order, is in
//! docs/disk.md ("Compaction"); what stays of a batch is what Kafka's cleaner leaves of it.
//!
//! ```text
//!   log start        clean end                    limit
//!      |  [ clean       |  [ dirty      ]  [ dirty  ] |  [ active ]
//!      |                |   1. map: key -> latest offset, as far as the map has room
//!      |  2. rewrite ---+--------------------------->    each group of neighbours into one segment; then
//!      |                                    clean end = how far the map went
//! ```
//!
//! A [`Compaction`] is one pass. It does a little in each [`Compaction::step`], so that its caller can wait in between, and hands
//! out each cleaned segment as a [`Swap`] for the log's own thread. It never touches the log itself, nor what is not yet in a
//! saved checkpoint.

mod dirt;
mod filter;
mod keys;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use leat_protocol::records::{BatchError, BatchHeader};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::log::manifest::{Manifest, Swapped};
use crate::log::{Identity, LogConfig, Swap};
use crate::reader::LogReader;
use crate::segment::header::{Cleaned, SegmentHeader};
use crate::segment::index::{INDEX_LEN, TIME_LEN};
use crate::segment::name::Part;
use crate::segment::scan::{Found, Scanner};

use self::dirt::Source;
use self::filter::{Filter, Verdict};
use self::keys::Keys;
use self::writer::Writer;

pub use self::dirt::Dirt;

/// Bytes read in one step, a single larger batch aside.
const STEP_BYTES: u64 = 64 << 10;

/// What compaction goes by, under the names that Kafka gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// `min.compaction.lag.ms`: younger segments stay as they are.
    pub min_lag_ms: u64,
    /// `max.compaction.lag.ms`: what is older is cleaned however little it is.
    pub max_lag_ms: u64,
    /// `min.cleanable.dirty.ratio`: less dirt is left until there is more.
    pub min_dirty_ratio: f64,
    /// `delete.retention.ms`: how long a tombstone stays.
    pub delete_retention_ms: u64,
    /// `log.cleaner.dedupe.buffer.size`: bytes of the map of keys. Where they do not all fit, several passes do it.
    pub keys_bytes_max: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full the map may get.
    pub keys_load_factor: f64,
}

/// Up to where a log may be cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The applied index of the checkpoint that is saved.
    pub applied: u64,
    /// The last stable offset.
    pub stable_offset: i64,
}

/// What a pass is told beside its configuration.
#[derive(Debug, Clone)]
pub struct Order {
    pub limit: Limit,
    pub now_ms: i64,
    /// The last offset of each producer that is remembered.
    pub producers: HashMap<i64, i64>,
    /// Another one for each pass; nobody else may know it.
    pub secret: [u8; 16],
}

/// What a step has come to.
#[derive(Debug)]
pub enum Step {
    /// So many bytes were read and written; there is more to do.
    More { bytes: u64 },
    /// To be swapped in ([`Log::swap_in`](crate::Log::swap_in)) before the next step.
    Swap(Box<Swap>),
    /// The pass is over.
    Done(Outcome),
}

/// What a pass has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub bytes_read: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub segments_before: usize,
    pub segments_after: usize,
    /// Below this offset no key has two records now.
    pub clean_end: i64,
    /// Not all keys had room: there is more to clean.
    pub partial: bool,
}

/// One pass over a log; see the module.
#[derive(Debug)]
pub struct Compaction {
    env: Env,
    folder: Arc<Path>,
    identity: Identity,
    config: LogConfig,
    log_start: i64,
    dirty_from: i64,
    sources: Vec<Source>,
    filter: Filter,
    phase: Phase,
    manifest: Manifest,
    outcome: Outcome,
}

#[derive(Debug)]
enum Phase {
    /// Reading the keys of the source at this place.
    Map {
        at: usize,
        scanner: Option<Scanner>,
    },
    /// Writing the first of these groups.
    Write {
        groups: VecDeque<Vec<Source>>,
        group: Option<Box<Group>>,
    },
    Done,
}

/// Neighbours that become one segment.
#[derive(Debug)]
struct Group {
    sources: Vec<Source>,
    at: usize,
    scanner: Option<Scanner>,
    writer: Writer,
}

impl Compaction {
    /// A pass over what can be cleaned now; none where nothing can. At most one pass of a log may live at a time.
    pub fn begin(reader: &LogReader, log: LogConfig, config: &Config, order: Order) -> Result<Option<Self>> {
        let log_start = reader.log_start_offset();
        let (dirty_from, sources, mut manifest) = reader.look(|view| {
            let from = dirt::first_dirty(view, log_start);
            Ok((from, dirt::sources(view, from, config, order.limit, order.now_ms)?, Manifest::of(view)))
        })?;
        let Some(last) = sources.last().filter(|last| last.end_offset > dirty_from) else { return Ok(None) };
        let (env, folder, identity) = last.segment.place();
        forget_swap(&env, &folder, &identity, &mut manifest)?;
        let round_end = last.end_offset;
        let dirty_records = u64::try_from(round_end - dirty_from).unwrap_or(0);
        let keys = Keys::new(dirty_records, config.keys_bytes_max, config.keys_load_factor, order.secret);
        let filter = Filter {
            keys,
            mapped_until: dirty_from,
            round_end,
            producers: order.producers,
            now_ms: order.now_ms,
            horizon_ms: order.now_ms.saturating_add_unsigned(config.delete_retention_ms),
        };
        let phase = Phase::Map { at: 0, scanner: None };
        let outcome = Outcome::default();
        let config = log;
        let pass =
            Self { env, folder, identity, config, log_start, dirty_from, sources, filter, phase, manifest, outcome };
        Ok(Some(pass))
    }

    /// Does a little. After an error the pass is over, and the log as it was.
    pub fn step(&mut self) -> Result<Step> {
        match self.phase {
            Phase::Map { .. } => self.map(),
            Phase::Write { .. } => self.write(),
            Phase::Done => Ok(Step::Done(self.outcome)),
        }
    }

    fn map(&mut self) -> Result<Step> {
        let Phase::Map { at, scanner } = &mut self.phase else { return Ok(Step::More { bytes: 0 }) };
        let mut bytes = 0;
        let complete = loop {
            if bytes >= STEP_BYTES {
                self.outcome.bytes_read += bytes;
                return Ok(Step::More { bytes });
            }
            let Some(source) = self.sources.get(*at) else { break true };
            if source.end_offset <= self.dirty_from {
                *at += 1;
                continue;
            }
            let open = match scanner {
                Some(open) => open,
                None => scanner.insert(scan(source)?),
            };
            let Some((header, batch)) = next(open, source)? else {
                (*at, *scanner) = (*at + 1, None);
                self.filter.mapped_until = source.end_offset;
                continue;
            };
            bytes += batch.len() as u64;
            match self.filter.map(&header, &batch, self.dirty_from) {
                Ok(true) => {}
                Ok(false) => break false,
                // Its keys are unknown, so it stays.
                Err(error) => unreadable(source, &header, &error),
            }
        };
        self.outcome.bytes_read += bytes;
        self.outcome.partial = !complete;
        self.outcome.clean_end = self.filter.mapped_until;
        let until = self.filter.mapped_until;
        self.sources.retain(|source| source.segment.base_offset < until);
        let groups = group(&self.sources, &self.config)?;
        self.phase = Phase::Write { groups, group: None };
        Ok(Step::More { bytes })
    }

    fn write(&mut self) -> Result<Step> {
        let Phase::Write { groups, group } = &mut self.phase else { return Ok(Step::More { bytes: 0 }) };
        let open = match group {
            Some(open) => open,
            None => match groups.pop_front() {
                None => {
                    self.phase = Phase::Done;
                    return Ok(Step::Done(self.outcome));
                }
                Some(sources) => {
                    let header = header_of(&sources, self.identity, self.log_start)?;
                    let writer = Writer::create(&self.env, &self.folder, header, self.config.index_interval_bytes)?;
                    group.insert(Box::new(Group { sources, at: 0, scanner: None, writer }))
                }
            },
        };
        let mut bytes = 0;
        while bytes < STEP_BYTES {
            match open.step(&self.filter)? {
                Some(more) => bytes += more,
                None => {
                    let last = groups.is_empty();
                    let Some(done) = group.take() else { break };
                    self.outcome.bytes_read += bytes;
                    return self.commit(*done, last).map(|swap| Step::Swap(Box::new(swap)));
                }
            }
        }
        self.outcome.bytes_read += bytes;
        Ok(Step::More { bytes })
    }

    /// From here on the group's cleaned segment counts.
    fn commit(&mut self, group: Group, last_group: bool) -> Result<Swap> {
        let Group { sources, writer, .. } = group;
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else {
            return Err(Error::InvalidFrame { what: "a group without a segment".into() });
        };
        let swapped = Swapped { base_offset: first.segment.base_offset, end_offset: last.end_offset };
        if last.next_index > self.manifest.first_index {
            (self.manifest.first_index, self.manifest.previous_term) = (last.next_index, last.last_term);
        }
        if last_group {
            self.manifest.clean_end = self.manifest.clean_end.max(self.filter.mapped_until);
        }
        self.manifest.swap = Some(swapped);
        // The names too, and with them those of the swap before.
        let finished = writer.finish()?;
        // Whether or not it gets through, the files may be named now.
        let segment = finished.keep();
        self.manifest.save(&self.env, &self.folder, &self.identity)?;
        let mut before = 0;
        for source in &sources {
            before += source.segment.log_len()?;
        }
        self.outcome.bytes_before += before;
        self.outcome.bytes_after += segment.log_len()?;
        self.outcome.segments_before += sources.len();
        self.outcome.segments_after += 1;
        let sources = sources.into_iter().map(|source| source.segment).collect();
        Ok(Swap { segment, sources, swapped, manifest: self.manifest })
    }
}

impl Group {
    /// Takes the next batch; its bytes, or none at the end.
    fn step(&mut self, filter: &Filter) -> Result<Option<u64>> {
        let Some(source) = self.sources.get(self.at) else { return Ok(None) };
        let scanner = match &mut self.scanner {
            Some(open) => open,
            None => self.scanner.insert(scan(source)?),
        };
        let Some((header, batch)) = next(scanner, source)? else {
            (self.at, self.scanner) = (self.at + 1, None);
            return Ok(Some(0));
        };
        let verdict = filter.judge(&header, &batch).unwrap_or_else(|error| {
            unreadable(source, &header, &error);
            Verdict::Keep
        });
        let written = match verdict {
            Verdict::Keep => {
                self.writer.append(&header, &batch)?;
                batch.len()
            }
            Verdict::Replace(left) => {
                let header = BatchHeader::parse(&left).map_err(|e| Error::InvalidFrame { what: e.to_string() })?;
                self.writer.append(&header, &left)?;
                left.len()
            }
            Verdict::Drop => 0,
        };
        Ok(Some((batch.len() + written) as u64))
    }
}

/// A swap that the manifest names must not be taken for this pass's; what it was about is done, or given up.
fn forget_swap(env: &Env, folder: &Path, identity: &Identity, manifest: &mut Manifest) -> Result<()> {
    let saved = Manifest::load(env, folder, identity)?;
    if saved.is_some_and(|saved| saved.swap.is_some()) {
        env.fs.sync_dir(folder).map_err(|e| Error::io("sync", folder, e))?;
        manifest.save(env, folder, identity)?;
    }
    Ok(())
}

/// Groups of neighbours that become one segment each, as Kafka forms them: by the size of what goes in.
fn group(sources: &[Source], config: &LogConfig) -> Result<VecDeque<Vec<Source>>> {
    let mut groups: VecDeque<Vec<Source>> = VecDeque::new();
    let mut sizes = [0; 3];
    for source in sources {
        source.segment.open()?;
        let extent = source.segment.extent();
        let own = [u64::from(extent.log_len), (extent.index * INDEX_LEN) as u64, (extent.timeindex * TIME_LEN) as u64];
        let max = [config.segment_bytes, config.segment_index_bytes, config.segment_index_bytes].map(u64::from);
        let fits = sizes.iter().zip(own).zip(max).all(|((size, own), max)| size + own <= max);
        match groups.back_mut() {
            Some(group) if fits && i32::try_from(source.end_offset - group[0].segment.base_offset).is_ok() => {
                group.push(source.clone());
                sizes.iter_mut().zip(own).for_each(|(size, own)| *size += own);
            }
            _ => {
                groups.push_back(vec![source.clone()]);
                sizes = own;
            }
        }
    }
    Ok(groups)
}

/// What a cleaned segment says about itself.
fn header_of(sources: &[Source], identity: Identity, log_start_offset: i64) -> Result<SegmentHeader> {
    let (Some(first), Some(last)) = (sources.first(), sources.last()) else {
        return Err(Error::InvalidFrame { what: "a group without a segment".into() });
    };
    let (begin, end) = (first.segment.header()?, last.segment.header()?);
    Ok(SegmentHeader {
        identity,
        log_start_offset,
        created_ms: end.created_ms,
        producers_checksum: 0,
        membership_index: end.membership_index,
        membership: end.membership.clone(),
        cleaned: Some(Cleaned { next_index: last.next_index, end_offset: last.end_offset, last_term: last.last_term }),
        ..begin.clone()
    })
}

/// The frames behind a segment's header.
fn scan(source: &Source) -> Result<Scanner> {
    let path = source.segment.path(Part::Log);
    let files = source.segment.open()?;
    let (_, header_len) = SegmentHeader::read(&path, &*files.log)?;
    let len = source.segment.extent().log_len;
    Ok(Scanner::new(&path, files.log.clone(), header_len, len.into()))
}

/// The next frame, checked; damage ends the pass.
fn next(scanner: &mut Scanner, source: &Source) -> Result<Option<(BatchHeader, Bytes)>> {
    match scanner.next()? {
        Found::End => Ok(None),
        Found::Frame { header, bytes, .. } => Ok(Some((header, Bytes::copy_from_slice(bytes)))),
        Found::Bad(bad) => Err(Error::corrupt(&source.segment.path(Part::Log), bad.position.into(), bad.what)),
    }
}

fn unreadable(source: &Source, header: &BatchHeader, error: &BatchError) {
    let (log, offset) = (source.segment.path(Part::Log), header.base_offset);
    tracing::warn!(log = %log.display(), offset, %error, "a batch whose records can't be read is not compacted");
}
