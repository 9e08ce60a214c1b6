//! Who holds the log, as the metadata would decide it.

use raft::eraftpb::ConfState;

use crate::replica::members;

#[derive(Debug)]
pub(super) struct Placement {
    /// The group's first voters, which its log does not say.
    pub(super) founders: ConfState,
    /// Who should hold the log.
    pub(super) wanted: Vec<u64>,
    /// Who held it before, while that changes.
    before: Option<Vec<u64>>,
    /// Others that may still be members.
    leaving: Vec<u64>,
    /// The last change that is known to be committed.
    pub(super) decided: (u64, u64),
    last_id: u64,
}

impl Placement {
    pub(super) fn new(voters: u64, spares: u64) -> Self {
        Self {
            founders: members(1..=voters),
            wanted: (1..=voters).collect(),
            before: None,
            leaving: Vec::new(),
            decided: (0, 0),
            last_id: voters + spares,
        }
    }

    pub(super) fn is_changing(&self) -> bool {
        self.before.is_some()
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn ask(&mut self, wanted: Vec<u64>) {
        let was = std::mem::replace(&mut self.wanted, wanted);
        self.leaving.extend(was.iter().filter(|id| !self.leaving.contains(id)).copied().collect::<Vec<_>>());
        self.leaving.retain(|id| !self.wanted.contains(id));
        self.before.get_or_insert(was);
    }

    /// Goes back to who held it before.
    pub(super) fn cancel(&mut self) {
        if let Some(before) = self.before.clone() {
            self.ask(before);
        }
    }

    /// The group has the wanted members. Returns those that hold the log no more.
    pub(super) fn complete(&mut self, decided: (u64, u64)) -> Vec<u64> {
        self.before = None;
        self.decided = decided;
        std::mem::take(&mut self.leaving)
    }
}
