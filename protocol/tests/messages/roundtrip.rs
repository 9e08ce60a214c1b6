//! Whatever is decoded is encoded and decoded again alike.

use leat_protocol::Bytes;
use proptest::prelude::*;

use crate::codecs;
use crate::random::{Entropy, Random};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Decoding, encoding and decoding give equal values (see `there_and_back`); without tagged fields, which may be
    /// unknown or at their default, also equal bytes.
    #[test]
    fn random_messages_survive(
        codec in proptest::sample::select(codecs::all()),
        version in any::<u16>(),
        entropy in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let api = codec.api.api();
        let version = api.versions.min + (version % (api.versions.max - api.versions.min + 1) as u16) as i16;
        let mut random = Random {
            entropy: Entropy(&entropy),
            version,
            flexible: version >= api.flexible_since,
            bytes: Vec::new(),
            tagged: false,
        };
        random.structure(codec.layout);
        let bytes = Bytes::from(random.bytes);
        let decoded = (codec.decode)(bytes.clone(), version)
            .map_err(|e| TestCaseError::fail(format!("{codec:?} {version}: {e}")))?;
        if !random.tagged {
            prop_assert_eq!(decoded.encoded, bytes);
        }
    }

    #[test]
    fn random_bytes_are_no_panic(
        codec in proptest::sample::select(codecs::all()),
        version in any::<i16>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let api = codec.api.api();
        let known = api.versions.min + version.rem_euclid(api.versions.max - api.versions.min + 1);
        for version in [version, known] {
            // An error or a message that can be encoded again: either is well.
            let _ = (codec.decode)(Bytes::from(bytes.clone()), version);
        }
    }
}
