//! A member of a group, with who waits for it.

use bytes::Bytes;
use leat_protocol::Str;

use super::Protocol;

/// What the bookkeeping of a member takes beside its texts.
const OVERHEAD_BYTES: usize = 256;

/// A member. `T` is who waits for an answer.
#[derive(Debug)]
pub(crate) struct Member<T> {
    pub(crate) instance: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) rebalance_timeout_ms: u64,
    pub(crate) session_timeout_ms: u64,
    /// What it can be assigned by, the one it likes best first. No name twice.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// When it is taken for gone; not watched while it waits for others.
    pub(super) expires_up_ms: Option<u64>,
    /// It has not been in a generation yet, so it does not know its id and can't send heartbeats.
    pub(super) is_new: bool,
    /// It was told of this generation and has not synced since.
    pub(super) owes_sync: bool,
    pub(super) joining: Option<T>,
    pub(super) syncing: Option<T>,
}

impl<T> Member<T> {
    /// What it said for a protocol.
    pub(crate) fn metadata(&self, protocol: Option<&Str>) -> Bytes {
        let said = protocol.and_then(|name| self.protocols.iter().find(|protocol| protocol.name == *name));
        said.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    /// The protocol that it likes best among those that everybody has.
    pub(super) fn vote(&self, is_candidate: impl Fn(&Str) -> bool) -> Option<&Str> {
        self.protocols.iter().map(|protocol| &protocol.name).find(|name| is_candidate(name))
    }

    /// Memory that it takes, near enough.
    pub(super) fn bytes(&self, id: &str) -> usize {
        let texts = [id, &self.client_id, &self.client_host, self.instance.as_deref().unwrap_or_default()];
        member_bytes(&texts, &self.protocols) + self.assignment.len()
    }
}

/// Memory that a member with these texts and protocols takes, near enough.
pub(super) fn member_bytes(texts: &[&str], protocols: &[Protocol]) -> usize {
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let protocols: usize = protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len() + 64).sum();
    OVERHEAD_BYTES + texts + protocols
}
