//! The shell: lines until a semicolon, with a history, and names that Tab completes.

use std::path::PathBuf;

use leat_client::sql::{Event, Sql};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};

use super::render::Shape;
use crate::error::{Error, Result};
use crate::session;
use crate::signals::Signals;

const WORDS: &[&str] = &[
    "ADVANCE",
    "AS",
    "BY",
    "CREATE",
    "DELETE TOPIC",
    "DESCRIBE",
    "DROP",
    "EMIT CHANGES",
    "EMIT FINAL",
    "EXPLAIN",
    "EXTENDED",
    "FROM",
    "GRACE PERIOD",
    "GROUP BY",
    "HAVING",
    "HOPPING",
    "INSERT INTO",
    "LIMIT",
    "ON TIME",
    "PARTITION BY",
    "PAUSE",
    "PIPELINES",
    "RESUME",
    "SELECT",
    "SESSION",
    "SHOW",
    "STREAM",
    "STREAMS",
    "TABLE",
    "TABLES",
    "TOPICS",
    "TUMBLING",
    "VALUES",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// What the editor asks while a statement is typed.
#[derive(Debug, Default)]
struct Help {
    names: Vec<String>,
}

impl Helper for Help {}
impl Highlighter for Help {}

impl Hinter for Help {
    type Hint = String;
}

impl Validator for Help {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let whole = text.is_empty() || text.ends_with(';') || is_command(text);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Help {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..at];
        let begin = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |end| end + 1);
        let typed = before[begin..].to_lowercase();
        let words = WORDS.iter().map(|word| (*word).to_owned()).chain(self.names.iter().cloned());
        let fits = words.filter(|word| !typed.is_empty() && word.to_lowercase().starts_with(&typed));
        Ok((begin, fits.collect()))
    }
}

fn is_command(text: &str) -> bool {
    ["exit", "quit", "help"].iter().any(|command| text.eq_ignore_ascii_case(command))
}

/// Reads and carries out statements until the end of the input.
pub(super) async fn run(mut sql: Sql, shape: Shape) -> Result<()> {
    let broken = |error: ReadlineError| Error::Failed(format!("the terminal: {error}"));
    let mut editor = Editor::<Help, DefaultHistory>::new().map_err(broken)?;
    editor.set_helper(Some(Help::default()));
    let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".leat_sql_history"));
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    println!("Statements end with a semicolon. Ctrl-C ends a query, Ctrl-D or `exit` the shell.");
    loop {
        let names = names(&mut sql).await;
        let (back, line) = session::blocking(move || {
            if let Some(help) = editor.helper_mut() {
                help.names = names;
            }
            let line = editor.readline("leat> ");
            (editor, line)
        })
        .await?;
        editor = back;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(error)),
        };
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        // Kept even if the statement is wrong: it is the one to be mended. What can't be kept is no reason to end.
        let _ = editor.add_history_entry(text);
        if let Some(history) = &history {
            let _ = editor.save_history(history);
        }
        match text.to_ascii_lowercase().as_str() {
            "exit" | "quit" => break,
            "help" => println!("{}", WORDS.join(", ")),
            _ => attend(&mut sql, text, shape).await?,
        }
    }
    Ok(())
}

/// Carries out what was typed; an error is shown, and the shell goes on.
async fn attend(sql: &mut Sql, text: &str, shape: Shape) -> Result<()> {
    let mut signals = Signals::catch()?;
    let done = tokio::select! {
        done = super::carry_out(sql, text, shape) => done,
        _ = signals.next() => Ok(()),
    };
    match done {
        Err(Error::OutputClosed) => Err(Error::OutputClosed),
        Err(error) => {
            eprintln!("{error}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// What can be completed beside words.
async fn names(sql: &mut Sql) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(mut events) = sql.run("SHOW STREAMS; SHOW TABLES; SHOW TOPICS;").await else { return names };
    while let Ok(Some(event)) = events.next().await {
        if let Event::Row(row) = event
            && let Some(name) = row.first().and_then(|name| name.as_str())
        {
            names.push(name.to_owned());
        }
    }
    names
}
