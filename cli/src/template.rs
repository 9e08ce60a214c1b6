//! `--format`: a record's fields laid out by kcat's letters.

use std::io::{self, Write};
use std::str::FromStr;

use crate::record::Shown;

/// What `--format` says about its letters.
pub(crate) const HELP: &str = "\
Letters of --format, as in kcat
  %t topic     %p partition    %o offset    %T timestamp (ms since 1970)
  %k key       %K its length   %s value     %S its length (-1: null)
  %R the value's length as 4 bytes, big endian
  %h headers (name=value,...)  %% a percent sign
  \\n \\r \\t \\0 \\\\ and \\xHH are the usual escapes; nothing is written between records but what is asked for";

/// A parsed `--format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    KeyLen,
    Value,
    ValueLen,
    ValueLenBinary,
    Headers,
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '%' => match field(chars.next())? {
                    Some(piece) => {
                        flush(&mut plain, &mut pieces);
                        pieces.push(piece);
                    }
                    None => plain.push(b'%'),
                },
                '\\' => plain.push(escape(&mut chars)?),
                other => plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        flush(&mut plain, &mut pieces);
        Ok(Template(pieces))
    }
}

fn flush(plain: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain)));
    }
}

/// The field that the letter after a `%` stands for; none for the percent sign itself.
fn field(letter: Option<char>) -> Result<Option<Piece>, String> {
    Ok(Some(match letter {
        Some('%') => return Ok(None),
        Some('t') => Piece::Topic,
        Some('p') => Piece::Partition,
        Some('o') => Piece::Offset,
        Some('T') => Piece::Timestamp,
        Some('k') => Piece::Key,
        Some('K') => Piece::KeyLen,
        Some('s') => Piece::Value,
        Some('S') => Piece::ValueLen,
        Some('R') => Piece::ValueLenBinary,
        Some('h') => Piece::Headers,
        Some(other) => return Err(format!("`%{other}` is not a field: there are %t %p %o %T %k %K %s %S %R %h %%")),
        None => return Err("ends with a single %: write %% for a percent sign".into()),
    }))
}

fn escape(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match chars.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            match u8::from_str_radix(&digits, 16) {
                Ok(byte) if digits.len() == 2 => Ok(byte),
                _ => Err(format!("`\\x{digits}`: after \\x come two hexadecimal digits")),
            }
        }
        Some(other) => Err(format!("`\\{other}` is not an escape: there are \\n \\r \\t \\0 \\\\ \\xHH")),
        None => Err("ends with a single backslash: write \\\\ for one".into()),
    }
}

impl Template {
    /// Writes `record` as the template says. A null key or value is nothing, and its length is -1.
    pub(crate) fn write(&self, out: &mut impl Write, record: &Shown<'_>) -> io::Result<()> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.write_all(text)?,
                Piece::Topic => out.write_all(record.topic.as_bytes())?,
                Piece::Partition => write!(out, "{}", record.partition)?,
                Piece::Offset => write!(out, "{}", record.offset)?,
                Piece::Timestamp => write!(out, "{}", record.timestamp)?,
                Piece::Key => out.write_all(record.key.unwrap_or_default())?,
                Piece::KeyLen => write!(out, "{}", len(record.key))?,
                Piece::Value => out.write_all(record.value.unwrap_or_default())?,
                Piece::ValueLen => write!(out, "{}", len(record.value))?,
                Piece::ValueLenBinary => out.write_all(&len(record.value).to_be_bytes())?,
                Piece::Headers => headers(out, record)?,
            }
        }
        Ok(())
    }
}

/// A frame of the protocol can't hold more than i32::MAX bytes, so neither can a field.
fn len(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

fn headers(out: &mut impl Write, record: &Shown<'_>) -> io::Result<()> {
    for (i, (name, value)) in record.headers.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(out, "{comma}{name}=")?;
        out.write_all(value.unwrap_or(b"NULL"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Shown<'static> {
        Shown {
            topic: "flights",
            partition: 3,
            offset: 42,
            timestamp: 1_358_254_800_000,
            timestamp_type: "create",
            key: Some(b"UA"),
            value: Some("départ".as_bytes()),
            headers: vec![("a", Some(b"1")), ("b", None)],
        }
    }

    fn shown(template: &str, record: &Shown<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        template.parse::<Template>().unwrap().write(&mut out, record).unwrap();
        out
    }

    #[test]
    fn every_letter() {
        let out = shown("%t [%p] at %o, %T: %k (%K) %s (%S) {%h} 100%%\\n", &record());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "flights [3] at 42, 1358254800000: UA (2) départ (7) {a=1,b=NULL} 100%\n"
        );
    }

    #[test]
    fn null_is_nothing_with_length_minus_one() {
        let record = Shown { key: None, value: None, headers: vec![], ..record() };
        assert_eq!(shown("<%k|%K|%s|%S|%h>", &record), b"<|-1||-1|>");
        assert_eq!(shown("%R", &record), [255, 255, 255, 255]);
    }

    #[test]
    fn escapes_and_binary_length() {
        assert_eq!(shown("\\t\\r\\0\\\\\\x1F\\xff é", &record()), b"\t\r\0\\\x1f\xff \xc3\xa9");
        assert_eq!(shown("%R%s", &record()), b"\0\0\0\x07d\xc3\xa9part");
    }

    #[test]
    fn what_is_no_letter_is_refused_with_the_list() {
        let error = |text: &str| text.parse::<Template>().unwrap_err();
        assert!(error("%q").contains("`%q` is not a field: there are %t"));
        assert!(error("100%").contains("write %% for a percent sign"));
        assert!(error("\\q").contains("not an escape"));
        assert!(error("\\x4").contains("two hexadecimal digits"));
        assert!(error("\\").contains("single backslash"));
    }
}
