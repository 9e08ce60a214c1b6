//! The one error type. Its messages are written for the person who reads them in a log.

use std::time::Duration;

use leat_protocol::ErrorCode;

use crate::TopicPartition;

/// What went wrong. Cheap to clone: a failed batch reports it once per record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A property is unknown, or its value is not right.
    #[error("{0}")]
    Config(String),
    /// No connection to a broker could be made, or the one there was is gone.
    #[error("broker {address}: {reason}")]
    Connection { address: String, reason: String },
    /// Something took longer than its property allows.
    #[error("{what} took longer than {after:?}{}", last(.cause))]
    Timeout {
        what: String,
        after: Duration,
        /// The last error seen while waiting, where there was one.
        cause: Option<Box<Error>>,
    },
    /// A broker refused.
    #[error("{context}: {} ({}){}", code.name(), code.0, detail(.message, *code))]
    Broker {
        code: ErrorCode,
        message: Option<String>,
        /// The request or the partition that it is about.
        context: String,
    },
    /// The cluster has no such topic or partition.
    #[error("unknown topic or partition {0}")]
    UnknownTopic(String),
    /// A partition has no leader now.
    #[error("partition {0} has no leader")]
    NoLeader(TopicPartition),
    /// One record is larger than `max.request.size` or `buffer.memory` allows.
    #[error("a record of {size} bytes is larger than {limit_key} = {limit} allows")]
    RecordTooLarge { size: usize, limit: usize, limit_key: &'static str },
    /// A partition has no position and `auto.offset.reset` is `none`.
    #[error("partition {partition} has no position{} and auto.offset.reset is none", at(.offset))]
    NoOffset {
        partition: TopicPartition,
        /// The offset that its log did not have, if there was one.
        offset: Option<i64>,
    },
    /// What a broker sent can't be right.
    #[error("{context}: {reason}")]
    Corrupt { context: String, reason: String },
    /// The broker does not serve what this call needs.
    #[error("{0}")]
    Unsupported(String),
    /// The call's arguments can't be right.
    #[error("{0}")]
    Invalid(String),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

fn detail(message: &Option<String>, code: ErrorCode) -> String {
    match message {
        Some(message) if !message.is_empty() => format!(": {message}"),
        _ => format!(": {}", code.message()),
    }
}

fn last(cause: &Option<Box<Error>>) -> String {
    cause.as_ref().map_or_else(String::new, |cause| format!("; last error: {cause}"))
}

fn at(offset: &Option<i64>) -> String {
    offset.map_or_else(String::new, |offset| format!(" (offset {offset} is out of range)"))
}

impl Error {
    /// Whether the same call may succeed later without a change to it. The clients have already retried such errors
    /// for as long as their timeouts allow.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Connection { .. } | Error::Timeout { .. } | Error::NoLeader(_) | Error::UnknownTopic(_) => true,
            Error::Broker { code, .. } => code.is_retryable(),
            // A damaged answer may have been damaged on the way.
            Error::Corrupt { .. } => true,
            _ => false,
        }
    }

    /// The broker's error code, where it was a broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Broker { code, .. } => Some(*code),
            Error::Timeout { cause: Some(cause), .. } => cause.code(),
            _ => None,
        }
    }

    pub(crate) fn unknown_key(key: &str, nearest: Option<&'static str>) -> Self {
        Error::Config(match nearest {
            Some(nearest) => format!("unknown property {key:?}; did you mean {nearest:?}?"),
            None => format!("unknown property {key:?}"),
        })
    }

    pub(crate) fn bad_value(key: &str, value: &str, expects: &str) -> Self {
        Error::Config(format!("{key} = {value:?} is not right: it must be {expects}"))
    }

    /// `Ok` for `ErrorCode::NONE`.
    pub(crate) fn check(code: ErrorCode, message: Option<&str>, context: impl FnOnce() -> String) -> Result<(), Self> {
        if code == ErrorCode::NONE { Ok(()) } else { Err(Self::broker(code, message, context())) }
    }

    pub(crate) fn broker(code: ErrorCode, message: Option<&str>, context: impl Into<String>) -> Self {
        Error::Broker { code, message: message.map(str::to_owned), context: context.into() }
    }

    pub(crate) fn timeout(what: impl Into<String>, after: Duration, cause: Option<Error>) -> Self {
        Error::Timeout { what: what.into(), after, cause: cause.map(Box::new) }
    }

    pub(crate) fn corrupt(context: impl Into<String>, reason: impl ToString) -> Self {
        Error::Corrupt { context: context.into(), reason: reason.to_string() }
    }
}
