//! The primitive encodings at their edges. Whole messages are tested in `tests/messages`.

use bytes::Bytes;

use super::{ErrorKind, Part, Reader, Writer};

fn read(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

#[test]
fn numbers_come_back() {
    let mut w = Writer::new();
    w.i8(-2);
    w.i16(i16::MIN);
    w.u16(u16::MAX);
    w.i32(i32::MIN);
    w.u32(u32::MAX);
    w.i64(i64::MIN);
    w.f64(-0.5);
    let mut r = Reader::new(w.finish_bytes().unwrap());
    assert_eq!((r.i8(), r.i16(), r.u16()), (Ok(-2), Ok(i16::MIN), Ok(u16::MAX)));
    assert_eq!((r.i32(), r.u32()), (Ok(i32::MIN), Ok(u32::MAX)));
    assert_eq!((r.i64(), r.f64()), (Ok(i64::MIN), Ok(-0.5)));
    assert_eq!(r.expect_end(), Ok(()));
    assert_eq!(r.i8().unwrap_err().kind(), &ErrorKind::Short { needed: 1, left: 0 });
}

#[test]
fn varints_come_back_at_every_width() {
    let edges = (0..32).flat_map(|bit| [(1u32 << bit) - 1, 1 << bit, (1 << bit) + 1]);
    for value in edges.chain([u32::MAX]) {
        let mut w = Writer::new();
        w.uvarint(value);
        let bytes = w.finish_bytes().unwrap();
        assert_eq!(bytes.len(), (32 - value.leading_zeros()).div_ceil(7).max(1) as usize);
        assert_eq!(Reader::new(bytes.clone()).uvarint(), Ok(value));
        let cut = Reader::new(bytes.slice(..bytes.len() - 1)).uvarint().unwrap_err();
        assert!(matches!(cut.kind(), ErrorKind::Short { .. }), "{cut}");
    }
}

#[test]
fn varints_beyond_32_bits_are_refused() {
    for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x10][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0][..]] {
        assert_eq!(read(bytes).uvarint().unwrap_err().kind(), &ErrorKind::Varint, "{bytes:x?}");
    }
}

#[test]
fn lengths_below_minus_one_are_refused() {
    assert_eq!(read(&[0xff, 0xff]).string_len(false), Ok(None));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff]).len(false), Ok(None));
    let error = read(&[0xff, 0xfe]).string_len(false).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NegativeLength(-2));
    let error = read(&[0x80, 0, 0, 0]).len(false).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NegativeLength(i64::from(i32::MIN)));
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    // Two fields: tag 5 with three bytes, tag 300 with none.
    let mut r = read(&[2, 5, 3, 1, 2, 3, 0xac, 0x02, 0, 9]);
    let mut seen = Vec::new();
    r.tagged_fields(|_, tag| {
        seen.push(tag);
        Ok(false)
    })
    .unwrap();
    assert_eq!((seen, r.i8()), (vec![5, 300], Ok(9)));
}

#[test]
fn a_tagged_field_cannot_read_past_its_size() {
    let mut r = read(&[1, 0, 2, 0, 0, 0, 0]);
    let error = r.tagged_fields(|r, _| r.i32().map(|_| true)).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Short { needed: 4, left: 2 });
}

#[test]
fn small_payloads_are_copied_and_large_ones_shared() {
    let (small, large) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 2000]));
    let mut w = Writer::new();
    w.bytes(&large);
    w.bytes(&small);
    w.bytes(&large);
    assert_eq!(w.len(), 4100);
    let parts = w.finish();
    assert_eq!(parts.iter().map(Part::len).collect::<Vec<_>>(), [2000, 100, 2000]);
    let Part::Bytes(first) = &parts[0] else { panic!("{parts:?}") };
    assert_eq!(first.as_ptr(), large.as_ptr());
}

#[test]
fn an_external_part_has_no_place_in_a_tagged_field() {
    let part = Part::External { id: 1, len: 9 };
    let error = Writer::new().tagged(0, |w| w.part(&part)).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::External(9));
}
