//! What replicas have said, and whether it fits together. A contradiction is told, never panicked.

use std::collections::BTreeMap;

use bytes::Bytes;
use leat_protocol::records::BatchHeader;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Committed batches by entry, as whoever applied them first had them.
    committed: BTreeMap<u64, Bytes>,
    /// Batches that consumers have read, which may be before anybody applied them.
    read: BTreeMap<u64, Bytes>,
    /// Base offsets that producers were told, by producer id and sequence.
    acknowledged: BTreeMap<(i64, i32), i64>,
    /// Producer state after an applied entry.
    producers: BTreeMap<u64, u32>,
}

impl Ledger {
    /// A replica applied a batch.
    pub(super) fn applied(&mut self, node: u64, index: u64, batch: &Bytes) -> Result<(), String> {
        match self.committed.entry(index).or_insert_with(|| batch.clone()) {
            known if known == batch => Ok(()),
            _ => Err(format!("entry {index} of node {node} is not what others applied")),
        }
    }

    /// A replica has this producer state at its applied index.
    pub(super) fn state(&mut self, node: u64, applied: u64, checksum: u32) -> Result<(), String> {
        let known = *self.producers.entry(applied).or_insert(checksum);
        if known == checksum { Ok(()) } else { Err(format!("node {node} has other producers at entry {applied}")) }
    }

    /// A consumer read this batch, below a replica's high watermark.
    pub(super) fn read(&mut self, node: u64, index: u64, batch: &Bytes) -> Result<(), String> {
        match self.read.entry(index).or_insert_with(|| batch.clone()) {
            known if known == batch => Ok(()),
            _ => Err(format!("entry {index} was read as one thing, and from node {node} as another")),
        }
    }

    /// A producer was told that its batch is at `base_offset`.
    pub(super) fn acknowledged(&mut self, id: i64, sequence: i32, base_offset: i64) -> Result<(), String> {
        let first = *self.acknowledged.entry((id, sequence)).or_insert(base_offset);
        match first == base_offset {
            true => Ok(()),
            false => Err(format!("producer {id} sequence {sequence} is at {first} and at {base_offset}")),
        }
    }

    pub(super) fn batches(&self) -> usize {
        self.committed.len()
    }

    /// At the end: offsets without holes, every producer's sequences once and in order, and all that was acknowledged or read.
    pub(super) fn settle(&self) -> Result<(), String> {
        if let Some((index, _)) = self.read.iter().find(|(index, batch)| self.committed.get(index) != Some(batch)) {
            return Err(format!("entry {index} was read and is lost"));
        }
        let mut next_offset = 0;
        let mut next_sequence: BTreeMap<i64, i32> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for (index, batch) in &self.committed {
            let header = BatchHeader::parse(batch).map_err(|error| error.to_string())?;
            if header.base_offset != next_offset {
                return Err(format!("entry {index} begins at {}, not at {next_offset}", header.base_offset));
            }
            next_offset = header.next_offset();
            if !header.has_producer() {
                continue;
            }
            let next = next_sequence.entry(header.producer_id).or_default();
            if header.base_sequence != *next {
                let (id, sequence) = (header.producer_id, header.base_sequence);
                return Err(format!("entry {index} has sequence {sequence} of producer {id}, not {next}"));
            }
            *next += header.records_count;
            found.insert((header.producer_id, header.base_sequence), header.base_offset);
        }
        for (batch, base_offset) in &self.acknowledged {
            match found.get(batch) {
                Some(at) if at == base_offset => {}
                Some(at) => return Err(format!("{batch:?} was acknowledged at {base_offset} and is at {at}")),
                None => return Err(format!("{batch:?} was acknowledged at {base_offset} and is lost")),
            }
        }
        Ok(())
    }

    /// Whether as many entries are committed as were read: those of relaxed topics are answered and read before.
    pub(super) fn is_caught_up(&self) -> bool {
        self.read.last_key_value().is_none_or(|(last, _)| self.committed.contains_key(last))
    }

    /// Whether a log whose entries begin with `first_index` holds all that is committed from there on.
    pub(super) fn is_in(&self, first_index: u64, log: &[Bytes]) -> bool {
        let mut entries = self.committed.range(first_index..);
        entries.all(|(index, batch)| log.get((*index - first_index) as usize) == Some(batch))
    }

    /// Committed batches that have an offset from `from` on, up to `until`.
    pub(super) fn between(&self, from: i64, until: i64) -> impl Iterator<Item = &Bytes> {
        let offsets = |batch: &Bytes| {
            BatchHeader::parse(batch).map_or((0, 0), |header| (header.base_offset, header.next_offset()))
        };
        let batches = self.committed.values().skip_while(move |batch| offsets(batch).1 <= from);
        batches.take_while(move |batch| offsets(batch).1 <= until)
    }
}
