//! Wire formats of Leat: Kafka's requests, responses and record batches. No I/O, no clock, no threads.
//!
//! ```text
//! apis       the one table of APIs: key, versions, first flexible version
//! messages   one file per API: its request and response, as tables
//! table      what the tables are written in: macro, field types, layouts
//! consumer_protocol  what the members of a group tell each other
//! wire       reader and writer of Kafka's primitive encodings
//! header     request and response headers; whole frames
//! error_code Kafka's error numbers
//! records    record batches: view, validation, iteration, builder, compression
//! ```
//!
//! A frame that was read is one [`Bytes`]; everything decoded from it shares its memory. A frame to be sent is a list
//! of [`wire::Part`]s, in which large payloads keep their own memory or stay in a file.
//!
//! ```
//! use leat_protocol::messages::MetadataRequest;
//! use leat_protocol::wire::{Reader, Writer};
//! use leat_protocol::{Message, Request};
//!
//! let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
//! let version = MetadataRequest::KEY.versions().max;
//! let mut w = Writer::new();
//! request.encode(&mut w, version)?;
//! let mut r = Reader::new(w.finish_bytes()?);
//! assert_eq!(MetadataRequest::decode(&mut r, version)?, request);
//! r.expect_end()?;
//! # Ok::<(), leat_protocol::wire::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod apis;
mod error_code;
pub mod header;
#[macro_use]
pub mod table;
pub mod consumer_protocol;
pub mod messages;
pub mod partitioner;
pub mod records;
pub mod wire;

pub use apis::{APIS, Api, ApiKey};
pub use bytes::Bytes;
pub use bytestring::ByteString as Str;
pub use error_code::ErrorCode;
pub use messages::{Blob, Message, Request};
pub use uuid::Uuid;
pub use wire::Records;
