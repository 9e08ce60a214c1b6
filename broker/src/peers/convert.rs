//! Raft's messages and their frames. Bytes from the network never reach raft's own decoder.

use bytes::Bytes;
use leat_protocol::Uuid;
use leat_storage::GroupId;
use protobuf::ProtobufEnum as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use super::wire::{Body, EntryHead, Frame, Raft};

/// The frame of a message. Its payload is the entries' data.
pub(super) fn to_wire(group: GroupId, message: &Message) -> Frame {
    let (topic_high, topic_low) = group.topic_id.as_u64_pair();
    let head = |entry: &Entry| EntryHead {
        term: entry.term,
        kind: entry.get_entry_type().value(),
        // A frame's length is a u32 too.
        len: u32::try_from(entry.data.len()).unwrap_or(u32::MAX),
    };
    Frame {
        body: Some(Body::Raft(Raft {
            topic_high,
            topic_low,
            partition: group.partition,
            kind: message.get_msg_type().value(),
            to: message.to,
            from: message.from,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            commit: message.commit,
            commit_term: message.commit_term,
            reject: message.reject,
            reject_hint: message.reject_hint,
            context: message.context.clone(),
            entries: message.entries.iter().map(head).collect(),
        })),
    }
}

/// The message of a frame and the group that it is for; an error says what the frame has that no message can.
pub(super) fn from_wire(head: Raft, mut payload: Bytes) -> Result<(GroupId, Message), &'static str> {
    let group = GroupId { topic_id: Uuid::from_u64_pair(head.topic_high, head.topic_low), partition: head.partition };
    let mut message = Message::default();
    message.set_msg_type(MessageType::from_i32(head.kind).ok_or("an unknown kind of message")?);
    (message.to, message.from, message.term) = (head.to, head.from, head.term);
    (message.log_term, message.index) = (head.log_term, head.index);
    (message.commit, message.commit_term) = (head.commit, head.commit_term);
    (message.reject, message.reject_hint) = (head.reject, head.reject_hint);
    message.context = head.context;
    let mut entries = Vec::with_capacity(head.entries.len());
    for (entry, nth) in head.entries.iter().zip(1..) {
        let len = entry.len as usize;
        if len > payload.len() {
            return Err("an entry that is longer than its payload");
        }
        let mut read = Entry {
            index: head.index.checked_add(nth).ok_or("an index past the last one")?,
            term: entry.term,
            data: payload.split_to(len),
            ..Entry::default()
        };
        read.set_entry_type(EntryType::from_i32(entry.kind).ok_or("an unknown kind of entry")?);
        entries.push(read);
    }
    if !payload.is_empty() {
        return Err("a payload that is longer than its entries");
    }
    message.entries = entries.into();
    Ok((group, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgAppend);
        (message.to, message.from, message.term, message.log_term, message.index) = (1, 2, 3, 4, 5);
        (message.commit, message.commit_term, message.reject, message.reject_hint) = (6, 7, true, 8);
        message.context = Bytes::from_static(b"c");
        let mut change = Entry { index: 7, term: 4, data: Bytes::from_static(b"zz"), ..Entry::default() };
        change.set_entry_type(EntryType::EntryConfChangeV2);
        let plain = Entry { index: 6, term: 3, data: Bytes::from_static(b"y"), ..Entry::default() };
        message.entries = vec![plain, change].into();
        message
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        let group = GroupId { topic_id: Uuid::new_v4(), partition: 9 };
        let Some(Body::Raft(head)) = to_wire(group, &message()).body else { panic!("a raft message") };
        assert_eq!(from_wire(head, Bytes::from_static(b"yzz")), Ok((group, message())));
    }

    #[test]
    fn what_no_message_can_have_is_refused() {
        let Some(Body::Raft(head)) = to_wire(GroupId { topic_id: Uuid::nil(), partition: 0 }, &message()).body else {
            panic!("a raft message")
        };
        for payload in [&b""[..], b"y", b"yzzz"] {
            assert!(from_wire(head.clone(), Bytes::from_static(payload)).is_err(), "{payload:?}");
        }
        assert!(from_wire(Raft { kind: 99, ..head.clone() }, Bytes::from_static(b"yzz")).is_err());
        assert!(from_wire(Raft { index: u64::MAX, ..head }, Bytes::from_static(b"yzz")).is_err());
    }
}
