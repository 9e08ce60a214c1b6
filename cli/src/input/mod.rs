//! What `leat produce` reads: text in one of five forms, a record at a time.
//!
//! Nothing here talks to a broker, and nothing is read ahead of what was asked for, so that a person who
//! types sees each line produced.

mod csv;
mod json;
mod lines;

use std::io::BufRead;

use crate::record::Draft;

/// How the input is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Each line is a value.
    Lines,
    /// Each line is a key, a delimiter and a value.
    Keyed,
    /// Each line is a JSON document, which becomes the value as it stands.
    Json,
    /// A header line, then rows; each row becomes a JSON object.
    Csv,
    /// What `leat consume --json` writes: key, value, headers and timestamp.
    Records,
}

/// How the input becomes records.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) format: Format,
    /// The column or field that is the key.
    pub(crate) key: Option<String>,
    /// The column or field that is the timestamp.
    pub(crate) timestamp: Option<String>,
    /// What stands between key and value in [`Format::Keyed`]; not empty.
    pub(crate) key_delimiter: String,
    /// What stands between columns in [`Format::Csv`].
    pub(crate) csv_delimiter: u8,
    /// Leaves every cell of [`Format::Csv`] a string.
    pub(crate) strings: bool,
    /// The text that means null as a key or a value.
    pub(crate) null: Option<String>,
    /// Sends each record of [`Format::Records`] to the partition that it names.
    pub(crate) keep_partition: bool,
}

/// An input that can't be a record: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadInput {
    /// Counted from 1.
    pub(crate) line: u64,
    pub(crate) why: String,
}

/// A source of records.
pub(crate) trait Source: Send {
    /// The next record and the line it began on; none at the end.
    fn next(&mut self) -> Option<Result<(u64, Draft), BadInput>>;
}

/// Opens `input` as `options` say.
pub(crate) fn open(input: Box<dyn BufRead + Send>, options: Options) -> Result<Box<dyn Source>, BadInput> {
    Ok(match options.format {
        Format::Csv => Box::new(csv::Rows::open(input, options)?),
        _ => Box::new(lines::Lines::new(input, options)),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn options(format: Format) -> Options {
        Options {
            format,
            key: None,
            timestamp: None,
            key_delimiter: "\t".into(),
            csv_delimiter: b',',
            strings: false,
            null: None,
            keep_partition: false,
        }
    }

    pub(crate) fn all(input: &'static [u8], options: Options) -> Vec<Result<(u64, Draft), BadInput>> {
        match open(Box::new(input), options) {
            Ok(mut source) => std::iter::from_fn(|| source.next()).collect(),
            Err(bad) => vec![Err(bad)],
        }
    }

    pub(crate) fn draft(key: Option<&str>, value: Option<&str>) -> Draft {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Draft { key: bytes(key), value: bytes(value), ..Draft::default() }
    }
}
