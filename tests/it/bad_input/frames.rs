//! Frames that are cut off, too large, or of an API nobody knows.

use leat_protocol::header::RequestHeader;
use leat_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
};
use leat_protocol::wire::Writer;
use leat_protocol::{ApiKey, Request};

use crate::harness::{Connection, frame, target};

fn assert_serves() {
    target().connect().call(0, &ApiVersionsRequest::default());
}

/// A request of this API and version with this body.
fn raw(api_key: i16, api_version: i16, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader { api_key, api_version, correlation_id: 1, client_id: None };
    header.encode(&mut writer).unwrap();
    writer.slice(body);
    let frame = writer.finish_bytes().unwrap();
    [&u32::try_from(frame.len()).unwrap().to_be_bytes(), &frame[..]].concat()
}

fn refused(bytes: &[u8]) {
    let mut connection = target().connect();
    connection.try_send_bytes(bytes);
    connection.expect_closed();
    assert_serves();
}

#[test]
fn a_negative_size_closes_the_connection() {
    refused(&(-1i32).to_be_bytes());
    refused(&i32::MIN.to_be_bytes());
}

#[test]
fn a_size_above_the_limit_closes_the_connection_at_once() {
    refused(&i32::MAX.to_be_bytes());
    refused(&(200 * 1024 * 1024i32).to_be_bytes());
}

#[test]
fn a_frame_too_small_for_a_header_closes_the_connection() {
    for size in 0..8i32 {
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.resize(4 + size as usize, 0);
        refused(&bytes);
    }
}

#[test]
fn a_frame_that_never_ends_harms_nobody() {
    for sent in [1, 3, 4, 10, 500] {
        let mut connection = target().connect();
        let mut bytes = 1000i32.to_be_bytes().to_vec();
        bytes.resize(1004, 0);
        connection.send_bytes(&bytes[..sent]);
        connection.finish();
        connection.expect_closed();
    }
    assert_serves();
}

#[test]
fn an_unknown_api_closes_the_connection() {
    for api_key in [-1, 999, i16::MAX, i16::MIN] {
        refused(&raw(api_key, 0, &[0; 32]));
    }
}

#[test]
fn an_unknown_version_closes_the_connection() {
    for api in [ApiKey::Produce, ApiKey::Fetch, ApiKey::Metadata, ApiKey::CreateTopics] {
        for version in [-1, api.versions().max + 50, i16::MAX] {
            refused(&raw(api as i16, version, &[0; 32]));
        }
    }
}

#[test]
fn versions_that_are_announced_for_old_clients_and_not_served_close_the_connection() {
    for version in 0..3 {
        refused(&raw(ApiKey::Produce as i16, version, &[0; 32]));
    }
}

/// Every prefix of a request's body, as a frame whose size is right.
fn cut_bodies<R: Request + Default>(version: i16, request: &R) {
    let header = frame(version, 1, &R::default()).len();
    cut_frame(&frame(version, 1, request), header);
}

/// Every prefix of a frame, or every third where it is longer than `header`.
fn cut_frame(whole: &[u8], header: usize) {
    for len in (12..whole.len()).filter(|len| *len < header || len % 3 == 0) {
        let mut cut = u32::try_from(len - 4).unwrap().to_be_bytes().to_vec();
        cut.extend_from_slice(&whole[4..len]);
        let mut connection = target().connect();
        connection.try_send_bytes(&cut);
        connection.finish();
        // Closed at once, or answered where the cut left something that can be read.
        while connection.receive_frame().is_some() {}
    }
}

#[test]
fn bodies_that_are_cut_off_harm_nobody() {
    let mut some = crate::harness::Partition::new("cut");
    let produce = some.produce_request(1, crate::harness::batch(&["x"]));
    let mut fetch = some.fetch_request(0);
    fetch.max_wait_ms = 0;
    for version in [3, 9, 12] {
        cut_bodies::<ProduceRequest>(version, &produce);
    }
    for version in [4, 12, 17] {
        cut_bodies::<FetchRequest>(version, &fetch);
    }
    cut_bodies::<MetadataRequest>(12, &MetadataRequest::default());
    cut_bodies::<ListOffsetsRequest>(8, &ListOffsetsRequest::default());
    cut_bodies::<CreateTopicsRequest>(7, &CreateTopicsRequest::default());
    cut_bodies::<DeleteRecordsRequest>(2, &DeleteRecordsRequest::default());
    assert_serves();
    some.append(crate::harness::batch(&["y"]));
}

#[test]
fn bodies_of_every_api_that_are_cut_off_harm_nobody() {
    for whole in super::lengths::all_requests() {
        cut_frame(&whole, whole.len());
    }
    assert_serves();
}

#[test]
fn requests_sent_byte_by_byte_are_answered() {
    let mut connection: Connection = target().connect();
    for byte in frame(
        3,
        1,
        &ApiVersionsRequest { client_software_name: "leat-tests".into(), client_software_version: "1".into() },
    ) {
        connection.send_bytes(&[byte]);
    }
    assert!(connection.receive_frame().is_some());
}
