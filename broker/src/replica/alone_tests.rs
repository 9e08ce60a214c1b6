//! An only voter that opens its log, and what it tells of it.

use bytes::Bytes;
use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, Builder, Compression};
use leat_storage::{Ballot, Epoch};
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};

use super::{Effects, Event, Held, Replica, Settings, Start, frame, members};

fn record(offset: i64) -> Held {
    let mut builder = Builder::new(Compression::None, None);
    builder.push(1, None, Some(b"value"), &[]);
    let mut batch = builder.finish().unwrap().to_vec();
    records::set_base_offset(&mut batch, offset);
    records::set_leader_epoch(&mut batch, 1);
    frame::describe(&Bytes::from(batch), offset).unwrap()
}

/// The other voter, replica 2, leaves.
fn leaves(end_offset: i64) -> Held {
    let mut single = ConfChangeSingle { node_id: 2, ..ConfChangeSingle::default() };
    single.set_change_type(ConfChangeType::RemoveNode);
    let change = ConfChangeV2 { changes: vec![single].into(), ..ConfChangeV2::default() };
    let body = change.write_to_bytes().unwrap();
    frame::describe(&entry::frame(EntryKind::Membership, end_offset, 1, &body), end_offset).unwrap()
}

/// The metadata tells that the change is decided, and nothing tells so of the records behind it: they were acknowledged, though.
#[test]
fn what_came_after_the_others_left_is_told_once_it_is_committed_and_nothing_before() {
    let start = Start {
        replica_id: 1,
        ballot: Ballot { term: 1, vote: 1 },
        membership: members(1..=2),
        decided: (2, 1),
        first_index: 1,
        epochs: vec![Epoch { term: 1, first_index: 1, first_offset: 0 }],
        held: vec![record(0), leaves(1), record(1), record(2)],
        ..Start::default()
    };
    let settings = Settings {
        relaxed: false,
        applies_records: false,
        tail_bytes_max: 1 << 20,
        producer_expiration_ms: 86_400_000,
        election_seed: 0,
        insync_min: 1,
    };
    let mut replica: Replica<()> = Replica::open(start, settings).unwrap();
    assert!(!replica.is_settled());
    let mut effects = Effects::default();
    replica.flush(&mut effects);
    assert_eq!(replica.leader(), 1, "nobody else can lead");
    let mut writes = 0;
    while !effects.writes.is_empty() {
        for write in std::mem::take(&mut effects.writes) {
            assert!(!replica.is_settled(), "with {} of 3 records", replica.high_watermark());
            writes += 1;
            replica.step(Event::Written { ready: write.ready }, &mut effects);
            replica.step(Event::Synced { ready: write.ready }, &mut effects);
        }
    }
    assert!(writes > 0 && replica.is_settled());
    assert_eq!(replica.high_watermark(), 3);
}
