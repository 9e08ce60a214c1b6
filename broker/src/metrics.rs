//! What is counted while the broker works. Recording is an atomic add: no lock, no allocation, no clock of its own.
//!
//! What can be asked of the broker at any time (sizes, offsets, lags) is not counted here but walked by `http::scrape`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leat_protocol::{ApiKey, ErrorCode, Message};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Upper bounds of a request's time: from what memory answers to what a client waits for.
const REQUEST_SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Upper bounds of a sync's time: from a drive with a battery to one that hangs.
const SYNC_SECONDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// APIs have keys below this.
const APIS: usize = 128;

/// The broker's counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    /// Of `requests`, by API key; an API that was never asked for has none.
    by_api: [OnceLock<Histogram>; APIS],
    errors: IntCounterVec,
    pub(crate) connections: IntGauge,
    pub(crate) syncs: Histogram,
    pub(crate) checkpoints: IntCounter,
    pub(crate) compactions: IntCounter,
    pub(crate) compactions_failed: IntCounter,
    pub(crate) compaction_bytes_in: IntCounter,
    pub(crate) compaction_bytes_out: IntCounter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        let counter = |name, help| register(&registry, IntCounter::new(name, help));
        let seconds = |name, help, bounds: &[f64]| HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let requests = seconds(
            "leat_request_duration_seconds",
            "From a request's arrival to its answer, waits that the client asked for included.",
            REQUEST_SECONDS,
        );
        let errors = Opts::new("kafka_network_requestmetrics_errors_total", "Error numbers in answers.");
        Metrics {
            requests: register(&registry, HistogramVec::new(requests, &["request"])),
            by_api: [const { OnceLock::new() }; APIS],
            errors: register(&registry, IntCounterVec::new(errors, &["request", "error"])),
            connections: register(&registry, IntGauge::new("leat_connections_open", "Connections of clients.")),
            syncs: register(
                &registry,
                Histogram::with_opts(seconds(
                    "leat_log_sync_duration_seconds",
                    "Syncs of partitions' logs to stable storage.",
                    SYNC_SECONDS,
                )),
            ),
            checkpoints: counter("leat_checkpoints_saved_total", "Checkpoints of partitions that were saved."),
            compactions: counter("leat_compactions_total", "Passes of compaction that were done."),
            compactions_failed: counter("leat_compactions_failed_total", "Passes of compaction that an error ended."),
            compaction_bytes_in: counter("leat_compaction_bytes_in_total", "Bytes of log that compaction went over."),
            compaction_bytes_out: counter("leat_compaction_bytes_out_total", "Bytes of log that compaction left."),
            registry,
        }
    }
}

/// Names and labels are constants, so every start of a broker tries them.
fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let registered = made.and_then(|metric| registry.register(Box::new(metric.clone())).map(|()| metric));
    registered.unwrap_or_else(|error| unreachable!("a metric's name is wrong or taken: {error}"))
}

impl Metrics {
    /// A request is answered, after so long.
    pub(crate) fn answered(&self, api: ApiKey, took: Duration) {
        if let Some(histogram) = usize::try_from(api as i16).ok().and_then(|key| self.by_api.get(key)) {
            let of_api = || self.requests.with_label_values(&[api.name()]);
            histogram.get_or_init(of_api).observe(took.as_secs_f64());
        }
    }

    /// Counts what an answer complains of.
    pub(crate) fn errors(&self, api: ApiKey, response: &impl Message) {
        response.errors(&mut |error| {
            if error != ErrorCode::NONE {
                self.errors.with_label_values(&[api.name(), error.name()]).inc();
            }
        });
    }

    /// Everything that was recorded.
    pub(crate) fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

/// What clients have moved in and out of a partition since the start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    bytes_in: AtomicU64,
    records_in: AtomicU64,
    bytes_out: AtomicU64,
    records_out: AtomicU64,
}

impl Traffic {
    pub(crate) fn produced(&self, bytes: u64, records: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        self.records_in.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn fetched(&self, bytes: u64, records: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
        self.records_out.fetch_add(records, Ordering::Relaxed);
    }

    /// Bytes in, records in, bytes out, records out.
    pub(crate) fn read(&self) -> [u64; 4] {
        [&self.bytes_in, &self.records_in, &self.bytes_out, &self.records_out]
            .map(|count| count.load(Ordering::Relaxed))
    }
}
