//! A broker's process: found by its pid only if it really is that broker, then held by the kernel's own handle, so that
//! no signal ever reaches a stranger that has got the pid since.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Error, Result};

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The longest that a program is waited for which has no command line yet; the kernel's own threads never have one.
const STARTING_MAX: Duration = Duration::from_millis(500);

/// A process that runs, or is paused.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    handle: OwnedFd,
}

impl Process {
    /// The broker with this data folder, if `pid` is its.
    pub(crate) fn find(pid: i32, data: &Path) -> Option<Process> {
        // The handle first: if the pid changes hands after it, it is that of the one that ended.
        let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let process = Process { pid, handle };
        let line = process.command_line()?;
        let arguments: Vec<_> = line.split(|byte| *byte == 0).collect();
        let is_broker = arguments.get(1) == Some(&&b"broker"[..]);
        let wanted = [&b"--data-dir"[..], data.as_os_str().as_encoded_bytes()];
        (is_broker && arguments.windows(2).any(|pair| pair == wanted)).then_some(process)
    }

    /// Empty for one that has ended and was not waited for.
    fn command_line(&self) -> Option<Vec<u8>> {
        let begun = Instant::now();
        loop {
            let line = fs::read(self.file("cmdline")).ok()?;
            // The kernel shows none either in the moment between a program's start and its first instruction.
            let may_come = line.is_empty() && self.is_running() && begun.elapsed() < STARTING_MAX;
            if !may_come {
                return Some(line);
            }
            sleep(LOOK_AGAIN);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let failed = |error: rustix::io::Errno| Error::Failed(format!("pid {} was sent no signal: {error}", self.pid));
        pidfd_send_signal(&self.handle, signal).map_err(failed)
    }

    /// Asks it to end, also where it is paused.
    pub(crate) fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.signal(Signal::CONT)
    }

    /// Waits until it has ended; false where it does not.
    pub(crate) fn wait_end(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > patience {
                return false;
            }
            sleep(LOOK_AGAIN);
        }
        true
    }

    fn is_running(&self) -> bool {
        self.state().is_some_and(|state| !matches!(state, 'Z' | 'X'))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state() == Some('T')
    }

    /// Waits until a signal to pause or to go on has done so.
    pub(crate) fn wait_paused(&self, paused: bool, patience: Duration) {
        let begun = Instant::now();
        while self.is_paused() != paused && begun.elapsed() < patience {
            sleep(LOOK_AGAIN);
        }
    }

    /// The kernel's letter for what it does.
    fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(self.file("stat")).ok()?;
        // The name before it is in parentheses and may hold some.
        stat.rsplit_once(") ")?.1.chars().next()
    }

    /// Resident memory.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let statm = fs::read_to_string(self.file("statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid)
    }
}
