//! One broker address: its connection, and when it may be dialled again.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::config::CommonConfig;
use crate::net::{Backoff, Connection, dial};

#[derive(Debug)]
pub(super) struct Peer {
    address: String,
    live: RwLock<Option<Arc<Connection>>>,
    /// Held while dialling, so that callers share one attempt.
    dialling: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    retry_at: Option<Instant>,
    closed: bool,
}

impl Peer {
    pub(super) fn new(address: String) -> Self {
        Self { address, live: RwLock::default(), dialling: Mutex::default() }
    }

    pub(super) fn connected(&self) -> Option<Arc<Connection>> {
        self.live.read().as_ref().filter(|connection| !connection.is_closed()).cloned()
    }

    /// The live connection, or a new one once the backoff has passed.
    pub(super) async fn connect(&self, config: &CommonConfig) -> Result<Arc<Connection>, Error> {
        if let Some(live) = self.connected() {
            return Ok(live);
        }
        let mut failures = self.dialling.lock().await;
        if let Some(live) = self.connected() {
            return Ok(live);
        }
        if failures.closed {
            return Err(Error::Closed);
        }
        if let Some(at) = failures.retry_at {
            tokio::time::sleep_until(at).await;
        }
        match dial(&self.address, config).await {
            Ok(connection) => {
                *failures = Failures::default();
                *self.live.write() = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                failures.in_a_row += 1;
                let backoff = Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max);
                failures.retry_at = Some(Instant::now() + backoff.after(failures.in_a_row));
                tracing::debug!(%error, failures = failures.in_a_row, "could not connect");
                Err(error)
            }
        }
    }

    pub(super) fn close(&self) {
        if let Ok(mut failures) = self.dialling.try_lock() {
            failures.closed = true;
        }
        let live = self.live.write().take();
        if let Some(live) = live {
            live.close();
        }
    }
}
