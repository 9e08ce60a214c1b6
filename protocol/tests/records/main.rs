//! The batch format against Apache Kafka's own bytes, and against bytes that nobody should send.

mod corrupt;
mod golden;
mod limits;
mod retained;
mod roundtrip;

use leat_protocol::records::{BatchError, Builder, Compression, Header, Record, records};
use leat_protocol::{Bytes, Str};

/// Room enough for every fixture.
const ROOM: usize = 1 << 20;
/// The time that fixtures count from.
const T: i64 = 1_357_016_400_000;

fn header(key: &'static str, value: Option<&'static [u8]>) -> Header {
    Header { key: Str::from_static(key), value: value.map(Bytes::from_static) }
}

/// Every record of a batch, or what is wrong with it.
fn read(batch: &Bytes, max: usize) -> Result<Vec<Record>, BatchError> {
    records(batch, max)?.collect()
}

/// The records of `Batches.java`'s `shapes`: null, empty, long, with headers.
fn shapes(mut builder: Builder) -> Builder {
    let all: Vec<u8> = (0..300u32).map(|i| i as u8).collect();
    builder.push(T, Some(b"key"), Some(b"value"), &[]);
    builder.push(T + 1, None, Some(b"no key"), &[]);
    builder.push(T + 2, Some(b"no value"), None, &[]);
    builder.push(T + 3, None, None, &[]);
    builder.push(T + 70, Some(b""), Some(b""), &[]);
    let headers = [
        header("trace", Some(b"4bf92f35")),
        header("trace", Some(b"again")),
        header("", Some(&[0, 0xff])),
        header("Größe", None),
        header("empty", Some(b"")),
    ];
    builder.push(T + 20_000, Some(b"h"), Some(b"with headers"), &headers);
    builder.push(T + 3_000_000, Some(&all), Some(&all), &[]);
    builder
}

/// The records of `Batches.java`'s `blocks`: more than one block of any codec.
fn blocks(mut builder: Builder) -> Builder {
    for i in 0..600 {
        let value = format!("record {i} says nothing new; ").repeat(20);
        let key = format!("key-{}", i % 16);
        builder.push(T + i * 10, Some(key.as_bytes()), Some(&value.as_bytes()[..400]), &[]);
    }
    builder
}

fn plain() -> Builder {
    Builder::new(Compression::None, None)
}
