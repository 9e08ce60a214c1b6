//! What becomes of a batch, by what the broker said about it. The rules are those of Java's `Sender` and
//! `TransactionManager` for a producer without transactions.

use std::collections::HashMap;

use leat_protocol::messages::{PartitionProduceResponse, ProduceResponse};
use leat_protocol::{ErrorCode, Str};
use tokio::time::Instant;

use super::delivery::Outcome;
use super::request::Sent;
use super::sender::Sender;
use crate::Error;

impl Sender {
    /// Deals with each batch of an answered request.
    pub(super) fn answered(&self, batches: Vec<Sent>, response: ProduceResponse, by_id: bool) {
        let mut found = HashMap::with_capacity(batches.len());
        for topic in response.responses {
            for partition in topic.partition_responses {
                let name = if by_id { Str::default() } else { topic.name.clone() };
                found.insert((topic.topic_id, name, partition.index), partition);
            }
        }
        for sent in batches {
            let id = &sent.partition.id;
            let key = if by_id {
                (sent.topic_id, Str::default(), id.partition)
            } else {
                (Default::default(), id.topic.clone(), id.partition)
            };
            match found.remove(&key) {
                Some(answer) => self.settle(sent, &answer),
                None => {
                    let error = Error::corrupt(format!("produce answer for {id}"), "the partition is missing");
                    self.again(sent, error);
                }
            }
        }
    }

    /// The request got no answer that can be read: whether the broker has the batches is not known.
    pub(super) fn all_failed(&self, batches: Vec<Sent>, error: &Error) {
        self.cluster.request_refresh();
        for sent in batches {
            if error.is_retryable() {
                self.again(sent, error.clone());
            } else {
                self.given_up(sent, Outcome::Failed(error.clone()));
            }
        }
    }

    fn settle(&self, sent: Sent, answer: &PartitionProduceResponse) {
        let code = answer.error_code;
        let written = Outcome::Written { base_offset: answer.base_offset, append_time: answer.log_append_time_ms };
        if code == ErrorCode::NONE {
            return self.delivered(sent, written);
        }
        let error =
            || Error::broker(code, answer.error_message.as_deref(), format!("produce to {}", sent.partition.id));
        tracing::debug!(error = %error(), "batch was not written");
        match code {
            // The broker had it already, longer ago than it remembers the offset.
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                self.delivered(sent, Outcome::Written { base_offset: -1, append_time: -1 });
            }
            ErrorCode::MESSAGE_TOO_LARGE if sent.batch.records > 1 => self.split(sent),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if sent.batch.sequence.is_some() => {
                sent.partition.queue.lock().out_of_order(&sent.batch);
                let error = error();
                self.again(sent, error);
            }
            ErrorCode::UNKNOWN_PRODUCER_ID if sent.batch.sequence.is_some() => {
                sent.partition.queue.lock().gap(&sent.batch);
                let error = error();
                self.again(sent, error);
            }
            ErrorCode::INVALID_PRODUCER_EPOCH if let Some(sequence) = sent.batch.sequence => {
                self.identity.lock().renew(sequence.producer);
                sent.partition.queue.lock().gap(&sent.batch);
                let error = error();
                self.again(sent, error);
            }
            _ if code.is_retryable() => {
                // Which errors are of the broker alone and which of the metadata is not worth telling apart here.
                self.cluster.request_refresh();
                let error = error();
                self.again(sent, error);
            }
            _ => {
                let outcome = refused(answer, error());
                self.given_up(sent, outcome);
            }
        }
    }

    /// The batch is where it belongs.
    pub(super) fn delivered(&self, sent: Sent, outcome: Outcome) {
        sent.partition.queue.lock().acknowledged(&sent.batch);
        sent.batch.completion.set(outcome);
        self.memory.release(sent.batch.reserved);
    }

    /// The batch will never be sent again.
    pub(super) fn given_up(&self, sent: Sent, outcome: Outcome) {
        sent.partition.queue.lock().refused(&sent.batch);
        sent.batch.completion.set(outcome);
        self.memory.release(sent.batch.reserved);
    }

    /// Sends the batch once more, after a wait, as long as its settings allow.
    fn again(&self, sent: Sent, error: Error) {
        if self.is_closed() {
            return self.given_up(sent, Outcome::Failed(Error::Closed));
        }
        if sent.batch.attempts > self.config.retries {
            return self.given_up(sent, Outcome::Failed(error));
        }
        let at = Instant::now() + self.cluster.retry_backoff().after(sent.batch.attempts);
        let over = sent.partition.queue.lock().again(sent.batch, at);
        if let Some(batch) = over {
            self.memory.release(batch.reserved);
        }
    }

    /// The broker takes no batch of this size: sends it in parts.
    fn split(&self, mut sent: Sent) {
        let id = &sent.partition.id;
        let limits = &self.limits;
        // Half of what it was, or `batch.size` if that is less: repeated refusals end at single records.
        let size = (sent.batch.size() / 2).min(limits.batch_size.max(1));
        match sent.batch.split(&id.topic, id.partition, size, (limits.compression, limits.level)) {
            Ok(mut parts) => {
                if let Some((_, first)) = parts.first_mut() {
                    first.reserved = sent.batch.reserved;
                }
                sent.partition.queue.lock().replace(&sent.batch, parts);
            }
            Err(error) => {
                let error = Error::corrupt(format!("batch for {id}"), error);
                self.given_up(sent, Outcome::Failed(error));
            }
        }
    }
}

/// The broker names the records at fault, where it can tell (KIP-467).
fn refused(answer: &PartitionProduceResponse, error: Error) -> Outcome {
    if answer.record_errors.is_empty() {
        return Outcome::Failed(error);
    }
    let one = |message: Option<&str>| match &error {
        Error::Broker { code, context, .. } => Error::broker(*code, message, context.clone()),
        other => other.clone(),
    };
    let records = answer.record_errors.iter().filter_map(|record| {
        Some((u32::try_from(record.batch_index).ok()?, one(record.batch_index_error_message.as_deref())))
    });
    let others = one(Some("another record of the batch is invalid, so the broker took none of it"));
    Outcome::Refused { records: records.collect(), others }
}
