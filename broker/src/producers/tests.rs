//! Kafka's rules one by one, as Apache Kafka 4.3.1 answered the same raw produce requests; then what is Leat's own.

use leat_protocol::ErrorCode;
use leat_protocol::records::BatchHeader;

use super::{ActiveProducer, BATCHES_REMEMBERED, PRODUCERS_MAX, ProducerState, Verdict};

const DAY_MS: i64 = 86_400_000;

/// A header as the partition numbers it: `records` records of `(producer, epoch)` from `sequence`.
pub(super) fn header(producer_id: i64, epoch: i16, sequence: i32, records: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 100,
        partition_leader_epoch: 1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: records - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        records_count: records,
    }
}

/// A partition that numbers what it accepts and commits at once.
#[derive(Default)]
struct Partition {
    producers: ProducerState,
    index: u64,
    next_offset: i64,
    timestamp: i64,
}

impl Partition {
    fn append(&mut self, batch: BatchHeader) -> u64 {
        self.index += 1;
        let numbered = BatchHeader { base_offset: self.next_offset, max_timestamp: self.timestamp, ..batch };
        self.next_offset += i64::from(batch.records_count);
        self.producers.append(self.index, &numbered);
        self.index
    }

    /// The offset of the batch, new or old, or the refusal.
    fn produce(&mut self, batch: BatchHeader) -> Result<i64, ErrorCode> {
        match self.producers.check(&batch) {
            Verdict::Append => {
                let index = self.append(batch);
                self.producers.commit(index);
                Ok(self.next_offset - i64::from(batch.records_count))
            }
            Verdict::Duplicate { base_offset, .. } => Ok(base_offset),
            Verdict::Reject(rejection) => Err(rejection.error_code()),
        }
    }
}

fn out_of_order() -> Result<i64, ErrorCode> {
    Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
}

fn stale_epoch() -> Result<i64, ErrorCode> {
    Err(ErrorCode::INVALID_PRODUCER_EPOCH)
}

#[test]
fn empty_state_is_one_pointer() {
    assert_eq!(size_of::<ProducerState>(), size_of::<usize>());
    let mut producers = ProducerState::default();
    producers.append(1, &header(-1, -1, -1, 1));
    assert!(producers.0.is_none(), "a batch without a producer leaves no trace");
}

#[test]
fn a_producer_gets_about_200_bytes() {
    assert!(size_of::<super::Producer>() <= 200, "{}", size_of::<super::Producer>());
}

#[test]
fn batches_without_a_producer_always_go_in() {
    let mut partition = Partition::default();
    for offset in 0..3 {
        assert_eq!(partition.produce(header(-1, 3, 4, 1)), Ok(offset));
    }
    assert_eq!(partition.produce(header(-2, 3, 4, 1)), Ok(3));
}

#[test]
fn an_unknown_producer_may_start_anywhere() {
    let mut partition = Partition::default();
    assert_eq!(partition.produce(header(100, 0, 7, 1)), Ok(0));
    assert_eq!(partition.produce(header(100, 0, 8, 3)), Ok(1));
}

#[test]
fn a_repeat_of_the_last_five_gets_its_first_offset() {
    let mut partition = Partition::default();
    for sequence in 0..8 {
        assert_eq!(partition.produce(header(100, 0, sequence, 1)), Ok(i64::from(sequence)));
    }
    for sequence in 3..8 {
        assert_eq!(partition.produce(header(100, 0, sequence, 1)), Ok(i64::from(sequence)));
    }
    assert_eq!(partition.produce(header(100, 0, 2, 1)), out_of_order());
}

#[test]
fn part_of_a_batch_is_no_repeat() {
    let mut partition = Partition::default();
    assert_eq!(partition.produce(header(100, 0, 0, 3)), Ok(0));
    for (sequence, records) in [(0, 2), (1, 2), (0, 4), (2, 1)] {
        assert_eq!(partition.produce(header(100, 0, sequence, records)), out_of_order());
    }
}

#[test]
fn a_gap_is_refused() {
    let mut partition = Partition::default();
    assert_eq!(partition.produce(header(100, 0, 0, 1)), Ok(0));
    assert_eq!(partition.produce(header(100, 0, 2, 1)), out_of_order());
    assert_eq!(partition.produce(header(100, 0, 1, 1)), Ok(1));
}

