//! Threads for work that blocks on a disk and is not a write: opening, syncing, checkpoints, deletion, cold reads.
//!
//! The queue is unbounded by itself; every caller has at most one task per partition under way.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;

type Task = Box<dyn FnOnce() + Send>;

/// Several syncs run at once so that the file system merges its journal commits.
const THREADS: usize = 4;

/// A few threads and one queue. Cheap to clone; ends when told to.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tasks: Mutex<Option<Sender<Task>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    pub(crate) fn start() -> std::io::Result<Pool> {
        let (tasks, queue) = unbounded::<Task>();
        let threads = (0..THREADS)
            .map(|at| {
                let queue = queue.clone();
                let run = move || queue.iter().for_each(|task| task());
                thread::Builder::new().name(format!("leat-disk-{at}")).spawn(run)
            })
            .collect::<Result<_, _>>()?;
        Ok(Pool(Arc::new(Inner { tasks: Mutex::new(Some(tasks)), threads: Mutex::new(threads) })))
    }

    /// Runs `task` on one of the threads. After `stop` it is dropped.
    pub(crate) fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        if let Some(tasks) = &*self.0.tasks.lock() {
            // The receivers live as long as this sender.
            let _ = tasks.send(Box::new(task));
        }
    }

    /// Whether a thread has ended in a panic; what waits for its task waits for ever.
    pub(crate) fn has_lost_a_thread(&self) -> bool {
        self.0.threads.lock().iter().any(JoinHandle::is_finished)
    }

    /// Finishes what is queued, then ends the threads.
    pub(crate) fn stop(&self) {
        drop(self.0.tasks.lock().take());
        for thread in self.0.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}
