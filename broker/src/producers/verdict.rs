//! What becomes of a batch that a client sent, and why one is refused.

use std::fmt;

use leat_protocol::ErrorCode;

/// The answer of [`super::ProducerState::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Number it and append it.
    Append,
    /// It is in the log already: answer with these, append nothing.
    Duplicate {
        base_offset: i64,
        /// Goes into the answer's `log_append_time_ms`. As in Kafka, it is the largest record timestamp of the batch in the
        /// log, also where the topic keeps the producer's timestamps.
        timestamp: i64,
        /// The entry that has to be committed before the answer; none where it already is.
        pending: Option<u64>,
    },
    Reject(Rejection),
}

/// Why a batch of an idempotent producer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// An id without a sequence.
    NegativeSequence { sequence: i32 },
    /// The producer has been replaced by one with a newer epoch.
    StaleEpoch { epoch: i16, current: i16 },
    /// A newer epoch, which begins at sequence 0.
    EpochNotFromZero { epoch: i16, sequence: i32 },
    /// Neither the next sequence nor a repeat of one of the last five batches.
    OutOfOrder { sequence: i32, last: i32 },
}

impl Rejection {
    /// Kafka's code for it.
    #[must_use]
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::NegativeSequence { .. } => ErrorCode::INVALID_RECORD,
            Self::StaleEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            Self::EpochNotFromZero { .. } | Self::OutOfOrder { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeSequence { sequence } => {
                write!(f, "a batch with a producer id needs a base sequence of 0 or more, not {sequence}")
            }
            Self::StaleEpoch { epoch, current } => {
                write!(f, "producer epoch {epoch} is older than {current}, the last one seen here")
            }
            Self::EpochNotFromZero { epoch, sequence } => {
                write!(f, "the first batch of producer epoch {epoch} must have base sequence 0, not {sequence}")
            }
            Self::OutOfOrder { sequence, last } => {
                write!(
                    f,
                    "base sequence {sequence} does not follow {last}, the last one here, and repeats none of the last five batches"
                )
            }
        }
    }
}
