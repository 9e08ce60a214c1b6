//! The tables that messages are written in: each field once, with its versions, type and default.
//!
//! ```text
//! messages! {
//!     Fetch: FetchRequest => FetchResponse;
//!
//!     /// Asks for records.
//!     request FetchRequest {
//!         [4-14]            replica_id: i32 = -1,
//!         [7+ strict]       session_id: i32,
//!         [12+ tag 0]       cluster_id: Option<Str>,
//!         [0+ null 10+]     name: Option<Str> = Some(Str::default()),
//!     }
//! }
//! ```
//!
//! From it come the struct, its `Default`, decoder, encoder and [`Layout`](layout::Layout). The words of the first
//! column: `4+` and `4-14` are the versions that have the field; `null 10+` are those in which an `Option` may be
//! null (where left out: all); `tag 0` puts it among the tagged fields; `strict` makes it an error to encode a
//! value other than the default in a version without the field. Requests mark the fields that Kafka's own
//! encoder would refuse to drop; a response is cut to what its version can say.
//!
//! A file of messages that belong to no API begins with its versions, `versions 0-3, flexible never;`, and says `blob` for
//! `request`.

pub(crate) mod field;
pub mod layout;

/// The first column of a table.
macro_rules! column {
    (@words $column:expr;) => { $column };
    (@words $column:expr; null $min:literal + $($rest:tt)*) => {
        column!(@words $column.null(Versions::since($min)); $($rest)*)
    };
    (@words $column:expr; tag $tag:literal $($rest:tt)*) => { column!(@words $column.tag($tag); $($rest)*) };
    (@words $column:expr; strict $($rest:tt)*) => { column!(@words $column.strict(); $($rest)*) };
    ($min:literal + $($rest:tt)*) => { column!(@words Column::new(Versions::since($min)); $($rest)*) };
    ($min:literal - $max:literal $($rest:tt)*) => {
        column!(@words Column::new(Versions { min: $min, max: $max }); $($rest)*)
    };
}

macro_rules! default {
    ($type:ty) => {
        <$type>::default()
    };
    ($type:ty, $value:expr) => {
        $value
    };
}

