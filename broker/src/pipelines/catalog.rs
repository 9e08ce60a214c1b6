//! What the statements in the metadata mean: compiled from their texts, in the order in which they were stored.

use std::sync::Arc;

use leat_pipeline::compile::{self, Action};
use leat_pipeline::plan::Plan;
use leat_pipeline::sql;

use crate::metadata::{Image, Statement, Text};

/// A statement and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) statement: Arc<Statement>,
    /// Where it is a pipeline that can run.
    pub(crate) plan: Option<Arc<Plan>>,
    /// What it was before it was replaced and went on: the plan of each generation, unless it means nothing any more.
    pub(crate) before: Vec<Option<Arc<Plan>>>,
    /// Why it can't be compiled: it was stored by another release.
    pub(crate) error: Option<String>,
}

/// All statements of an image.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) definitions: compile::Catalog,
    known: Vec<Known>,
}

impl Catalog {
    pub(crate) fn of(image: &Image) -> Catalog {
        Catalog::of_statements(image.statements().cloned().collect())
    }

    pub(crate) fn of_statements(mut statements: Vec<Arc<Statement>>) -> Catalog {
        statements.sort_by_key(|statement| statement.number);
        let mut catalog = Catalog::default();
        for statement in statements {
            let before = statement.before.iter().map(|text| catalog.compile(text).ok().flatten()).collect();
            let text = Text { text: statement.text.clone(), settings: statement.settings.clone() };
            // What a generation before defined is not what there is.
            catalog.definitions.remove(&statement.name);
            let known = match catalog.compile(&text) {
                Ok(plan) => Known { statement, plan, before, error: None },
                Err(error) => Known { statement, plan: None, before, error: Some(error) },
            };
            if known.statement.topics.is_some() {
                catalog.definitions.put_counts(&known.statement.name);
            }
            catalog.known.push(known);
        }
        catalog
    }

    /// Every pipeline.
    pub(crate) fn pipelines(&self) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|known| known.statement.topics.is_some())
    }

    /// Every statement.
    pub(crate) fn all(&self) -> &[Known] {
        &self.known
    }

    /// What a text means, given what there is, to which it adds.
    fn compile(&mut self, of: &Text) -> Result<Option<Arc<Plan>>, String> {
        let parsed = sql::parse(&of.text).map_err(|error| error.to_string())?;
        let parsed = parsed.into_iter().next().ok_or("the text has no statement")?;
        let session = compile::Session::of(of.settings.clone());
        let compiled = compile::compile(&parsed, &self.definitions, &session).map_err(|error| error.to_string())?;
        match compiled.action {
            Action::Define { definition, .. } => {
                self.definitions.put(definition);
                Ok(None)
            }
            Action::Create { plan, definition, .. } => {
                self.definitions.put(definition);
                Ok(Some(Arc::new(*plan)))
            }
            Action::Insert { plan, .. } => Ok(Some(Arc::new(*plan))),
            _ => Err("the statement defines nothing".to_owned()),
        }
    }
}
