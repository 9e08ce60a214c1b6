//! `leat sql`: pipelines and questions to their results, from the command line, a file or a shell.

mod render;
mod shell;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use leat_client::sql::Sql;

use self::render::{Renderer, Shape};
use crate::error::{Error, Result};
use crate::logging;
use crate::session;
use crate::signals::Signals;

/// Run SQL where the data is: windows, tables, queries
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --execute or --file, and at a terminal, it is a shell: statements end with a semicolon, the history is kept,
Tab completes names, Ctrl-C ends a query, Ctrl-D the shell. docs/sql.md has every clause and function.

Examples:
  leat sql -e \"SHOW PIPELINES;\"
  leat sql --file views.sql
  leat sql --until-end --output csv -e \"SELECT * FROM page_views EMIT CHANGES LIMIT 10;\"
  echo 'SELECT 1 + 1;' | leat sql --output json")]
pub(crate) struct Args {
    /// The broker's HTTP address
    #[arg(long, value_name = "HOST:PORT", env = "LEAT_HTTP", default_value = "127.0.0.1:9644")]
    http: String,

    /// Statements to carry out; may be repeated
    #[arg(short, long, value_name = "SQL")]
    execute: Vec<String>,

    /// A file of statements
    #[arg(short, long, value_name = "FILE", conflicts_with = "execute")]
    file: Option<PathBuf>,

    /// Read to the end that the log has now, close all windows, and end
    #[arg(long)]
    until_end: bool,

    /// How rows are shown
    #[arg(short, long, value_name = "SHAPE", default_value = "table")]
    output: Shape,

    /// A setting, as SET makes it; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = session::key_value)]
    settings: Vec<(String, String)>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging::start("warn", logging::Format::Text)?;
    session::block_on(async {
        let mut sql = Sql::new(&args.http).until_end(args.until_end);
        for (name, value) in &args.settings {
            sql.set(name, value);
        }
        let text = match (&args.file, args.execute.is_empty()) {
            (Some(file), _) => std::fs::read_to_string(file).map_err(|error| Error::file(file.display(), &error))?,
            (None, false) => args.execute.join(";\n"),
            (None, true) if std::io::stdin().is_terminal() => return shell::run(sql, args.output).await,
            (None, true) => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map_err(|error| Error::file("standard input", &error))?;
                text
            }
        };
        let mut signals = Signals::catch()?;
        tokio::select! {
            done = carry_out(&mut sql, &text, args.output) => done,
            _ = signals.next() => Err(Error::Interrupted),
        }
    })
}

/// Carries out statements and shows what comes of them.
async fn carry_out(sql: &mut Sql, text: &str, shape: Shape) -> Result<()> {
    let mut renderer = Renderer::new(shape);
    let mut events = sql.run(text).await?;
    loop {
        // Rows that belong together come together; one that waits alone is shown at once.
        let next = tokio::time::timeout(render::GATHER, events.next()).await;
        match next {
            Ok(Ok(Some(event))) => renderer.take(event)?,
            Ok(Ok(None)) => return renderer.end(),
            Ok(Err(error)) => {
                renderer.end()?;
                return Err(match error {
                    leat_client::Error::Invalid(text) => Error::Failed(text),
                    error => error.into(),
                });
            }
            Err(_) => renderer.show()?,
        }
    }
}
