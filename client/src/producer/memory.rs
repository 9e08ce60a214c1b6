//! `buffer.memory`: a bound on the bytes that wait to be delivered, and the line of those who wait for room.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

#[derive(Debug)]
pub(super) struct Memory {
    free: Semaphore,
    waiting: AtomicUsize,
}

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        Self { free: Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)), waiting: AtomicUsize::new(0) }
    }

    pub(super) fn try_reserve(&self, bytes: usize) -> bool {
        match self.free.try_acquire_many(permits(bytes)) {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        }
    }

    /// Waits in line; `false` when the producer was closed.
    pub(super) async fn reserve(&self, bytes: usize) -> bool {
        self.free.acquire_many(permits(bytes)).await.map(|permit| permit.forget()).is_ok()
    }

    pub(super) fn release(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    /// Marks that somebody waits, until dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(self)
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    pub(super) fn close(&self) {
        self.free.close();
    }
}

pub(super) struct Waiting<'a>(&'a Memory);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `max.request.size` bounds a record below 2^31.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
