//! Carries out statements: for the shell, HTTP and the client crate, which all send text and read events.

mod counts;
mod define;
mod pull;
mod push;
mod replace;
mod show;
mod values;

use std::sync::Arc;

use leat_pipeline::compile::{self, Action, Compiled};
use leat_pipeline::sql;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::{Catalog, log};
use crate::config::Overrides;
use crate::server::Server;

/// Events that wait for a slow reader.
pub(crate) const EVENTS_MAX: usize = 256;

/// The longest text.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// Statements to carry out, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) text: String,
    /// The session's settings, which the asking side keeps.
    pub(crate) settings: Overrides,
    /// Queries read to the end that the log has now, close all windows, and end.
    pub(crate) until_end: bool,
}

/// What whoever asks is told, in order. `None` as a setting's value takes it out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// What should be known, such as where reading begins.
    Notice(String),
    /// What was done.
    Done(String),
    /// Columns of the rows that follow: names and types.
    Columns(Vec<(String, String)>),
    Row(Vec<Json>),
    /// A setting for the statements that follow.
    Setting(String, Option<String>),
    Error(Failure),
}

/// Why a statement was not carried out. Those after it were not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// From 1; 0 where no place in the text is to blame.
    pub(crate) line: u64,
    pub(crate) column: u64,
    /// The message with the line and a caret, where there is a place.
    pub(crate) text: String,
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure { text: message.clone(), message, line: 0, column: 0 }
    }
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Failure {
        Failure { text: error.render(), message: error.message.clone(), line: error.line, column: error.column }
    }
}

impl Event {
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Event::Notice(text) => json!({ "notice": text }),
            Event::Done(text) => json!({ "done": text }),
            Event::Columns(columns) => {
                let columns: Vec<Json> = columns.iter().map(|(name, of)| json!({ "name": name, "type": of })).collect();
                json!({ "columns": columns })
            }
            Event::Row(values) => json!({ "row": values }),
            Event::Setting(name, value) => json!({ "set": { "name": name, "value": value } }),
            Event::Error(failure) => json!({ "error": {
                "message": failure.message,
                "line": failure.line,
                "column": failure.column,
                "text": failure.text,
            } }),
        }
    }
}

/// The way to whoever asked; gone once nobody reads.
#[derive(Debug, Clone)]
struct Out(mpsc::Sender<Event>);

/// Nobody reads any more, or the statement failed.
#[derive(Debug)]
enum Ended {
    Gone,
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for Ended {
    fn from(failure: T) -> Ended {
        Ended::Failed(failure.into())
    }
}

impl Out {
    async fn say(&self, event: Event) -> Result<(), Ended> {
        self.0.send(event).await.map_err(|_| Ended::Gone)
    }

    async fn table(&self, names: &[&str], rows: impl IntoIterator<Item = Vec<Json>>) -> Result<(), Ended> {
        let columns = names.iter().map(|name| ((*name).to_owned(), "STRING".to_owned())).collect();
        self.say(Event::Columns(columns)).await?;
        for row in rows {
            self.say(Event::Row(row)).await?;
        }
        Ok(())
    }
}

/// Carries out a script. It ends at the first error, or when nobody reads any more.
pub(crate) async fn run(server: Arc<Server>, script: Script, events: mpsc::Sender<Event>) {
    let out = Out(events);
    match statements(&server, script, &out).await {
        Ok(()) | Err(Ended::Gone) => {}
        Err(Ended::Failed(failure)) => {
            // Whoever asked may be gone.
            let _ = out.say(Event::Error(failure)).await;
        }
    }
}

async fn statements(server: &Arc<Server>, script: Script, out: &Out) -> Result<(), Ended> {
    if script.text.len() > TEXT_BYTES_MAX {
        return Err(format!("the text has {} bytes; {TEXT_BYTES_MAX} are the most", script.text.len()).into());
    }
    let mut settings = script.settings;
    for statement in sql::parse(&script.text)? {
        let catalog = Catalog::of(&server.image());
        let session = compile::Session::of(settings.clone());
        let Compiled { action, notices } = compile::compile(&statement, &catalog.definitions, &session)?;
        for notice in notices {
            out.say(Event::Notice(notice)).await?;
        }
        let stored = define::Stored { text: &statement.text, settings: &settings };
        match action {
            Action::Set { name, value } => {
                match &value {
                    Some(value) => settings.insert(name.clone(), value.clone()),
                    None => settings.remove(&name),
                };
                out.say(Event::Setting(name, value)).await?;
            }
            Action::Define { definition, exists, replaces } => {
                define::source(server, &stored, &definition, exists, replaces, out).await?;
            }
            Action::Create { definition, exists: true, .. } => define::is_there(&definition, out).await?,
            Action::Create { plan, definition, replaces, start_given, .. } => {
                let plan = *plan;
                // Before anything is dropped.
                define::check_start(&plan)?;
                match catalog.pipelines().find(|known| replaces && known.statement.name == definition.name) {
                    Some(old) if !start_given => {
                        replace::pipeline(server, &stored, &catalog, old, &plan, &definition, out).await?;
                    }
                    old => {
                        if let Some(old) = old {
                            define::drop(server, &catalog, &old.statement.name, false, out).await?;
                        }
                        define::pipeline(server, &stored, plan, &definition, replaces, out).await?;
                    }
                }
            }
            Action::Insert { plan, into } => define::insert(server, &stored, *plan, &into, out).await?,
            Action::InsertValues { topic, partitions, records } => {
                values::insert(server, &topic, partitions, records, out).await?;
            }
            Action::Push { plan, columns, limit } => {
                push::run(server, *plan, &columns, limit, script.until_end, out).await?;
            }
            Action::Pull(pull) => pull::run(server, &pull, out).await?,
            Action::Row { columns, values } => {
                let columns: Vec<(String, leat_pipeline::value::Type)> = columns;
                let row = columns.iter().zip(&values).map(|((_, of), value)| values::to_json(of, value)).collect();
                out.say(Event::Columns(columns.iter().map(|(name, of)| (name.clone(), of.to_string())).collect()))
                    .await?;
                out.say(Event::Row(row)).await?;
            }
            Action::Show(what) => show::list(server, &catalog, &settings, what, out).await?,
            Action::Describe { name, extended } => show::describe(server, &catalog, &name, extended, out).await?,
            Action::Explain(compiled) => show::explain(&catalog, &compiled, out).await?,
            Action::ExplainName(name) => show::explain_name(server, &catalog, &name, out).await?,
            Action::Pause(name) => define::pause(server, &catalog, &name, true, out).await?,
            Action::Resume(name) => define::pause(server, &catalog, &name, false, out).await?,
            Action::Terminate(name) => define::terminate(server, &catalog, name.as_deref(), out).await?,
            Action::Drop { name, missing: true, .. } => {
                out.say(Event::Done(format!("There is no {name}."))).await?;
            }
            Action::Drop { name, delete_topic, .. } => {
                define::drop(server, &catalog, &name, delete_topic, out).await?;
            }
            Action::Advance { stream, topic, to_ms } => {
                define::advance(server, &stream, &topic, to_ms, out).await?;
            }
            Action::Savepoint { .. } => {
                return Err(log::NO_SAVEPOINTS.to_owned().into());
            }
        }
    }
    Ok(())
}
