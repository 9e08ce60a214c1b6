//! Connections: how many, how long, how much in flight.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use leat_protocol::ErrorCode;
use leat_protocol::messages::{ApiVersionsRequest, ProduceRequest};

use crate::harness::{
    Connection, Partition, Process, Target, batch, raise_the_limit_of_files, skip_unless_leat, start, target,
};

#[test]
fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    if skip_unless_leat("an_idle_connection_is_closed") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[("connections.max.idle.ms", "600")]).unwrap();
    let target = Target::of(&broker);
    let (mut idle, mut used) = (target.connect(), target.connect());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        used.call(0, &ApiVersionsRequest::default());
        thread::sleep(Duration::from_millis(100));
    }
    idle.expect_closed();
    used.call(0, &ApiVersionsRequest::default());
}

#[test]
fn a_fetch_that_waits_is_not_idle() {
    if skip_unless_leat("a_fetch_that_waits_is_not_idle") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[("connections.max.idle.ms", "300")]).unwrap();
    let mut partition = Partition::with(&Target::of(&broker), "waits", &[]);
    let mut request = partition.fetch_request(0);
    request.max_wait_ms = 1200;
    partition.call_fetch(&request);
}

#[test]
fn there_is_a_limit_to_connections() {
    if skip_unless_leat("there_is_a_limit_to_connections") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), &[("max.connections", "3")]).unwrap();
    let target = Target::of(&broker);
    let mut held: Vec<Connection> = (0..3).map(|_| target.connect()).collect();
    for connection in &mut held {
        connection.call(0, &ApiVersionsRequest::default());
    }
    let mut fourth = TcpStream::connect(broker.address()).unwrap();
    fourth.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // Closed, or left waiting until there is room.
    assert!(!matches!(fourth.read(&mut [0; 1]), Ok(1..)));
    drop(fourth);
    held.pop();
    let served = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        let mut connection = target.connect();
        connection.try_send_bytes(&crate::harness::frame(0, 1, &ApiVersionsRequest::default()));
        connection.receive_frame().is_some()
    });
    assert!(served, "room was made");
}

#[test]
fn a_flood_of_requests_is_answered_whole_and_in_order() {
    let mut partition = Partition::new("flood");
    let request = partition.produce_request(-1, batch(&[&"x".repeat(20_000)]));
    let count = 300;
    let mut sender = partition.connection.split();
    let sending = thread::spawn(move || {
        for correlation_id in 1..=count {
            sender.send_bytes(&crate::harness::frame(9, correlation_id, &request));
        }
    });
    for number in 0..count {
        let response = partition.connection.receive_numbered::<ProduceRequest>(9, number + 1);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, i64::from(number));
    }
    sending.join().unwrap();
    target().connect().call(0, &ApiVersionsRequest::default());
}

/// More than the broker takes in at once, from clients that have said all they have to say.
#[test]
fn clients_that_send_no_more_get_all_their_answers_also_when_memory_is_short() {
    let first = Partition::new("said-all");
    let request = first.produce_request(-1, batch(&[&"x".repeat(900_000)]));
    let frame = crate::harness::frame(9, 1, &request);
    let mut clients: Vec<Connection> = (0..80).map(|_| target().connect()).collect();
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                client.send_bytes(&frame);
                client.finish();
            });
        }
    });
    for client in &mut clients {
        let response = client.receive_numbered::<ProduceRequest>(9, 1);
        assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::NONE);
    }
}

#[test]
fn a_client_that_reads_nothing_holds_up_nobody() {
    let mut deaf = Partition::new("deaf");
    let large = "x".repeat(900_000);
    for _ in 0..8 {
        deaf.append(batch(&[&large]));
    }
    let mut request = deaf.fetch_request(0);
    request.topics[0].partitions[0].partition_max_bytes = 64 << 20;
    for _ in 0..50 {
        deaf.connection.send(12, &request);
    }
    let begun = Instant::now();
    Partition::new("others").append(batch(&["x"]));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

const MANY: usize = 1000;

/// So many that each have sent the first byte of a size.
fn one_byte_each(target: &Target) -> Vec<Connection> {
    raise_the_limit_of_files();
    let mut connections: Vec<Connection> = (0..MANY).map(|_| target.connect()).collect();
    for connection in &mut connections {
        connection.send_bytes(&[0]);
    }
    connections
}

#[test]
fn a_thousand_connections_that_send_one_byte_and_stay_hold_up_nobody() {
    let held = one_byte_each(target());
    let mut partition = Partition::new("beside-a-thousand");
    for offset in 0..20 {
        assert_eq!(partition.beside(target()).append(batch(&["x"])), offset);
    }
    assert_eq!(partition.read(0).len(), 20);
    drop(held);
}

#[test]
fn a_thousand_connections_that_send_one_byte_and_stay_take_little_memory_and_end_when_idle_and_at_stop() {
    if skip_unless_leat("a_thousand_connections_end_when_idle_and_at_stop") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let idle_ms = ["connections.max.idle.ms=3000"];
    let process = Process::start(&parent.path().join("idle"), "127.0.0.1:0", &idle_ms);
    let mut used = process.target.connect();
    used.call(0, &ApiVersionsRequest::default());
    let before = process.resident_bytes();
    let mut held = one_byte_each(&process.target);
    used.call(0, &ApiVersionsRequest::default());
    let grown = process.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{} KiB for each", grown / 1024 / MANY as u64);
    for connection in &mut held {
        connection.expect_closed();
    }
    drop(process);

    let process = Process::start(&parent.path().join("stop"), "127.0.0.1:0", &[]);
    let mut held = one_byte_each(&process.target);
    let (status, took) = process.terminate();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    for connection in &mut held {
        connection.expect_closed();
    }
}
