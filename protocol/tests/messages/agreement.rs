//! The same bytes and the same values as Java's kafka-clients and as the crate kafka-protocol.

use leat_protocol::table::layout::{FieldLayout, Kind, Layout};
use leat_protocol::{APIS, ApiKey};

use crate::codecs::{self, Codec, Side};
use crate::golden::{self, Fact, Golden};
use crate::shown;

#[test]
fn golden_files_have_every_version_in_both_directions() {
    let all = golden::all();
    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            for side in [Side::Request, Side::Response] {
                for shape in ["full", "nulls", "empty"] {
                    let here = all.iter().filter(|golden| {
                        golden.codec.api == api.key
                            && golden.codec.side == side
                            && golden.version == version
                            && golden.shape == shape
                    });
                    assert_eq!(here.count(), 1, "{} {version} {side:?} {shape}", api.name);
                }
            }
        }
    }
}

#[test]
fn golden_bytes_decode_to_the_values_that_java_encoded() {
    for Golden { codec, version, shape, bytes, json } in golden::all() {
        let decoded = (codec.decode)(bytes, version).unwrap_or_else(|e| panic!("{codec:?} {version} {shape}: {e}"));
        shown::assert_same(&shown::parse(&decoded.shown), &json, &format!("{codec:?} {version} {shape}"));
    }
}

#[test]
fn golden_bytes_are_encoded_again_byte_for_byte() {
    for Golden { codec, version, shape, bytes, .. } in golden::all() {
        let decoded = (codec.decode)(bytes.clone(), version).unwrap_or_else(|e| panic!("{codec:?} {version}: {e}"));
        assert_eq!(decoded.encoded, bytes, "{codec:?} {version} {shape}");
    }
}

#[test]
fn defaults_and_needed_fields_are_those_of_java() {
    let mut facts = golden::facts();
    for codec in codecs::all() {
        compare(codec, codec.layout, &mut facts);
    }
    assert!(facts.is_empty(), "Java knows more fields: {facts:?}");
}

/// Compares a structure and those within it, and takes what Java says of them out of the list.
fn compare(codec: Codec, layout: &Layout, facts: &mut Vec<Fact>) {
    for field in layout.fields {
        let name = format!("{}.{}", in_java(layout.name), field.name);
        let found = facts.iter().position(|fact| fact.api == codec.api.name() && fact.field == name);
        let fact = facts.swap_remove(found.unwrap_or_else(|| panic!("Java has no {name}")));
        // A response is cut to its version, so nothing in it is needed.
        assert_eq!(field.column.strict, fact.needed && codec.side == Side::Request, "{name}");
        // Where Java has an empty string or array that may be null, ours is null.
        if !field.option {
            assert_eq!(default(field), fact.default, "{name}");
        }
        if let Some(inner) = structure(field.kind)
            && facts
                .iter()
                .any(|fact| fact.api == codec.api.name() && fact.field.split('.').next() == Some(in_java(inner.name)))
        {
            compare(codec, inner, facts);
        }
    }
}

/// Java's name of a structure. It has one for several in DescribeQuorum.
fn in_java(name: &'static str) -> &'static str {
    match name {
        "DescribeQuorumTopic" | "QuorumTopic" => "TopicData",
        "DescribeQuorumPartition" | "QuorumPartition" => "PartitionData",
        "QuorumReplica" => "ReplicaState",
        "QuorumNode" => "Node",
        "QuorumListener" => "Listener",
        name => name,
    }
}

fn structure(kind: Kind) -> Option<&'static Layout> {
    match kind {
        Kind::Array(element) => structure(*element),
        Kind::Struct(layout) => Some(layout),
        _ => None,
    }
}

/// A default in Java's words.
fn default(field: &FieldLayout) -> String {
    let ours = match (field.default, field.kind) {
        ("", Kind::Bool) => "false",
        ("", Kind::String | Kind::Bytes) => "\"\"",
        ("", Kind::Array(_)) => "[]",
        ("", Kind::Struct(_)) => "{}",
        ("", _) => "0",
        ("i32::MIN", _) => "-2147483648",
        ("i32::MAX", _) => "2147483647",
        ("i64::MAX", _) => "9223372036854775807",
        (other, _) => other,
    };
    ours.to_owned()
}

/// A third implementation reads the same bytes and writes them again. It lacks the versions in [`known_elsewhere`].
#[test]
fn kafka_protocol_agrees_with_the_golden_bytes() {
    use kafka_protocol::messages::{ApiKey as Theirs, RequestKind, ResponseKind};

    let mut compared = 0;
    for Golden { codec, version, shape, bytes, .. } in golden::all() {
        if !known_elsewhere(codec.api, version) {
            continue;
        }
        let title = format!("{codec:?} {version} {shape}");
        let key = Theirs::try_from(codec.api as i16).expect("a key that both know");
        let (mut left, mut encoded) = (bytes.clone(), bytes::BytesMut::new());
        let result = match codec.side {
            Side::Request => {
                RequestKind::decode(key, &mut left, version).and_then(|request| request.encode(&mut encoded, version))
            }
            Side::Response => ResponseKind::decode(key, &mut left, version)
                .and_then(|response| response.encode(&mut encoded, version)),
        };
        result.unwrap_or_else(|e| panic!("{title}: {e:#}"));
        assert!(left.is_empty(), "{title}");
        assert_eq!(encoded, bytes, "{title}");
        compared += 1;
    }
    assert!(compared > 400, "{compared} messages were compared");
}

/// kafka-protocol 0.18 is made from the messages of Apache Kafka 4.1.
fn known_elsewhere(api: ApiKey, version: i16) -> bool {
    !matches!(
        (api, version),
        (ApiKey::ListOffsets, 11) | (ApiKey::DescribeLogDirs, 5) | (ApiKey::OffsetCommit | ApiKey::OffsetFetch, 10)
    )
}
