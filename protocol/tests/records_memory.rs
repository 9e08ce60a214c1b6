//! Compressed batches that claim to be huge: alone in its process, because it looks at the process's memory.

use leat_protocol::Bytes;
use leat_protocol::records::{Builder, Compression, validate_records};

/// A few bytes each: snappy that claims 4 GiB, a zstd frame and an lz4 frame that claim 2^60 bytes, and a zstd frame that
/// wants a window of 128 MiB.
const CLAIMS: [(Compression, &[u8]); 4] = [
    (Compression::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41]),
    (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x09, 0x00, 0x00, 0x41]),
    (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x0b, 0x00, 0x00, 0x41, 0x42]),
    (Compression::Lz4, &[0x04, 0x22, 0x4d, 0x18, 0x68, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x00, 0, 0, 0, 0]),
];

#[test]
fn a_claimed_size_reserves_nothing() {
    // Warm: allocators and codecs keep something for themselves.
    let run = || {
        for (codec, body) in CLAIMS {
            for max in [100, 1 << 33] {
                assert!(validate_records(&claim(codec, body), max).is_err(), "{codec}");
            }
        }
    };
    run();
    let before = peak_kib();
    for _ in 0..1000 {
        run();
    }
    let more = peak_kib() - before;
    assert!(more < 16 << 10, "{more} KiB more");
}

fn claim(codec: Compression, body: &[u8]) -> Bytes {
    let mut builder = Builder::new(codec, None);
    builder.push(0, None, Some(b"x"), &[]);
    let Ok(batch) = builder.finish() else { unreachable!("one small record fits") };
    let mut batch = batch[..61].to_vec();
    batch.extend_from_slice(body);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(batch)
}

/// The most memory that this process has had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
