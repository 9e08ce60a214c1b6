//! A log's files as text, and a check of all of them, for `leat log dump` and `leat log verify`. Reads only; works beside a
//! running broker and on files that no broker would open.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use leat_protocol::records::entry::{self, EntryKind};
use leat_protocol::records::{self, BatchHeader};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::Mode;
use crate::segment::header::SegmentHeader;
use crate::segment::index::{self, ENTRY_LEN, INDEX_LEN, TIME_LEN};
use crate::segment::indexer::{Indexer, Marks};
use crate::segment::name::{self, Name, Part};
use crate::segment::scan::{Found, Scanner};

/// Larger batches are listed without their records.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// How much [`dump`] shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Each record's offset, time, sizes and keys, not only each batch.
    pub records: bool,
    /// Values too.
    pub values: bool,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    pub position: u64,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.path.display(), self.position, self.what)
    }
}

/// What [`verify`] went through.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub segments: u64,
    pub entries: u64,
    pub records: u64,
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

/// Writes a `.log` file, or all of a partition's folder, as text: one line for each frame.
pub fn dump(env: &Env, path: &Path, options: Options, out: &mut dyn Write) -> Result<()> {
    for log in logs(env, path)? {
        let written = dump_log(env, &log, options, out)?;
        written.map_err(|e| Error::io("write the dump of", &log, e))?;
    }
    Ok(())
}

fn dump_log(env: &Env, log: &Path, options: Options, out: &mut dyn Write) -> Result<io::Result<()>> {
    let mut scanner = scanner(env, log)?;
    if let Err(e) = writeln!(out, "{}", log.display()) {
        return Ok(Err(e));
    }
    let mut index = None;
    loop {
        let written = match scanner.next()? {
            Found::End => return Ok(Ok(())),
            Found::Bad(bad) => return Ok(writeln!(out, "{:>10}  BAD: {}", bad.position, bad.what)),
            Found::Frame { position: 0, bytes, .. } => match SegmentHeader::decode(log, bytes) {
                Ok(header) => {
                    // A cleaned segment's batches are no entries any more.
                    index = header.cleaned.is_none().then_some(header.first_index);
                    writeln!(out, "{:>10}  {header}", 0)
                }
                Err(e) => writeln!(out, "{:>10}  BAD segment header: {e}", 0),
            },
            Found::Frame { position, header, bytes } => {
                let written = dump_frame(position, index, &header, bytes, options, out);
                index = index.map(|index| index + 1);
                written
            }
        };
        if let Err(e) = written {
            return Ok(Err(e));
        }
    }
}

fn dump_frame(
    position: u32,
    index: Option<u64>,
    header: &BatchHeader,
    bytes: &[u8],
    options: Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let index = index.map_or("-".to_owned(), |index| index.to_string());
    let (term, size) = (header.partition_leader_epoch, header.size());
    write!(out, "{position:>10}  entry {index} term {term} bytes {size} ")?;
    match entry::parse(bytes) {
        Ok(Some((kind, payload))) => {
            return writeln!(out, "{kind:?} before offset {} payload {}", header.base_offset, payload.len());
        }
        Err(e) => return writeln!(out, "control frame: {e}"),
        Ok(None) => {}
    }
    let codec = header.compression().map_or_else(|e| e.to_string(), |codec| format!("{codec:?}").to_lowercase());
    writeln!(
        out,
        "offsets {}..={} records {} {codec} max timestamp {} producer {}/{}/{}{}",
        header.base_offset,
        header.last_offset(),
        header.records_count,
        header.max_timestamp,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        if header.is_transactional() { " transactional" } else { "" }
    )?;
    if !options.records && !options.values {
        return Ok(());
    }
    let batch = bytes::Bytes::copy_from_slice(bytes);
    let records = match records::records(&batch, DECOMPRESSED_MAX) {
        Ok(records) => records,
        Err(e) => return writeln!(out, "{:>10}  {e}", ""),
    };
    for record in records {
        match record {
            Ok(record) => {
                let text = |bytes: &Option<bytes::Bytes>| {
                    bytes.as_ref().map_or("null".to_owned(), |b| format!("{:?}", String::from_utf8_lossy(b)))
                };
                write!(
                    out,
                    "{:>10}    offset {} timestamp {} key {}",
                    "",
                    record.offset,
                    record.timestamp,
                    text(&record.key)
                )?;
                match (options.values, &record.value) {
                    (true, value) => writeln!(out, " value {}", text(value))?,
                    (false, Some(value)) => writeln!(out, " value {} bytes", value.len())?,
                    (false, None) => writeln!(out, " value null")?,
                }
            }
            Err(e) => writeln!(out, "{:>10}    {e}", "")?,
        }
    }
    Ok(())
}

