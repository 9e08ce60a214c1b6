//! Who leads a group, and asking it: an answer that shows that it is somebody else now is followed by a new look-up.

use std::sync::Arc;
use std::time::Duration;

use leat_protocol::messages::FindCoordinatorRequest;
use leat_protocol::{ErrorCode, Str};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cluster::{Cluster, Lane};
use crate::net::Connection;
use crate::{Error, Node};

/// From this version on several groups can be looked up at once.
const SEVERAL_SINCE: i16 = 4;

/// One group's coordinator.
#[derive(Debug)]
pub(crate) struct Coordinator {
    cluster: Arc<Cluster>,
    group: Str,
    known: Mutex<Option<Node>>,
}

impl Coordinator {
    pub(crate) fn new(cluster: Arc<Cluster>, group: Str) -> Self {
        Self { cluster, group, known: Mutex::default() }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn group(&self) -> &Str {
        &self.group
    }

    /// The broker that leads the group, looked up if it is not known.
    pub(crate) async fn node(&self) -> Result<Node, Error> {
        let known = self.known.lock().clone();
        if let Some(node) = known {
            return Ok(node);
        }
        let node = self.find().await?;
        *self.known.lock() = Some(node.clone());
        Ok(node)
    }

    /// A connection to it.
    pub(crate) async fn connection(&self, lane: Lane) -> Result<Arc<Connection>, Error> {
        let node = self.node().await?;
        let connection = self.cluster.connection(node.id, lane).await;
        self.learn(connection.as_ref().err());
        connection
    }

    /// Takes note of an error that shows that the coordinator may be another broker.
    pub(crate) fn learn(&self, error: Option<&Error>) {
        let moved = match error {
            Some(Error::Connection { .. }) => true,
            Some(Error::Broker { code, .. }) => matches!(
                *code,
                ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::REQUEST_TIMED_OUT
            ),
            _ => false,
        };
        if moved {
            *self.known.lock() = None;
        }
    }

    /// Asks the coordinator until it answers with something other than an error that may pass, for at most `limit`.
    pub(crate) async fn call<T, F, Fut>(&self, what: &str, limit: Duration, ask: F) -> Result<T, Error>
    where
        F: Fn(Arc<Connection>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + limit;
        let mut failures = 0;
        loop {
            let result = match self.connection(Lane::Calls).await {
                Ok(connection) => ask(connection).await,
                Err(error) => Err(error),
            };
            self.learn(result.as_ref().err());
            let error = match result {
                Err(error) if error.is_retryable() => error,
                result => return result,
            };
            failures += 1;
            let wait = self.cluster.retry_backoff().after(failures);
            if Instant::now() + wait >= deadline {
                return Err(Error::timeout(format!("{what} of group {}", self.group), limit, Some(error)));
            }
            tracing::debug!(%error, group = %self.group, "{what}: asking again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn find(&self) -> Result<Node, Error> {
        let connection = self.cluster.any_connection().await?;
        let version = connection.version::<FindCoordinatorRequest>(None)?;
        let request = if version >= SEVERAL_SINCE {
            FindCoordinatorRequest { coordinator_keys: vec![self.group.clone()], ..Default::default() }
        } else {
            FindCoordinatorRequest { key: self.group.clone(), ..Default::default() }
        };
        let mut response = connection.call_version(&request, version, self.cluster.config().request_timeout).await?;
        let context = || format!("coordinator of group {}", self.group);
        let found = if version >= SEVERAL_SINCE {
            let found = response.coordinators.pop();
            found.ok_or_else(|| Error::corrupt(context(), "the answer does not mention the group"))?
        } else {
            leat_protocol::messages::Coordinator {
                key: self.group.clone(),
                node_id: response.node_id,
                host: response.host,
                port: response.port,
                error_code: response.error_code,
                error_message: response.error_message,
            }
        };
        Error::check(found.error_code, found.error_message.as_deref(), context)?;
        Ok(Node { id: found.node_id, host: found.host, port: found.port, rack: None })
    }
}
