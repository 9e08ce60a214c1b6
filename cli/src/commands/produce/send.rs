//! The sending itself: a thread reads, deliveries are counted as they come.

use std::collections::VecDeque;
use std::io::BufRead;

use futures_util::FutureExt;
use leat_client::{Delivery, Producer, RecordMetadata};
use tokio::sync::mpsc;

use super::Args;
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::input::{self, BadInput, Options};
use crate::progress::Progress;
use crate::record::Draft;
use crate::signals::Signals;

/// Records between the reading thread and the sender.
const READ_AHEAD: usize = 1024;
/// Records that are sent before deliveries are looked at again.
const CHUNK: usize = 256;

/// Starts the thread that reads; it ends with the input, with the first bad line, or when nobody listens.
pub(super) fn read(input: Box<dyn BufRead + Send>, options: Options) -> mpsc::Receiver<Result<(u64, Draft), BadInput>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || match input::open(input, options) {
        Ok(mut source) => {
            while let Some(item) = source.next() {
                let last = item.is_err();
                if sender.blocking_send(item).is_err() || last {
                    break;
                }
            }
        }
        Err(bad) => {
            // If nobody listens any more, there is nobody to tell.
            let _ = sender.blocking_send(Err(bad));
        }
    });
    receiver
}

/// One run of the command.
pub(super) struct Run<'a> {
    args: &'a Args,
    producer: &'a Producer,
    /// Sent and not yet acknowledged, oldest first; bounded by the producer's `buffer.memory`.
    pending: VecDeque<(u64, Delivery)>,
    tally: Tally,
}

impl<'a> Run<'a> {
    /// Nothing is sent yet.
    pub(super) fn new(args: &'a Args, producer: &'a Producer) -> Self {
        Run { args, producer, pending: VecDeque::new(), tally: Tally::default() }
    }

    /// What was acknowledged so far.
    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Sends everything and counts what is acknowledged meanwhile, until the end, the first failure, or Ctrl-C.
    pub(super) async fn send_all(
        &mut self,
        mut records: mpsc::Receiver<Result<(u64, Draft), BadInput>>,
        signals: &mut Signals,
        progress: &Progress,
    ) -> Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            let oldest = async {
                match self.pending.front_mut() {
                    Some((_, delivery)) => delivery.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = signals.next() => return Err(Error::Interrupted),
                delivered = oldest => {
                    let line = self.pending.pop_front().map_or(0, |(line, _)| line);
                    self.count(line, delivered)?;
                }
                taken = records.recv_many(&mut chunk, CHUNK) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    for item in chunk.drain(..) {
                        let (line, draft) = item.map_err(|bad| self.bad_line(bad.line, bad.why))?;
                        let sent = self.producer.send(self.args.record(draft)).await;
                        let delivery = sent.map_err(|error| self.failed(line, error))?;
                        self.pending.push_back((line, delivery));
                    }
                    self.count_delivered()?;
                    progress.records(self.tally.records());
                }
            }
        }
    }

    /// Counts what has been acknowledged, without waiting.
    fn count_delivered(&mut self) -> Result<()> {
        while let Some((line, delivery)) = self.pending.front_mut() {
            let line = *line;
            match delivery.now_or_never() {
                None => return Ok(()),
                Some(delivered) => {
                    self.pending.pop_front();
                    self.count(line, delivered)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for everything that was sent; the first failure is returned, the rest is still counted.
    pub(super) async fn drain(&mut self) -> Result<()> {
        self.producer.flush().await;
        let mut result = Ok(());
        while let Some((line, delivery)) = self.pending.pop_front() {
            let counted = self.count(line, delivery.await);
            result = result.and(counted);
        }
        result
    }

    fn count(&mut self, line: u64, delivered: Result<RecordMetadata, leat_client::Error>) -> Result<()> {
        let metadata = delivered.map_err(|error| self.failed(line, error))?;
        self.tally.add(&metadata);
        Ok(())
    }

    fn bad_line(&self, line: u64, why: String) -> Error {
        Error::Failed(format!("{}, line {line}: {why}; nothing after it was produced", self.args.source()))
    }

    fn failed(&self, line: u64, error: leat_client::Error) -> Error {
        Error::from(error).context(format_args!("{}, line {line}", self.args.source()))
    }
}
