//! A frame as a broker reads it: request header, then the body that it names.
#![no_main]

#[path = "../../tests/messages/codecs.rs"]
mod codecs;

use leat_protocol::header::RequestHeader;
use leat_protocol::wire::Reader;
use leat_protocol::{ApiKey, Bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let frame = Bytes::copy_from_slice(frame);
    let mut r = Reader::new(frame.clone());
    let Ok(header) = RequestHeader::decode(&mut r) else { return };
    let Some(api) = ApiKey::from_i16(header.api_key) else { return };
    let body = frame.slice(frame.len() - r.remaining()..);
    // Either is well, an error or a message that is the same after encoding and decoding again.
    let _ = (codecs::find(api, codecs::Side::Request).decode)(body, header.api_version);
});
