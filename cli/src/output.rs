//! Standard output: locked once, buffered, and silent about a reader that has gone.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::error::{Error, Result};

const BUFFER_BYTES: usize = 64 * 1024;

/// A command's results. What is written is seen at the latest by [`Out::flush`]; dropping it discards the rest's errors.
#[derive(Debug)]
pub(crate) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    /// Takes standard output for as long as the value lives.
    pub(crate) fn stdout() -> Self {
        Out(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()))
    }

    /// Writes with `write`, which sees a plain [`Write`].
    pub(crate) fn with(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<()> {
        write(&mut self.0).map_err(|error| Error::output(&error))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<()> {
        self.with(|out| writeln!(out, "{line}"))
    }

    /// Writes `value` as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.with(|out| {
            serde_json::to_writer(&mut *out, value)?;
            out.write_all(b"\n")
        })
    }

    /// Writes a table.
    pub(crate) fn table(&mut self, table: &Table) -> Result<()> {
        self.with(|out| table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end())))
    }

    /// Hands everything to whoever reads.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.with(Write::flush)
    }
}

/// A table for lists: a header and columns, no lines, so that `awk` and `sort` can use it.
pub(crate) fn list(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A table with lines, to be looked at.
pub(crate) fn framed(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    table
}

/// A cell with a number, aligned to the right.
pub(crate) fn number(value: impl Display) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// A whole number with its thousands set apart: `27,004`.
pub(crate) fn grouped(value: impl Into<i128>) -> String {
    let value = value.into();
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if value < 0 {
        text.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts: `1 record`, `27,004 records`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2000].map(|n| counted(n, "record")), ["0 records", "1 record", "2,000 records"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (27_188_805, "27,188,805"), (-1234, "-1,234")] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn a_list_has_a_header_and_plain_columns() {
        let mut table = list(&["topic", "partitions"]);
        table.add_row(vec![Cell::new("flights"), number(4)]);
        let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(lines, ["TOPIC    PARTITIONS", "flights           4"]);
    }
}
