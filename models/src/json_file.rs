use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bounded_file;
use crate::error::ModelError;

/// Bytes a table may have, that is the index of shards or the tokenizer; those of the largest models
/// have some ten millions.
pub(crate) const TABLE_LIMIT: u64 = 100_000_000;
/// Bytes any other description may have; a tokenizer's configuration has up to some millions. As values
/// of any kind, two bytes of JSON can take 72 of memory.
const LIMIT: u64 = 8 << 20;

/// Reads all of a description.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    read_bounded(path, LIMIT)
}

/// Reads all of a table; where `T` has a value of any kind, it is a
/// [`Described`](crate::described::Described).
pub(crate) fn read_table<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    read_bounded(path, TABLE_LIMIT)
}

fn read_bounded<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<T, ModelError> {
    let text = bounded_file::read(path, limit)?;
    serde_json::from_slice(&text).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
}

/// A JSON object in which no key stands twice.
#[derive(Debug)]
pub(crate) struct UniqueKeys<T>(pub(crate) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for UniqueKeys<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Keys<T> {
            type Value = UniqueKeys<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if keys.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("`{key}` is there twice")));
                    }
                    let value = map.next_value()?;
                    keys.insert(key, value);
                }
                Ok(UniqueKeys(keys))
            }
        }

        deserializer.deserialize_map(Keys(PhantomData))
    }
}
