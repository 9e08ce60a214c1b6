//! Makes the fuzz corpus from the golden files, so that a run starts with every message in every version: in the folder that
//! `LEAT_FUZZ_CORPUS` names, else in one of Cargo's.

use std::path::{Path, PathBuf};

use leat_protocol::header::{RequestHeader, ResponseHeader};
use leat_protocol::wire::Writer;

use crate::codecs::Side;
use crate::golden;

#[test]
fn the_fuzz_corpus_has_every_message_in_every_version() {
    let corpus = std::env::var_os("LEAT_FUZZ_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus"), PathBuf::from);
    for golden in golden::all() {
        let (api, version) = (golden.codec.api, golden.version);
        let mut w = Writer::new();
        let folder = match golden.codec.side {
            Side::Request => {
                let (api_key, api_version) = (api as i16, version);
                let header = RequestHeader { api_key, api_version, correlation_id: 1, client_id: None };
                header.encode(&mut w).expect("it encodes");
                corpus.join("requests")
            }
            Side::Response => {
                w.i16(api as i16);
                w.i16(version);
                ResponseHeader { correlation_id: 1 }.encode(&mut w, api, version);
                corpus.join("responses")
            }
        };
        w.slice(&golden.bytes);
        std::fs::create_dir_all(&folder).expect("the folder");
        let bytes = w.finish_bytes().expect("bytes");
        std::fs::write(folder.join(format!("{api}-{version}-{}", golden.shape)), bytes).expect("the file");
    }
    let files = |side: &str| std::fs::read_dir(corpus.join(side)).expect("the folder").count();
    assert_eq!(files("requests") + files("responses"), golden::all().len());
}
