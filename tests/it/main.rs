//! Every test that crosses crates, in one binary.
//!
//! ```text
//! harness      the broker under test, connections, batches, topics
//! api_versions, compaction, configs, connections, produce, fetch, fetch_sessions, groups, idempotence, leader_epochs,
//! list_offsets, quorum, retention, topics
//!              what a client sees on the wire, one file per subject
//! bad_input    what must never be believed: frames, lengths, batches, data folders, configuration
//! http         metrics and health
//! pipelines    SQL, and its results in ordinary topics
//! durability   kill -9 under load, power cuts, clean stops, of a `leat` process
//! cluster      three processes, of which some are killed, paused and started again
//! documents    the tests that docs/testing.md names
//! cluster_command   `leat cluster`: brokers that outlive who started them
//! client_suite the client crate's own suite
//! ```
//!
//! The tests on the wire run against a Leat started in this process. With `LEAT_TEST_BOOTSTRAP=host:port` they run against
//! the broker there instead, an Apache Kafka 4.3 for instance, and those about Leat itself are skipped.

mod api_versions;
mod bad_input;
mod client_suite;
mod cluster;
mod cluster_command;
mod compaction;
mod configs;
mod connections;
mod documents;
mod durability;
mod fetch;
mod fetch_sessions;
mod groups;
mod harness;
mod http;
mod idempotence;
mod leader_epochs;
mod list_offsets;
mod pipelines;
mod produce;
mod quorum;
mod reassignments;
mod retention;
mod topics;