#[test]
fn a_new_epoch_starts_at_zero_and_ends_the_old_one() {
    let mut partition = Partition::default();
    assert_eq!(partition.produce(header(100, 0, 0, 1)), Ok(0));
    assert_eq!(partition.produce(header(100, 1, 1, 1)), out_of_order());
    assert_eq!(partition.produce(header(100, 1, 0, 1)), Ok(1));
    assert_eq!(partition.produce(header(100, 0, 0, 1)), stale_epoch(), "also a repeat");
    assert_eq!(partition.produce(header(100, 0, 1, 1)), stale_epoch());
    assert_eq!(partition.produce(header(100, 1, 0, 1)), Ok(1));
    assert_eq!(partition.produce(header(100, 3, 0, 1)), Ok(2), "epochs may be skipped");
}

#[test]
fn without_an_epoch_nothing_is_out_of_order() {
    let mut partition = Partition::default();
    for (offset, (epoch, sequence)) in (0..).zip([(-1, 0), (-1, 1), (-1, 5), (0, 9)]) {
        assert_eq!(partition.produce(header(101, epoch, sequence, 1)), Ok(offset));
    }
    assert_eq!(partition.produce(header(102, -2, 0, 1)), stale_epoch());
}

#[test]
fn a_producer_without_a_sequence_is_an_invalid_record() {
    let mut partition = Partition::default();
    assert_eq!(partition.produce(header(100, 0, -1, 1)), Err(ErrorCode::INVALID_RECORD));
    assert_eq!(partition.produce(header(100, 0, 0, 1)), Ok(0));
    assert_eq!(partition.produce(header(100, 0, -5, 1)), Err(ErrorCode::INVALID_RECORD));
}

#[test]
fn sequences_go_on_at_zero_after_the_largest() {
    let mut partition = Partition::default();
    assert_eq!(partition.produce(header(100, 0, i32::MAX - 1, 2)), Ok(0));
    assert_eq!(partition.produce(header(100, 0, 0, 1)), Ok(2));
    assert_eq!(partition.produce(header(100, 0, 0, 1)), Ok(2));

    assert_eq!(partition.produce(header(101, 0, i32::MAX, 3)), Ok(3), "it wraps inside the batch");
    assert_eq!(partition.produce(header(101, 0, i32::MAX, 3)), Ok(3));
    assert_eq!(partition.produce(header(101, 0, 1, 1)), out_of_order());
    assert_eq!(partition.produce(header(101, 0, 2, 1)), Ok(6));
}

#[test]
fn a_repeat_of_a_pending_batch_waits_for_its_entry() {
    let mut partition = Partition { timestamp: 77, ..Partition::default() };
    let index = partition.append(header(100, 0, 0, 1));
    let repeat = |pending| Verdict::Duplicate { base_offset: 0, timestamp: 77, pending };
    assert_eq!(partition.producers.check(&header(100, 0, 0, 1)), repeat(Some(index)));
    partition.producers.commit(index);
    assert_eq!(partition.producers.check(&header(100, 0, 0, 1)), repeat(None));
}

#[test]
fn pending_batches_count_among_the_last_five() {
    let mut partition = Partition::default();
    for sequence in 0..3 {
        partition.produce(header(100, 0, sequence, 1)).unwrap();
    }
    for sequence in 3..6 {
        partition.append(header(100, 0, sequence, 1));
    }
    let is_repeat =
        |sequence| matches!(partition.producers.check(&header(100, 0, sequence, 1)), Verdict::Duplicate { .. });
    assert!((1..6).all(is_repeat));
    assert!(!is_repeat(0));
}

#[test]
fn truncation_gives_back_the_sequence_and_the_epoch() {
    let mut partition = Partition::default();
    partition.produce(header(100, 0, 0, 1)).unwrap();
    let cut = partition.append(header(100, 0, 1, 1));
    partition.append(header(100, 1, 0, 1));
    partition.append(header(200, 0, 0, 1));
    assert_eq!(partition.producers.len(), 2);

    partition.producers.truncate(cut);
    assert_eq!(partition.producers.len(), 1);
    assert_eq!(partition.producers.check(&header(100, 0, 1, 1)), Verdict::Append);
    assert!(matches!(partition.producers.check(&header(100, 0, 0, 1)), Verdict::Duplicate { pending: None, .. }));
    assert!(matches!(partition.producers.check(&header(100, 0, 2, 1)), Verdict::Reject(_)));
}

