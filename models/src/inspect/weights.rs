use std::collections::BTreeMap;

use safetensors::Dtype;
use serde::Serialize;

use crate::tensor_file::{StoredTensor, TensorFile};

/// What the weights of a checkpoint or adapter are stored as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightsDescription {
    /// Files they lie in.
    pub files: u64,
    /// Tensors in all.
    pub tensors: u64,
    /// Their values, counted as stored; a quantised weight's are fewer than the model's.
    pub values: u64,
    /// Their bytes, without the files' headers.
    pub bytes: u64,
    /// Formats of the values, those with the most bytes first.
    pub dtypes: Vec<DtypeCount>,
}

/// How much is stored in a format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DtypeCount {
    /// What safetensors calls it, e.g. `BF16`.
    pub dtype: String,
    /// Tensors of it.
    pub tensors: u64,
    /// Their values.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl WeightsDescription {
    pub(super) fn of(files: &[TensorFile]) -> Self {
        let mut counts: BTreeMap<Dtype, DtypeCount> = BTreeMap::new();
        for file in files {
            for tensor in file.tensors() {
                let count = counts.entry(tensor.dtype).or_insert_with(|| DtypeCount {
                    dtype: tensor.dtype.to_string(),
                    tensors: 0,
                    values: 0,
                    bytes: 0,
                });
                count.tensors += 1;
                count.values += values(tensor);
                count.bytes += file.data(tensor).len() as u64;
            }
        }
        let mut dtypes: Vec<DtypeCount> = counts.into_values().collect();
        dtypes.sort_by_key(|count| std::cmp::Reverse(count.bytes));
        let sum = |of: fn(&DtypeCount) -> u64| dtypes.iter().map(of).sum();
        Self {
            files: files.len() as u64,
            tensors: sum(|count| count.tensors),
            values: sum(|count| count.values),
            bytes: sum(|count| count.bytes),
            dtypes,
        }
    }
}

/// Returns how many values a tensor has; its shape was found to fill bytes of the file.
fn values(tensor: &StoredTensor) -> u64 {
    tensor.shape.iter().map(|&size| size as u64).product()
}
