//! Headers and whole frames.

use leat_protocol::header::{self, RequestHeader, ResponseHeader};
use leat_protocol::messages::{
    ApiVersionsResponse, CreateTopicsRequest, FetchRequest, FetchResponse, FetchableTopicResponse, ListOffsetsRequest,
    Message, MetadataRequest, PartitionData, fetch,
};
use leat_protocol::wire::{ErrorKind, Part, Reader, Writer};
use leat_protocol::{ApiKey, Bytes, ErrorCode, Records, Str};

use crate::codecs::Side;
use crate::golden;

#[test]
fn headers_are_those_of_java() {
    for golden in golden::headers() {
        let mut r = Reader::new(golden.bytes.clone());
        let mut w = Writer::new();
        let correlation_id = 1_000_000 * i32::from(golden.api as i16) + i32::from(golden.version);
        match golden.side {
            Side::Request => {
                let header = RequestHeader::decode(&mut r).expect("a header");
                let client_id = (golden.version % 3 != 2).then(|| Str::from(format!("cliënt-{}", golden.version)));
                let api_key = golden.api as i16;
                assert_eq!(header, RequestHeader { api_key, api_version: golden.version, correlation_id, client_id });
                header.encode(&mut w).expect("it encodes");
            }
            Side::Response => {
                let header = ResponseHeader::decode(&mut r, golden.api, golden.version).expect("a header");
                assert_eq!(header, ResponseHeader { correlation_id });
                header.encode(&mut w, golden.api, golden.version);
            }
        }
        r.expect_end().expect("the whole header was read");
        assert_eq!(w.finish_bytes().expect("bytes"), golden.bytes, "{golden:?}");
    }
}

#[test]
fn every_header_cut_at_every_byte_is_an_error() {
    for golden in golden::headers() {
        for len in 0..golden.bytes.len() {
            let mut r = Reader::new(golden.bytes.slice(..len));
            let failed = match golden.side {
                Side::Request => RequestHeader::decode(&mut r).is_err(),
                Side::Response => ResponseHeader::decode(&mut r, golden.api, golden.version).is_err(),
            };
            assert!(failed, "{golden:?} decodes from {len} bytes");
        }
    }
}

#[test]
fn an_unknown_api_still_has_a_header() {
    let mut w = Writer::new();
    let header = RequestHeader { api_key: 999, api_version: 7, correlation_id: 3, client_id: Some("x".into()) };
    header.encode(&mut w).expect("it encodes");
    let bytes = w.finish_bytes().expect("bytes");
    assert_eq!(RequestHeader::decode(&mut Reader::new(bytes)).expect("it decodes"), header);
}

#[test]
fn a_frame_has_its_size_in_front() {
    let header =
        RequestHeader { api_key: ApiKey::Metadata as i16, api_version: 13, correlation_id: 1, client_id: None };
    let frame = joined(&header::encode_request(&header, &MetadataRequest::default()).expect("it encodes"));
    assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes());
    let mut r = Reader::new(frame.slice(4..));
    assert_eq!(RequestHeader::decode(&mut r).expect("a header"), header);
    assert_eq!(MetadataRequest::decode(&mut r, 13).expect("a body"), MetadataRequest::default());
    r.expect_end().expect("nothing follows");
}

