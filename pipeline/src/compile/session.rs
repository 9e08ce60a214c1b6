//! Settings of a session (`SET`).

use crate::sql::Error;
use sqlparser::tokenizer::Location;
use std::collections::BTreeMap;

/// Settings of a session, by name; only those that were set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    settings: BTreeMap<String, String>,
}

/// Settings and the values they may have; none for any.
pub const SETTINGS: [(&str, &[&str]); 4] = [
    ("auto.offset.reset", &["earliest", "latest"]),
    ("identifier.case", &["as-written", "upper"]),
    ("idle", &[]),
    ("future", &[]),
];

impl Session {
    /// Settings as they were kept with a statement; what is not known is left out.
    pub fn of(settings: impl IntoIterator<Item = (String, String)>) -> Session {
        Session { settings: settings.into_iter().filter(|(name, _)| known(name).is_some()).collect() }
    }

    /// All that were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A setting, if it was set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Sets a setting that [`super::compile`] has checked, or goes back to the default.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.settings.insert(name.to_owned(), value.to_owned()),
            None => self.settings.remove(name),
        };
    }

    pub(super) fn name(&self, name: &crate::sql::Name) -> String {
        if !name.quoted && self.get("identifier.case") == Some("upper") {
            name.text.to_uppercase()
        } else {
            name.text.clone()
        }
    }

    /// A name that no one wrote.
    pub(super) fn own_name(&self, name: &str) -> String {
        if self.get("identifier.case") == Some("upper") { name.to_uppercase() } else { name.to_owned() }
    }
}

fn known(name: &str) -> Option<&'static [&'static str]> {
    SETTINGS.iter().find(|(other, _)| *other == name).map(|(_, values)| *values)
}

/// Checks a setting; its name and value as they are kept.
pub(super) fn check(name: &str, value: Option<&str>, at: Location) -> Result<(String, Option<String>), Error> {
    let name = name.to_lowercase();
    let name = name.strip_prefix("ksql.streams.").unwrap_or(&name).to_owned();
    let Some(values) = known(&name) else {
        let near = Error::at(at, format!("there is no setting '{name}'"));
        return Err(near.near(&name, SETTINGS.iter().map(|(name, _)| *name)));
    };
    let Some(value) = value.map(str::to_lowercase) else { return Ok((name, None)) };
    if values.is_empty() {
        super::source::length(&value, at)?;
    } else if !values.contains(&value.as_str()) {
        return Err(Error::at(at, format!("'{value}' is no value of '{name}'")).expected(values.join(" or ")));
    }
    Ok((name, Some(value)))
}
