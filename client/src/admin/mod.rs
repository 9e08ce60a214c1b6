//! The administrative client: topics, configs, offsets, groups, brokers.
//!
//! A call fails as a whole only if its request could not be answered; what concerns one of several items is that item's
//! own result, in the order asked.

mod cluster;
mod configs;
mod groups;
mod offsets;
mod reassign;
mod records;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use leat_protocol::messages::Request;
use leat_protocol::{ErrorCode, Str};
use tokio::time::Instant;

pub use cluster::{ClusterDescription, LogDir, LogDirPartition, Node};
pub use configs::{
    ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ConfigSynonym, ConfigType, ResourceKind,
};
pub use groups::{GroupDescription, GroupListing, GroupMember};
pub use offsets::{ListedOffset, OffsetSpec};
pub use records::ProducerState;
pub use topics::{CreatedTopic, NewPartitions, NewTopic, PartitionDescription, TopicDescription, TopicListing};

use crate::cluster::{Cluster, Lane};
use crate::net::Connection;
use crate::{AdminConfig, Error};

/// Manages a cluster. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: Arc<Cluster>,
}

impl AdminConfig {
    /// Connects.
    ///
    /// # Errors
    /// A property is not right, or no broker answers within `default.api.timeout.ms`.
    pub async fn build(self) -> Result<Admin, Error> {
        self.check()?;
        Ok(Admin { cluster: Cluster::connect(self.common, false).await? })
    }
}

/// Who has to answer a request.
#[derive(Debug, Clone, Copy)]
enum To {
    Any,
    Controller,
    Node(i32),
}

impl Admin {
    /// Properties with Kafka's defaults.
    pub fn builder() -> AdminConfig {
        AdminConfig::default()
    }

    /// Ends the connections.
    pub async fn close(&self) {
        self.cluster.close();
    }

    async fn connection(&self, to: To) -> Result<Arc<Connection>, Error> {
        match to {
            To::Node(node) => self.cluster.connection(node, Lane::Calls).await,
            To::Controller => match self.cluster.metadata().controller {
                Some(node) => self.cluster.connection(node, Lane::Calls).await,
                None => self.cluster.any_connection().await,
            },
            To::Any => self.cluster.any_connection().await,
        }
    }

    /// Asks until an answer comes that `check` accepts, as long as its errors may pass and `default.api.timeout.ms` has
    /// not.
    async fn call<R: Request>(
        &self,
        to: To,
        request: &R,
        check: impl Fn(&R::Response) -> Result<(), Error>,
    ) -> Result<R::Response, Error> {
        let limit = self.cluster.config().default_api_timeout;
        let deadline = Instant::now() + limit;
        let mut failures = 0;
        loop {
            let error = match self.call_once(to, request).await {
                Ok(response) => match check(&response) {
                    Ok(()) => return Ok(response),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            failures += 1;
            let wait = self.cluster.retry_backoff().after(failures);
            if Instant::now() + wait >= deadline {
                return Err(Error::timeout(R::KEY.name(), limit, Some(error)));
            }
            tracing::debug!(%error, api = R::KEY.name(), "asking again");
            self.cluster.request_refresh();
            tokio::time::sleep(wait).await;
        }
    }

    async fn call_once<R: Request>(&self, to: To, request: &R) -> Result<R::Response, Error> {
        let connection = self.connection(to).await?;
        connection.call(request, self.cluster.config().request_timeout).await
    }

    fn timeout_ms(&self) -> i32 {
        millis(self.cluster.config().request_timeout)
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// For answers with an error per item: asks again only if a broker that is not the controller answered.
fn controller_answered(codes: impl IntoIterator<Item = ErrorCode>) -> Result<(), Error> {
    match codes.into_iter().find(|code| *code == ErrorCode::NOT_CONTROLLER) {
        Some(code) => Err(Error::broker(code, None, "request for the controller")),
        None => Ok(()),
    }
}

/// An item's own result.
fn item(code: ErrorCode, message: &Option<Str>, context: impl FnOnce() -> String) -> Result<(), Error> {
    Error::check(code, message.as_deref(), context)
}

/// An item that the answer should have had.
fn missing<T>(what: &str, name: impl std::fmt::Display) -> Result<T, Error> {
    Err(Error::corrupt(format!("{what} for {name}"), "the answer does not mention it"))
}
