//! What is wrong with a statement, and where.

use sqlparser::tokenizer::Location;
use std::fmt;

/// What is wrong with a statement; points into the text that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1; 0 where the whole statement is meant.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What would be right there.
    pub expected: Option<String>,
    /// The known name that is most like the one given.
    pub nearest: Option<String>,
    /// The line it points into, as written.
    pub text: String,
}

/// The widest part of a line that is shown.
const SHOWN: usize = 160;

impl Error {
    /// An error at a place.
    pub fn at(place: Location, message: impl Into<String>) -> Error {
        let (line, column) = (place.line, place.column);
        Error { line, column, message: message.into(), expected: None, nearest: None, text: String::new() }
    }

    /// With what would be right there.
    pub fn expected(mut self, what: impl Into<String>) -> Error {
        self.expected = Some(what.into());
        self
    }

    /// With the one of `known` that is most like `name`, if any is.
    pub fn near<'a>(mut self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
        self.nearest = nearest(name, known).map(str::to_owned);
        self
    }

    /// With the line that it points into.
    pub fn within(mut self, script: &str) -> Error {
        if self.text.is_empty() && self.line > 0 {
            let line = usize::try_from(self.line - 1).unwrap_or(usize::MAX);
            self.text = script.lines().nth(line).unwrap_or_default().to_owned();
        }
        self
    }

    /// The error over several lines: the message, the line it points into, a caret below.
    pub fn render(&self) -> String {
        let mut out = self.to_string();
        if self.line == 0 || self.text.is_empty() {
            return out;
        }
        let column = usize::try_from(self.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let skipped = column.saturating_sub(SHOWN / 2);
        let shown: String = self.text.chars().skip(skipped).take(SHOWN).collect();
        // A tab stays one, so that the caret stands below its character.
        let before: String = shown.chars().take(column - skipped).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        out.push_str(&format!("\n  {shown}\n  {before}^"));
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean '{nearest}'?")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The one of `known` that is most like `name`, if it is like it at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.to_lowercase().chars().take(64).collect();
    let most = (name.len() / 3).max(1) + 1;
    let near = known.into_iter().map(|other| (distance(&name, other), other));
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
}

/// How many characters have to be changed, added or taken away.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_place_and_the_nearest_name() {
        let error = Error::at(Location::new(2, 8), "there is no column 'pagid'")
            .near("pagid", ["pageid", "userid"])
            .within("CREATE TABLE t AS\nSELECT pagid FROM s");
        assert_eq!(
            error.render(),
            "line 2, column 8: there is no column 'pagid'; did you mean 'pageid'?\n  SELECT pagid FROM s\n         ^"
        );
        assert_eq!(nearest("zzz", ["pageid"]), None);
    }
}
