//! Input with a header line and rows, as CSV; a row becomes a JSON object with a field for each column.
//!
//! CSV has no types. A cell that is a plain decimal number (`12`, `-0.5`; not `007`, `1e5` or `+1`) becomes
//! that number, digit for digit; an empty cell becomes null; all else is a string.

use std::io::BufRead;

use super::{BadInput, Options, Source};
use crate::instant;
use crate::record::Draft;

/// The rows of a CSV file.
pub(super) struct Rows {
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    row: csv::StringRecord,
    /// Each column's name as a JSON string with its colon.
    names: Vec<String>,
    key: Option<usize>,
    timestamp: Option<usize>,
    options: Options,
}

impl Rows {
    pub(super) fn open(input: Box<dyn BufRead + Send>, options: Options) -> Result<Self, BadInput> {
        let mut reader = csv::ReaderBuilder::new().delimiter(options.csv_delimiter).from_reader(input);
        let header = reader.headers().map_err(|error| bad(1, error.to_string()))?.clone();
        let column = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => match header.iter().position(|column| column == name) {
                Some(at) => Ok(Some(at)),
                None => Err(bad(1, format!("no column `{name}`: there are {}", list(&header)))),
            },
        };
        Ok(Rows {
            key: column(&options.key)?,
            timestamp: column(&options.timestamp)?,
            names: header.iter().map(|name| format!("{}:", json_string(name))).collect(),
            row: csv::StringRecord::new(),
            reader,
            options,
        })
    }

    fn draft(&self) -> Result<Draft, String> {
        let timestamp = match self.timestamp.and_then(|at| self.row.get(at)) {
            Some(cell) => Some(instant::parse_record_time(cell).map_err(|why| format!("the timestamp: {why}"))?),
            None => None,
        };
        let key = self.key.and_then(|at| self.row.get(at)).filter(|&cell| !self.is_null(cell));
        Ok(Draft {
            key: key.map(|cell| cell.as_bytes().to_vec()),
            timestamp,
            value: Some(self.object().into_bytes()),
            ..Draft::default()
        })
    }

    fn object(&self) -> String {
        let mut object = String::with_capacity(2 * self.row.as_slice().len() + 16);
        for (i, (name, cell)) in self.names.iter().zip(&self.row).enumerate() {
            object.push(if i == 0 { '{' } else { ',' });
            object.push_str(name);
            if self.is_null(cell) {
                object.push_str("null");
            } else if is_number(cell) && !self.options.strings {
                object.push_str(cell);
            } else {
                object.push_str(&json_string(cell));
            }
        }
        object.push('}');
        object
    }

    fn is_null(&self, cell: &str) -> bool {
        match &self.options.null {
            Some(null) => cell == null,
            None => cell.is_empty(),
        }
    }
}

impl Source for Rows {
    fn next(&mut self) -> Option<Result<(u64, Draft), BadInput>> {
        match self.reader.read_record(&mut self.row) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.row.position().map_or(0, csv::Position::line);
                Some(self.draft().map(|draft| (line, draft)).map_err(|why| bad(line, why)))
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                Some(Err(bad(line, error.to_string())))
            }
        }
    }
}

fn bad(line: u64, why: String) -> BadInput {
    BadInput { line, why }
}

fn list(header: &csv::StringRecord) -> String {
    header.iter().collect::<Vec<_>>().join(", ")
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether `cell` is a decimal number that JSON would write in the same way.
fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(all_digits)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{all, draft, options};
    use super::*;

    const FLIGHTS: &[u8] = b"carrier,flight,tail,at\nUA,1545,N14228,2013-01-15T13:00Z\n9E,007,,1358254800000\n";

    #[test]
    fn a_row_is_an_object_and_columns_give_key_and_timestamp() {
        let read =
            all(FLIGHTS, Options { key: Some("carrier".into()), timestamp: Some("at".into()), ..options(Format::Csv) });
        let at = Some(1_358_254_800_000);
        let first = r#"{"carrier":"UA","flight":1545,"tail":"N14228","at":"2013-01-15T13:00Z"}"#;
        let second = r#"{"carrier":"9E","flight":"007","tail":null,"at":1358254800000}"#;
        assert_eq!(
            read,
            [
                Ok((2, Draft { timestamp: at, ..draft(Some("UA"), Some(first)) })),
                Ok((3, Draft { timestamp: at, ..draft(Some("9E"), Some(second)) })),
            ]
        );
    }

    #[test]
    fn options_change_delimiter_null_and_types() {
        let read = all(
            b"a;b;\"c \"\"d\"\"\"\n1;NA;\"x\ny\"\n",
            Options { csv_delimiter: b';', strings: true, null: Some("NA".into()), ..options(Format::Csv) },
        );
        assert_eq!(read, [Ok((2, draft(None, Some(r#"{"a":"1","b":null,"c \"d\"":"x\ny"}"#))))]);
    }

    #[test]
    fn only_what_json_writes_alike_is_a_number() {
        for number in ["0", "-1", "12.50", "0.001", "98765432109876543210"] {
            assert!(is_number(number), "{number}");
        }
        for text in ["", "-", "007", "1e5", "+1", "1.", ".5", "0x1", "1_000", " 1", "9E", "N1"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_says_where_and_why() {
        let read = all(FLIGHTS, Options { key: Some("carier".into()), ..options(Format::Csv) });
        assert_eq!(read, [Err(bad(1, "no column `carier`: there are carrier, flight, tail, at".into()))]);
        let read = all(b"a,b\n1,2\n3\n", options(Format::Csv));
        let error = read[1].as_ref().unwrap_err();
        assert_eq!(error.line, 3);
        assert!(error.why.contains("found record with 1 fields"), "{}", error.why);
        let read = all(b"a,at\n1,noon\n", Options { timestamp: Some("at".into()), ..options(Format::Csv) });
        assert!(read[0].as_ref().unwrap_err().why.contains("the timestamp: `noon` is not a time"));
    }
}
