//! HTTP: `/metrics`, `/healthz`, `/readyz`, `/v1/sql`, on a thread of its own so that no shard ever waits for it.
//!
//! A connection is good for one request. Its header has a time and a size, the whole of it a time unless it carries out
//! statements, and only so many are served side by side; the others wait in the kernel's queue.

mod health;
mod routes;
mod scrape;
mod sql;

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::error::Error;
use crate::net::Listening;
use crate::server::Server;

const CONNECTIONS_MAX: usize = 64;
const BACKLOG: i32 = 128;
const HEADER_BYTES_MAX: usize = 16 << 10;
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);

/// Where HTTP is served; ends when dropped.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) addresses: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    /// Binds what is configured, and serves. Without an address there is no thread.
    pub(crate) fn start(server: &Arc<Server>, config: &Config) -> Result<Http, Error> {
        let mut bound = Vec::new();
        for address in &config.leat_http_listen {
            let listening = Listening::bind(&address.ip().to_string(), address.port(), BACKLOG);
            bound.push(listening.map_err(|source| Error::HttpListen { address: *address, source })?);
        }
        let addresses = bound.iter().map(|listening| listening.address).collect();
        if bound.is_empty() {
            return Ok(Http { addresses, stop: None, thread: None });
        }
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = server.clone();
        let thread = thread::Builder::new().name("leat-http".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
                for listening in bound {
                    tokio::task::spawn_local(accept(listening, server.clone(), connections.clone()));
                }
                // Either way it is over.
                let _ = stopped.await;
            });
        })?;
        Ok(Http { addresses, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listening: Listening, server: Arc<Server>, connections: Arc<Semaphore>) {
    let listener = match TcpListener::from_std(listening.socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "HTTP is not served"),
    };
    loop {
        // Never closed.
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                tokio::task::spawn_local(async move {
                    serve(stream, &server).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be given back.
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, server: &Arc<Server>) {
    let lasts = Rc::new(Cell::new(false));
    let answer = service_fn(|request| {
        let lasts = lasts.clone();
        async move { Ok::<_, Infallible>(routes::answer(server, request, &lasts).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = match timeout(CONNECTION_TIME_MAX, connection.as_mut()).await {
        Err(_) if lasts.get() => Ok(connection.await),
        ended => ended,
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection ended"),
        Err(_) => tracing::debug!("an HTTP connection took too long"),
    }
}
