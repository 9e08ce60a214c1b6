//! How each Rust type that a table may name is read and written.
//!
//! Types nest only as the tables' structures do, so that no input decides how deep the stack goes.

use bytes::Bytes;
use bytestring::ByteString;
use uuid::Uuid;

use super::layout::Kind;
use crate::ErrorCode;
use crate::wire::{Error, ErrorKind, Reader, Records, Writer};

/// What a field has to know about its surroundings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) version: i16,
    /// Whether lengths are compact and structures end with tagged fields.
    pub(crate) flexible: bool,
    /// Whether null is allowed for this field in this version.
    pub(crate) nullable: bool,
}

/// A type that a table may name.
pub(crate) trait Field: Sized {
    const KIND: Kind;
    /// Whether the type has a null.
    const OPTION: bool = false;
    /// The least number of bytes that one takes, in any version.
    const MIN_SIZE: usize;
    fn read(r: &mut Reader, cx: Context) -> Result<Self, Error>;
    fn write(&self, w: &mut Writer, cx: Context) -> Result<(), Error>;

    /// Shows each error number in it.
    #[inline]
    fn errors(&self, _found: &mut dyn FnMut(ErrorCode)) {}
}

/// A type that can be null on the wire.
pub(crate) trait Nullable: Field {
    fn read_nullable(r: &mut Reader, cx: Context) -> Result<Option<Self>, Error>;
    fn write_nullable(value: Option<&Self>, w: &mut Writer, cx: Context) -> Result<(), Error>;
}

macro_rules! fixed {
    ($($type:ty, $kind:ident, $method:ident;)*) => {$(
        impl Field for $type {
            const KIND: Kind = Kind::$kind;
            const MIN_SIZE: usize = size_of::<Self>();

            #[inline]
            fn read(r: &mut Reader, _: Context) -> Result<Self, Error> {
                r.$method()
            }

            #[inline]
            fn write(&self, w: &mut Writer, _: Context) -> Result<(), Error> {
                w.$method(*self);
                Ok(())
            }
        }
    )*};
}

fixed! {
    i8, Int8, i8;
    i16, Int16, i16;
    u16, Uint16, u16;
    i32, Int32, i32;
    i64, Int64, i64;
    f64, Float64, f64;
}

impl Field for bool {
    const KIND: Kind = Kind::Bool;
    const MIN_SIZE: usize = 1;

    #[inline]
    fn read(r: &mut Reader, _: Context) -> Result<Self, Error> {
        r.bool()
    }

    #[inline]
    fn write(&self, w: &mut Writer, _: Context) -> Result<(), Error> {
        w.i8(i8::from(*self));
        Ok(())
    }
}

impl Field for ErrorCode {
    const KIND: Kind = Kind::ErrorCode;
    const MIN_SIZE: usize = 2;

    #[inline]
    fn read(r: &mut Reader, _: Context) -> Result<Self, Error> {
        r.i16().map(Self)
    }

    #[inline]
    fn write(&self, w: &mut Writer, _: Context) -> Result<(), Error> {
        w.i16(self.0);
        Ok(())
    }

    #[inline]
    fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
        found(*self);
    }
}

impl Field for Uuid {
    const KIND: Kind = Kind::Uuid;
    const MIN_SIZE: usize = 16;

    #[inline]
    fn read(r: &mut Reader, _: Context) -> Result<Self, Error> {
        r.uuid()
    }

    #[inline]
    fn write(&self, w: &mut Writer, _: Context) -> Result<(), Error> {
        w.slice(self.as_bytes());
        Ok(())
    }
}

/// Types with a length in front are null by that length, so the plain form is the nullable one without null.
macro_rules! field_by_length {
    ([$($t:ident)?] $type:ty, $kind:expr $(, $errors:item)?) => {
        impl$(<$t: Field>)? Field for $type {
            const KIND: Kind = $kind;
            const MIN_SIZE: usize = 1;

            #[inline]
            fn read(r: &mut Reader, cx: Context) -> Result<Self, Error> {
                Self::read_nullable(r, cx)?.ok_or_else(|| ErrorKind::Null.into())
            }

            #[inline]
            fn write(&self, w: &mut Writer, cx: Context) -> Result<(), Error> {
                Self::write_nullable(Some(self), w, cx)
            }

            $($errors)?
        }
    };
}