#[test]
fn truncating_all_frees_all() {
    let mut partition = Partition::default();
    let first = partition.append(header(100, 0, 0, 1));
    partition.append(header(100, 0, 1, 1));
    partition.producers.truncate(first);
    assert!(partition.producers.0.is_none());
}

#[test]
fn saved_state_leaves_out_what_is_pending() {
    let mut partition = Partition::default();
    partition.produce(header(100, 0, 0, 1)).unwrap();
    let committed = partition.producers.encode();
    partition.append(header(100, 1, 0, 1));
    partition.append(header(200, 0, 0, 1));
    assert_eq!(partition.producers.encode(), committed);
}

#[test]
fn quiet_producers_expire_by_the_time_of_the_log() {
    let mut partition = Partition { timestamp: 1_000_000, ..Partition::default() };
    partition.produce(header(100, 0, 0, 1)).unwrap();
    for sequence in 0..=1440 {
        assert_eq!(partition.producers.expire(DAY_MS as u64), 0);
        partition.produce(header(200, 0, sequence, 1)).unwrap();
        partition.timestamp += 60_000;
    }
    partition.produce(header(200, 0, 1441, 1)).unwrap();
    assert_eq!(partition.producers.expire(DAY_MS as u64), 1);
    assert_eq!(partition.producers.active().len(), 1);
    assert_eq!(partition.produce(header(100, 0, 50, 1)), Ok(1443), "it is unknown again");
}

#[test]
fn a_jump_of_timestamps_expires_nobody() {
    let mut partition = Partition::default();
    partition.produce(header(100, 0, 0, 1)).unwrap();
    partition.timestamp = 4_000 * DAY_MS;
    partition.produce(header(200, 0, 0, 1)).unwrap();
    assert_eq!(partition.producers.expire(DAY_MS as u64), 0);
    assert_eq!(partition.produce(header(100, 0, 0, 1)), Ok(0), "its repeat is still found");
}

#[test]
fn at_the_bound_those_that_wrote_longest_ago_are_forgotten() {
    let mut partition = Partition::default();
    for producer_id in 0..=PRODUCERS_MAX as i64 {
        partition.produce(header(producer_id, 0, 0, 1)).unwrap();
    }
    let kept = PRODUCERS_MAX + 1 - PRODUCERS_MAX / 16;
    assert_eq!(partition.producers.len(), kept);
    assert_eq!(partition.producers.active()[0].producer_id, PRODUCERS_MAX as i64 / 16);
    assert_eq!(partition.producers.0.as_ref().unwrap().remembered, kept);
}

#[test]
fn listing_shows_the_last_batch_pending_or_not() {
    let mut partition = Partition { timestamp: 5, ..Partition::default() };
    partition.produce(header(200, 3, 0, 4)).unwrap();
    partition.produce(header(100, 0, 0, 1)).unwrap();
    partition.timestamp = 6;
    partition.append(header(100, 1, 0, 2));
    let active = |producer_id, epoch, last_sequence, last_timestamp| ActiveProducer {
        producer_id,
        epoch,
        last_sequence,
        last_timestamp,
    };
    assert_eq!(partition.producers.active(), [active(100, 1, 1, 6), active(200, 3, 3, 5)]);
}

#[test]
fn refusals_say_what_would_be_right() {
    let mut partition = Partition::default();
    partition.produce(header(100, 2, 0, BATCHES_REMEMBERED as i32)).unwrap();
    let said = |batch| match partition.producers.check(&batch) {
        Verdict::Reject(rejection) => rejection.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(said(header(100, 1, 5, 1)), "producer epoch 1 is older than 2, the last one seen here");
    assert_eq!(said(header(100, 3, 5, 1)), "the first batch of producer epoch 3 must have base sequence 0, not 5");
    assert!(said(header(100, 2, 9, 1)).starts_with("base sequence 9 does not follow 4, "));
}
