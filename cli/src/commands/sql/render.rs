//! Events as a table, as JSON or as CSV.

use std::time::Duration;

use comfy_table::Cell;
use leat_client::sql::{Column, Event};
use serde_json::{Map, Value as Json};

use crate::error::Result;
use crate::output::{self, Out, number};

/// How long rows are gathered before they are shown.
pub(super) const GATHER: Duration = Duration::from_millis(150);

/// Rows of one table; then another begins.
const ROWS_MAX: usize = 1_000;

/// How rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shape {
    /// A table to be looked at
    Table,
    /// One JSON object for each row
    Json,
    /// Comma-separated values under a header
    Csv,
}

/// Shows events on standard output; what is not a result goes to standard error where the output is for programs.
#[derive(Debug)]
pub(super) struct Renderer {
    shape: Shape,
    columns: Vec<Column>,
    rows: Vec<Vec<Json>>,
    /// The header of the rows was shown.
    headed: bool,
}

impl Renderer {
    pub(super) fn new(shape: Shape) -> Renderer {
        Renderer { shape, columns: Vec::new(), rows: Vec::new(), headed: false }
    }

    pub(super) fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Row(row) => {
                self.rows.push(row);
                if self.rows.len() >= ROWS_MAX { self.show() } else { Ok(()) }
            }
            Event::Columns(columns) => {
                self.show()?;
                (self.columns, self.headed) = (columns, false);
                Ok(())
            }
            Event::Notice(text) | Event::Done(text) => {
                self.show()?;
                if self.shape == Shape::Table {
                    let mut out = Out::stdout();
                    out.line(text)?;
                    out.flush()
                } else {
                    eprintln!("{text}");
                    Ok(())
                }
            }
        }
    }

    /// Shows the rows that gathered.
    pub(super) fn show(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut out = Out::stdout();
        match self.shape {
            Shape::Table => {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let mut table = output::framed(&names);
                rows.iter().for_each(|row| {
                    table.add_row(row.iter().map(cell));
                });
                out.table(&table)?;
            }
            Shape::Json => {
                for row in rows {
                    let names = self.columns.iter().map(|column| column.name.clone());
                    out.json(&names.zip(row).collect::<Map<String, Json>>())?;
                }
            }
            Shape::Csv => {
                let headed = std::mem::replace(&mut self.headed, true);
                let columns = &self.columns;
                out.with(|out| {
                    let mut csv = csv::Writer::from_writer(out);
                    if !headed {
                        csv.write_record(columns.iter().map(|column| &column.name))?;
                    }
                    for row in &rows {
                        csv.write_record(row.iter().map(text))?;
                    }
                    csv.flush()
                })?;
            }
        }
        out.flush()
    }

    pub(super) fn end(&mut self) -> Result<()> {
        self.show()
    }
}

fn cell(value: &Json) -> Cell {
    match value {
        Json::Number(n) => number(n),
        other => Cell::new(text(other)),
    }
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
