//! Consumer groups, as their members and administrators see them on the wire.

mod admin;
mod durable;
mod members;
mod offsets;
mod statics;
