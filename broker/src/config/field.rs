//! From a key's checked text to the type of its field.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::address::Address;
use super::key::items;
use super::listener::Listener;

/// A type that a configuration value can become. `None` is Kafka's null.
pub(crate) trait Field: Sized {
    /// The error says what would be right.
    fn from_text(text: Option<&str>) -> Result<Self, String>;
}

fn parsed<T: FromStr>(text: Option<&str>, right: &str) -> Result<T, String> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("must be {right}"))
}

macro_rules! fields {
    ($($type:ty: $right:literal),* $(,)?) => {
        $(impl Field for $type {
            fn from_text(text: Option<&str>) -> Result<Self, String> {
                parsed(text, $right)
            }
        })*
    };
}

fields! {
    bool: "true or false",
    i16: "a 16 bit number",
    i32: "a 32 bit number",
    i64: "a 64 bit number",
    u16: "a 16 bit number of at least 0",
    u32: "a 32 bit number of at least 0",
    u64: "a 64 bit number of at least 0",
    usize: "a number of at least 0",
    f64: "a number",
    String: "set",
}

impl<T: Field> Field for Option<T> {
    fn from_text(text: Option<&str>) -> Result<Self, String> {
        match text {
            None => Ok(None),
            some => T::from_text(some).map(Some),
        }
    }
}

impl Field for Vec<PathBuf> {
    fn from_text(text: Option<&str>) -> Result<Self, String> {
        Ok(items(text.unwrap_or_default()).map(PathBuf::from).collect())
    }
}

impl Field for Vec<SocketAddr> {
    fn from_text(text: Option<&str>) -> Result<Self, String> {
        let address = |item: &str| item.parse().map_err(|_| format!("`{item}` is no address like 127.0.0.1:9644"));
        items(text.unwrap_or_default()).map(address).collect()
    }
}

impl Field for Vec<Listener> {
    fn from_text(text: Option<&str>) -> Result<Self, String> {
        items(text.unwrap_or_default()).map(str::parse).collect()
    }
}

impl Field for Address {
    fn from_text(text: Option<&str>) -> Result<Self, String> {
        text.unwrap_or_default().parse()
    }
}

impl Field for Vec<Address> {
    fn from_text(text: Option<&str>) -> Result<Self, String> {
        items(text.unwrap_or_default()).map(str::parse).collect()
    }
}
