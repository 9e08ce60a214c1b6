//! What every command that talks to a broker shares: the connection's options, the clients they make, and the runtime.

use std::future::Future;
use std::time::Duration;

use clap::Args;
use leat_client::{Admin, Consumer, ErrorCode, Producer};

use crate::error::{Error, Result};

/// Options of each command that talks to a broker.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The brokers to ask first: HOST:PORT,HOST:PORT; one that answers is enough
    #[arg(short, long, value_name = "HOST:PORT,...", env = "LEAT_BOOTSTRAP_SERVER", default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap_server: String,

    /// Give up on a broker that has not answered for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// A property of the client, by Kafka's name; may be repeated
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) properties: Vec<(String, String)>,
}

impl Connection {
    /// A client for administration.
    pub(crate) async fn admin(&self) -> Result<Admin> {
        let mut builder = Admin::builder().bootstrap(&self.bootstrap_server).client_id("leat");
        for (key, value) in self.with_timeouts(&["default.api.timeout.ms", "request.timeout.ms"]) {
            builder = builder.set(&key, &value)?;
        }
        Ok(builder.build().await?)
    }

    /// A producer; `settings` give way to the person's own `--property`.
    pub(crate) async fn producer(&self, settings: &[(&str, &str)]) -> Result<Producer> {
        let mut builder = Producer::builder().bootstrap(&self.bootstrap_server).client_id("leat");
        for (key, value) in settings {
            builder = builder.set(key, value)?;
        }
        for (key, value) in self.with_timeouts(&["default.api.timeout.ms", "max.block.ms", "request.timeout.ms"]) {
            builder = builder.set(&key, &value)?;
        }
        Ok(builder.build().await?)
    }

    /// A consumer that never falls back to another place than the one it was given, nor creates a topic by asking for it.
    pub(crate) async fn consumer(&self) -> Result<Consumer> {
        self.consumer_with(&[("auto.offset.reset", "none")]).await
    }

    /// A member of a group that commits by itself what it has done; `reset` is where it starts what has no commit.
    pub(crate) async fn member(&self, group: &str, reset: &str) -> Result<Consumer> {
        self.consumer_with(&[("group.id", group), ("auto.offset.reset", reset), ("enable.auto.commit", "false")]).await
    }

    async fn consumer_with(&self, settings: &[(&str, &str)]) -> Result<Consumer> {
        let mut builder = Consumer::builder().bootstrap(&self.bootstrap_server).client_id("leat");
        builder = builder.set("allow.auto.create.topics", "false")?;
        for (key, value) in settings {
            builder = builder.set(key, value)?;
        }
        for (key, value) in self.with_timeouts(&["default.api.timeout.ms", "request.timeout.ms"]) {
            builder = builder.set(&key, &value)?;
        }
        Ok(builder.build().await?)
    }

    /// The properties to set: `--timeout` under these names, then what the person gave.
    fn with_timeouts(&self, names: &[&str]) -> impl Iterator<Item = (String, String)> {
        let timeouts: Vec<_> =
            names.iter().map(|&name| (name.to_owned(), self.timeout.as_millis().to_string())).collect();
        timeouts.into_iter().chain(self.properties.iter().cloned())
    }
}

impl From<leat_client::Error> for Error {
    fn from(error: leat_client::Error) -> Self {
        use leat_client::Error as Client;
        let text = error.to_string();
        match (&error, error.code()) {
            (Client::NoOffset { partition, offset: Some(offset) }, _) => Error::NotFound(format!(
                "{partition} has no offset {offset}: `leat offsets {}` shows which it has",
                partition.topic
            )),
            (Client::Config(_) | Client::Invalid(_), _) => Error::Usage(text),
            (Client::UnknownTopic(_) | Client::NoOffset { .. }, _) => Error::NotFound(text),
            (Client::Timeout { cause: Some(cause), .. }, _) if matches!(**cause, Client::UnknownTopic(_)) => {
                Error::NotFound(cause.to_string())
            }
            (_, Some(code)) if is_absence(code) => Error::NotFound(text),
            (Client::Connection { .. } | Client::Timeout { .. } | Client::NoLeader(_), _) => Error::Unavailable(text),
            _ => Error::Failed(text),
        }
    }
}

/// Whether a broker refused because something that was named is not there.
fn is_absence(code: ErrorCode) -> bool {
    [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::OFFSET_OUT_OF_RANGE,
        ErrorCode::GROUP_ID_NOT_FOUND,
    ]
    .contains(&code)
}

/// Reads `KEY=VALUE`; the value may be empty and may hold further `=`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0.001..=86_400.0) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be a number of seconds from 0.001 to 86400".into()),
    }
}

/// Runs a command's future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Failed(format!("the runtime can't be started: {error}")))?;
    let result = runtime.block_on(future);
    // What is still running has nothing left to do for this command.
    runtime.shutdown_background();
    result
}

/// Runs what blocks, such as starting and stopping a broker, where it holds up nothing else.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panicked| Error::Failed(format!("a thread ended unexpectedly: {panicked}")))
}