/// Checks a `.log` file and its indexes, or all of a partition's folder: every CRC, every index entry, and that segments and
/// entries follow one another. The last segment of a running broker may be caught in the middle of an append.
pub fn verify(env: &Env, path: &Path) -> Result<Verified> {
    let mut verified = Verified::default();
    let mut next: Option<(u64, i64)> = None;
    let logs = logs(env, path)?;
    for (n, log) in logs.iter().enumerate() {
        verified.segments += 1;
        next = verify_log(env, log, next, n + 1 == logs.len(), &mut verified)?;
    }
    Ok(verified)
}

fn verify_log(
    env: &Env,
    log: &Path,
    expected: Option<(u64, i64)>,
    last: bool,
    out: &mut Verified,
) -> Result<Option<(u64, i64)>> {
    let mut problem = |position: u64, what: String| out.problems.push(Problem { path: log.to_owned(), position, what });
    let file = env.fs.open(log, Mode::Read).map_err(|e| Error::io("open", log, e))?;
    let (header, header_len) = match SegmentHeader::read(log, &*file) {
        Ok(read) => read,
        Err(Error::Corrupt { position, what, .. }) => {
            problem(position, what);
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    if let Some((index, offset)) = expected
        && (header.first_index, header.base_offset) != (index, offset)
    {
        let (first_index, base) = (header.first_index, header.base_offset);
        problem(
            0,
            format!("it begins with entry {first_index} and offset {base}, not with entry {index} and offset {offset}"),
        );
    }
    let mut scanner = scanner(env, log)?;
    scanner.seek(header_len);
    let mut made = Indexer::new(header.base_offset, Marks::empty(header_len, header.base_offset));
    let mut positions = Vec::new();
    let cleaned = header.cleaned;
    let (mut index, mut offset) = (header.first_index, header.base_offset);
    loop {
        match scanner.next()? {
            Found::End => break,
            Found::Bad(bad) => {
                problem(bad.position.into(), bad.what);
                return Ok(None);
            }
            Found::Frame { position, header, bytes } => {
                let holes = cleaned.is_some_and(|cleaned| {
                    let left = !header.is_entry() && header.next_offset() <= cleaned.end_offset;
                    left && header.base_offset > offset
                });
                if header.base_offset != offset && !holes {
                    problem(
                        position.into(),
                        format!("a batch at offset {}, where {offset} must be", header.base_offset),
                    );
                }
                if header.is_entry()
                    && entry::parse(bytes)
                        .is_ok_and(|parsed| parsed.is_some_and(|(kind, _)| kind == EntryKind::SegmentHeader))
                {
                    problem(position.into(), "a segment header within a segment".to_owned());
                }
                made.add(&header, u32::MAX);
                positions.push((position, header));
                (index, offset) = (index + 1, header.next_offset());
                out.records += u64::try_from(header.records_count).unwrap_or(0);
            }
        }
    }
    match cleaned {
        Some(cleaned) => (index, offset) = (cleaned.next_index, cleaned.end_offset),
        None => out.entries += positions.len() as u64,
    }
    out.bytes += u64::from(scanner.position());
    check_indexes(env, log, header.base_offset, &positions, &made, last, &mut out.problems)?;
    Ok(Some((index, offset)))
}

/// Every index entry must be one that the log bears out.
fn check_indexes(
    env: &Env,
    log: &Path,
    base: i64,
    frames: &[(u32, BatchHeader)],
    made: &Indexer,
    last: bool,
    problems: &mut Vec<Problem>,
) -> Result<()> {
    let folder = log.parent().unwrap_or(Path::new("."));
    let mut read = |part: Part| -> Result<(PathBuf, Vec<u8>)> {
        let path = name::path(folder, base, part);
        let bytes = crate::frame::read(&*env.fs, &path)?;
        if bytes.is_none() {
            problems.push(Problem { path: path.clone(), position: 0, what: "it is missing".to_owned() });
        }
        Ok((path, bytes.unwrap_or_default()))
    };
    let (entries_path, entries) = read(Part::Entries)?;
    let (index_path, indexed) = read(Part::Index)?;
    let (times_path, times) = read(Part::TimeIndex)?;
    let mut problem = |path: &Path, position: usize, what: String| {
        problems.push(Problem { path: path.to_owned(), position: position as u64, what });
    };
    if entries != made.entries {
        let at = entries
            .iter()
            .zip(&made.entries)
            .position(|(a, b)| a != b)
            .unwrap_or(entries.len().min(made.entries.len()));
        problem(&entries_path, at / ENTRY_LEN * ENTRY_LEN, "it does not match the log".to_owned());
    }
    for n in 0..indexed.len() / INDEX_LEN {
        let entry = index::offset_at(&indexed, n);
        let frame = frames.binary_search_by_key(&entry.position, |(position, _)| *position).map(|n| &frames[n].1);
        if !frame.is_ok_and(|header| !header.is_entry() && header.last_offset() - base == i64::from(entry.offset)) {
            problem(
                &index_path,
                n * INDEX_LEN,
                format!("no batch ends with offset {} at position {}", base + i64::from(entry.offset), entry.position),
            );
        }
    }
    let mut reached = frames.iter().filter(|(_, header)| header.records_count != 0).scan(-1, |max, (_, header)| {
        let new = header.max_timestamp > *max;
        *max = header.max_timestamp.max(*max);
        Some((new, header.max_timestamp, header.last_offset() - base))
    });
    for n in 0..times.len() / TIME_LEN {
        let entry = index::time_at(&times, n);
        if !reached.any(|found| found == (true, entry.timestamp, i64::from(entry.offset))) {
            problem(
                &times_path,
                n * TIME_LEN,
                format!(
                    "timestamp {} is not first reached at offset {}",
                    entry.timestamp,
                    base + i64::from(entry.offset)
                ),
            );
            break;
        }
    }
    let newest = (times.len() / TIME_LEN).checked_sub(1).map_or(-1, |n| index::time_at(&times, n).timestamp);
    if !last && newest != made.marks.max_timestamp {
        problem(
            &times_path,
            times.len(),
            format!("a sealed segment must end with its largest timestamp {}", made.marks.max_timestamp),
        );
    }
    for (path, len, entry_len) in [(&index_path, indexed.len(), INDEX_LEN), (&times_path, times.len(), TIME_LEN)] {
        if len % entry_len != 0 {
            problem(path, len, format!("it ends within an entry of {entry_len} bytes"));
        }
    }
    Ok(())
}

fn scanner(env: &Env, log: &Path) -> Result<Scanner> {
    let file = env.fs.open(log, Mode::Read).map_err(|e| Error::io("open", log, e))?;
    let len = file.stat().map_err(|e| Error::io("stat", log, e))?.len;
    Ok(Scanner::new(log, file, 0, len))
}

/// The file itself, or the logs of a folder in order.
fn logs(env: &Env, path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut bases = Vec::new();
    for entry in env.fs.list(path).map_err(|e| Error::io("list", path, e))? {
        if let Name::Segment(base, Part::Log) = name::parse(&entry.name) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases.into_iter().map(|base| name::path(path, base, Part::Log)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::{NOW, batch, control, create, identity};
    use leat_protocol::records::Compression;

    fn example(folder: &Path) -> Env {
        let env = Env::default();
        let mut log = create(&env, folder);
        log.append(&[control(0, 1), batch(0, 1, Compression::Lz4, &[NOW, NOW + 1])], NOW).unwrap();
        for offset in 2..60 {
            log.append(&[batch(offset, 2, Compression::None, &[NOW + offset])], NOW).unwrap();
        }
        log.close().unwrap();
        env
    }

    #[test]
    fn a_dump_has_a_line_for_each_frame_and_record() {
        let temp = tempfile::tempdir().unwrap();
        let env = example(temp.path());
        let mut out = Vec::new();
        dump(&env, temp.path(), Options { records: true, values: true }, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        for line in [
            &format!("segment of topic {} partition 0 replica 1, base offset 0, first entry 1", identity().topic_id),
            "entry 1 term 1 bytes 62 NoOp before offset 0 payload 0",
            "offsets 0..=1 records 2 lz4 max timestamp 1700000000001 producer -1/-1/-1",
            "offset 1 timestamp 1700000000001 key null value \"record 1\"",
            "entry 60 term 2",
        ] {
            assert!(out.contains(line), "{line} is not in\n{out}");
        }
        assert_eq!(out.matches(" value ").count(), 60);
    }

    #[test]
    fn verify_finds_what_was_changed_in_any_file() {
        let temp = tempfile::tempdir().unwrap();
        let env = example(temp.path());
        let whole = verify(&env, temp.path()).unwrap();
        assert_eq!((whole.problems.len(), whole.entries, whole.records), (0, 60, 60));
        assert!(whole.segments > 1);
        for entry in std::fs::read_dir(temp.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for at in [bytes.len() / 2, bytes.len().saturating_sub(1)].into_iter().filter(|at| *at < bytes.len()) {
                let mut bad = bytes.clone();
                bad[at] ^= 1;
                std::fs::write(&path, bad).unwrap();
                assert!(!verify(&env, temp.path()).unwrap().problems.is_empty(), "byte {at} of {}", path.display());
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}
