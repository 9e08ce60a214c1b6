//! The files in `../golden`: bytes and JSON from Java's kafka-clients.

use std::path::PathBuf;

use leat_protocol::{APIS, ApiKey, Bytes};
use serde_json::Value;

use crate::codecs::{self, Codec, Side};

/// One message that Java encoded.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) codec: Codec,
    pub(crate) version: i16,
    pub(crate) shape: String,
    pub(crate) bytes: Bytes,
    pub(crate) json: Value,
}

/// One header that Java encoded.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) side: Side,
    pub(crate) bytes: Bytes,
}

/// Every message of every file.
pub(crate) fn all() -> Vec<Golden> {
    APIS.iter().flat_map(|api| read(api.key)).collect()
}

/// Every header.
pub(crate) fn headers() -> Vec<Header> {
    lines("headers")
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [api, version, side, hex] = words[..] else { panic!("four words: {line}") };
            let api = APIS.iter().find(|known| known.name == api).expect("a known API").key;
            Header { api, version: version.parse().expect("a version"), side: self::side(side), bytes: unhex(hex) }
        })
        .collect()
}

/// What Java says of one field.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) api: String,
    /// The structure and the field, with a dot between.
    pub(crate) field: String,
    pub(crate) default: String,
    /// Whether a version without the field refuses to encode another value.
    pub(crate) needed: bool,
}

/// What Java says of every field.
pub(crate) fn facts() -> Vec<Fact> {
    lines("facts")
        .iter()
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_else(|| panic!("three words: {line}"));
            Fact { api: word(), field: word(), default: word(), needed: words.next().is_some() }
        })
        .collect()
}

fn read(api: ApiKey) -> Vec<Golden> {
    let golden = |entry: Entry| Golden {
        codec: codecs::find(api, self::side(&entry.side)),
        version: entry.version,
        shape: entry.shape,
        bytes: entry.bytes,
        json: entry.json,
    };
    entries(api.name()).into_iter().map(golden).collect()
}

/// Three lines of a file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) side: String,
    pub(crate) version: i16,
    pub(crate) shape: String,
    pub(crate) bytes: Bytes,
    pub(crate) json: Value,
}

/// All that one file holds.
pub(crate) fn entries(file: &str) -> Vec<Entry> {
    lines(file)
        .chunks(3)
        .map(|entry| {
            let [title, hex, json] = entry else { panic!("three lines at {entry:?}") };
            let words: Vec<&str> = title.split(' ').collect();
            let [side, version, shape] = words[..] else { panic!("three words: {title}") };
            Entry {
                side: side.to_owned(),
                version: version.parse().expect("a version"),
                shape: shape.to_owned(),
                bytes: unhex(hex),
                json: serde_json::from_str(json).expect("JSON"),
            }
        })
        .collect()
}

fn lines(file: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file).with_extension("txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn side(word: &str) -> Side {
    match word {
        "request" => Side::Request,
        "response" => Side::Response,
        other => panic!("no side: {other}"),
    }
}

fn unhex(hex: &str) -> Bytes {
    let digit = |c: u8| char::from(c).to_digit(16).expect("a hexadecimal digit") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
