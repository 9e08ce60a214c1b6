//! Every message, in every version and both directions, against bytes that others made and against hostile ones.
//!
//! ```text
//! codecs     all messages as one list, so that a test can walk over them
//! golden     the files in ../golden: bytes and JSON from Java's kafka-clients
//! shown      a structure's `Debug` output, read back so that it can be compared with JSON
//! random     random bytes of a message, made from its layout
//! agreement  tests: the same bytes and the same values as Java and as the crate kafka-protocol
//! roundtrip  tests: whatever is decoded is encoded and decoded again alike
//! hostile    tests: cut and changed bytes give errors, no panic, and reserve no memory
//! frames     tests: headers and whole frames
//! consumer_protocol  tests: subscriptions and assignments
//! corpus     makes the fuzz corpus
//! document   test: docs/protocol.md says what the tables say
//! ```

mod agreement;
mod codecs;
mod consumer_protocol;
mod corpus;
mod document;
mod frames;
mod golden;
mod hostile;
mod random;
mod roundtrip;
mod shown;
