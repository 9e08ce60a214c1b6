//! What was acknowledged, and how it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_client::RecordMetadata;
use serde_json::json;

use super::Args;
use crate::error::Result;
use crate::output::{Out, counted};

/// Counts by partition.
#[derive(Debug, Default)]
pub(super) struct Tally {
    records: u64,
    /// Records, least and greatest offset (-1: unknown) of each partition.
    partitions: BTreeMap<i32, (u64, i64, i64)>,
}

impl Tally {
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn add(&mut self, metadata: &RecordMetadata) {
        self.records += 1;
        let offset = metadata.offset;
        let (records, least, greatest) = self.partitions.entry(metadata.partition).or_insert((0, offset, offset));
        *records += 1;
        *least = (*least).min(offset);
        *greatest = (*greatest).max(offset);
    }

    /// Tells it as asked: as JSON, to a person, or not at all.
    pub(super) fn report(&self, args: &Args, took: Duration) -> Result<()> {
        if args.json {
            let partitions: Vec<_> = self
                .partitions
                .iter()
                .map(|(partition, (records, least, greatest))| {
                    json!({ "partition": partition, "records": records, "first_offset": least, "last_offset": greatest })
                })
                .collect();
            let mut out = Out::stdout();
            out.json(&json!({
                "topic": args.topic, "records": self.records, "seconds": took.as_secs_f64(), "partitions": partitions,
            }))?;
            out.flush()?;
        } else if !args.quiet && self.records > 0 {
            let records = counted(self.records, "record");
            let partitions = counted(self.partitions.len() as u64, "partition");
            eprintln!("{records} to {partitions} of {} in {:.2} s", args.topic, took.as_secs_f64());
        }
        Ok(())
    }
}
