//! What one row can't say by itself: rules between keys and about lists.

use super::broker;
use super::settings::{Settings, Source, Synonym};
use super::topic::{self, Overrides};
use super::{Config, Error};

impl Config {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.log_dirs.len() != 1 {
            return Err(self.wrong("log.dirs", "Leat keeps one data folder; name exactly one"));
        }
        if self.listeners.is_empty() {
            return Err(self.wrong("listeners", "name at least one, for example PLAINTEXT://127.0.0.1:9092"));
        }
        let repeated = |at: usize| self.listeners[..at].contains(&self.listeners[at]) && self.listeners[at].port != 0;
        if (0..self.listeners.len()).any(repeated) {
            return Err(self.wrong("listeners", "one address is named twice"));
        }
        for listener in self.advertised_listeners.iter().flatten() {
            if listener.is_wildcard() || listener.port == 0 {
                let problem =
                    format!("{listener} is no address that a client could connect to; name a host and a port");
                return Err(self.wrong("advertised.listeners", &problem));
            }
        }
        if self.advertised_listeners.as_ref().is_some_and(|named| named.len() != self.listeners.len()) {
            return Err(self.wrong("advertised.listeners", "name as many as `listeners` has, in the same order"));
        }
        if !self.leat_cluster.is_empty() && self.leat_peer_listen.is_none() {
            return Err(
                self.wrong("leat.cluster", "the others must be able to reach this broker; set leat.peer.listen too")
            );
        }
        let reached = self.leat_peer_advertised.as_ref().or(self.leat_peer_listen.as_ref());
        if reached.is_some_and(super::Address::is_wildcard) {
            let problem =
                "no broker could connect to a wildcard; set leat.peer.advertised to a host that the others reach";
            return Err(self.wrong("leat.peer.listen", problem));
        }
        for (name, zero) in [
            ("log.retention.ms", self.log_retention_ms == Some(0)),
            ("log.retention.minutes", self.log_retention_minutes == Some(0)),
            ("log.retention.hours", self.log_retention_hours == 0),
        ] {
            if zero {
                return Err(self.wrong(name, "must be -1 for ever, or at least 1"));
            }
        }
        Ok(())
    }

    fn wrong(&self, name: &str, problem: &str) -> Error {
        let (value, source) = broker::key(name).map_or((None, Source::Default), |key| self.settings.get(key));
        Error::Value {
            origin: source.origin().into(),
            key: name.into(),
            value: value.unwrap_or("null").into(),
            problem: problem.into(),
        }
    }

    /// The value of a broker key and where it comes from. Passwords are for [`super::Key::is_sensitive`] to hide.
    pub fn value(&self, key: &super::Key) -> (Option<&str>, Source) {
        self.settings.get(key)
    }

    /// Every value that a broker key was, or would have been, taken from; the one that counts first.
    pub fn synonyms(&self, key: &super::Key) -> Vec<Synonym> {
        self.settings.synonyms(key)
    }

    /// The values of a topic's key in this broker, for `DescribeConfigs`.
    pub fn topic_value(&self, row: &topic::TopicKey, overrides: &Overrides) -> (String, Source, Vec<Synonym>) {
        let (value, source) = topic::value(row, overrides, self);
        (value, source, topic::synonyms(row, overrides, self))
    }
}

impl Default for Config {
    #[expect(clippy::expect_used, reason = "a test loads the defaults; nothing that is read can reach it")]
    fn default() -> Self {
        Self::from_settings(Settings::default()).expect("the table's defaults are valid")
    }
}
