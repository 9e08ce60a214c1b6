//! Compacted topics: of each key the latest record stays, where it was, and what reads the log goes on over the holes.
//!
//! These hold on Apache Kafka too, which is quicker about them with `log.cleaner.backoff.ms=200`.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use leat_broker::Broker;
use leat_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use leat_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use leat_protocol::messages::{IncrementalAlterConfigsRequest, OffsetForLeaderEpochRequest};
use leat_protocol::records::{BatchHeader, Compression, Record};
use leat_protocol::{Bytes, ErrorCode};
use tempfile::TempDir;

use crate::harness::{
    Connection, Partition, Process, Target, bytes_of, create_topic, free_port, is_leat, keyed, now_ms, random,
    records_of, skip_unless_leat, start, target, unique, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(60);
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// A broker that looks for something to compact all the time, unless another one is tested.
struct Eager {
    broker: Option<(Broker, TempDir)>,
}

impl Eager {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        let broker = is_leat().then(|| {
            let folder = tempfile::tempdir().unwrap();
            let all = [&[("log.cleaner.backoff.ms", "50")], settings].concat();
            (start(folder.path(), &all).unwrap(), folder)
        });
        Self { broker }
    }

    fn partition(&self, configs: &[(&str, &str)]) -> Partition {
        // Every batch that is older than the one before gets a segment of its own, so all but the last can be cleaned.
        let all = [&[("segment.ms", "1"), ("min.cleanable.dirty.ratio", "0.01")], configs].concat();
        match &self.broker {
            Some((broker, _)) => Partition::with(&Target::of(broker), "compacted", &all),
            None => Partition::with(target(), "compacted", &all),
        }
    }

    /// The same after a restart; on another broker nothing happens.
    fn restart(&mut self, partition: Partition) -> Partition {
        let Some((broker, folder)) = self.broker.take() else { return partition };
        broker.stop();
        let broker = start(folder.path(), &[("log.cleaner.backoff.ms", "50")]).unwrap();
        let again = partition.beside(&Target::of(&broker));
        self.broker = Some((broker, folder));
        again
    }
}

/// Everything from an offset to the end, batch by batch.
fn consume(partition: &mut Partition, from: i64) -> Vec<Record> {
    try_consume(partition, from).unwrap_or_else(|error| panic!("{error} from offset {from}"))
}

/// The same; an error when the log no longer goes back to the offset.
fn try_consume(partition: &mut Partition, mut from: i64) -> Result<Vec<Record>, ErrorCode> {
    let (mut all, end) = (Vec::new(), partition.offset_for(LATEST).offset);
    while from < end {
        let data = partition.fetch(from);
        if data.error_code != ErrorCode::NONE {
            return Err(data.error_code);
        }
        let bytes = bytes_of(&data);
        let (mut at, begun) = (0, from);
        while at < bytes.len() {
            let header = BatchHeader::parse(&bytes[at..]).unwrap();
            (at, from) = (at + header.size(), header.next_offset());
        }
        assert!(from > begun, "nothing at offset {begun} of {end}");
        all.extend(records_of(&bytes).into_iter().filter(|record| record.offset >= begun));
    }
    Ok(all)
}

fn text(bytes: &Option<Bytes>) -> Option<String> {
    bytes.as_ref().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// Offset, key, value.
fn rows(records: &[Record]) -> Vec<(i64, String, Option<String>)> {
    records.iter().map(|r| (r.offset, text(&r.key).unwrap(), text(&r.value))).collect()
}

fn epoch_end(partition: &mut Partition, epoch: i32) -> i64 {
    let asked = OffsetForLeaderPartition { partition: 0, current_leader_epoch: -1, leader_epoch: epoch };
    let topic = OffsetForLeaderTopic { topic: partition.topic.as_str().into(), partitions: vec![asked] };
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] };
    partition.connection.call(4, &request).topics.remove(0).partitions.remove(0).end_offset
}

#[test]
fn a_record_without_a_key_is_refused_and_nothing_of_its_batch_is_taken() {
    for policy in ["compact", "compact,delete"] {
        let mut partition = Partition::with(target(), "keyless", &[("cleanup.policy", policy)]);
        for codec in Compression::ALL {
            let rows = [(Some("a"), Some("1")), (None, Some("2")), (Some(""), None), (None, None)];
            let answer = partition.produce(keyed(codec, now_ms(), &rows));
            assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD, "{codec}");
            let at_fault: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
            assert_eq!((answer.base_offset, at_fault), (-1, vec![1, 3]), "{codec}");
        }
        assert_eq!(partition.append(keyed(Compression::Zstd, now_ms(), &[(Some(""), None), (Some("a"), Some(""))])), 0);
    }
}