/// See the module's own page.
macro_rules! messages {
    (versions $min:literal-$max:literal, flexible never; $($rest:tt)+) => {
        use $crate::table::prelude::*;

        const SCHEMA: Schema = Schema { versions: Versions { min: $min, max: $max }, flexible_since: i16::MAX };

        messages!(@items $($rest)+);
    };

    ($api:ident: $request:ident => $response:ident; $($rest:tt)+) => {
        use $crate::table::prelude::*;

        const SCHEMA: Schema = Schema::of($crate::ApiKey::$api);

        impl $crate::messages::Request for $request {
            const KEY: $crate::ApiKey = $crate::ApiKey::$api;
            type Response = $response;
        }

        messages!(@items $($rest)+);
    };

    (@items) => {};
    (@items $(#[doc = $doc:literal])* $role:ident $name:ident { $($body:tt)* } $($rest:tt)*) => {
        messages!(@struct [$($doc)*] $name $($body)*);
        messages!(@role $role $name);
        messages!(@items $($rest)*);
    };

    (@role struct $name:ident) => {};
    (@role request $name:ident) => { messages!(@message $name); };
    (@role response $name:ident) => { messages!(@message $name); };
    (@role blob $name:ident) => {
        messages!(@message $name);

        impl $crate::messages::Blob for $name {
            const VERSIONS: Versions = SCHEMA.versions;
        }
    };

    (@message $name:ident) => {
        impl $crate::messages::Message for $name {
            const LAYOUT: &'static Layout = &Self::LAYOUT;

            fn decode(r: &mut Reader, version: i16) -> Result<Self, Error> {
                <Self as Field>::read(r, SCHEMA.context(version)?)
            }

            fn encode(&self, w: &mut Writer, version: i16) -> Result<(), Error> {
                <Self as Field>::write(self, w, SCHEMA.context(version)?)
            }

            fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
                <Self as Field>::errors(self, found);
            }
        }
    };

    (@struct [$($sdoc:literal)*] $name:ident $(
        $(#[doc = $doc:literal])* [$($column:tt)+] $field:ident: $type:ty $(= $default:expr)?
    ),* $(,)?) => {
        $(#[doc = $sdoc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: default!($type $(, $default)?),)* }
            }
        }

        impl $name {
            pub(crate) const LAYOUT: Layout = Layout {
                name: stringify!($name),
                doc: concat!($($sdoc, "\n",)* ""),
                fields: &[$(FieldLayout {
                    name: stringify!($field),
                    doc: concat!($($doc, "\n",)* ""),
                    kind: <$type as Field>::KIND,
                    option: <$type as Field>::OPTION,
                    column: column!($($column)+),
                    default: concat!($(stringify!($default))?),
                },)*],
            };
        }

        const _: () = $name::LAYOUT.check(SCHEMA.flexible_since);

        impl Field for $name {
            const KIND: Kind = Kind::Struct(&Self::LAYOUT);
            const MIN_SIZE: usize = 0 $(
                + if column!($($column)+).in_body_of_all(SCHEMA.versions) {
                    <$type as Field>::MIN_SIZE
                } else {
                    0
                }
            )*;

            fn read(r: &mut Reader, cx: Context) -> Result<Self, Error> {
                let mut value = Self { $($field: {
                    const COLUMN: Column = column!($($column)+);
                    if COLUMN.in_body(cx.version) {
                        let cx = Context { nullable: COLUMN.nullable.contains(cx.version), ..cx };
                        <$type as Field>::read(r, cx)
                            .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($field))))?
                    } else {
                        default!($type $(, $default)?)
                    }
                },)* };
                if cx.flexible {
                    r.tagged_fields(|r, tag| {
                        $({
                            const COLUMN: Column = column!($($column)+);
                            if COLUMN.is_tagged(tag, cx.version) {
                                let cx = Context { nullable: COLUMN.nullable.contains(cx.version), ..cx };
                                value.$field = <$type as Field>::read(r, cx)
                                    .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($field))))?;
                                return Ok(true);
                            }
                        })*
                        Ok(false)
                    })?;
                }
                Ok(value)
            }

            fn write(&self, w: &mut Writer, cx: Context) -> Result<(), Error> {
                let mut tagged = 0u32;
                $({
                    const COLUMN: Column = column!($($column)+);
                    const NAME: &str = concat!(stringify!($name), ".", stringify!($field));
                    if COLUMN.in_body(cx.version) {
                        let cx = Context { nullable: COLUMN.nullable.contains(cx.version), ..cx };
                        <$type as Field>::write(&self.$field, w, cx).map_err(|e| e.at(NAME))?;
                    } else if (COLUMN.strict || COLUMN.tag.is_some()) && self.$field != default!($type $(, $default)?) {
                        if COLUMN.versions.contains(cx.version) {
                            tagged += 1;
                        } else if COLUMN.strict {
                            return Err(Error::from(ErrorKind::NotInVersion(cx.version)).at(NAME));
                        }
                    }
                })*
                if !cx.flexible {
                    return Ok(());
                }
                w.uvarint(tagged);
                if tagged == 0 {
                    return Ok(());
                }
                $({
                    const COLUMN: Column = column!($($column)+);
                    if let Some(tag) = COLUMN.tag
                        && COLUMN.versions.contains(cx.version)
                        && self.$field != default!($type $(, $default)?)
                    {
                        let cx = Context { nullable: COLUMN.nullable.contains(cx.version), ..cx };
                        w.tagged(tag, |w| <$type as Field>::write(&self.$field, w, cx))
                            .map_err(|e| e.at(concat!(stringify!($name), ".", stringify!($field))))?;
                    }
                })*
                Ok(())
            }

            fn errors(&self, found: &mut dyn FnMut(ErrorCode)) {
                $(<$type as Field>::errors(&self.$field, found);)*
            }
        }

        impl Nullable for $name {
            fn read_nullable(r: &mut Reader, cx: Context) -> Result<Option<Self>, Error> {
                $crate::table::field::read_nullable_struct(r, cx)
            }

            fn write_nullable(value: Option<&Self>, w: &mut Writer, cx: Context) -> Result<(), Error> {
                $crate::table::field::write_nullable_struct(value, w, cx)
            }
        }
    };
}

/// What the macros' output names.
pub(crate) mod prelude {
    pub(crate) use super::field::{Context, Field, Nullable};
    pub(crate) use super::layout::{Column, FieldLayout, Kind, Layout, Versions};
    pub(crate) use crate::messages::{Blob, Schema};
    pub(crate) use crate::wire::{Error, ErrorKind, Reader, Records, Writer};
    pub(crate) use crate::{Bytes, ErrorCode, Str, Uuid};
}
