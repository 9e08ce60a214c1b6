//! The macro that turns a table of properties into a config struct.

/// A builder. Rows are `"name", field: Type = default, check, "what is right";` where `check` is a closure over `&Type`, or
/// `any` with an empty text if the type says it all. Keys that the table does not have are those of the `common` field.
macro_rules! table {
    (
        $(#[$meta:meta])*
        pub struct $name:ident with $common:ident: $common_type:ty;
        $( $(#[$doc:meta])* $key:literal, $field:ident: $type:ty = $default:expr, $check:expr, $right:literal; )*
    ) => {
        $crate::config::table::plain! {
            $(#[$meta])*
            pub struct $name with $common: $common_type;
            $( $(#[$doc])* $key, $field: $type = $default, $check, $right; )*
        }

        impl $name {
            /// Every property this client knows.
            pub fn keys() -> impl Iterator<Item = &'static str> {
                Self::own_keys().iter().chain(<$common_type>::own_keys()).copied()
            }

            /// Sets a property by its Kafka name.
            ///
            /// # Errors
            /// The key is unknown (the message names the nearest known one), or the value is not right for it.
            pub fn set(mut self, key: &str, value: impl AsRef<str>) -> Result<Self, $crate::Error> {
                match self.put(key, value.as_ref().trim()) {
                    Ok(()) => Ok(self),
                    Err(None) => Err($crate::Error::unknown_key(key, $crate::config::nearest::nearest(key, Self::keys()))),
                    Err(Some(error)) => Err(error),
                }
            }

            /// A property's value as text, by its Kafka name; `None` when the key is unknown.
            pub fn get(&self, key: &str) -> Option<String> {
                self.show(key)
            }

            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("Kafka's `", $key, "`.")]
                #[must_use]
                pub fn $field(mut self, value: $type) -> Self {
                    self.$field = value;
                    self
                }
            )*
        }
    };
}

/// The struct itself: values, defaults, and access by name.
macro_rules! plain {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(with $common:ident: $common_type:ty)?;
        $( $(#[$doc:meta])* $key:literal, $field:ident: $type:ty = $default:expr, $check:expr, $right:literal; )*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $( pub(crate) $common: $common_type, )?
            $( $(#[$doc])* pub(crate) $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $common: <$common_type>::default(), )?
                    $( $field: $default, )*
                }
            }
        }

        impl $name {
            pub(crate) fn own_keys() -> &'static [&'static str] {
                &[$($key),*]
            }

            pub(crate) fn show(&self, key: &str) -> Option<String> {
                match key {
                    $( $key => Some($crate::config::table::show(&self.$field)), )*
                    _ => $crate::config::table::or_none!($( self.$common.show(key) )?),
                }
            }

            /// `Err(None)`: the key is unknown.
            pub(crate) fn put(&mut self, key: &str, value: &str) -> Result<(), Option<$crate::Error>> {
                match key {
                    $( $key => {
                        self.$field = $crate::config::table::parse::<$type>($key, value, $check, $right)?;
                        Ok(())
                    } )*
                    _ => $crate::config::table::or_unknown!($( self.$common.put(key, value) )?),
                }
            }

            /// Checks values that typed setters put in, each by its own row.
            pub(crate) fn check_rows(&self) -> Result<(), $crate::Error> {
                $( $crate::config::table::check::<$type>($key, &self.$field, $check, $right)?; )*
                $( self.$common.check_rows()?; )?
                Ok(())
            }
        }
    };
}

macro_rules! or_none {
    () => {
        None
    };
    ($other:expr) => {
        $other
    };
}

macro_rules! or_unknown {
    () => {
        Err(None)
    };
    ($other:expr) => {
        $other
    };
}

pub(crate) use {or_none, or_unknown, plain, table};

use super::value::Value;
use crate::Error;

/// For rows whose type alone says what is right.
pub(crate) fn any<T>(_: &T) -> bool {
    true
}

pub(crate) fn show(value: &impl Value) -> String {
    value.show()
}

pub(crate) fn parse<T: Value>(key: &'static str, text: &str, right: fn(&T) -> bool, expects: &str) -> Result<T, Error> {
    let expects = if expects.is_empty() { T::EXPECTS } else { expects };
    match T::parse(text) {
        Some(value) if right(&value) => Ok(value),
        _ => Err(Error::bad_value(key, text, expects)),
    }
}

pub(crate) fn check<T: Value>(key: &'static str, value: &T, right: fn(&T) -> bool, expects: &str) -> Result<(), Error> {
    if right(value) {
        return Ok(());
    }
    let expects = if expects.is_empty() { T::EXPECTS } else { expects };
    Err(Error::bad_value(key, &value.show(), expects))
}
