//! `CREATE OR REPLACE` of a pipeline: the next generation of it, which goes on with the state that there is.

use std::sync::Arc;

use leat_pipeline::compile::{Definition, compatible};
use leat_pipeline::plan::Plan;

use super::super::{Catalog, Known};
use super::define::{Stored, decide, kind_of};
use super::{Ended, Event, Out};
use crate::metadata::Statement;
use crate::server::Server;

/// What to do where the state does not fit.
const REMEDY: &str = "START FROM EARLIEST, LATEST, OFFSET or TIMESTAMP makes it anew";

pub(super) async fn pipeline(
    server: &Arc<Server>,
    stored: &Stored<'_>,
    catalog: &Catalog,
    old: &Known,
    plan: &Plan,
    definition: &Definition,
    out: &Out,
) -> Result<(), Ended> {
    let name = &definition.name;
    fits(old, plan).map_err(|reason| format!("{name} can not go on with its state: {reason}; {REMEDY}"))?;
    let text = Statement {
        text: stored.text.to_owned(),
        settings: stored.settings.clone(),
        ..Statement::clone(&old.statement)
    };
    is_understood(catalog, text)?;
    decide(server, stored.record(name, old.statement.topics, true, true)).await?;
    out.say(Event::Done(format!("{} {name} is replaced, and goes on with its state.", kind_of(definition)))).await
}

/// Whether a pipeline can go on by another plan, or why not.
pub(super) fn fits(old: &Known, plan: &Plan) -> Result<(), String> {
    let before = old.plan.as_deref().ok_or("what it is means nothing to this release")?;
    compatible(before, plan)
}

/// Whether all that reads it still means something.
fn is_understood(catalog: &Catalog, replaced: Statement) -> Result<(), String> {
    let statements = catalog.all().iter().map(|known| known.statement.clone());
    let of = |known: Arc<Statement>| if known.number == replaced.number { Arc::new(replaced.clone()) } else { known };
    let after = Catalog::of_statements(statements.map(of).collect());
    let had_none = |name: &str| catalog.all().iter().any(|known| known.statement.name == name && known.error.is_none());
    let broken = after.all().iter().filter_map(|known| Some((known.statement.name.as_str(), known.error.as_ref()?)));
    match broken.into_iter().find(|(name, _)| had_none(name)) {
        Some((name, error)) => Err(format!("{name} reads it, and would mean nothing any more: {error}")),
        None => Ok(()),
    }
}
