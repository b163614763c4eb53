use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::ModelError;

/// Bytes a description may have; the index of a model with a million tensors stays below.
const LIMIT: u64 = 100_000_000;

/// Reads a whole JSON file of bounded size.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    let text = read_bytes(path)?;
    serde_json::from_slice(&text).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Reads a whole file of bounded size.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, ModelError> {
    let metadata = std::fs::metadata(path).map_err(ModelError::io("read", path))?;
    if !metadata.is_file() {
        // Opening a named pipe would wait for its writer.
        let source = std::io::Error::other("not a file");
        return Err(ModelError::io("read", path)(source));
    }
    let file = std::fs::File::open(path).map_err(ModelError::io("read", path))?;
    let mut text = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(ModelError::io("read", path))?;
    if text.len() as u64 > LIMIT {
        return Err(ModelError::TooLarge {
            path: path.to_owned(),
            length: metadata.len(),
            limit: LIMIT,
        });
    }
    Ok(text)
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
