use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{IndexProblem, ModelError};
use crate::json_file::{self, UniqueKeys};

/// Name of the list of shards.
pub(crate) const FILE: &str = "model.safetensors.index.json";

/// Which shard each tensor is in.
#[derive(Debug)]
pub(crate) struct ShardIndex {
    /// File names by tensor.
    pub(crate) shards: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    weight_map: UniqueKeys<String>,
}

impl ShardIndex {
    /// Reads an index; every shard it names is a plain file name.
    pub(crate) fn read(path: &Path) -> Result<Self, ModelError> {
        let File {
            weight_map: UniqueKeys(shards),
        } = json_file::read_table(path)?;
        let wrong = |problem| ModelError::Index {
            path: path.to_owned(),
            problem,
        };
        if shards.is_empty() {
            return Err(wrong(IndexProblem::Empty));
        }
        for (tensor, shard) in &shards {
            if !is_file_name(shard) {
                return Err(wrong(IndexProblem::Traversal {
                    tensor: tensor.clone(),
                    shard: shard.clone(),
                }));
            }
        }
        Ok(Self { shards })
    }
}

/// Tells whether `name` stays in the directory, on any system.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let one = matches!(components.next(), Some(Component::Normal(_)));
    one && components.next().is_none() && !name.contains(['/', '\\', ':', '\0'])
}
