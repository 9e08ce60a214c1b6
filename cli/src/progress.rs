//! Progress on a terminal: a bar for a file of known size, else a spinner; nothing when nobody looks.

use std::io::{self, IsTerminal, Read};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const SIZED: &str = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg} {eta}";
const UNSIZED: &str = "{spinner} {binary_bytes} {binary_bytes_per_sec} {msg}";

/// How far a long command has come.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows progress on standard error if that is a terminal and `wanted`. `total` is in bytes.
    pub(crate) fn new(wanted: bool, total: Option<u64>) -> Self {
        if !wanted || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), SIZED),
            None => (ProgressBar::no_length(), UNSIZED),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// Counts the bytes that are read from `input`.
    pub(crate) fn reading<R: Read>(&self, input: R) -> impl Read + use<R> {
        self.0.wrap_read(input)
    }

    /// Shows `count` records.
    pub(crate) fn records(&self, count: u64) {
        if !self.0.is_hidden() {
            self.0.set_message(format!("{count} records"));
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
