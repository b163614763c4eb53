use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{CheckpointProblem, IndexProblem, ModelError};
use crate::model_config::ModelConfig;
use crate::shard_index::{self, ShardIndex};
use crate::tensor_file::{StoredTensor, TensorFile};
use crate::tensor_view::TensorView;

/// Name of the only file of a checkpoint without shards.
pub(crate) const SINGLE_FILE: &str = "model.safetensors";

/// A Hugging Face checkpoint directory, its files mapped and their headers checked.
#[derive(Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    config: ModelConfig,
    shards: Vec<TensorFile>,
    is_sharded: bool,
    places: BTreeMap<String, TensorPlace>,
}

/// Where a tensor of a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TensorPlace {
    pub(crate) shard_idx: usize,
    pub(crate) tensor_idx: usize,
}

impl Checkpoint {
    /// Opens a directory with `config.json` and safetensors.
    ///
    /// The values stay on disk. While the checkpoint is open, nobody may truncate its files.
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        Self::open_as(directory, ModelConfig::read(directory)?)
    }

    /// Opens the weights that lie beside a `config.json` already read.
    pub(crate) fn open_as(directory: &Path, config: ModelConfig) -> Result<Self, ModelError> {
        let index = directory.join(shard_index::FILE);
        let single = directory.join(SINGLE_FILE);
        let is_sharded = index.exists();
        let shards = if is_sharded {
            open_shards(directory, &index)?
        } else if single.exists() {
            vec![TensorFile::open(&single)?]
        } else {
            return Err(ModelError::Checkpoint {
                path: directory.to_owned(),
                problem: CheckpointProblem::NoWeights,
            });
        };
        let mut places = BTreeMap::new();
        for (shard_idx, shard) in shards.iter().enumerate() {
            for (tensor_idx, tensor) in shard.tensors().iter().enumerate() {
                let place = TensorPlace {
                    shard_idx,
                    tensor_idx,
                };
                places.insert(tensor.name.clone(), place);
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            config,
            shards,
            is_sharded,
            places,
        })
    }

    /// Returns where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns what `config.json` says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the files that its weights are in.
    pub fn weight_files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(TensorFile::path)
    }

    /// Returns the names of its tensors, sorted.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Returns a tensor.
    ///
    /// Errors with its name if there is none, and if it has no floating-point values.
    pub fn view(&self, name: &str) -> Result<TensorView<'_>, ModelError> {
        let place = self.place(name).ok_or_else(|| ModelError::Checkpoint {
            path: self.directory.clone(),
            problem: CheckpointProblem::Absent {
                tensor: name.to_owned(),
            },
        })?;
        TensorView::new(&self.shards[place.shard_idx], self.tensor(place))
    }

    pub(crate) fn is_sharded(&self) -> bool {
        self.is_sharded
    }

    pub(crate) fn shards(&self) -> &[TensorFile] {
        &self.shards
    }

    pub(crate) fn place(&self, name: &str) -> Option<TensorPlace> {
        self.places.get(name).copied()
    }

    pub(crate) fn tensor(&self, place: TensorPlace) -> &StoredTensor {
        &self.shards[place.shard_idx].tensors()[place.tensor_idx]
    }
}

/// Opens the files an index names, and checks that they hold what it says, no less and no more; so
/// no tensor is there twice.
fn open_shards(directory: &Path, index: &Path) -> Result<Vec<TensorFile>, ModelError> {
    let ShardIndex { shards: listed } = ShardIndex::read(index)?;
    let wrong = |problem| ModelError::Index {
        path: index.to_owned(),
        problem,
    };
    let names: BTreeSet<&String> = listed.values().collect();
    let mut found = BTreeSet::new();
    let mut shards = Vec::with_capacity(names.len());
    for name in names {
        let shard = TensorFile::open(&directory.join(name))?;
        for tensor in shard.tensors() {
            if listed.get(&tensor.name) != Some(name) {
                return Err(wrong(IndexProblem::Unlisted {
                    tensor: tensor.name.clone(),
                    shard: name.clone(),
                }));
            }
            found.insert(tensor.name.clone());
        }
        shards.push(shard);
    }
    if let Some((tensor, shard)) = listed.iter().find(|(tensor, _)| !found.contains(*tensor)) {
        return Err(wrong(IndexProblem::Absent {
            tensor: tensor.clone(),
            shard: shard.clone(),
        }));
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    /// A shard with tensors of two bytes.
    fn write_shard(path: &Path, names: &[&str]) {
        let entries: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let (start, end) = (2 * i, 2 * i + 2);
                format!(r#""{name}":{{"dtype":"BF16","shape":[1],"data_offsets":[{start},{end}]}}"#)
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; 2 * names.len()]);
        std::fs::write(path, bytes).unwrap();
    }

    fn opened(index: Option<&str>) -> Result<Checkpoint, String> {
        let outer = tempfile::tempdir().unwrap();
        let directory = outer.path().join("base");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("config.json"), r#"{"model_type":"llama"}"#).unwrap();
        write_shard(&outer.path().join("outside.safetensors"), &["c"]);
        write_shard(&directory.join("1.safetensors"), &["a"]);
        write_shard(&directory.join("2.safetensors"), &["b"]);
        if let Some(index) = index {
            let text = format!(r#"{{"metadata":{{}},"weight_map":{index}}}"#);
            std::fs::write(directory.join(shard_index::FILE), text).unwrap();
        }
        let place = directory.display().to_string();
        Checkpoint::open(&directory).map_err(|error| error.to_string().replace(&place, "."))
    }

    #[test]
    fn shards_are_read_by_their_index() {
        let checkpoint = opened(Some(r#"{"a":"1.safetensors","b":"2.safetensors"}"#)).unwrap();
        assert_eq!(checkpoint.tensor_names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test_case(None, ".`: there is no `model.safetensors` and no `model.safetensors.index.json`"; "no weights")]
    #[test_case(Some("{}"), "index.json`: no tensor is listed"; "empty")]
    #[test_case(Some(r#"{"c":"../outside.safetensors"}"#), "tensor `c`: shard `../outside.safetensors` is not the name of a file"; "parent")]
    #[test_case(Some(r#"{"c":"/etc/passwd"}"#), "shard `/etc/passwd` is not the name of a file"; "root")]
    #[test_case(Some(r#"{"c":".."}"#), "shard `..` is not the name of a file"; "dots")]
    #[test_case(Some(r#"{"c":"a\\b"}"#), "is not the name of a file"; "another system's separator")]
    #[test_case(Some(r#"{"c":"3.safetensors"}"#), "failed to read `./3.safetensors`"; "absent shard")]
    #[test_case(Some(r#"{"a":"1.safetensors","c":"1.safetensors"}"#), "index.json`: tensor `c` is not in shard `1.safetensors`"; "absent tensor")]
    #[test_case(Some(r#"{"a":"2.safetensors","b":"2.safetensors"}"#), "index.json`: tensor `a` is not in shard `2.safetensors`"; "in another shard")]
    #[test_case(Some(r#"{"a":"2.safetensors"}"#), "shard `2.safetensors` has tensor `b`, which is not listed there"; "unlisted")]
    #[test_case(Some(r#"{"a":"1.safetensors","a":"2.safetensors"}"#), "`a` is there twice"; "twice in the index")]
    #[test_case(Some(r#"{"a":1}"#), "index.json`: invalid type: integer `1`, expected a string"; "no name")]
    fn a_wrong_index_is_named(index: Option<&str>, expected: &str) {
        let error = opened(index).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
