//! What a replay adds up, field for field what `cli/data/make.py` computes without Leat.

use std::collections::BTreeMap;

use leat_client::ConsumerRecord;
use serde::Serialize;

use super::Flight;

/// Counts of what was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    pub(crate) records: u64,
    pub(crate) cancelled: u64,
    pub(crate) miles: u64,
    /// Flights by carrier, which is the record's key.
    pub(crate) carriers: BTreeMap<String, u64>,
}

impl Sums {
    /// Adds a record, decoded from the bytes that were replayed.
    pub(crate) fn add(&mut self, record: &ConsumerRecord) -> Result<(), String> {
        let flight = decode(record)
            .map_err(|why| format!("{}-{} at offset {}: {why}", record.topic, record.partition, record.offset))?;
        self.records += 1;
        self.cancelled += u64::from(flight.dep_delay.is_none());
        self.miles += u64::from(flight.distance);
        *self.carriers.entry(flight.carrier).or_default() += 1;
        Ok(())
    }
}

/// Reads a record back and compares what it says twice: the key with the carrier, the timestamp with the departure.
fn decode(record: &ConsumerRecord) -> Result<Flight, String> {
    let value = record.value.as_deref().unwrap_or_default();
    let flight: Flight = serde_json::from_slice(value).map_err(|error| format!("not a flight: {error}"))?;
    if record.key.as_deref() != Some(flight.carrier.as_bytes()) {
        return Err(format!("a flight of {} under the key {:?}", flight.carrier, record.key));
    }
    if record.timestamp != flight.departed_ms() {
        return Err(format!("departed at {}, but its timestamp is {}", flight.departed_ms(), record.timestamp));
    }
    Ok(flight)
}

/// What one partition holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartitionSums {
    #[serde(flatten)]
    pub(crate) sums: Sums,
    /// Records whose timestamp is below an earlier record's.
    pub(crate) out_of_order: u64,
    pub(crate) min_timestamp: i64,
    pub(crate) max_timestamp: i64,
}

impl Default for PartitionSums {
    fn default() -> Self {
        PartitionSums { sums: Sums::default(), out_of_order: 0, min_timestamp: i64::MAX, max_timestamp: i64::MIN }
    }
}

impl PartitionSums {
    /// Adds the partition's next record.
    pub(crate) fn add(&mut self, record: &ConsumerRecord) -> Result<(), String> {
        self.sums.add(record)?;
        self.out_of_order += u64::from(record.timestamp < self.max_timestamp);
        self.min_timestamp = self.min_timestamp.min(record.timestamp);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        Ok(())
    }
}
