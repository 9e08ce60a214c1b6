//! What can be wrong with a configuration. Every message names the key, the value, where it came from and what would
//! be right, since it is read by someone whose broker has just refused to start.

use std::path::PathBuf;

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that no table has.
    #[error("{origin}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// Where it was found.
        origin: String,
        /// The key as it was written.
        key: String,
        /// `; did you mean ...?`, or empty.
        hint: String,
    },
    /// A value that its key can't take.
    #[error("{origin}: `{key}` = `{value}`: {problem}")]
    Value {
        /// Where it was found.
        origin: String,
        /// The key.
        key: String,
        /// The value as it was written.
        value: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A file that can't be read.
    #[error("{}: the configuration file can't be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file that isn't TOML.
    #[error("{}: not a TOML file: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        message: String,
    },
}

/// `; did you mean ...?` for the known name that is nearest to `name`, or nothing where none is near.
pub(crate) fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = known.map(|candidate| (distance(name, candidate), candidate)).min();
    match near {
        Some((edits, candidate)) if edits <= 1 + name.len() / 6 => {
            format!("; did you mean `{candidate}`?")
        }
        _ => String::new(),
    }
}

/// Edits (insert, remove, replace) between two names, by Wagner and Fischer's table, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(256).enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
