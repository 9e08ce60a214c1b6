//! What can go wrong with a measurement.

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client library, or the broker through it.
    #[error(transparent)]
    Client(#[from] leat_client::Error),
    /// A socket, a timer or a file in `/proc`.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The broker's answer, or the lack of one.
    #[error("{0}")]
    Broker(String),
    /// An option that can't be.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// For `map_err`: names what was tried.
    pub(crate) fn io<E: Into<std::io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source: source.into() }
    }
}
