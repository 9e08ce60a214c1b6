//! CPU seconds and memory of a process, from `/proc`.

use crate::Error;
use rustix::param::clock_ticks_per_second;
use serde_json::{Value, json};
use std::fmt::Display;
use std::fs;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// CPU seconds in user space.
    pub user_s: f64,
    /// CPU seconds in the kernel.
    pub system_s: f64,
    /// Memory that it holds now, in bytes.
    pub rss_bytes: u64,
    /// The most memory that it has held, in bytes.
    pub peak_rss_bytes: u64,
}

impl Usage {
    /// Of the process with this id.
    pub fn of(pid: u32) -> Result<Self, Error> {
        read(pid)
    }

    /// Of this process.
    pub fn own() -> Result<Self, Error> {
        read("self")
    }

    /// CPU used since `before`; memory as it is now.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self { user_s: self.user_s - before.user_s, system_s: self.system_s - before.system_s, ..*self }
    }

    /// User and system CPU seconds together.
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }

    pub(crate) fn to_json(self) -> Value {
        json!({
            "cpu_s": self.cpu_s(), "user_s": self.user_s, "system_s": self.system_s,
            "rss_bytes": self.rss_bytes, "peak_rss_bytes": self.peak_rss_bytes,
        })
    }
}

fn read(process: impl Display) -> Result<Usage, Error> {
    let file = |name: &str| {
        let path = format!("/proc/{process}/{name}");
        fs::read_to_string(&path).map_err(Error::io(path))
    };
    parse(&file("stat")?, &file("status")?, clock_ticks_per_second() as f64)
        .ok_or_else(|| Error::Usage(format!("/proc/{process} does not read as that of a process")))
}

fn parse(stat: &str, status: &str, ticks_per_second: f64) -> Option<Usage> {
    // The command's name stands in brackets and may hold anything, brackets too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / ticks_per_second);
    let (user_s, system_s) = (seconds()?, seconds()?);
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    Some(Usage { user_s, system_s, rss_bytes: bytes("VmRSS:")?, peak_rss_bytes: bytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 75 0 0 20 0 9 0 100 200 300";
        let status = "Name:\ta) b\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = parse(stat, status, 100.0);
        let expected = Usage { user_s: 2.5, system_s: 0.75, rss_bytes: 1 << 20, peak_rss_bytes: 2 << 20 };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(Usage::own().is_ok_and(|usage| usage.rss_bytes > 0 && usage.peak_rss_bytes >= usage.rss_bytes));
    }
}
