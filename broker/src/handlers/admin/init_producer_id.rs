//! InitProducerId without transactions: an id that nobody else ever gets, epoch 0. Ids come in blocks from the metadata
//! log, so that a new producer costs no entry of its own; the rest of a block is lost at a restart, which does no harm.

use std::ops::Range;

use leat_protocol::ErrorCode;
use leat_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::metadata::Record;
use crate::metadata::record::{Kind, ProducerIdsAllocated};

/// Ids in a block. Kafka's number.
pub(crate) const BLOCK: u32 = 1_000;

/// The record that asks for a block; its outcome is `ProducerIds`.
pub(crate) fn block(node_id: i32) -> Record {
    Kind::ProducerIdsAllocated(ProducerIdsAllocated { node_id, count: BLOCK }).into()
}

/// This broker's ids that are not given yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProducerIds(Range<i64>);

impl ProducerIds {
    /// The next id; `None` when a new block is due.
    pub(crate) fn take(&mut self) -> Option<i64> {
        self.0.next()
    }

    /// Goes on with a new block.
    pub(crate) fn refill(&mut self, block: Range<i64>) {
        self.0 = block;
    }
}

/// What is wrong with a request, if anything; else the caller answers with [`respond`].
pub(crate) fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    match &request.transactional_id {
        Some(id) if id.is_empty() => return Err(ErrorCode::INVALID_REQUEST),
        // Transactions are not here yet. Clients give up at this number, and say so.
        Some(_) => return Err(ErrorCode::UNSUPPORTED_VERSION),
        None => {}
    }
    // An id without its epoch, or the other way round.
    if (request.producer_id == -1) != (request.producer_epoch == -1)
        || request.producer_id < -1
        || request.producer_epoch < -1
    {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(())
}

/// The answer: a new id, also where the request names one, as in Kafka.
pub(crate) fn respond(throttle_time_ms: i32, id: Result<i64, ErrorCode>) -> InitProducerIdResponse {
    match id {
        Ok(producer_id) => InitProducerIdResponse {
            throttle_time_ms,
            producer_id,
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        },
        Err(error_code) => InitProducerIdResponse { throttle_time_ms, error_code, producer_id: -1, producer_epoch: -1 },
    }
}
