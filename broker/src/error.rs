//! Why a broker does not start or go on.

/// The error of [`crate::Broker`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or a value that is not right.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// The data folder.
    #[error(transparent)]
    Storage(#[from] leat_storage::Error),
    /// The address can't be had.
    #[error(
        "cannot listen on {listener}: {source}; free the port, or set listeners to another address (port 0 takes a free one)"
    )]
    Listen { listener: String, source: std::io::Error },
    /// The same, of metrics and health.
    #[error(
        "cannot serve HTTP on {address}: {source}; free the port, or set leat.http.listen to another address ('' for none)"
    )]
    HttpListen { address: std::net::SocketAddr, source: std::io::Error },
    /// The address for other brokers can't be had.
    #[error(
        "cannot listen to other brokers on {address}: {source}; free the port, or set leat.peer.listen to another address"
    )]
    ListenToPeers { address: String, source: std::io::Error },
    /// `listeners` is empty.
    #[error("listeners is empty; write one, for example PLAINTEXT://127.0.0.1:9092")]
    NoListener,
    /// The operating system gave no thread or runtime.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// It started and can't go on.
    #[error("{0}")]
    Failed(String),
}
