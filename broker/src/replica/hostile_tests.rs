//! Messages that no correct replica sends, in any state: they are refused or come to nothing, and raft never panics.

use bytes::{Bytes, BytesMut};
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader, Builder, Compression};
use proptest::prelude::*;
use protobuf::ProtobufEnum as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use super::{Acks, Effects, Event, Replica, Settings, Start, members};

/// What happens next to replica 1 of 1, 2 and 3.
#[derive(Debug, Clone)]
enum Step {
    Tick,
    Campaign,
    LeaderLost,
    Seeded,
    Down(Vec<u64>),
    Transfer(u64),
    Propose,
    /// Everything that was written so far is synced.
    Sync,
    Message(Box<Message>),
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..12u64, 1 => Just(u64::MAX), 1 => Just(i32::MAX as u64 + 1)]
}

fn batch(term: u64) -> BytesMut {
    let mut builder = Builder::new(Compression::None, None);
    builder.push(1, None, Some(b"value"), &[]);
    let mut batch = BytesMut::from(builder.finish().unwrap());
    records::set_leader_epoch(&mut batch, i32::try_from(term).unwrap_or(i32::MAX));
    batch
}

/// A batch of records, or a frame of some kind.
fn framed(term: u64, which: usize) -> Bytes {
    let kinds = [EntryKind::SegmentHeader, EntryKind::NoOp, EntryKind::Membership, EntryKind::Trim, EntryKind::Seal];
    match kinds.get(which % 8) {
        Some(kind) => entry::frame(*kind, 0, i32::try_from(term).unwrap_or(i32::MAX), b"body"),
        None => batch(term).freeze(),
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let data = (0..6u64).prop_map(|term| batch(term).freeze());
    let data = prop_oneof![Just(Bytes::new()), Just(Bytes::from_static(b"noise")), data];
    (number(), number(), 0..3i32, data).prop_map(|(index, term, kind, data)| {
        let mut made = Entry { index, term, data, ..Entry::default() };
        made.set_entry_type(EntryType::from_i32(kind).unwrap());
        made
    })
}

fn message() -> impl Strategy<Value = Message> {
    let kinds = MessageType::values();
    let heads =
        (0..kinds.len(), 0..5u64, number(), number(), any::<bool>(), prop_oneof![9 => Just(true), 1 => Just(false)]);
    let bodies = (number(), number(), number(), proptest::collection::vec(entry(), 0..4), any::<bool>());
    (heads, bodies).prop_map(move |((kind, from, term, log_term, reject, ours), body)| {
        let (index, commit, hint, mut entries, in_order) = body;
        if in_order {
            // Otherwise next to none would get past the first check.
            for (entry, n) in entries.iter_mut().zip(1..) {
                (entry.index, entry.term) = (index.wrapping_add(n), term);
                if !entry.data.is_empty() && entry.get_entry_type() == EntryType::EntryNormal {
                    entry.data = framed(term, entry.data.len() + from as usize);
                }
            }
        }
        let mut message = Message::default();
        message.set_msg_type(kinds[kind]);
        (message.to, message.from) = (if ours { 1 } else { 2 }, from);
        (message.term, message.log_term, message.index) = (term, log_term, index);
        (message.commit, message.reject, message.reject_hint) = (commit, reject, hint);
        message.context = if reject { Bytes::from_static(b"rest") } else { Bytes::new() };
        message.entries = entries.into();
        message
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Tick),
        1 => Just(Step::Campaign),
        1 => Just(Step::LeaderLost),
        1 => Just(Step::Seeded),
        1 => proptest::collection::vec(0..5u64, 0..3).prop_map(Step::Down),
        1 => (0..5u64).prop_map(Step::Transfer),
        3 => Just(Step::Propose),
        6 => Just(Step::Sync),
        20 => message().prop_map(|message| Step::Message(Box::new(message))),
    ]
}

fn replica() -> Replica<()> {
    let start = Start { replica_id: 1, membership: members([1, 2, 3].into_iter()), first_index: 1, ..Start::default() };
    let settings = Settings {
        relaxed: false,
        applies_records: true,
        tail_bytes_max: 1 << 20,
        producer_expiration_ms: 86_400_000,
        election_seed: 4,
        insync_min: 2,
    };
    Replica::open(start, settings).unwrap()
}

fn run(steps: Vec<Step>) {
    let mut replica = replica();
    let mut effects = Effects::default();
    let mut written = Vec::new();
    for step in steps {
        let event = match step {
            Step::Tick => Event::Tick,
            Step::Campaign => Event::Campaign,
            Step::LeaderLost => Event::LeaderLost { rank: 0 },
            Step::Seeded => Event::Seeded,
            Step::Down(replicas) => Event::Down { replicas },
            Step::Transfer(to) => Event::Transfer { to },
            Step::Propose => {
                let batch = batch(0);
                let header = BatchHeader::parse(&batch).unwrap();
                Event::Propose { batch, header, acks: Acks::All, token: () }
            }
            Step::Sync => {
                for ready in written.drain(..) {
                    replica.step(Event::Synced { ready }, &mut effects);
                }
                continue;
            }
            Step::Message(message) => Event::Message(message),
        };
        replica.step(event, &mut effects);
        replica.flush(&mut effects);
        written.extend(effects.writes.drain(..).map(|write| write.ready));
        for request in std::mem::take(&mut effects.reads) {
            replica.step(Event::Read { request, frames: Vec::new() }, &mut effects);
        }
        effects = Effects::default();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_message_makes_raft_panic(steps in proptest::collection::vec(step(), 0..60)) {
        run(steps);
    }
}
