//! Sockets: frames in, answers out, in order.
//!
//! Nothing here knows what a request means; that is `handlers`. Nothing here blocks.

mod budget;
mod connection;
mod frame;
mod listener;
mod outbox;

pub(crate) use self::budget::{Budget, Permit};
pub(crate) use self::connection::{Answering, serve};
pub(crate) use self::listener::{Accepted, Listening, accept, size_buffers};
pub(crate) use self::outbox::Reply;
