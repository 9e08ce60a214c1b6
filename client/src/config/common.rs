//! What every client needs: where the brokers are, and how patient to be with them.

use std::time::Duration;

use super::table::{any, plain};

const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

plain! {
    /// Properties that all clients have.
    pub(crate) struct CommonConfig;

    /// The brokers to ask first; one that answers is enough, the others are learnt from it.
    "bootstrap.servers", bootstrap_servers: Vec<String> = Vec::new(), |v| !v.is_empty(), "host:port,host:port";
    /// The name that brokers log and apply quotas to.
    "client.id", client_id: String = String::new(), |v| v.len() <= 1024, "a text of at most 1024 bytes";
    /// How long a broker may take to answer one request before its connection is given up.
    "request.timeout.ms", request_timeout: Duration = ms(30_000), |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// How long an administrative call, retries included, may take.
    "default.api.timeout.ms", default_api_timeout: Duration = ms(60_000), |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// The wait before the first retry; each further one doubles it.
    "retry.backoff.ms", retry_backoff: Duration = ms(100), any, "";
    /// The longest wait between two retries.
    "retry.backoff.max.ms", retry_backoff_max: Duration = ms(1_000), any, "";
    /// The wait before a broker that refused is dialled again; each further failure doubles it.
    "reconnect.backoff.ms", reconnect_backoff: Duration = ms(50), any, "";
    /// The longest wait between two attempts to reach a broker.
    "reconnect.backoff.max.ms", reconnect_backoff_max: Duration = ms(1_000), any, "";
    /// How long a connection may take to be made.
    "socket.connection.setup.timeout.ms", connection_setup_timeout: Duration = ms(10_000), |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// A connection unused for this long is closed; brokers close theirs after ten minutes.
    "connections.max.idle.ms", connections_max_idle: Duration = ms(540_000), |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// What is known of topics and leaders is asked for again after this time, even with no error.
    "metadata.max.age.ms", metadata_max_age: Duration = ms(300_000), |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// The socket's send buffer in bytes. -1, the default unlike Java's, leaves it to the kernel, which grows it as needed.
    "send.buffer.bytes", send_buffer_bytes: i32 = -1, |v| *v >= -1, "a number of bytes, or -1 for the system's default";
    /// The socket's receive buffer in bytes; -1 as for sending.
    "receive.buffer.bytes", receive_buffer_bytes: i32 = -1, |v| *v >= -1, "a number of bytes, or -1 for the system's default";
}

/// The setters of [`CommonConfig`] that programs use most, on the client's own config.
macro_rules! common_setters {
    ($name:ident) => {
        impl $name {
            /// The brokers to ask first, as `host:port,host:port`. A malformed list is reported by `build`.
            #[must_use]
            pub fn bootstrap(mut self, servers: impl AsRef<str>) -> Self {
                let servers = servers.as_ref().split(',').map(str::trim);
                self.common.bootstrap_servers = servers.filter(|s| !s.is_empty()).map(str::to_owned).collect();
                self
            }

            /// The name that brokers log and apply quotas to. Kafka's `client.id`.
            #[must_use]
            pub fn client_id(mut self, id: impl Into<String>) -> Self {
                self.common.client_id = id.into();
                self
            }

            /// How long a broker may take to answer one request. Kafka's `request.timeout.ms`.
            #[must_use]
            pub fn request_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.common.request_timeout = timeout;
                self
            }

            /// How long a call, its retries included, may take. Kafka's `default.api.timeout.ms`.
            #[must_use]
            pub fn default_api_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.common.default_api_timeout = timeout;
                self
            }
        }
    };
}

pub(super) use common_setters;
