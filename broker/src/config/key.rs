//! One row of a configuration table: what a key is called, what it may hold, and what it holds when nobody says.
//! Rows are data: nothing here reads a file, the environment or a clock.

/// A configuration key and everything that is said about it: in errors, in `DescribeConfigs`, in `leat config` and in
/// docs/configuration.md.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Kafka's property name where Kafka has one, `leat.*` otherwise.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// What a number counts.
    pub unit: Unit,
    /// The value when no source gives one; `None` is Kafka's null: "not set, something else decides".
    pub default: Option<&'static str>,
    /// When a change takes effect, or that it can't be made.
    pub update: Update,
    /// What the key does.
    pub doc: &'static str,
    /// Why the default is what it is.
    pub why: &'static str,
}

/// When a change of a key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Read once, at start.
    Start,
    /// Also by `IncrementalAlterConfigs`, at once.
    Dynamic,
    /// A key of Kafka's that has no meaning here: listed with its default, and refused when it is set to anything else.
    Inert,
}

impl Update {
    /// A few words for documents.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Start => "at start",
            Self::Dynamic => "at once",
            Self::Inert => "read-only",
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not a number, or a plain count.
    None,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Ms,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Record batches.
    Batches,
}

impl Unit {
    /// The word for documents; empty for none.
    pub fn describe(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::Ms => "ms",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Batches => "batches",
        }
    }
}

/// The type of a value and what is allowed of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A 16 bit number in a range, both ends included.
    Short(i64, i64),
    /// A 32 bit number in a range, both ends included.
    Int(i64, i64),
    /// A 32 bit number in a range, or -1 for "the default of what it is given to".
    Level(i64, i64),
    /// A 64 bit number in a range, both ends included.
    Long(i64, i64),
    /// A real number in a range, both ends included.
    Double(f64, f64),
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Words separated by commas.
    List,
    /// Some of these words, separated by commas, none twice.
    Choices(&'static [&'static str]),
    /// The name of a Java class; Leat loads none.
    Class,
    /// Text that is never shown.
    Password,
}

/// Int from `min` upwards.
pub(crate) const fn int(min: i64) -> Kind {
    Kind::Int(min, i32::MAX as i64)
}

/// Long from `min` upwards.
pub(crate) const fn long(min: i64) -> Kind {
    Kind::Long(min, i64::MAX)
}

impl Kind {
    /// The number that stands for this type in a `DescribeConfigs` answer (`ConfigType` of KIP-569).
    pub fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::Text | Self::Choice(_) => 2,
            Self::Int(..) | Self::Level(..) => 3,
            Self::Short(..) => 4,
            Self::Long(..) => 5,
            Self::Double(..) => 6,
            Self::List | Self::Choices(_) => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Kafka's word for the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Text | Self::Choice(_) => "string",
            Self::Int(..) | Self::Level(..) => "int",
            Self::Short(..) => "short",
            Self::Long(..) => "long",
            Self::Double(..) => "double",
            Self::List | Self::Choices(_) => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }

    /// Is this a list, so that values can be appended and subtracted?
    pub fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Choices(_))
    }

    /// What would be a right value, in words that end a sentence: "a whole number from 1 to 9".
    pub fn describe(self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Short(min, max) => range(min, max, i64::from(i16::MAX)),
            Self::Int(min, max) => range(min, max, i64::from(i32::MAX)),
            Self::Level(min, max) => format!("a whole number from {min} to {max}, or -1"),
            Self::Long(min, max) => range(min, max, i64::MAX),
            Self::Double(min, max) if max == f64::MAX => format!("a number of at least {min}"),
            Self::Double(min, max) => format!("a number from {min} to {max}"),
            Self::Text | Self::Password => "any text".into(),
            Self::Class => "a class name".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List => "words separated by commas".into(),
            Self::Choices(words) => format!("a list, by commas, of {}", words.join(", ")),
        }
    }

    /// The canonical text of `text`, or `None` where it isn't a value of this kind.
    pub fn parse(self, text: &str) -> Option<String> {
        let text = text.trim();
        match self {
            Self::Bool => ["true", "false"].into_iter().find(|word| word.eq_ignore_ascii_case(text)).map(str::to_owned),
            Self::Short(min, max) | Self::Int(min, max) | Self::Long(min, max) => {
                whole(text, |number| (min..=max).contains(&number))
            }
            Self::Level(min, max) => whole(text, |number| number == -1 || (min..=max).contains(&number)),
            Self::Double(min, max) => text
                .parse::<f64>()
                .ok()
                .filter(|number| (min..=max).contains(number))
                .map(|number| format!("{number:?}").replace('e', "E")),
            Self::Text | Self::Class | Self::Password => Some(text.to_owned()),
            Self::Choice(words) => words.contains(&text).then(|| text.to_owned()),
            Self::List => Some(items(text).collect::<Vec<_>>().join(",")),
            Self::Choices(words) => {
                let chosen: Vec<&str> = items(text).collect();
                let known = chosen.iter().all(|item| words.contains(item));
                let once = chosen.iter().enumerate().all(|(at, item)| !chosen[..at].contains(item));
                (known && once).then(|| chosen.join(","))
            }
        }
    }
}

fn whole(text: &str, allowed: impl Fn(i64) -> bool) -> Option<String> {
    text.parse::<i64>().ok().filter(|number| allowed(*number)).map(|number| number.to_string())
}

/// The items of a list value, without blanks and empty ones.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn range(min: i64, max: i64, top: i64) -> String {
    if max == top { format!("a whole number of at least {min}") } else { format!("a whole number from {min} to {max}") }
}

impl Key {
    /// The environment variable that sets this key: `LEAT_` and the name in capitals, dots as `_`, without a leading `leat.`.
    pub fn environment(&self) -> String {
        let name = self.name.strip_prefix("leat.").unwrap_or(self.name);
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        format!("LEAT_{name}")
    }

    /// The canonical form of `text` for this key; the error says what would be right.
    pub fn check(&self, text: &str) -> Result<String, String> {
        let Some(value) = self.kind.parse(text) else {
            return Err(format!("must be {}", self.kind.describe()));
        };
        if self.update == Update::Inert && Some(value.as_str()) != self.default {
            let default = self.default.unwrap_or("null");
            return Err(format!("has no meaning in Leat and can't be changed from its default, {default}"));
        }
        Ok(value)
    }

    /// What `DescribeConfigs` says about it.
    pub fn documentation(&self) -> String {
        if self.why.is_empty() { self.doc.to_owned() } else { format!("{} Default: {}", self.doc, self.why) }
    }

    /// Is it one of Kafka's without effect here?
    pub fn is_inert(&self) -> bool {
        self.update == Update::Inert
    }

    /// Must the value be hidden?
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}
