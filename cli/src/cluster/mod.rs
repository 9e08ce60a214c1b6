//! A cluster on this machine: a folder with a node's data each, its ports, and brokers that outlive who started them.
//!
//! ```text
//!   folder    cluster.json, the lock, who is in it        ports   free ones, side by side
//!   node      one broker: its arguments, start, end       ready   asks /readyz
//!   process   a pid that is really that broker's, its signals and what the kernel says of it
//!   standing  what it leads and follows: asks /metrics
//! ```
//!
//! Nothing is believed of a pid that the kernel does not confirm: it may be a stranger's by now.

mod folder;
mod http;
mod node;
mod ports;
mod process;
mod ready;
mod standing;

pub(crate) use self::folder::{Cluster, DEFAULT};
pub(crate) use self::node::Node;
pub(crate) use self::process::Process;
pub(crate) use self::ready::{Readiness, readiness};
pub(crate) use self::standing::{Standing, standing};
