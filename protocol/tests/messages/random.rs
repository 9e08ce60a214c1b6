//! Random bytes of a message, made from its layout alone: a second encoder that shares no code with the first.

use leat_protocol::table::layout::{FieldLayout, Kind, Layout};

/// Where choices come from. When it is used up every choice is the smallest, so shrinking it shrinks the message.
#[derive(Debug)]
pub(crate) struct Entropy<'a>(pub(crate) &'a [u8]);

impl Entropy<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}

/// A message in the making.
#[derive(Debug)]
pub(crate) struct Random<'a> {
    pub(crate) entropy: Entropy<'a>,
    pub(crate) version: i16,
    pub(crate) flexible: bool,
    pub(crate) bytes: Vec<u8>,
    /// Whether it has tagged fields, which the encoder leaves out where they are unknown or at their default.
    pub(crate) tagged: bool,
}

impl Random<'_> {
    /// Appends a structure.
    pub(crate) fn structure(&mut self, layout: &Layout) {
        let version = self.version;
        let here = layout.fields.iter().filter(|field| field.column.versions.contains(version));
        let (tagged, body): (Vec<_>, Vec<_>) = here.partition(|field| field.column.tag.is_some());
        for field in body {
            self.field(field);
        }
        if self.flexible {
            self.tagged_fields(&tagged);
        }
    }

    fn tagged_fields(&mut self, known: &[&FieldLayout]) {
        let mut chosen = Vec::new();
        for field in known {
            if self.entropy.byte() & 1 == 1 {
                let outer = std::mem::take(&mut self.bytes);
                self.field(field);
                let content = std::mem::replace(&mut self.bytes, outer);
                chosen.push((field.column.tag.expect("it has a tag"), content));
            }
        }
        for unknown in 0..u32::from(self.entropy.byte() & 3).saturating_sub(1) {
            let len = usize::from(self.entropy.byte());
            chosen.push((1000 * (unknown + 1), vec![0xff; len]));
        }
        self.tagged |= !chosen.is_empty();
        self.uvarint(chosen.len() as u32);
        for (tag, content) in chosen {
            self.uvarint(tag);
            self.uvarint(content.len() as u32);
            self.bytes.extend(content);
        }
    }

    fn field(&mut self, field: &FieldLayout) {
        let nullable = field.option && field.column.nullable.contains(self.version);
        let null = nullable && self.entropy.byte().is_multiple_of(4);
        match field.kind {
            Kind::String if null => self.string_len(None),
            Kind::Bytes | Kind::Records | Kind::Array(_) if null => self.len(None),
            Kind::Struct(_) if null => self.bytes.push(0xff),
            Kind::Struct(layout) if nullable => {
                self.bytes.push(1);
                self.structure(layout);
            }
            kind => self.value(kind),
        }
    }

    fn value(&mut self, kind: Kind) {
        match kind {
            Kind::Bool => {
                let byte = self.entropy.byte() & 1;
                self.bytes.push(byte);
            }
            Kind::Int8 => self.raw::<1>(),
            Kind::Int16 | Kind::Uint16 | Kind::ErrorCode => self.raw::<2>(),
            Kind::Int32 => self.raw::<4>(),
            Kind::Int64 | Kind::Float64 => self.raw::<8>(),
            Kind::Uuid => self.raw::<16>(),
            Kind::String => {
                let text: String = (0..self.entropy.byte()).map(|_| char::from(self.entropy.byte())).collect();
                self.string_len(Some(text.len()));
                self.bytes.extend(text.bytes());
            }
            Kind::Bytes | Kind::Records => {
                // Up to 2 KiB, so that some are large enough not to be copied.
                let len = usize::from(self.entropy.byte()) * 8;
                let fill = self.entropy.byte();
                self.len(Some(len));
                self.bytes.resize(self.bytes.len() + len, fill);
            }
            Kind::Array(element) => {
                let len = usize::from(self.entropy.byte() % 4);
                self.len(Some(len));
                for _ in 0..len {
                    self.value(*element);
                }
            }
            Kind::Struct(layout) => self.structure(layout),
            other => panic!("no random {other}"),
        }
    }

    fn raw<const N: usize>(&mut self) {
        let bytes = self.entropy.bytes::<N>();
        self.bytes.extend(bytes);
    }

    fn string_len(&mut self, len: Option<usize>) {
        if self.flexible {
            self.uvarint(len.map_or(0, |len| len as u32 + 1));
        } else {
            self.bytes.extend(len.map_or(-1, |len| len as i16).to_be_bytes());
        }
    }

    fn len(&mut self, len: Option<usize>) {
        if self.flexible {
            self.uvarint(len.map_or(0, |len| len as u32 + 1));
        } else {
            self.bytes.extend(len.map_or(-1, |len| len as i32).to_be_bytes());
        }
    }

    fn uvarint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