#[test]
fn the_policy_and_its_limits_are_checked_listed_and_changed() {
    let mut connection = target().connect();
    let lags = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "20"), ("max.compaction.lag.ms", "10")];
    let conflict = create_topic(&mut connection, &unique("lags"), 1, &lags);
    assert_eq!(conflict.error_code, ErrorCode::INVALID_CONFIG);
    for (key, bad) in [("cleanup.policy", "zip"), ("min.cleanable.dirty.ratio", "1.1"), ("max.compaction.lag.ms", "0")]
    {
        let refused = create_topic(&mut connection, &unique("bad"), 1, &[(key, bad)]);
        assert_eq!(refused.error_code, ErrorCode::INVALID_CONFIG, "{key}");
    }
    let name = unique("policy");
    let made = create_topic(&mut connection, &name, 1, &[("cleanup.policy", "delete"), ("delete.retention.ms", "5")]);
    let shown: BTreeMap<_, _> =
        made.configs.unwrap().into_iter().map(|c| (c.name.to_string(), c.value.unwrap().to_string())).collect();
    let expected = [
        ("delete.retention.ms", "5"),
        ("min.compaction.lag.ms", "0"),
        ("max.compaction.lag.ms", "9223372036854775807"),
        ("min.cleanable.dirty.ratio", "0.5"),
    ];
    for (key, value) in expected {
        assert_eq!(shown[key], value, "{key}");
    }
    let mut partition = Partition { topic: name.clone(), connection };
    wait_until("a leader", PATIENCE, || partition.offset_for(LATEST).error_code == ErrorCode::NONE);
    let keyless = || keyed(Compression::None, now_ms(), &[(None, Some("x"))]);
    assert_eq!(partition.append(keyless()), 0, "not compacted yet");
    assert_eq!(append_config(&mut partition.connection, &name, "cleanup.policy", "compact"), ErrorCode::NONE);
    wait_until("the new policy", PATIENCE, || partition.produce(keyless()).error_code == ErrorCode::INVALID_RECORD);
}

fn append_config(connection: &mut Connection, topic: &str, key: &str, value: &str) -> ErrorCode {
    const APPEND: i8 = 2;
    const TOPIC: i8 = 2;
    alter(connection, TOPIC, topic, APPEND, (key, value))
}

