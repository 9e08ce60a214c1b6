//! What a command fails with, and the exit code that tells a script which kind it was.
//!
//! Messages are for the person at the terminal: what is wrong, with which value, and what would be right.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// A command's failure. [`Error::exit_code`] is part of the interface: scripts rely on it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It could not be done: the broker refused it, a file could not be read, a record was not as announced.
    #[error("{0}")]
    Failed(String),
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// No broker answered in time. The same command may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// A topic, partition, offset or group that the command names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Somebody pressed Ctrl-C or sent SIGTERM; what had been accepted until then was finished.
    #[error("interrupted")]
    Interrupted,
    /// Whoever read our output has closed it, as `head` does. Not a failure.
    #[error("the output was closed")]
    OutputClosed,
}

/// The result of everything here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit codes, as `leat --help` shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done (also when the reader of the output closes it early)
  1    failed: refused by the broker, a file that can't be read, a damaged log
  2    the command line is wrong
  3    no broker could be reached in time: trying again may help
  4    a topic, partition, offset or group does not exist
  130  interrupted by Ctrl-C or SIGTERM";

impl Error {
    /// The process's exit code for this failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Error::OutputClosed => 0,
            Error::Failed(_) => 1,
            Error::Usage(_) => 2,
            Error::Unavailable(_) => 3,
            Error::NotFound(_) => 4,
            Error::Interrupted => 130,
        })
    }

    /// The same kind of failure with what was being done in front of it.
    pub(crate) fn context(self, what: impl Display) -> Self {
        match self {
            Error::Failed(why) => Error::Failed(format!("{what}: {why}")),
            Error::Usage(why) => Error::Usage(format!("{what}: {why}")),
            Error::Unavailable(why) => Error::Unavailable(format!("{what}: {why}")),
            Error::NotFound(why) => Error::NotFound(format!("{what}: {why}")),
            Error::Interrupted | Error::OutputClosed => self,
        }
    }

    /// A failure to read or write the file that `name` names.
    pub(crate) fn file(name: impl Display, error: &io::Error) -> Self {
        Error::Failed(format!("{name}: {error}"))
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error::OutputClosed,
            _ => Error::Failed(format!("standard output: {error}")),
        }
    }
}

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    /// Puts `what` in front of the failure's message.
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| error.into().context(what))
    }
}
