//! Fetch sessions over the wire. Their rules are tested one by one beside the code; here it is that fetch uses them.

use std::time::{Duration, Instant};

use leat_protocol::messages::fetch::{FetchRequest, FetchResponse, ForgottenTopic};
use leat_protocol::{ErrorCode, Str, Uuid};

use crate::harness::{Partition, batch, bytes_of, target, topic_id, values};

fn in_session(mut request: FetchRequest, id: i32, epoch: i32) -> FetchRequest {
    (request.session_id, request.session_epoch) = (id, epoch);
    request.max_wait_ms = 100;
    request
}

/// A request that names nothing new.
fn next(id: i32, epoch: i32) -> FetchRequest {
    in_session(FetchRequest { min_bytes: 1, ..FetchRequest::default() }, id, epoch)
}

fn told(response: &FetchResponse) -> usize {
    response.responses.iter().map(|topic| topic.partitions.len()).sum()
}

#[test]
fn a_session_is_told_what_is_new() {
    let mut partition = Partition::new("session");
    let full = in_session(partition.fetch_request(0), 0, 0);
    let response = partition.connection.call(12, &full);
    let id = response.session_id;
    assert!(id > 0);
    assert_eq!(told(&response), 1);

    assert_eq!(told(&partition.connection.call(12, &next(id, 1))), 0);
    partition.append(batch(&["a"]));
    for epoch in 2..4 {
        let response = partition.connection.call(12, &next(id, epoch));
        assert_eq!(values(&bytes_of(&response.responses[0].partitions[0])).len(), 1, "until the offset moves on");
    }
    let moved = in_session(partition.fetch_request(1), id, 4);
    assert_eq!(told(&partition.connection.call(12, &moved)), 0);

    let mut forget = next(id, 5);
    forget.forgotten_topics_data =
        vec![ForgottenTopic { topic: Str::from(partition.topic.as_str()), topic_id: Uuid::nil(), partitions: vec![0] }];
    let response = partition.connection.call(12, &forget);
    assert_eq!((response.session_id, told(&response)), (0, 0));
}

#[test]
fn a_session_waits_and_wakes() {
    let mut partition = Partition::new("session-wakes");
    let full = in_session(partition.fetch_request(0), 0, 0);
    let id = partition.connection.call(12, &full).session_id;
    let mut request = next(id, 1);
    request.max_wait_ms = 20_000;
    let begun = Instant::now();
    partition.connection.send(12, &request);
    partition.beside(target()).append(batch(&["a"]));
    let response = partition.connection.receive::<FetchRequest>(12);
    assert_eq!(told(&response), 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_session_by_ids() {
    let mut partition = Partition::new("session-ids");
    let id = topic_id(&mut partition.connection, &partition.topic);
    let mut full = in_session(partition.fetch_request(0), 0, 0);
    full.topics[0].topic = Str::default();
    full.topics[0].topic_id = id;
    let session = partition.connection.call(13, &full).session_id;
    partition.append(batch(&["a"]));
    let response = partition.connection.call(13, &next(session, 1));
    assert_eq!(response.responses[0].topic_id, id);
    let by_name = partition.connection.call(12, &next(session, 2));
    assert_eq!(by_name.error_code, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
}

#[test]
fn what_is_wrong_with_a_session_is_told_at_the_top() {
    let mut partition = Partition::new("session-errors");
    let unknown = partition.connection.call(12, &next(0, 3));
    assert_eq!((unknown.error_code, unknown.session_id), (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0));

    let full = in_session(partition.fetch_request(0), 0, 0);
    let id = partition.connection.call(12, &full).session_id;
    let wrong = partition.connection.call(12, &next(id, 7));
    assert_eq!((wrong.error_code, wrong.session_id), (ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0));
    assert_eq!(partition.connection.call(12, &next(id, 1)).error_code, ErrorCode::NONE);

    let close = in_session(partition.fetch_request(0), id, -1);
    assert_eq!(partition.connection.call(12, &close).session_id, 0);
    let closed = partition.connection.call(12, &next(id, 2));
    assert_eq!(closed.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn id_0_is_no_session_with_epoch_minus_one_and_a_new_one_with_0() {
    let mut partition = Partition::new("session-zero");
    partition.append(batch(&["a"]));
    let mut ids = Vec::new();
    for epoch in [-1, 0, 0] {
        let request = in_session(partition.fetch_request(0), 0, epoch);
        let response = partition.connection.call(12, &request);
        assert_eq!((response.error_code, told(&response)), (ErrorCode::NONE, 1), "epoch {epoch}");
        ids.push(response.session_id);
    }
    assert!(ids[0] == 0 && ids[1] > 0 && ids[2] > 0 && ids[1] != ids[2], "{ids:?}");
    let unknown = partition.connection.call(12, &next(7, 1));
    assert_eq!((unknown.error_code, unknown.session_id), (ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0));
}
