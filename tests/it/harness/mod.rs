//! What the tests on the wire stand on: a broker, a connection, batches and topics. A failure here panics.

mod batch;
mod cluster;
mod connection;
mod member;
mod mount;
mod net;
mod partition;
mod process;
mod target;

pub(crate) use self::batch::{batch, batch_of, keyed, now_ms, producer_batch, records_of, seal, values};
pub(crate) use self::cluster::Cluster;
pub(crate) use self::connection::{Connection, frame};
pub(crate) use self::member::{Member, find_coordinator};
pub(crate) use self::mount::Mount;
pub(crate) use self::partition::{Partition, bytes_of, create_topic, delete_topic, describe_topic, topic_id, unique};
pub(crate) use self::process::{Process, free_port, leat_command, raise_the_limit_of_files, random, wait_until};
pub(crate) use self::target::{QUICK_GROUPS, Target, config, is_leat, skip_unless_leat, start, target};
