//! Input where each line is a record: plain, keyed, JSON, or whole records.

use std::io::{BufRead, Read};

use super::{BadInput, Format, Options, Source, json};
use crate::record::{self, Draft};

/// Larger than any record that a broker takes; a longer line is most likely not text.
const LINE_BYTES_MAX: u64 = 128 << 20;

/// Lines, ended by a line feed that is not part of them.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    options: Options,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn new(input: Box<dyn BufRead + Send>, options: Options) -> Self {
        Lines { input, options, number: 0, line: Vec::new() }
    }

    /// Reads the next line into `self.line`; false at the end.
    fn advance(&mut self) -> Result<bool, String> {
        self.line.clear();
        self.number += 1;
        let mut limited = self.input.by_ref().take(LINE_BYTES_MAX + 1);
        let read = limited.read_until(b'\n', &mut self.line).map_err(|error| error.to_string())?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        if self.line.len() as u64 > LINE_BYTES_MAX {
            return Err(format!("longer than {} MiB", LINE_BYTES_MAX >> 20));
        }
        Ok(read > 0)
    }

    fn draft(&self) -> Result<Draft, String> {
        match self.options.format {
            Format::Lines => Ok(Draft { value: self.bytes(&self.line), ..Draft::default() }),
            Format::Keyed => self.keyed(),
            Format::Json | Format::Csv => json::draft(&self.line, &self.options),
            Format::Records => record::read_json(&self.line, self.options.keep_partition),
        }
    }

    fn keyed(&self) -> Result<Draft, String> {
        let delimiter = self.options.key_delimiter.as_bytes();
        let Some(at) = self.line.windows(delimiter.len()).position(|window| window == delimiter) else {
            return Err(format!(
                "no key: there is no {:?} between key and value (--key-delimiter)",
                self.options.key_delimiter
            ));
        };
        let (key, value) = (&self.line[..at], &self.line[at + delimiter.len()..]);
        Ok(Draft { key: self.bytes(key), value: self.bytes(value), ..Draft::default() })
    }

    fn bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        let is_null = self.options.null.as_ref().is_some_and(|null| null.as_bytes() == text);
        (!is_null).then(|| text.to_vec())
    }

    fn skips_blank(&self) -> bool {
        matches!(self.options.format, Format::Json | Format::Records)
    }
}

impl Source for Lines {
    fn next(&mut self) -> Option<Result<(u64, Draft), BadInput>> {
        loop {
            let draft = match self.advance() {
                Ok(false) => return None,
                Ok(true) if self.skips_blank() && self.line.trim_ascii().is_empty() => continue,
                Ok(true) => self.draft(),
                Err(why) => Err(why),
            };
            let line = self.number;
            return Some(draft.map(|draft| (line, draft)).map_err(|why| BadInput { line, why }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, draft, options};
    use super::*;

    #[test]
    fn a_line_is_a_value_the_last_one_too_and_an_empty_one_too() {
        let read = all(b"one\n\ntwo \r\nthree", options(Format::Lines));
        let values = [Some("one"), Some(""), Some("two \r"), Some("three")];
        let expected: Vec<_> =
            values.into_iter().zip(1..).map(|(value, line)| Ok((line, draft(None, value)))).collect();
        assert_eq!(read, expected);
        assert!(all(b"", options(Format::Lines)).is_empty());
    }

    #[test]
    fn a_keyed_line_is_split_at_the_first_delimiter() {
        let read = all(
            b"UA: 1545: IAH\n: no key\nAA: NULL\n",
            Options { key_delimiter: ": ".into(), null: Some("NULL".into()), ..options(Format::Keyed) },
        );
        assert_eq!(
            read,
            [
                Ok((1, draft(Some("UA"), Some("1545: IAH")))),
                Ok((2, draft(Some(""), Some("no key")))),
                Ok((3, draft(Some("AA"), None))),
            ]
        );
    }

    #[test]
    fn a_keyed_line_without_a_key_says_so() {
        let read = all(b"UA\t1545\n1546\n", options(Format::Keyed));
        let bad = read[1].as_ref().unwrap_err();
        assert_eq!(bad.line, 2);
        assert!(bad.why.contains(r#"no "\t" between key and value"#), "{}", bad.why);
    }

    #[test]
    fn records_come_back_as_they_were_shown() {
        let input = b"{\"topic\":\"t\",\"partition\":1,\"offset\":5,\"timestamp\":7,\"timestamp_type\":\"create\",\
                      \"key\":null,\"value\":\"v\"}\n\n{\"valu\":\"v\"}\n";
        let read = all(input, Options { keep_partition: true, ..options(Format::Records) });
        assert_eq!(read[0], Ok((1, Draft { partition: Some(1), timestamp: Some(7), ..draft(None, Some("v")) })));
        assert_eq!(read[1].as_ref().unwrap_err().line, 3);
    }
}