fn alter(connection: &mut Connection, kind: i8, name: &str, operation: i8, (key, value): (&str, &str)) -> ErrorCode {
    let config = AlterableConfig { name: key.into(), config_operation: operation, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type: kind, resource_name: name.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    connection.call(1, &request).responses.remove(0).error_code
}

#[test]
fn of_each_key_the_latest_record_stays_where_it_was() {
    let mut eager = Eager::start();
    let mut partition = eager.partition(&[("cleanup.policy", "compact")]);
    let begun = now_ms() - 100_000;
    for n in 0..40usize {
        let (keys, values): (Vec<_>, Vec<_>) =
            (0..3).map(|m| (format!("key {}", (n * 3 + m) % 7), format!("value {n} {m}"))).unzip();
        let rows: Vec<_> = (0..3).map(|m| (Some(&*keys[m]), Some(&*values[m]))).collect();
        partition.append(keyed(Compression::ALL[n % 5], begun + 10 * n as i64, &rows));
    }
    let before: Vec<_> =
        (0..120).map(|n| (n, format!("key {}", n % 7), Some(format!("value {} {}", n / 3, n % 3)))).collect();
    // All but the last segment, which holds the last batch.
    let expected: Vec<_> = before[110..117].iter().chain(&before[117..]).cloned().collect();
    wait_until("compaction", PATIENCE, || rows(&consume(&mut partition, 0)) == expected);
    for _ in 0..2 {
        assert_eq!((partition.offset_for(EARLIEST).offset, partition.offset_for(LATEST).offset), (0, 120));
        for from in [0, 1, 50, 110, 111, 116, 117, 119] {
            let left: Vec<_> = expected.iter().filter(|(offset, ..)| *offset >= from).cloned().collect();
            assert_eq!(rows(&consume(&mut partition, from)), left, "from {from}");
        }
        let times = [(0, 110), (begun, 110), (begun + 365, 111), (begun + 380, 114), (begun + 390, 117)];
        for (time, offset) in times {
            assert_eq!(partition.offset_for(time).offset, offset, "at {}", time - begun);
        }
        assert_eq!(partition.offset_for(begun + 391).offset, -1);
        let epoch = partition.offset_for(LATEST).leader_epoch;
        assert_eq!(epoch_end(&mut partition, epoch), 120);
        partition = eager.restart(partition);
    }
    assert_eq!(partition.append(keyed(Compression::None, begun + 400, &[(Some("key 6"), Some("after"))])), 120);
    wait_until("compaction goes on", PATIENCE, || rows(&consume(&mut partition, 0))[0].0 > 110);
    assert_eq!(consume(&mut partition, 0).last().unwrap().offset, 120);
}

#[test]
fn a_tombstone_takes_the_key_away_and_goes_itself() {
    let eager = Eager::start();
    let mut partition = eager.partition(&[("cleanup.policy", "compact"), ("delete.retention.ms", "0")]);
    let mut time = now_ms() - 100_000;
    let mut put = |partition: &mut Partition, rows: &[(Option<&str>, Option<&str>)]| {
        time += 10;
        partition.append(keyed(Compression::Lz4, time, rows))
    };
    put(&mut partition, &[(Some("a"), Some("1")), (Some("b"), Some("1"))]);
    put(&mut partition, &[(Some("a"), None), (Some("c"), Some("1"))]);
    let mut count = 0;
    wait_until("the tombstone goes", PATIENCE, || {
        // Something to clean, again and again: a tombstone goes when it is met for the second time.
        put(&mut partition, &[(Some("d"), Some(&count.to_string()))]);
        count += 1;
        let left = rows(&consume(&mut partition, 0));
        assert!(left.iter().any(|(offset, ..)| *offset == 1) && left.iter().any(|(offset, ..)| *offset == 3));
        left.iter().all(|(_, key, _)| key != "a")
    });
}

#[test]
fn what_the_lag_protects_stays() {
    let eager = Eager::start();
    let policy = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "3600000")];
    let mut partition = eager.partition(&policy);
    let young = now_ms();
    // Old enough, old enough, too young, too young: of the last two neither may go.
    for (n, time) in [young - 7_300_000, young - 7_200_000, young - 20, young - 10, young].into_iter().enumerate() {
        partition.append(keyed(Compression::None, time, &[(Some("k"), Some(&n.to_string()))]));
    }
    let offsets = |partition: &mut Partition| consume(partition, 0).iter().map(|r| r.offset).collect::<Vec<_>>();
    wait_until("the old one goes", PATIENCE, || offsets(&mut partition) == [1, 2, 3, 4]);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(offsets(&mut partition), [1, 2, 3, 4]);
}