field_by_length!([] ByteString, Kind::String);
field_by_length!([] Bytes, Kind::Bytes);
field_by_length!([] Records, Kind::Records);
field_by_length!(
    [T] Vec<T>,
    Kind::Array(&T::KIND),
    fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
        self.iter().for_each(|element| element.errors(found));
    }
);

impl Nullable for ByteString {
    #[inline]
    fn read_nullable(r: &mut Reader, cx: Context) -> Result<Option<Self>, Error> {
        match r.string_len(cx.flexible)? {
            Some(len) => r.string(len).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn write_nullable(value: Option<&Self>, w: &mut Writer, cx: Context) -> Result<(), Error> {
        w.string_len(value.map(|s| s.len()), cx.flexible)?;
        if let Some(string) = value {
            w.slice(string.as_bytes());
        }
        Ok(())
    }
}

impl Nullable for Bytes {
    #[inline]
    fn read_nullable(r: &mut Reader, cx: Context) -> Result<Option<Self>, Error> {
        match r.len(cx.flexible)? {
            Some(len) => r.bytes(len).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn write_nullable(value: Option<&Self>, w: &mut Writer, cx: Context) -> Result<(), Error> {
        w.put_len(value.map(Self::len), cx.flexible)?;
        if let Some(bytes) = value {
            w.bytes(bytes);
        }
        Ok(())
    }
}

impl Nullable for Records {
    #[inline]
    fn read_nullable(r: &mut Reader, cx: Context) -> Result<Option<Self>, Error> {
        Ok(Bytes::read_nullable(r, cx)?.map(Self::from))
    }

    #[inline]
    fn write_nullable(value: Option<&Self>, w: &mut Writer, cx: Context) -> Result<(), Error> {
        w.put_len(value.map(Self::len), cx.flexible)?;
        value.iter().flat_map(|records| &records.0).try_for_each(|part| w.part(part))
    }
}

impl<T: Field> Nullable for Vec<T> {
    #[inline]
    fn read_nullable(r: &mut Reader, cx: Context) -> Result<Option<Self>, Error> {
        let Some(len) = r.len(cx.flexible)? else {
            return Ok(None);
        };
        let mut elements = r.vec(len, T::MIN_SIZE)?;
        for _ in 0..len {
            elements.push(T::read(r, cx)?);
        }
        Ok(Some(elements))
    }

    #[inline]
    fn write_nullable(value: Option<&Self>, w: &mut Writer, cx: Context) -> Result<(), Error> {
        w.put_len(value.map(Self::len), cx.flexible)?;
        value.into_iter().flatten().try_for_each(|element| element.write(w, cx))
    }
}

impl<T: Nullable> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTION: bool = true;
    const MIN_SIZE: usize = 1;

    #[inline]
    fn read(r: &mut Reader, cx: Context) -> Result<Self, Error> {
        match T::read_nullable(r, cx)? {
            None if !cx.nullable => Err(ErrorKind::Null.into()),
            value => Ok(value),
        }
    }

    #[inline]
    fn write(&self, w: &mut Writer, cx: Context) -> Result<(), Error> {
        if self.is_none() && !cx.nullable {
            return Err(ErrorKind::Null.into());
        }
        T::write_nullable(self.as_ref(), w, cx)
    }

    #[inline]
    fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
        self.iter().for_each(|value| value.errors(found));
    }
}

/// A structure is null by one byte in front of it, which plain structures do not have.
pub(crate) fn read_nullable_struct<T: Field>(r: &mut Reader, cx: Context) -> Result<Option<T>, Error> {
    if r.i8()? < 0 { Ok(None) } else { T::read(r, cx).map(Some) }
}

/// The same, written.
pub(crate) fn write_nullable_struct<T: Field>(value: Option<&T>, w: &mut Writer, cx: Context) -> Result<(), Error> {
    match value {
        None => {
            w.i8(-1);
            Ok(())
        }
        Some(value) => {
            w.i8(1);
            value.write(w, cx)
        }
    }
}
