//! What a measurement found, as text for people and as JSON for programs.

use crate::Error;
use crate::process::Usage;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};

/// Latencies up to a minute are told apart to three digits; a longer one counts as a minute.
const LONGEST: Duration = Duration::from_secs(60);
/// The quantiles that are reported, with their names.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Latencies in nanoseconds.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Error> {
        let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        let histogram = Histogram::new_with_bounds(1, longest, 3);
        histogram.map(Self).map_err(|error| Error::Usage(error.to_string()))
    }

    #[inline]
    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Both have the same bounds, which is all that could fail.
        let _ = self.0.add(&other.0);
    }

    /// The latency that this share of records stayed below.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    fn to_json(&self) -> Value {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let mut out = json!({ "count": self.0.len(), "mean_us": self.0.mean() / 1e3, "max_us": micros(self.0.max()) });
        for (name, quantile) in QUANTILES {
            out[format!("{name}_us")] = json!(micros(self.0.value_at_quantile(quantile)));
        }
        out
    }
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was measured: `produce`, `consume`, `latency` or `requests`.
    pub what: &'static str,
    /// Records that arrived.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Records that failed, with the first error.
    pub failed: u64,
    /// The first error, where there was one.
    pub first_error: Option<String>,
    /// From the first record's start to the last one's end.
    pub seconds: f64,
    /// Where latencies were measured.
    pub latency: Option<Latencies>,
    /// What this process used meanwhile.
    pub client: Usage,
    /// What the broker used meanwhile, where its process id was given.
    pub broker: Option<Usage>,
}

impl Report {
    /// Bytes of a second, in MB (10^6).
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// For programs; every figure with its unit in its name.
    pub fn to_json(&self) -> Value {
        let gigabytes = self.bytes as f64 / 1e9;
        let usage = |usage: &Usage| {
            let mut out = usage.to_json();
            out["cpu_s_per_gb"] = json!(usage.cpu_s() / gigabytes);
            out["cpu_us_per_record"] = json!(usage.cpu_s() * 1e6 / self.records as f64);
            out
        };
        json!({
            "what": self.what,
            "records": self.records,
            "bytes": self.bytes,
            "failed": self.failed,
            "first_error": self.first_error,
            "seconds": self.seconds,
            "records_per_s": self.records as f64 / self.seconds,
            "mb_per_s": self.megabytes_per_second(),
            "latency": self.latency.as_ref().map(Latencies::to_json),
            "client": usage(&self.client),
            "broker": self.broker.as_ref().map(usage),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.records as f64 / self.seconds;
        writeln!(
            out,
            "{}: {} records, {:.1} MB in {:.2} s: {per_second:.0} records/s, {:.1} MB/s",
            self.what,
            self.records,
            self.bytes as f64 / 1e6,
            self.seconds,
            self.megabytes_per_second()
        )?;
        if self.failed > 0 {
            let first = self.first_error.as_deref().unwrap_or("unknown");
            writeln!(out, "failed: {} records, first: {first}", self.failed)?;
        }
        if let Some(latency) = &self.latency {
            write!(out, "latency:")?;
            for (name, quantile) in QUANTILES {
                write!(out, " {name} {}", Shown(latency.quantile(quantile)))?;
            }
            writeln!(out, " max {}", Shown(latency.quantile(1.0)))?;
        }
        let usages = [("client", Some(&self.client)), ("broker", self.broker.as_ref())];
        for (name, usage) in usages.into_iter().filter_map(|(name, usage)| Some((name, usage?))) {
            writeln!(
                out,
                "{name}: {:.2} CPU s ({:.2} user, {:.2} system), {:.3} s/GB, {:.3} us/record, RSS {:.1} MiB, peak {:.1} MiB",
                usage.cpu_s(),
                usage.user_s,
                usage.system_s,
                usage.cpu_s() * 1e9 / self.bytes as f64,
                usage.cpu_s() * 1e6 / self.records as f64,
                usage.rss_bytes as f64 / f64::from(1 << 20),
                usage.peak_rss_bytes as f64 / f64::from(1 << 20)
            )?;
        }
        Ok(())
    }
}

/// A latency in the unit that fits it.
struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() * 1e3 {
            ms if ms < 1.0 => write!(out, "{:.0} us", ms * 1e3),
            ms if ms < 100.0 => write!(out, "{ms:.2} ms"),
            ms => write!(out, "{ms:.0} ms"),
        }
    }
}

/// Clocks and counters at the start of a measurement.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) at: Instant,
    client: Usage,
    broker: Option<(u32, Usage)>,
}

impl Started {
    pub(crate) fn now(broker_pid: Option<u32>) -> Result<Self, Error> {
        let broker = broker_pid.map(|pid| Usage::of(pid).map(|usage| (pid, usage))).transpose()?;
        Ok(Self { client: Usage::own()?, broker, at: Instant::now() })
    }

    /// The report of what was counted since.
    pub(crate) fn end(self, what: &'static str, counted: Counted) -> Result<Report, Error> {
        let seconds = self.at.elapsed().as_secs_f64();
        let client = Usage::own()?.since(&self.client);
        let broker = self.broker.map(|(pid, before)| Usage::of(pid).map(|now| now.since(&before))).transpose()?;
        let Counted { records, bytes, failed, first_error, latency } = counted;
        Ok(Report { what, records, bytes, failed, first_error, seconds, latency, client, broker })
    }
}

/// What a measurement counts as it goes.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) failed: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) latency: Option<Latencies>,
}

impl Counted {
    pub(crate) fn fail(&mut self, error: impl fmt::Display) {
        self.failed += 1;
        if self.first_error.is_none() {
            self.first_error = Some(error.to_string());
        }
    }
}
