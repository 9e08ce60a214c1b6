//! Data folders that are not this broker's to use, or that it can't use.

use std::fs;
use std::path::Path;

use leat_protocol::ErrorCode;

use crate::harness::{Mount, Partition, Process, Target, batch, start, wait_until};

fn refused(folder: &Path, sets: &[(&str, &str)]) -> String {
    start(folder, sets).expect_err("a folder that can't be used").to_string()
}

/// A folder that a broker has used.
fn used() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[]).unwrap();
    Partition::with(&Target::of(&broker), "used", &[]).append(batch(&["x"]));
    broker.stop();
    folder
}

#[test]
fn the_folder_of_another_node() {
    let folder = used();
    let said = refused(folder.path(), &[("node.id", "7")]);
    assert!(said.contains("node") && said.contains('7') && said.contains("move"), "{said}");
}

#[test]
fn a_folder_of_a_newer_format() {
    let folder = used();
    let meta = folder.path().join("meta");
    let mut bytes = fs::read(&meta).unwrap();
    // "LEAT", kind, then the version; docs/disk.md.
    bytes[8..10].copy_from_slice(&99u16.to_be_bytes());
    fs::write(&meta, bytes).unwrap();
    let said = refused(folder.path(), &[]);
    assert!(said.contains("99") && said.contains("release"), "{said}");
}

#[test]
fn a_folder_whose_meta_file_is_damaged() {
    let folder = used();
    let meta = folder.path().join("meta");
    let mut bytes = fs::read(&meta).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&meta, bytes).unwrap();
    let said = refused(folder.path(), &[]);
    assert!(said.contains("meta") && said.contains("CRC"), "{said}");
}

#[test]
fn a_folder_in_use_by_a_live_process() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let process = Process::start(&data, "127.0.0.1:0", &[]);
    let said = Process::refused(&data, &[]);
    assert!(said.contains("in use") && said.contains("process"), "{said}");
    process.kill();
    // The lock goes with the process.
    Process::start(&data, "127.0.0.1:0", &[]).kill();
}

#[test]
fn a_folder_that_is_read_only() {
    let Some(mount) = Mount::new("a_folder_that_is_read_only", "8m") else { return };
    mount.set_read_only();
    let said = refused(mount.path(), &[]);
    assert!(said.contains("read-only") && said.contains("writ"), "{said}");
}

#[test]
fn a_folder_on_a_full_disk_keeps_serving_reads_and_recovers() {
    let Some(mount) = Mount::new("a_folder_on_a_full_disk", "24m") else { return };
    let data = mount.path().join("data");
    let broker = start(&data, &[("log.segment.bytes", "1048576")]).unwrap();
    let mut partition = Partition::with(&Target::of(&broker), "full", &[]);
    partition.append(batch(&["first"]));

    mount.fill(256 << 10);
    let payload = "x".repeat(500_000);
    let mut produce = || {
        let mut request = partition.produce_request(-1, batch(&[&payload]));
        request.timeout_ms = 500;
        partition.connection.call(9, &request).responses.remove(0).partition_responses.remove(0).error_code
    };
    // Those that were on the way when the disk filled up wait for room, and time out.
    let waited = [ErrorCode::NONE, ErrorCode::REQUEST_TIMED_OUT];
    let refused = (0..60).map(|_| produce()).find(|code| !waited.contains(code));
    assert_eq!(refused, Some(ErrorCode::KAFKA_STORAGE_ERROR));
    assert!(!partition.read(0).is_empty(), "what is there can be read");

    mount.empty();
    wait_until("the disk has room", std::time::Duration::from_secs(20), || {
        partition.produce(batch(&["again"])).error_code == ErrorCode::NONE
    });
    broker.stop();
}

/// A sealed segment is not read again at a start, so this is found when somebody asks for it.
#[test]
fn a_damaged_segment_is_not_served_and_the_rest_is() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [("log.segment.bytes", "1048576")];
    let broker = start(folder.path(), &sets).unwrap();
    let mut partition = Partition::with(&Target::of(&broker), "damaged", &[]);
    for _ in 0..6 {
        partition.append(batch(&[&"x".repeat(400_000)]));
    }
    let topic = partition.topic.clone();
    broker.stop();

    let log = folder.path().join(format!("{topic}-0")).join("00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    // In the second of its two batches.
    let at = bytes.len() - 1000;
    bytes[at] ^= 1;
    fs::write(&log, bytes).unwrap();

    let broker = start(folder.path(), &sets).unwrap();
    let mut partition = Partition { topic, connection: Target::of(&broker).connect() };
    let mut code = |offset: i64, max: i32| {
        let mut request = partition.fetch_request(offset);
        request.topics[0].partitions[0].partition_max_bytes = max;
        partition.call_fetch(&request).error_code
    };
    for _ in 0..2 {
        assert_eq!(code(0, 1), ErrorCode::NONE);
        assert_eq!(code(1, 1), ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(code(0, 1 << 20), ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(code(2, 1 << 20), ErrorCode::NONE);
    }
    assert_eq!(partition.append(batch(&["goes on"])), 6);
    broker.stop();
}
