//! The consumer's properties.

use std::time::Duration;

use super::Assignor;
use super::common::{CommonConfig, common_setters};
use super::table::{any, table};
use super::value::Value;
use crate::Error;

/// Where to go on when a partition has no position, or one that its log does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// The first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// The first record not older than this.
    ByDuration(Duration),
    /// Nowhere: `poll` returns [`Error::NoOffset`](crate::Error::NoOffset).
    None,
}

impl Value for OffsetReset {
    const EXPECTS: &'static str = "earliest, latest, none or by_duration:P1D";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "earliest" => OffsetReset::Earliest,
            "latest" => OffsetReset::Latest,
            "none" => OffsetReset::None,
            _ => OffsetReset::ByDuration(iso_duration(text.strip_prefix("by_duration:")?)?),
        })
    }

    fn show(&self) -> String {
        match self {
            OffsetReset::Earliest => "earliest".to_owned(),
            OffsetReset::Latest => "latest".to_owned(),
            OffsetReset::None => "none".to_owned(),
            OffsetReset::ByDuration(age) => format!("by_duration:PT{}S", age.as_secs_f64()),
        }
    }
}

/// ISO 8601's duration as `java.time.Duration` reads it: days, hours, minutes and seconds.
fn iso_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('P')?;
    let (mut seconds, mut in_time, mut parts) = (0.0, false, 0);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (rest, in_time) = (after, true);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        seconds += number
            * match (in_time, rest.as_bytes()[end]) {
                (false, b'D') => 86_400.0,
                (true, b'H') => 3_600.0,
                (true, b'M') => 60.0,
                (true, b'S') => 1.0,
                _ => return None,
            };
        parts += 1;
        rest = &rest[end + 1..];
    }
    (parts > 0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// Which records of transactions are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All, those of aborted and open transactions too.
    ReadUncommitted,
    /// Only those of committed ones, up to the first that is still open.
    ReadCommitted,
}

impl IsolationLevel {
    pub(crate) fn wire(self) -> i8 {
        match self {
            IsolationLevel::ReadUncommitted => 0,
            IsolationLevel::ReadCommitted => 1,
        }
    }
}

impl Value for IsolationLevel {
    const EXPECTS: &'static str = "read_uncommitted or read_committed";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "read_uncommitted" => IsolationLevel::ReadUncommitted,
            "read_committed" => IsolationLevel::ReadCommitted,
            _ => return None,
        })
    }

    fn show(&self) -> String {
        match self {
            IsolationLevel::ReadUncommitted => "read_uncommitted",
            IsolationLevel::ReadCommitted => "read_committed",
        }
        .to_owned()
    }
}

table! {
    /// Builds a [`Consumer`](crate::Consumer).
    pub struct ConsumerConfig with common: CommonConfig;

    /// The group whose members share the topics that they subscribe to, and under whose name offsets are committed.
    "group.id", group_id: String = String::new(), any, "";
    /// The name of a static member: it may come back within `session.timeout.ms` to what it had, and does not leave the
    /// group when it is closed.
    "group.instance.id", group_instance_id: String = String::new(), any, "";
    /// Who of the group reads what: those that this member knows, the preferred one first.
    "partition.assignment.strategy", partition_assignment_strategy: Vec<Assignor> = vec![Assignor::Range, Assignor::CooperativeSticky], |v| !v.is_empty(), "a list of range, roundrobin, sticky and cooperative-sticky";
    /// Without a heartbeat for this long the member is out of its group.
    "session.timeout.ms", session_timeout: Duration = Duration::from_millis(45_000), |v| !v.is_zero() && v.as_millis() <= i32::MAX as u128, "a number of milliseconds of at least 1";
    /// How often the member says that it lives.
    "heartbeat.interval.ms", heartbeat_interval: Duration = Duration::from_millis(3_000), |v| !v.is_zero(), "a number of milliseconds of at least 1";
    /// A program that does not poll for this long is taken to be stuck, and leaves the group until it polls again.
    "max.poll.interval.ms", max_poll_interval: Duration = Duration::from_millis(300_000), |v| !v.is_zero() && v.as_millis() <= i32::MAX as u128, "a number of milliseconds of at least 1";
    /// Whether positions are committed in the background. With a `group.id` only.
    "enable.auto.commit", enable_auto_commit: bool = true, any, "";
    /// How often that is.
    "auto.commit.interval.ms", auto_commit_interval: Duration = Duration::from_millis(5_000), any, "";
    /// A fetch waits at the broker until it has this many bytes.
    "fetch.min.bytes", fetch_min_bytes: i32 = 1, |v| *v >= 0, "a number of bytes of at least 0";
    /// ... but no longer than this.
    "fetch.max.wait.ms", fetch_max_wait: Duration = Duration::from_millis(500), |v| v.as_millis() <= i32::MAX as u128, "";
    /// The most bytes in one answer; a larger first batch comes whole nevertheless.
    "fetch.max.bytes", fetch_max_bytes: i32 = 50 << 20, |v| *v > 0, "a number of bytes of at least 1";
    /// The most bytes of one partition in one answer; a larger first batch comes whole nevertheless.
    "max.partition.fetch.bytes", max_partition_fetch_bytes: i32 = 1 << 20, |v| *v > 0, "a number of bytes of at least 1";
    /// The most records that one `poll` returns.
    "max.poll.records", max_poll_records: usize = 500, |v| *v > 0, "a whole number of at least 1";
    /// Where to go on when a partition has no position, or one that its log does not have.
    "auto.offset.reset", auto_offset_reset: OffsetReset = OffsetReset::Latest, any, "";
    /// Whether each batch's CRC-32C is checked.
    "check.crcs", check_crcs: bool = true, any, "";
    /// Which records of transactions are seen.
    "isolation.level", isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted, any, "";
    /// The rack this client is in; a broker may then name a nearer replica to fetch from.
    "client.rack", client_rack: String = String::new(), any, "";
    /// Whether asking for an unknown topic may create it, where the broker does that.
    "allow.auto.create.topics", allow_auto_create_topics: bool = true, any, "";
    /// No fetch is sent while this many KiB wait to be polled. The name is librdkafka's; Java has no such bound. 16 MiB, a
    /// quarter of librdkafka's: more only makes the memory of one fetch too cold to be used again for the next.
    "queued.max.messages.kbytes", queued_max_kbytes: u32 = 16_384, |v| *v > 0, "a number of KiB of at least 1";
}

common_setters!(ConsumerConfig);

impl ConsumerConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_rows()?;
        if self.heartbeat_interval >= self.session_timeout && !self.group_id.is_empty() {
            let value = self.heartbeat_interval.show();
            return Err(Error::bad_value("heartbeat.interval.ms", &value, "below session.timeout.ms"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_durations_as_java_reads_them() {
        assert_eq!(iso_duration("PT1H30M"), Some(Duration::from_secs(5400)));
        assert_eq!(iso_duration("P2D"), Some(Duration::from_secs(172_800)));
        assert_eq!(iso_duration("PT0.5S"), Some(Duration::from_millis(500)));
        assert_eq!(iso_duration("P1M"), None);
        assert_eq!(iso_duration("P"), None);
        assert_eq!(iso_duration("1D"), None);
    }
}
