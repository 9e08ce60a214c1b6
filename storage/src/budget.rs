//! The budget of open segments: how many may hold files and mappings at once, over all logs of the process.
//!
//! A segment opens when it is first read or written and is closed when others need its place: a clock with one second
//! chance, touched only when a segment opens. Readers that hold its files keep them until they let go.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::segment::Segment;

/// Files of a segment that is being written; a sealed one holds one.
const FILES_EACH: usize = 4;
/// Three mappings a segment stay far below the kernel's default of 65,530.
const SEGMENTS_MAX: usize = 16_384;
/// Files that are held until they are synced, for each segment that may be open.
const HELD_EACH: usize = 2;

/// See the module.
#[derive(Debug)]
pub struct OpenFiles {
    max: usize,
    clock: Mutex<VecDeque<Weak<Segment>>>,
    held: AtomicUsize,
}

/// A file that stays open until it is synced; counted as long as this lives.
#[derive(Debug)]
pub(crate) struct Hold {
    budget: Arc<OpenFiles>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OpenFiles {
    /// What fits a file limit of 1,024, the usual one.
    pub const DEFAULT_MAX: usize = 128;

    /// At most `max` segments (at least one) are open at once, and twice as many files held that wait for a sync.
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), clock: Mutex::new(VecDeque::new()), held: AtomicUsize::new(0) }
    }

    /// What a limit of `files` allows: half for open segments, a quarter for files that wait for a sync, the rest for others.
    pub fn for_file_limit(files: u64) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self::new((files / 2 / FILES_EACH).min(SEGMENTS_MAX))
    }

    /// Counts a file that is kept open until its sync; none where too many are, and the file is then opened again for it.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<Hold> {
        let held = self.held.fetch_add(1, Ordering::Relaxed);
        let hold = Hold { budget: self.clone() };
        (held < self.max * HELD_EACH).then_some(hold)
    }

    /// How many segments may be open at once.
    pub fn max(&self) -> usize {
        self.max
    }

    /// How many segments are open, or were until lately.
    pub fn len(&self) -> usize {
        self.clock.lock().len()
    }

    /// No segment is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for a segment that has just opened its files.
    pub(crate) fn opened(&self, segment: &Arc<Segment>) {
        let mut clock = self.clock.lock();
        clock.push_back(Arc::downgrade(segment));
        // Each turn drops, closes or takes back a second chance, so two rounds are enough.
        for _ in 0..clock.len() * 2 {
            if clock.len() <= self.max {
                return;
            }
            let Some(oldest) = clock.pop_front() else {
                return;
            };
            if let Some(other) = oldest.upgrade()
                && !Arc::ptr_eq(&other, segment)
                && other.is_open()
            {
                if other.take_second_chance() {
                    clock.push_back(oldest);
                } else {
                    other.close_files();
                }
            } else if oldest.as_ptr() == Arc::as_ptr(segment) {
                clock.push_back(oldest);
            }
        }
    }
}

/// Raises the process's limit of open files to the hard limit; returns what it then is.
pub fn raise_file_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