#[test]
fn a_pass_that_is_throttled_goes_on_at_a_new_rate() {
    const SET: i8 = 0;
    const BROKER: i8 = 4;
    if skip_unless_leat("a_pass_that_is_throttled") {
        return;
    }
    let eager = Eager::with(&[("log.cleaner.io.max.bytes.per.second", "1")]);
    let mut partition = eager.partition(&[("cleanup.policy", "compact")]);
    for n in 0..20 {
        partition.append(keyed(Compression::None, now_ms() - 100_000 + 10 * n, &[(Some("k"), Some("v"))]));
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(consume(&mut partition, 0).len(), 20, "at one byte a second a pass takes minutes");
    let rate = ("log.cleaner.io.max.bytes.per.second", "1000000");
    assert_eq!(alter(&mut partition.connection, BROKER, "", SET, rate), ErrorCode::NONE);
    wait_until("the pass goes on", PATIENCE, || consume(&mut partition, 0).len() == 2);
}

#[test]
fn compact_and_delete_does_both() {
    if skip_unless_leat("compact_and_delete") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sets = [("log.cleaner.backoff.ms", "50"), ("log.retention.check.interval.ms", "100")];
    let broker = start(folder.path(), &sets).unwrap();
    let policy = [
        ("cleanup.policy", "compact,delete"),
        ("segment.ms", "1"),
        ("segment.bytes", "2048"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("retention.ms", "3600000"),
    ];
    let mut partition = Partition::with(&Target::of(&broker), "both", &policy);
    let now = now_ms();
    for (n, age) in [7_200_000, 7_100_000, 1000, 900, 800].into_iter().enumerate() {
        let key = if n == 0 { "old" } else { "k" };
        // What is old is too large to be merged with what is young.
        let value = if age > 3_600_000 { "x".repeat(1700) } else { n.to_string() };
        partition.append(keyed(Compression::None, now - age, &[(Some(key), Some(&value))]));
    }
    wait_until("the old segment goes by age, the others by key", PATIENCE, || {
        consume_from_start(&mut partition).iter().map(|record| record.offset).eq([3, 4])
    });
    assert!(partition.offset_for(EARLIEST).offset > 0);
    broker.stop();
    let broker = start(folder.path(), &[]).unwrap();
    let mut partition = partition.beside(&Target::of(&broker));
    assert!(consume_from_start(&mut partition).iter().map(|record| record.offset).eq([3, 4]));
}

/// From the log's start, and once more when retention moved it meanwhile.
fn consume_from_start(partition: &mut Partition) -> Vec<Record> {
    loop {
        let from = partition.offset_for(EARLIEST).offset;
        match try_consume(partition, from) {
            Err(ErrorCode::OFFSET_OUT_OF_RANGE) => {
                assert!(partition.offset_for(EARLIEST).offset > from, "the start {from} is refused and did not move");
            }
            done => return done.unwrap(),
        }
    }
}

/// Appends to a few keys until the time is up, or the broker is gone: the last value of each that was acknowledged.
fn write_until(partition: &mut Partition, next: &mut i64, until: Instant, acked: &mut BTreeMap<String, i64>) {
    while Instant::now() < until {
        let rows: Vec<_> = (*next..*next + 20).map(|n| (format!("key {}", n % 37), format!("{n:0>200}"))).collect();
        let rows: Vec<_> = rows.iter().map(|(key, value)| (Some(&**key), Some(&**value))).collect();
        let base = partition.append(keyed(Compression::None, now_ms(), &rows));
        assert_eq!(base, *next, "nothing is repeated or lost");
        acked.extend((0..20).map(|n| (format!("key {}", (base + n) % 37), base + n)));
        *next += 20;
    }
}

#[test]
fn kill_9_during_compaction_loses_no_latest_record() {
    if skip_unless_leat("kill_9_during_compaction") {
        return;
    }
    let rounds: u32 = std::env::var("LEAT_TEST_KILL_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let address = format!("127.0.0.1:{}", free_port());
    let sets = ["log.cleaner.backoff.ms=1", "leat.checkpoint.interval.bytes=65536"];
    let (mut acked, mut next, mut topic) = (BTreeMap::new(), 0, None);
    for round in 0..rounds {
        let process = Process::start(&data, &address, &sets);
        let configs = [("cleanup.policy", "compact"), ("segment.bytes", "8192"), ("min.cleanable.dirty.ratio", "0.01")];
        let mut partition = match &topic {
            None => Partition::with(&process.target, "killed", &configs),
            Some(topic) => Partition { topic: String::clone(topic), connection: process.target.connect() },
        };
        topic = Some(partition.topic.clone());
        let left = consume(&mut partition, 0);
        let last: BTreeMap<_, _> = left.iter().map(|record| (text(&record.key).unwrap(), record.offset)).collect();
        assert_eq!(last, acked, "round {round}");
        for record in &left {
            assert_eq!(text(&record.value).unwrap().trim_start_matches('0').parse().unwrap_or(0), record.offset);
        }
        // Every other round the compaction runs with nothing written meanwhile.
        let until = Instant::now() + Duration::from_millis(200 + random(500));
        write_until(&mut partition, &mut next, until, &mut acked);
        thread::sleep(Duration::from_millis(random(2) * random(40)));
        process.kill();
    }
    let process = Process::start(&data, &address, &sets);
    let mut partition = Partition { topic: topic.unwrap(), connection: process.target.connect() };
    // A batch fills more than half a segment, so the active one holds one.
    wait_until("compaction to the end", PATIENCE, || consume(&mut partition, 0).len() <= 37 + 20);
    let (status, _) = process.terminate();
    assert!(status.success());
    let env = leat_storage::Env::default();
    let folder = data.join(format!("{}-0", partition.topic));
    let verified = leat_storage::dump::verify(&env, &folder).unwrap();
    assert_eq!(verified.problems, []);
}
