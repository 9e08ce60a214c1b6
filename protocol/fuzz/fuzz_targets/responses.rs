//! A response as a client reads it. In front of it stand the key and the version that the client had asked with.
#![no_main]

#[path = "../../tests/messages/codecs.rs"]
mod codecs;

use leat_protocol::header::ResponseHeader;
use leat_protocol::wire::Reader;
use leat_protocol::{ApiKey, Bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let frame = Bytes::copy_from_slice(frame);
    let mut r = Reader::new(frame.clone());
    let (Ok(key), Ok(version)) = (r.i16(), r.i16()) else { return };
    let Some(api) = ApiKey::from_i16(key) else { return };
    if ResponseHeader::decode(&mut r, api, version).is_err() {
        return;
    }
    let body = frame.slice(frame.len() - r.remaining()..);
    // Either is well, an error or a message that is the same after encoding and decoding again.
    let _ = (codecs::find(api, codecs::Side::Response).decode)(body, version);
});
