//! A group's members in the checkpoint and in segment headers.

use bytes::Bytes;
use prost::Message;
use raft::eraftpb::ConfState;

#[derive(Clone, PartialEq, Message)]
struct Membership {
    #[prost(uint64, repeated, tag = "1")]
    voters: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    learners: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    voters_outgoing: Vec<u64>,
    #[prost(uint64, repeated, tag = "4")]
    learners_next: Vec<u64>,
    #[prost(bool, tag = "5")]
    auto_leave: bool,
}

/// The members as bytes.
pub(crate) fn encode(members: &ConfState) -> Bytes {
    let message = Membership {
        voters: members.voters.clone(),
        learners: members.learners.clone(),
        voters_outgoing: members.voters_outgoing.clone(),
        learners_next: members.learners_next.clone(),
        auto_leave: members.auto_leave,
    };
    Bytes::from(message.encode_to_vec())
}

/// The members that `bytes` name; `None` where they name no voter.
pub(crate) fn decode(bytes: &[u8]) -> Option<ConfState> {
    let message = Membership::decode(bytes).ok()?;
    let members = ConfState {
        voters: message.voters,
        learners: message.learners,
        voters_outgoing: message.voters_outgoing,
        learners_next: message.learners_next,
        auto_leave: message.auto_leave,
        ..ConfState::default()
    };
    (!members.voters.is_empty()).then_some(members)
}

/// A group with these voters.
pub(crate) fn of(voters: impl Iterator<Item = u64>) -> ConfState {
    ConfState { voters: voters.collect(), ..ConfState::default() }
}

/// Whether this replica is the group's only voter.
pub(super) fn decides_alone(members: &ConfState, replica_id: u64) -> bool {
    members.voters == [replica_id] && members.voters_outgoing.is_empty()
}
