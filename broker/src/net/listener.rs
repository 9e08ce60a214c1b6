//! Accepts connections and deals them out to the shards.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::config::Config;

/// A socket that takes connections from now on.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) address: SocketAddr,
}

impl Listening {
    /// Binds at once, so that a taken port is an error of the start.
    pub(crate) fn bind(host: &str, port: u16, backlog: i32) -> io::Result<Listening> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match bind(address, backlog) {
                Ok(socket) => return Ok(Listening { address: socket.local_addr()?, socket }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn bind(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Gives a connection the buffers that are configured; where none are, the kernel sizes them.
pub(crate) fn size_buffers(stream: &TcpStream, config: &Config) {
    let socket = SockRef::from(stream);
    let sent = usize::try_from(config.socket_send_buffer_bytes).map(|bytes| socket.set_send_buffer_size(bytes));
    let received = usize::try_from(config.socket_receive_buffer_bytes).map(|bytes| socket.set_recv_buffer_size(bytes));
    for error in [sent, received].into_iter().filter_map(|set| set.ok()?.err()) {
        tracing::debug!(%error, "a socket's buffer keeps its size");
    }
}

/// One open connection in the count; gone when dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection for a shard to register with its own runtime.
pub(crate) type Accepted = (std::net::TcpStream, SocketAddr, Counted);

/// Accepts until told to stop. Above `connections_max` a connection is closed at once.
pub(crate) async fn accept(
    listening: Listening,
    shards: Vec<mpsc::UnboundedSender<Accepted>>,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listening.socket)?;
    let count = Arc::new(AtomicUsize::new(0));
    let mut next = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be given back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let counted = Counted(count.clone());
        if count.fetch_add(1, Ordering::Relaxed) >= connections_max {
            tracing::warn!(%peer, connections_max, "connection refused: max.connections are open");
            continue;
        }
        if stream.set_nodelay(true).is_ok()
            && let Ok(stream) = stream.into_std()
        {
            let _ = shards[next % shards.len()].send((stream, peer, counted));
            next += 1;
        }
    }
}
