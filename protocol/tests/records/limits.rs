//! Compressed batches that hold more than they should, or nothing that can be decompressed.

use super::{ROOM, plain, read, shapes};
use leat_protocol::records::{BatchError, Builder, Compression, validate, validate_records};
use leat_protocol::{Bytes, ErrorCode};

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Puts other bytes where a batch's records are.
fn with_body(codec: Compression, body: &[u8]) -> Bytes {
    let mut batch = shapes(Builder::new(codec, None)).finish().unwrap()[..61].to_vec();
    batch.extend_from_slice(body);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(batch)
}

#[test]
fn a_bomb_stops_at_the_bound() {
    let zeros = vec![0; 8 << 20];
    for codec in CODECS {
        let mut builder = Builder::new(codec, None);
        builder.push(0, None, Some(&zeros), &[]);
        let bomb = builder.finish().unwrap();
        assert!(bomb.len() < 1 << 20, "{codec}: {}", bomb.len());
        assert!(validate(&bomb, ROOM * 2).is_ok(), "its frame is right");
        for max in [0, 1, 1000, ROOM, (8 << 20) + 11] {
            let error = validate_records(&bomb, max).unwrap_err();
            assert_eq!(error, BatchError::TooLarge { what: "decompressed batch", max }, "{codec}");
            assert_eq!(error.error_code(), ErrorCode::MESSAGE_TOO_LARGE);
            assert_eq!(read(&bomb, max), Err(error));
        }
        assert!(validate_records(&bomb, (8 << 20) + 64).is_ok(), "{codec}: as much as it has");
    }
}

#[test]
fn bytes_that_are_no_compressed_data() {
    for codec in CODECS {
        for body in [&b""[..], b"\0", b"not compressed at all, just some words", &[0xff; 100]] {
            let batch = with_body(codec, body);
            assert!(validate(&batch, ROOM).is_ok(), "its frame is right");
            let error = validate_records(&batch, ROOM).unwrap_err();
            let code = error.error_code();
            assert!(
                code == ErrorCode::CORRUPT_MESSAGE
                    || code == ErrorCode::INVALID_RECORD
                    || code == ErrorCode::MESSAGE_TOO_LARGE,
                "{codec}: {error}"
            );
        }
    }
}

#[test]
fn compressed_data_cut_anywhere_is_an_error() {
    for codec in CODECS {
        let batch = shapes(Builder::new(codec, None)).finish().unwrap();
        for end in 61..batch.len() {
            let cut = with_body(codec, &batch[61..end]);
            let whole = validate_records(&cut, ROOM);
            // lz4's end mark is four zero bytes that hold no data; what came before them is whole.
            if codec == Compression::Lz4 && end + 4 >= batch.len() {
                continue;
            }
            assert!(whole.is_err(), "{codec} cut to {} of {}", end - 61, batch.len() - 61);
        }
    }
}

#[test]
fn raw_snappy_and_concatenated_streams_are_read() {
    let plain = shapes(plain()).finish().unwrap();
    let expected = read(&plain, ROOM).unwrap();
    let (first, second) = plain[61..].split_at(100);

    let raw = snap::raw::Encoder::new().compress_vec(&plain[61..]).unwrap();
    assert_eq!(read(&with_body(Compression::Snappy, &raw), ROOM).as_ref(), Ok(&expected));

    let xerial = |part: &[u8]| {
        let mut stream = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        let block = snap::raw::Encoder::new().compress_vec(part).unwrap();
        stream.extend_from_slice(&(block.len() as u32).to_be_bytes());
        stream.extend_from_slice(&block);
        stream
    };
    let both = [xerial(first), xerial(second)].concat();
    assert_eq!(read(&with_body(Compression::Snappy, &both), ROOM).as_ref(), Ok(&expected));

    let frames = [zstd::bulk::compress(first, 3).unwrap(), zstd::bulk::compress(second, 3).unwrap()].concat();
    assert_eq!(read(&with_body(Compression::Zstd, &frames), ROOM).as_ref(), Ok(&expected));

    let gzip = |part: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(
        read(&with_body(Compression::Gzip, &[gzip(first), gzip(second)].concat()), ROOM).as_ref(),
        Ok(&expected)
    );
}

#[test]
fn lz4_is_read_with_every_option_that_clients_set() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let plain = shapes(plain()).finish().unwrap();
    let expected = read(&plain, ROOM).unwrap();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for sums in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(sums)
                    .content_checksum(sums)
                    .content_size(sums.then_some(plain.len() as u64 - 61));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&plain[61..]).unwrap();
                let body = encoder.finish().unwrap();
                assert_eq!(read(&with_body(Compression::Lz4, &body), ROOM).as_ref(), Ok(&expected));
            }
        }
    }
}

#[test]
fn larger_than_allowed_is_refused_before_the_checksum() {
    let mut batch = shapes(plain()).finish().unwrap().to_vec();
    let size = batch.len();
    assert!(validate(&batch, size).is_ok());
    batch[100] ^= 1;
    assert_eq!(validate(&batch, size - 1), Err(BatchError::TooLarge { what: "batch", max: size - 1 }));
}

#[test]
fn an_empty_batch_can_not_be_built() {
    assert!(matches!(plain().finish(), Err(BatchError::Header(_))));
}
