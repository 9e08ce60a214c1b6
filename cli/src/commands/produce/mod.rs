//! `leat produce`: text in, records out.
//!
//! A thread reads the input, so that a record that could not be delivered is reported while a person still types. The first
//! failure ends the command; what had been accepted before it is flushed, and the message says how much that was.

mod send;
mod tally;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Instant;

use leat_client::{Header, ProducerRecord};

use crate::error::{Error, Result};
use crate::input::{Format, Options};
use crate::logging;
use crate::progress::Progress;
use crate::record::Draft;
use crate::session::{self, Connection, key_value};
use crate::signals::Signals;
use send::Run;

const HELP: &str = "\
Input (--input)
  lines    each line is a value
  keyed    key, delimiter (--key-delimiter, a tab by default), value
  json     each line is a JSON document and becomes the value as it stands;
           --key and --timestamp name fields of it
  csv      a header line, then rows; each row becomes a JSON object whose fields are the columns (plain decimal
           numbers become numbers, empty cells null); --key and --timestamp name columns
  records  what `leat consume --json` writes, with key, value, headers and timestamp
A timestamp is ISO 8601 with a time zone, or milliseconds since 1970.

Examples:
  echo 'hello' | leat produce greetings
  leat produce users --input keyed --key-delimiter : users.txt
  leat produce flights --input csv --key carrier --timestamp departed flights.csv
  leat consume flights --until latest --json | leat produce copy --input records";

/// Write records to a topic, from a file or standard input
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The topic to write to
    topic: String,

    /// The file to read; standard input without it or with -
    file: Option<PathBuf>,

    /// How the input is laid out [default: lines; keyed with --key-delimiter]
    #[arg(short, long, value_name = "FORMAT")]
    input: Option<Format>,

    /// The column or field that is the key (csv, json)
    #[arg(short, long, value_name = "NAME")]
    key: Option<String>,

    /// The column or field that is the record's time (csv, json)
    #[arg(short, long, value_name = "NAME")]
    timestamp: Option<String>,

    /// What stands between key and value (keyed)
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_delimiter: Option<String>,

    /// What stands between columns (csv) [default: ,]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    csv_delimiter: Option<u8>,

    /// Leave every cell a string (csv)
    #[arg(long)]
    strings: bool,

    /// The text that means null (lines, keyed, csv)
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,

    /// A header for each record; may be repeated
    #[arg(short = 'H', long, value_name = "NAME=VALUE", value_parser = key_value)]
    header: Vec<(String, String)>,

    /// Write to this partition, whatever the key
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// Write each record to the partition that it names (records)
    #[arg(long, conflicts_with = "partition")]
    keep_partition: bool,

    /// Compress batches: none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none")]
    compression: String,

    /// What counts as written: all (on a majority), 1 (at the leader), 0 (sent)
    #[arg(long, value_name = "ACKS", default_value = "all")]
    acks: String,

    /// Write a summary as one JSON object
    #[arg(long)]
    json: bool,

    /// Neither progress nor summary
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    connection: Connection,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err("must be one ASCII character other than a quote, or \\t".into()),
        },
    }
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    let options = args.options()?;
    session::block_on(produce(args, options))
}

impl Args {
    fn options(&self) -> Result<Options> {
        let keyed = if self.key_delimiter.is_some() { Format::Keyed } else { Format::Lines };
        let format = self.input.unwrap_or(keyed);
        let only = |given: bool, option: &str, formats: &[Format]| match given && !formats.contains(&format) {
            true => Err(Error::Usage(format!("--{option} does not go with --input {}", name(format)))),
            false => Ok(()),
        };
        only(self.key.is_some(), "key", &[Format::Csv, Format::Json])?;
        only(self.timestamp.is_some(), "timestamp", &[Format::Csv, Format::Json])?;
        only(self.key_delimiter.is_some(), "key-delimiter", &[Format::Keyed])?;
        only(self.csv_delimiter.is_some(), "csv-delimiter", &[Format::Csv])?;
        only(self.strings, "strings", &[Format::Csv])?;
        only(self.null.is_some(), "null", &[Format::Lines, Format::Keyed, Format::Csv])?;
        only(self.keep_partition, "keep-partition", &[Format::Records])?;
        Ok(Options {
            format,
            key: self.key.clone(),
            timestamp: self.timestamp.clone(),
            key_delimiter: self.key_delimiter.clone().unwrap_or_else(|| "\t".into()),
            csv_delimiter: self.csv_delimiter.unwrap_or(b','),
            strings: self.strings,
            null: self.null.clone(),
            keep_partition: self.keep_partition,
        })
    }

    /// The input's name for messages.
    fn source(&self) -> String {
        match &self.file {
            Some(path) if path.as_os_str() != "-" => path.display().to_string(),
            _ => "standard input".into(),
        }
    }

    /// Opens the input under a progress bar.
    fn open(&self) -> Result<(Box<dyn BufRead + Send>, Progress)> {
        let wanted = !self.quiet;
        let (input, progress): (Box<dyn Read + Send>, Progress) = match &self.file {
            Some(path) if path.as_os_str() != "-" => {
                let file = File::open(path).map_err(|error| Error::file(path.display(), &error))?;
                let size = file.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
                let progress = Progress::new(wanted, size);
                (Box::new(progress.reading(file)), progress)
            }
            _ => {
                // A person who types sees their own lines, not a bar between them.
                let typed = std::io::IsTerminal::is_terminal(&std::io::stdin());
                let progress = Progress::new(wanted && !typed, None);
                (Box::new(progress.reading(std::io::stdin())), progress)
            }
        };
        Ok((Box::new(BufReader::with_capacity(256 * 1024, input)), progress))
    }

    fn record(&self, draft: Draft) -> ProducerRecord {
        let mut record = ProducerRecord::to(self.topic.as_str());
        record.partition = self.partition.or(draft.partition);
        record.timestamp = draft.timestamp;
        record.key = draft.key.map(Into::into);
        record.value = draft.value.map(Into::into);
        let own = self.header.iter().map(|(key, value)| (key.clone(), Some(value.clone().into_bytes())));
        let headers = draft.headers.into_iter().chain(own);
        record.headers = headers.map(|(key, value)| Header { key: key.into(), value: value.map(Into::into) }).collect();
        record
    }
}

fn name(format: Format) -> String {
    use clap::ValueEnum;
    format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

async fn produce(args: Args, options: Options) -> Result<()> {
    let mut signals = Signals::catch()?;
    let (input, progress) = args.open()?;
    let producer = args
        .connection
        .producer(&[("compression.type", &args.compression), ("acks", &args.acks), ("batch.size", "262144")])
        .await?;
    let started = Instant::now();
    let mut run = Run::new(&args, &producer);
    let ended = run.send_all(send::read(input, options), &mut signals, &progress).await;
    let drained = tokio::select! {
        drained = run.drain() => drained,
        // Asked once more, it does not wait for what is on its way.
        _ = signals.next() => Err(Error::Interrupted),
    };
    let tally = run.into_tally();
    progress.clear();
    producer.close().await;
    tally.report(&args, started.elapsed())?;
    ended.and(drained)
}
