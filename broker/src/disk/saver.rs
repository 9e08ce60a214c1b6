//! Saves the checkpoints of one log, one at a time and never an older one over a newer: compaction relies on what was saved.

use std::path::Path;
use std::sync::Arc;

use leat_storage::{Checkpoint, Env, Error};
use parking_lot::Mutex;

/// Cheap to clone. Holds the applied index of the newest checkpoint that was saved.
#[derive(Debug, Clone, Default)]
pub(super) struct Saver(Arc<Mutex<u64>>);

impl Saver {
    /// Saves no more, once what is being saved is.
    pub(super) fn end(&self) {
        *self.0.lock() = u64::MAX;
    }

    /// Blocks on the disk, and while another one is saved.
    pub(super) fn save(&self, checkpoint: &Checkpoint, env: &Env, folder: &Path) -> Result<(), Error> {
        let mut applied = self.0.lock();
        if checkpoint.applied >= *applied {
            checkpoint.save(env, folder)?;
            *applied = checkpoint.applied;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_checkpoint_that_comes_late_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (saver, env) = (Saver::default(), Env::default());
        for (applied, then) in [(5, 5), (3, 5), (7, 7), (7, 7)] {
            saver.save(&Checkpoint { applied, ..Checkpoint::default() }, &env, folder.path()).unwrap();
            assert_eq!(Checkpoint::load(&env, folder.path()).unwrap().unwrap().applied, then);
        }
    }
}
