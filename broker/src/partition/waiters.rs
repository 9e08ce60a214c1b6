//! Who waits for a partition to change. Nobody polls: a change wakes them, and a wakeup is never lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Partition;

/// One waiting request. It may watch many partitions; the first that changes wakes it.
pub(crate) type Wakeup = Arc<Notify>;

#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Looked at before the lock, which is then not taken where nobody waits.
    count: AtomicUsize,
    list: Mutex<Vec<Wakeup>>,
}

/// Ends the watch when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    partition: Arc<Partition>,
    wakeup: Wakeup,
}

impl Waiters {
    pub(super) fn register(&self, partition: &Arc<Partition>, wakeup: &Wakeup) -> Registration {
        let mut list = self.list.lock();
        list.push(wakeup.clone());
        self.count.store(list.len(), Ordering::SeqCst);
        Registration { partition: partition.clone(), wakeup: wakeup.clone() }
    }

    pub(super) fn wake(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            self.list.lock().iter().for_each(|wakeup| wakeup.notify_one());
        }
    }

    fn remove(&self, wakeup: &Wakeup) {
        let mut list = self.list.lock();
        if let Some(at) = list.iter().position(|other| Arc::ptr_eq(other, wakeup)) {
            list.swap_remove(at);
        }
        self.count.store(list.len(), Ordering::SeqCst);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.partition.waiters.remove(&self.wakeup);
    }
}
