//! docs/protocol.md says what the tables say. It is written by
//! `LEAT_WRITE_DOCS=1 cargo test -p leat-protocol --test messages document`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use leat_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use leat_protocol::table::layout::{FieldLayout, Kind, Layout, Versions};
use leat_protocol::{APIS, Api, ErrorCode, Message};

use crate::codecs::{self, Side};

const PREFACE: &str = "\
# Kafka's protocol, as Leat speaks it

Made from the tables in `protocol/src`; a test fails when the two differ. To write it again:
`LEAT_WRITE_DOCS=1 cargo test -p leat-protocol --test messages document`.

Every frame is a size (int32), a header and a body. Numbers are big-endian. A request's header holds the API's key, the
version, a correlation id and the client's name; its answer's header holds the correlation id. From an API's
first *flexible* version on, both headers and every structure end with tagged fields, and lengths are
*compact*: an unsigned varint of the length plus one, 0 for null. Before it, lengths are int16 for a string and int32 for
bytes, records and arrays, -1 for null. The header of an ApiVersions response never has tagged fields. Tagged fields
that are not known are skipped. Bytes are read whole or refused: a length is compared with what is left of the frame
before memory is reserved for it.

A *response* is cut to what its version can say. A *request* with a field set that its version lacks is refused by the
encoder, where leaving it out would change what is asked; those fields are marked *needed*.
";

const CONSUMER_PROTOCOL: &str = "
## Consumer protocol

The `metadata` of a consumer in JoinGroup and its `assignment` in SyncGroup are a version (int16, 0 to 3, never flexible) and
one of these. They go from member to member; the coordinator does not look inside. A version above 3 is read as 3.
";

#[test]
fn document_says_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let made = document();
    if std::env::var_os("LEAT_WRITE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("docs/protocol.md can be written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/protocol.md can be read");
    let differs = made.lines().zip(found.lines()).position(|(made, found)| made != found);
    assert!(
        made == found,
        "docs/protocol.md is out of date from line {:?} on; its first lines say how to write it",
        differs
    );
}

fn document() -> String {
    let mut text = String::from(PREFACE);
    text += "\n## APIs\n\n| key | name | versions | flexible | |\n|---|---|---|---|---|\n";
    for api in APIS {
        let (min, max) = (api.versions.min, api.versions.max);
        let note = if !api.served {
            String::from("for the client only: the broker does not serve it yet")
        } else if api.announced_min < min {
            format!(
                "announced as {}-{max} for clients that look for old versions; below {min} it is refused",
                api.announced_min
            )
        } else {
            String::new()
        };
        let Api { key, name, versions, flexible_since, .. } = api;
        let anchor = name.to_lowercase();
        let flexible = if *flexible_since > max { "none".to_owned() } else { format!("{flexible_since}+") };
        row(
            &mut text,
            &[&format!("{}", *key as i16), &format!("[{name}](#{anchor})"), &versions.to_string(), &flexible, &note],
        );
    }
    for api in APIS {
        let _ = write!(text, "\n## {}\n", api.name);
        let mut done = BTreeSet::new();
        for side in [Side::Request, Side::Response] {
            structure(&mut text, codecs::find(api.key, side).layout, &mut done);
        }
    }
    text += CONSUMER_PROTOCOL;
    let mut done = BTreeSet::new();
    for layout in [ConsumerProtocolSubscription::LAYOUT, ConsumerProtocolAssignment::LAYOUT] {
        structure(&mut text, layout, &mut done);
    }
    text += "\n## Error codes\n\n| number | name | again? | meaning |\n|---|---|---|---|\n";
    for code in ErrorCode::ALL {
        let again = if code.is_retryable() { "yes" } else { "" };
        row(&mut text, &[&code.0.to_string(), code.name(), again, code.message()]);
    }
    text
}

/// A structure, then those that it is made of.
fn structure(text: &mut String, layout: &'static Layout, done: &mut BTreeSet<&'static str>) {
    if !done.insert(layout.name) {
        return;
    }
    let _ = write!(text, "\n**{}**: {}\n\n", layout.name, one_line(layout.doc));
    text.push_str("| field | type | versions | default | meaning |\n|---|---|---|---|---|\n");
    for field in layout.fields {
        row(
            text,
            &[
                &format!("`{}`", field.name),
                &field.kind.to_string(),
                &versions(field),
                field.default,
                &one_line(field.doc),
            ],
        );
    }
    for field in layout.fields {
        if let Some(inner) = inner(field.kind) {
            structure(text, inner, done);
        }
    }
}

fn inner(kind: Kind) -> Option<&'static Layout> {
    match kind {
        Kind::Array(element) => inner(*element),
        Kind::Struct(layout) => Some(layout),
        _ => None,
    }
}

fn versions(field: &FieldLayout) -> String {
    let column = field.column;
    let mut text = column.versions.to_string();
    if field.option {
        text += " or null";
        if column.nullable != column.versions && column.nullable != Versions::NONE {
            let _ = write!(text, " {}", column.nullable);
        }
    }
    if let Some(tag) = column.tag {
        let _ = write!(text, ", tag {tag}");
    }
    if column.strict {
        text += ", needed";
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    text.push('|');
    for cell in cells {
        let _ = if cell.is_empty() { write!(text, " |") } else { write!(text, " {cell} |") };
    }
    text.push('\n');
}

fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