#[test]
fn large_records_become_parts_and_are_not_copied() {
    let large = Bytes::from(vec![7; 100_000]);
    let records = Records(vec![
        Part::Bytes(large.clone()),
        Part::External { id: 42, len: 5000 },
        Part::Bytes(Bytes::from_static(b"small")),
    ]);
    let partition = PartitionData { records: Some(records), ..PartitionData::default() };
    let topic = FetchableTopicResponse { partitions: vec![partition], ..FetchableTopicResponse::default() };
    let response = FetchResponse { responses: vec![topic], ..FetchResponse::default() };
    for version in [4, 18] {
        let parts = header::encode_response(ApiKey::Fetch, version, 9, &response).expect("it encodes");
        let [Part::Bytes(front), Part::Bytes(shared), Part::External { id: 42, len: 5000 }, Part::Bytes(end)] =
            &parts[..]
        else {
            panic!("{parts:?}")
        };
        assert_eq!(shared.as_ptr(), large.as_ptr());
        assert!(end.starts_with(b"small"));
        let size = parts.iter().map(Part::len).sum::<usize>() - 4;
        assert_eq!(front[..4], (size as i32).to_be_bytes());
    }
    let mut w = Writer::new();
    response.encode(&mut w, 4).expect("it encodes");
    let error = w.finish_bytes().expect_err("a part is elsewhere");
    assert_eq!(error.kind(), &ErrorKind::External(5000));
}

/// Sizes of tagged fields are written after their content: of one, two and three bytes.
#[test]
fn tagged_fields_of_any_size_come_back() {
    for len in [1, 100, 127, 128, 129, 5000, 16_383, 16_384, 20_000] {
        let request = FetchRequest {
            cluster_id: Some("c".repeat(len).into()),
            replica_state: fetch::ReplicaState { replica_id: 3, replica_epoch: 4 },
            ..FetchRequest::default()
        };
        let mut w = Writer::new();
        request.encode(&mut w, 15).expect("it encodes");
        let bytes = w.finish_bytes().expect("bytes");
        assert_eq!(FetchRequest::decode(&mut Reader::new(bytes), 15).expect("it decodes"), request);
    }
}

#[test]
fn a_request_that_its_version_cannot_say_is_an_error() {
    let mut w = Writer::new();
    let request = ListOffsetsRequest { isolation_level: 1, ..ListOffsetsRequest::default() };
    let error = request.encode(&mut w, 1).expect_err("version 1 has no isolation level");
    assert_eq!(error.to_string(), "ListOffsetsRequest.isolation_level: version 1 has no such field, and it is set");
    request.encode(&mut w, 2).expect("version 2 has one");
    assert!(CreateTopicsRequest::default().encode(&mut w, 1).is_err());
}

#[test]
fn a_response_is_cut_to_what_its_version_can_say() {
    let response = ApiVersionsResponse { throttle_time_ms: 5, zk_migration_ready: true, ..Default::default() };
    let mut w = Writer::new();
    response.encode(&mut w, 0).expect("version 0 has neither");
    let bytes = w.finish_bytes().expect("bytes");
    assert_eq!(ApiVersionsResponse::decode(&mut Reader::new(bytes), 0).expect("it decodes"), Default::default());
}

#[test]
fn a_string_that_is_too_long_is_an_error() {
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse { topic: "t".repeat(40_000).into(), ..Default::default() }],
        ..Default::default()
    };
    let error = response.encode(&mut Writer::new(), 4).expect_err("16 bits of length");
    assert_eq!((error.kind(), error.field()), (&ErrorKind::TooLong(40_000), "FetchableTopicResponse.topic"));
    response.encode(&mut Writer::new(), 12).expect("a compact string can be longer");
}

#[test]
fn error_codes_say_what_they_are() {
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    assert_eq!((code.0, code.name(), code.is_retryable(), code.is_err()), (6, "NOT_LEADER_OR_FOLLOWER", true, true));
    assert!(!ErrorCode::NONE.is_err() && !ErrorCode::MESSAGE_TOO_LARGE.is_retryable());
    assert_eq!(ErrorCode(4711).name(), "UNKNOWN_ERROR_CODE");
    assert_eq!(ErrorCode::ALL.len(), 135);
    assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "numbers have no gap");
}

fn joined(parts: &[Part]) -> Bytes {
    let bytes = parts.iter().flat_map(|part| match part {
        Part::Bytes(bytes) => bytes.to_vec(),
        Part::External { .. } => panic!("it is elsewhere"),
    });
    bytes.collect()
}
