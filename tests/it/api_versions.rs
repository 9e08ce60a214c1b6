//! ApiVersions: what a client asks first, in whatever version it has.

use leat_protocol::header::RequestHeader;
use leat_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use leat_protocol::wire::{Reader, Writer};
use leat_protocol::{APIS, ApiKey, ErrorCode, Message, Str};

use crate::harness::{skip_unless_leat, target};

fn request() -> ApiVersionsRequest {
    ApiVersionsRequest { client_software_name: "leat-tests".into(), client_software_version: "1".into() }
}

#[test]
fn every_version_lists_the_same_apis() {
    let mut connection = target().connect();
    let first = connection.call(0, &request()).api_keys;
    for version in 1..=4 {
        let response = connection.call(version, &request());
        assert_eq!(response.error_code, ErrorCode::NONE);
        assert_eq!(response.api_keys, first, "version {version}");
    }
}

#[test]
fn the_list_is_the_table() {
    if skip_unless_leat("the_list_is_the_table") {
        return;
    }
    let listed: Vec<_> = target()
        .connect()
        .call(4, &request())
        .api_keys
        .iter()
        .map(|api| (api.api_key, api.min_version, api.max_version))
        .collect();
    let table: Vec<_> =
        APIS.iter().filter(|api| api.served).map(|api| (api.key as i16, api.announced_min, api.versions.max)).collect();
    assert_eq!(listed, table);
}

#[test]
fn all_that_the_table_has_is_listed() {
    let listed = target().connect().call(4, &request()).api_keys;
    for api in APIS.iter().filter(|api| api.served) {
        let found = listed.iter().find(|listed| listed.api_key == api.key as i16).expect(api.name);
        assert_eq!(found.min_version, api.announced_min, "{}", api.name);
        assert!(found.max_version >= api.versions.max, "{}", api.name);
    }
}

#[test]
fn a_version_above_ours_is_answered_in_version_0_with_what_there_is() {
    let mut connection = target().connect();
    let header =
        RequestHeader { api_key: ApiKey::ApiVersions as i16, api_version: 99, correlation_id: 1, client_id: None };
    let mut writer = Writer::new();
    header.encode(&mut writer).unwrap();
    // Whatever a version to come will hold.
    writer.slice(&[7; 20]);
    let body = writer.finish_bytes().unwrap();
    connection.send_bytes(&u32::try_from(body.len()).unwrap().to_be_bytes());
    connection.send_bytes(&body);

    let mut reader = Reader::new(connection.receive_frame().expect("an answer"));
    assert_eq!(reader.i32().unwrap(), 1, "the correlation id");
    let response = ApiVersionsResponse::decode(&mut reader, 0).unwrap();
    reader.expect_end().unwrap();
    assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
    let own = response.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions as i16).expect("itself");
    assert_eq!(own.min_version, 0);

    let response = connection.call(own.max_version.min(4), &request());
    assert_eq!(response.error_code, ErrorCode::NONE, "the connection goes on");
}

#[test]
fn a_client_name_with_odd_characters_is_invalid() {
    let odd = ApiVersionsRequest { client_software_name: Str::from_static("a b\n"), ..request() };
    let response = target().connect().call(3, &odd);
    assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn requests_in_flight_are_answered_in_order() {
    let mut connection = target().connect();
    for version in [0, 1, 2, 3, 4] {
        connection.send(version, &request());
    }
    for (version, before) in (0..=4).zip((0..=4).rev()) {
        connection.receive_earlier::<ApiVersionsRequest>(version, before);
    }
}

/// Clients of old, librdkafka among them, take a list without version 0 of Produce for a broker that they can't talk to.
#[test]
fn produce_is_announced_from_version_0() {
    let listed = target().connect().call(0, &request()).api_keys;
    let produce = listed.iter().find(|api| api.api_key == ApiKey::Produce as i16).expect("Produce");
    assert_eq!(produce.min_version, 0);
}
