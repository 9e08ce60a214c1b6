//! Proposals that wait for their entry, in index order.

use std::collections::VecDeque;

use super::event::Answer;

#[derive(Debug)]
struct Waiting<T> {
    index: u64,
    token: T,
    answer: Answer,
}

/// A queue of proposals that one milestone answers.
#[derive(Debug)]
pub(super) struct Pending<T>(VecDeque<Waiting<T>>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Pending(VecDeque::new())
    }
}

impl<T> Pending<T> {
    /// Waits for `index`. A repeat of a pending batch waits behind it.
    pub(super) fn push(&mut self, index: u64, token: T, answer: Answer) {
        let at = match self.0.back() {
            Some(last) if last.index > index => self.0.partition_point(|waiting| waiting.index <= index),
            _ => self.0.len(),
        };
        self.0.insert(at, Waiting { index, token, answer });
    }

    /// Answers all that wait for an index up to `reached`.
    pub(super) fn reach(&mut self, reached: u64, answers: &mut Vec<(T, Answer)>) {
        while let Some(waiting) = self.0.pop_front_if(|waiting| waiting.index <= reached) {
            answers.push((waiting.token, waiting.answer));
        }
    }

    /// Tells all that wait that this replica no longer leads.
    pub(super) fn fail(&mut self, answers: &mut Vec<(T, Answer)>) {
        answers.extend(self.0.drain(..).map(|waiting| (waiting.token, Answer::NotLeader)));
    }
}
