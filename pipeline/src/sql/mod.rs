//! Text to statements.
//!
//! One tokenizer; the streaming clauses are taken out of the tokens here, and what is left of a `SELECT` is parsed by
//! `sqlparser`. Tokens keep their places, so an error points into the text as it was given.

mod create;
mod cursor;
mod depth;
mod dialect;
mod error;
mod join;
mod script;
mod select;
mod statement;
mod types;
mod window;

pub use error::{Error, nearest};
pub use script::parse;
pub(crate) use select::{interval_ms, of_ident};
pub use statement::{
    ColumnDef, CreateAs, Define, JoinClause, Kind, Name, Place, Query, Setting, Show, Statement, What, WindowClause,
};
pub(crate) use types::type_of;

#[cfg(test)]
mod tests;
