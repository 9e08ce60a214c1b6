//! What of a result is its key, what its value, and where each column of the statement is.

use super::scope::Typed;
use super::{ResultColumn, ResultPlace};
use crate::plan::Field;

/// The fields of a result, as they are gathered.
pub(super) struct Fields {
    pub(super) key: Vec<Field>,
    pub(super) value: Vec<Field>,
    pub(super) columns: Vec<ResultColumn>,
    /// Fields of the key that a column was found for.
    named: Vec<bool>,
}

impl Fields {
    /// Those of a result with this key.
    pub(super) fn new(key: Vec<Field>) -> Fields {
        let named = vec![false; key.len()];
        Fields { key, value: Vec::new(), columns: Vec::new(), named }
    }

    /// Adds a column. What is in the key stays there, once, by the name that it is given if `renames`; a second one is its copy.
    pub(super) fn add(&mut self, name: &str, Typed { expr, of }: Typed, renames: bool) {
        let found = self.key.iter().position(|field| field.expr == expr).filter(|at| !self.named[*at]);
        let place = match found {
            Some(at) => {
                self.named[at] = true;
                if renames {
                    name.clone_into(&mut self.key[at].name);
                }
                ResultPlace::Key(at)
            }
            None => {
                self.value.push(Field { name: name.to_owned(), of: of.clone(), expr });
                ResultPlace::Value(self.value.len() - 1)
            }
        };
        self.columns.push(ResultColumn { name: name.to_owned(), of, place });
    }
}
