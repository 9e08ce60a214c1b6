//! `leat log`: looks into a partition's files, without a broker and also beside a running one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use leat_storage::dump::{self, Options};
use leat_storage::{Env, Error as StorageError};
use serde_json::json;

use crate::error::{Error, Result};
use crate::logging;
use crate::output::{Out, counted};

/// Show and check log files
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:\n  leat log verify data\n  leat log dump data/flights-0 --records | less")]
pub(crate) enum Command {
    Dump(Dump),
    Verify(Verify),
}

/// Show batches, and records if asked, of a partition's log
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  leat log dump data/flights-0
  leat log dump data/flights-0/00000000000000000000.log --values")]
pub(crate) struct Dump {
    /// A .log file, a partition's folder or a data folder
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Each record's offset, time, key and size too
    #[arg(short, long)]
    records: bool,

    /// Each record's value too
    #[arg(short, long)]
    values: bool,
}

/// Check every checksum, offset and index entry of partitions' logs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exits with 1 if anything is wrong. Nothing is changed: a broker repairs what it can when it starts. The last segment of
a running broker may be caught in the middle of an append.

Examples:
  leat log verify data
  leat log verify data/flights-0 data/flights-1 --json")]
pub(crate) struct Verify {
    /// .log files, partitions' folders or data folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Write one JSON object for each log
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: Command) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    match command {
        Command::Dump(args) => dump(&args),
        Command::Verify(args) => verify(&args),
    }
}

fn dump(args: &Dump) -> Result<()> {
    let env = Env::default();
    let options = Options { records: args.records, values: args.values };
    let mut out = Out::stdout();
    for log in logs(&args.paths)? {
        let mut result = Ok(());
        out.with(|out| {
            result = dump::dump(&env, &log, options, out);
            // What is written goes out before the next log is opened, so that a closed pipe ends the command.
            std::io::Write::flush(out)
        })?;
        result.map_err(|error| failed(&error))?;
    }
    out.flush()
}

fn verify(args: &Verify) -> Result<()> {
    let env = Env::default();
    let mut out = Out::stdout();
    let mut problems = 0;
    for log in logs(&args.paths)? {
        let found = dump::verify(&env, &log).map_err(|error| failed(&error))?;
        problems += found.problems.len() as u64;
        if args.json {
            out.json(&json!({
                "path": log.display().to_string(),
                "segments": found.segments,
                "entries": found.entries,
                "records": found.records,
                "bytes": found.bytes,
                "problems": found.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }))?;
            continue;
        }
        let verdict = match found.problems.len() {
            0 => "sound".to_owned(),
            count => counted(count as u64, "problem"),
        };
        let (segments, records) = (counted(found.segments, "segment"), counted(found.records, "record"));
        out.line(format_args!("{}: {segments}, {records}, {} bytes: {verdict}", log.display(), found.bytes))?;
        for problem in &found.problems {
            out.line(format_args!("  {problem}"))?;
        }
    }
    out.flush()?;
    match problems {
        0 => Ok(()),
        count => Err(Error::Failed(format!("{} found", counted(count, "problem")))),
    }
}

/// The logs that `paths` mean: a data folder means all its partitions' folders.
fn logs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for path in paths {
        if !path.is_dir() || has_log(path)? {
            logs.push(path.clone());
            continue;
        }
        let mut below: Vec<_> = entries(path)?.into_iter().filter(|entry| entry.is_dir()).collect();
        below.sort();
        let before = logs.len();
        for folder in below {
            if has_log(&folder)? {
                logs.push(folder);
            }
        }
        if logs.len() == before {
            return Err(Error::Failed(format!("{}: neither it nor a folder in it holds a .log file", path.display())));
        }
    }
    Ok(logs)
}

fn has_log(folder: &Path) -> Result<bool> {
    Ok(entries(folder)?.iter().any(|entry| entry.extension().is_some_and(|extension| extension == "log")))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    listed.map_err(|error| Error::file(folder.display(), &error))
}

fn failed(error: &StorageError) -> Error {
    match error {
        // Only the dump writes, and only to standard output.
        StorageError::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe => Error::OutputClosed,
        other => Error::Failed(other.to_string()),
    }
}
