//! What the statements in the metadata mean: compiled from their texts, in the order in which they were stored.

use std::sync::Arc;

use leat_pipeline::compile::{self, Action};
use leat_pipeline::plan::Plan;
use leat_pipeline::sql;

use crate::metadata::{Image, Statement};

/// A statement and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) statement: Arc<Statement>,
    /// Where it is a pipeline that can run.
    pub(crate) plan: Option<Arc<Plan>>,
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
        let mut statements: Vec<Arc<Statement>> = image.statements().cloned().collect();
        statements.sort_by_key(|statement| statement.number);
        let mut catalog = Catalog::default();
        for statement in statements {
            let known = match catalog.compile(&statement) {
                Ok(plan) => Known { statement, plan, error: None },
                Err(error) => Known { statement, plan: None, error: Some(error) },
            };
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

    fn compile(&mut self, statement: &Statement) -> Result<Option<Arc<Plan>>, String> {
        let parsed = sql::parse(&statement.text).map_err(|error| error.to_string())?;
        let parsed = parsed.into_iter().next().ok_or("the text has no statement")?;
        let session = compile::Session::of(statement.settings.clone());
        let compiled = compile::compile(&parsed, &self.definitions, &session).map_err(|error| error.to_string())?;
        match compiled.action {
            Action::Define { definition, .. } => {
                self.definitions.put(definition);
                Ok(None)
            }
            Action::Create { plan, definition, .. } => {
                self.definitions.put(definition);
                self.definitions.put_counts(&statement.name);
                Ok(Some(Arc::new(*plan)))
            }
            Action::Insert { plan, .. } => {
                self.definitions.put_counts(&statement.name);
                Ok(Some(Arc::new(*plan)))
            }
            _ => Err("the statement defines nothing".to_owned()),
        }
    }
}
