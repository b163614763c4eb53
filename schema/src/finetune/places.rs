use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::yaml::{self, Place, Spanned, YamlError};

/// Where the keys of a configuration stand, for checks that need more than one of them, or more than
/// the file.
#[derive(Clone, Debug)]
pub struct Places {
    file: String,
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    name: String,
    line: u64,
    column: u64,
    value: (u64, u64),
}

impl Places {
    /// Reads the keys of `text`, whatever their values are.
    pub(super) fn read(text: &str, file: &str) -> Result<Self, YamlError> {
        let keys = yaml::read::<Option<Keys>>(text, file).map_err(|mut error| {
            // The value's path is not known to whoever ignores values.
            error.field.clear();
            error
        })?;
        let file = file.to_owned();
        match keys {
            Some(Keys(keys)) => Ok(Self { file, keys }),
            None => Err(YamlError {
                file,
                line: 1,
                column: 1,
                field: String::new(),
                message: "there is nothing in it; begin with `model`, `dataset` and `output_dir`"
                    .to_owned(),
            }),
        }
    }

    /// Tells whether the file gives the key.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Returns where the value of `key` is, or the file where it is left out.
    pub fn value_of(&self, key: &str) -> Place {
        let at = self.find(key).map_or((0, 0), |key| key.value);
        self.place(key, at)
    }

    /// Returns where `key` itself is, or the file where it is left out.
    pub fn key(&self, key: &str) -> Place {
        let at = self.find(key).map_or((0, 0), |key| (key.line, key.column));
        self.place(key, at)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    fn place(&self, key: &str, (line, column): (u64, u64)) -> Place {
        Place {
            file: self.file.clone(),
            line,
            column,
            field: key.to_owned(),
        }
    }
}

struct Keys(Vec<Key>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap;

        impl<'de> Visitor<'de> for OfMap {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys and values such as `learning_rate: 2e-4`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let value = map.next_value::<Spanned<IgnoredAny>>()?.referenced;
                    let at = key.referenced;
                    keys.push(Key {
                        name: key.value,
                        line: at.line(),
                        column: at.column(),
                        value: (value.line(), value.column()),
                    });
                }
                Ok(Keys(keys))
            }
        }

        deserializer.deserialize_map(OfMap)
    }
}
