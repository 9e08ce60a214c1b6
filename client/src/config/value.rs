//! How one property's text becomes its type, and back.

use std::time::Duration;

use leat_protocol::records::Compression;

/// A type that a property can have.
pub(crate) trait Value: Sized {
    /// What a right value looks like, for the message when one is wrong.
    const EXPECTS: &'static str;

    fn parse(text: &str) -> Option<Self>;

    /// The form that [`Value::parse`] reads.
    fn show(&self) -> String;
}

macro_rules! number {
    ($($type:ty: $expects:literal,)*) => {$(
        impl Value for $type {
            const EXPECTS: &'static str = $expects;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

number! {
    i32: "a whole number",
    u32: "a whole number of at least 0",
    usize: "a whole number of at least 0",
    bool: "true or false",
}

impl Value for Duration {
    const EXPECTS: &'static str = "a number of milliseconds of at least 0";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Duration::from_millis)
    }

    fn show(&self) -> String {
        self.as_millis().to_string()
    }
}

impl Value for String {
    const EXPECTS: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// A list of `host:port`.
impl Value for Vec<String> {
    const EXPECTS: &'static str = "host:port,host:port";

    fn parse(text: &str) -> Option<Self> {
        let items: Vec<String> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        let right = |item: &String| {
            item.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        (!items.is_empty() && items.iter().all(right)).then_some(items)
    }

    fn show(&self) -> String {
        self.join(",")
    }
}

impl Value for Option<bool> {
    const EXPECTS: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Some)
    }

    fn show(&self) -> String {
        self.map_or_else(String::new, |value| value.to_string())
    }
}

impl Value for Compression {
    const EXPECTS: &'static str = "none, gzip, snappy, lz4 or zstd";

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => return None,
        })
    }

    fn show(&self) -> String {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
        .to_owned()
    }
}
