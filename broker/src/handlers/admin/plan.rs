//! A change that is planned: records for the metadata log, and the answer that waits for them.

use leat_protocol::{ErrorCode, Str};

use crate::metadata::{Outcome, Record, Refusal};

/// An answer of which single results can still turn into errors.
pub(crate) trait Finish {
    /// Makes result `at` an error, with nothing left in it of a success.
    fn refuse(&mut self, at: usize, code: ErrorCode, message: Option<Str>);
}

/// Records to propose together, and the answer if all of them apply. `records` may be empty: then it is answered as it is.
#[derive(Debug)]
pub(crate) struct Plan<R> {
    /// What to propose, as one entry.
    pub(crate) records: Vec<Record>,
    response: R,
    /// For each record, the result in the response that it stands behind.
    results: Vec<usize>,
}

impl<R> Plan<R> {
    /// One record, whose outcome is the answer.
    pub(crate) fn of(record: impl Into<Record>) -> Self
    where
        R: Default,
    {
        Self { records: vec![record.into()], response: R::default(), results: vec![0] }
    }

    pub(super) fn new(response: R) -> Self {
        Self { records: Vec::new(), response, results: Vec::new() }
    }

    /// Adds a record that stands behind result `at`.
    pub(super) fn propose(&mut self, at: usize, record: impl Into<Record>) {
        self.records.push(record.into());
        self.results.push(at);
    }

    pub(super) fn response_mut(&mut self) -> &mut R {
        &mut self.response
    }
}

impl<R: Finish> Plan<R> {
    /// The answer, after the records were applied: one outcome per record, in their order. A record without outcome
    /// is answered as not applied.
    pub(crate) fn finish(mut self, outcomes: &[Result<Outcome, Refusal>]) -> R {
        for (record, at) in self.results.iter().enumerate() {
            match outcomes.get(record) {
                Some(Ok(_)) => {}
                Some(Err(refusal)) => self.response.refuse(*at, refusal.error_code(), Some(refusal.to_string().into())),
                None => self.response.refuse(*at, ErrorCode::REQUEST_TIMED_OUT, None),
            }
        }
        self.response
    }

    /// The answer, when the records could not be proposed or were not applied in time: NOT_CONTROLLER, REQUEST_TIMED_OUT.
    pub(crate) fn fail(mut self, code: ErrorCode) -> R {
        for at in &self.results {
            self.response.refuse(*at, code, Some(code.message().into()));
        }
        self.response
    }
}
