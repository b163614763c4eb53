//! What every tensor of the merged model is made of, decided and checked before a byte is written.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::OutputFormat;
use crate::adapter::{Adapter, Lora, Replacement};
use crate::checkpoint::{Checkpoint, SINGLE_FILE, TensorPlace};
use crate::error::{MergeProblem, ModelError, TensorProblem};
use crate::number_format::NumberFormat;
use crate::tensor_file::{StoredTensor, TensorFile};

/// Name of the head's weights.
const HEAD: &str = "lm_head.weight";
/// Ends of the names that a language model's tensors have behind one of [`PREFIXES`].
const EMBEDDING: &str = "embed_tokens.weight";
/// What stands before the language model's names, by version of transformers and kind of
/// checkpoint; the adapter may have been trained through another one than the base was saved through.
const PREFIXES: [&str; 4] = [
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "model.",
];

/// The files to write, with their tensors in order.
pub(crate) struct Plan<'a> {
    pub(crate) files: Vec<PlannedFile<'a>>,
    /// Whether head and embedding are one tensor, where that changes.
    pub(crate) ties: Option<bool>,
}

/// A file of the checkpoint.
pub(crate) struct PlannedFile<'a> {
    pub(crate) name: String,
    pub(crate) tensors: Vec<Planned<'a>>,
}

/// One tensor of the result.
pub(crate) struct Planned<'a> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) source: Source<'a>,
    /// What it is read as and what it becomes; `None` if its values are no floating-point numbers.
    pub(crate) formats: Option<(NumberFormat, NumberFormat)>,
    pub(crate) change: Change<'a>,
}

/// Where a tensor's values come from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    file: &'a TensorFile,
    tensor: &'a StoredTensor,
    pub(crate) data: &'a [u8],
}

/// What is done to a tensor's values.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    Nothing,
    Weight(&'a Lora),
    Bias(&'a Lora, usize),
}

/// What the adapter does to one tensor of the base.
#[derive(Default)]
struct Changes<'a> {
    replacement: Option<Replacement>,
    weight: Option<&'a Lora>,
    bias: Option<(&'a Lora, usize)>,
}

impl<'a> Source<'a> {
    fn new(file: &'a TensorFile, tensor: &'a StoredTensor) -> Self {
        Self {
            file,
            tensor,
            data: file.data(tensor),
        }
    }

    /// Returns the number format it is stored in.
    pub(crate) fn dtype(&self) -> Dtype {
        self.tensor.dtype
    }

    /// Returns the error of a value that is infinite or NaN, so many bytes within the tensor.
    pub(crate) fn not_finite(&self, within: usize) -> ModelError {
        ModelError::Tensor {
            path: self.file.path().to_owned(),
            tensor: self.tensor.name.clone(),
            offset: self.tensor.offset() + within as u64,
            problem: TensorProblem::NotFinite,
        }
    }
}

impl Planned<'_> {
    /// Returns what it is called in the result.
    pub(crate) fn dtype(&self) -> Dtype {
        match self.formats {
            Some((_, to)) => to.dtype(),
            None => self.source.dtype(),
        }
    }

    /// Returns the bytes of its values in the result.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = self.source.data.len() as u64;
        match self.formats {
            Some((from, to)) => bytes / from.size() as u64 * to.size() as u64,
            None => bytes,
        }
    }

    /// Returns rows and columns; a tensor of one dimension is a row.
    pub(crate) fn rows_and_columns(&self) -> (usize, usize) {
        match self.shape[..] {
            [rows, columns] => (rows, columns),
            _ => (1, self.shape.iter().product()),
        }
    }
}

impl<'a> Plan<'a> {
    /// Plans `base` with `adapter`'s changes; without one, as it is.
    ///
    /// Errors if the weights are not of the shapes that `config.json` gives.
    pub(crate) fn new(
        base: &'a Checkpoint,
        adapter: Option<&'a Adapter>,
        format: OutputFormat,
    ) -> Result<Self, ModelError> {
        // Sizes that cannot be read are told where they are needed.
        if let Ok(sizes) = base.config().hyper_parameters() {
            base.check_shapes_of(&sizes)?;
        }
        let names = Names::of(base);
        let (mut changes, head) = match adapter {
            Some(adapter) => changes(base, adapter, &names)?,
            None => Default::default(),
        };
        let mut files = Vec::with_capacity(base.shards().len());
        for (shard_idx, shard) in base.shards().iter().enumerate() {
            let mut tensors = Vec::with_capacity(shard.tensors().len());
            for tensor_idx in 0..shard.tensors().len() {
                let place = TensorPlace {
                    shard_idx,
                    tensor_idx,
                };
                let changes = changes.remove(&place).unwrap_or_default();
                tensors.push(planned(base, adapter, place, &changes, format)?);
            }
            let name = shard.path().file_name().unwrap_or(SINGLE_FILE.as_ref());
            files.push(PlannedFile {
                name: name.to_string_lossy().into_owned(),
                tensors,
            });
        }
        let ties = match adapter {
            Some(adapter) => untie(base, adapter, &names, head, format, &mut files)?,
            None => None,
        };
        Ok(Self { files, ties })
    }
}

/// What changes, by tensor of the base; and what takes the place of a head that is the embedding.
type AllChanges<'a> = (BTreeMap<TensorPlace, Changes<'a>>, Option<Replacement>);

/// Finds the base's tensors that the adapter changes.
fn changes<'a>(
    base: &Checkpoint,
    adapter: &'a Adapter,
    names: &Names<'_>,
) -> Result<AllChanges<'a>, ModelError> {
    let mut changes: BTreeMap<TensorPlace, Changes<'a>> = BTreeMap::new();
    let not_in_base = |name: &str| merge_error(name, MergeProblem::NotInBase);
    for (module, lora) in adapter.modules() {
        let name = format!("{module}.weight");
        if name == HEAD && base.config().ties_embeddings() {
            return Err(merge_error(&name, MergeProblem::TiedHead));
        }
        let place = names.find(&name).ok_or_else(|| not_in_base(&name))?;
        let change = changes.entry(place).or_default();
        change.weight = Some(lora);
        if let Some(bias) = lora.bias {
            let name = format!("{module}.bias");
            let place = names.find(&name).ok_or_else(|| not_in_base(&name))?;
            changes.entry(place).or_default().bias = Some((lora, bias));
        }
    }
    let mut head = None;
    for (name, replacement) in adapter.replacements() {
        let is_tied_head = name == HEAD && base.config().ties_embeddings();
        if is_tied_head {
            head = Some(*replacement);
        }
        if let Some(place) = names.find(name) {
            changes.entry(place).or_default().replacement = Some(*replacement);
        } else if !is_tied_head {
            return Err(not_in_base(name));
        }
    }
    Ok((changes, head))
}

/// Gives the head a tensor of its own where the adapter parts it from the embedding.
fn untie<'a>(
    base: &'a Checkpoint,
    adapter: &'a Adapter,
    names: &Names,
    head: Option<Replacement>,
    format: OutputFormat,
    files: &mut [PlannedFile<'a>],
) -> Result<Option<bool>, ModelError> {
    let config = adapter.config();
    if !base.config().ties_embeddings() {
        return Ok(None);
    }
    let embedding = names.find(&format!("model.{EMBEDDING}"));
    let new_embedding = adapter
        .replacements()
        .iter()
        .find(|(name, replacement)| {
            let module = name.strip_suffix(".weight").unwrap_or(name);
            name.ends_with(EMBEDDING) && !replacement.is_base_layer && config.saves(module)
        })
        .map(|(_, replacement)| *replacement);
    let Some(embedding) = embedding else {
        return Ok(None);
    };
    let stays = config.ensure_weight_tying
        || match (new_embedding, head) {
            (None, None) => true,
            (Some(new), Some(head)) => {
                adapter.data(new.tensor_idx) == adapter.data(head.tensor_idx)
            }
            _ => false,
        };
    if stays {
        return Ok(None);
    }
    if names.find(HEAD).is_none() {
        let changes = Changes {
            replacement: head,
            ..Changes::default()
        };
        let tensor = planned(base, Some(adapter), embedding, &changes, format)?;
        let last = files.last_mut().expect("the embedding is in a file");
        last.tensors.push(Planned {
            name: HEAD.to_owned(),
            ..tensor
        });
    }
    Ok(Some(false))
}

/// Decides about one tensor of the base, and checks that shapes and formats fit.
fn planned<'a>(
    base: &'a Checkpoint,
    adapter: Option<&'a Adapter>,
    place: TensorPlace,
    changes: &Changes<'a>,
    format: OutputFormat,
) -> Result<Planned<'a>, ModelError> {
    let tensor = base.tensor(place);
    let wrong = |problem| merge_error(&tensor.name, problem);
    let mut source = Source::new(&base.shards()[place.shard_idx], tensor);
    let mut change = Change::Nothing;
    let fits = |adapter: Vec<usize>| {
        if adapter == tensor.shape {
            Ok(())
        } else {
            let base = tensor.shape.clone();
            Err(wrong(MergeProblem::Shape { base, adapter }))
        }
    };
    if let Some(adapter) = adapter {
        if let Some(Replacement { tensor_idx, .. }) = changes.replacement {
            fits(adapter.tensor(tensor_idx).shape.clone())?;
            source = Source::new(adapter.file(), adapter.tensor(tensor_idx));
        }
        if let Some(lora) = changes.weight {
            let inputs = adapter.tensor(lora.a).shape[1];
            let outputs = adapter.tensor(lora.b).shape[0];
            fits(if lora.is_embedding {
                vec![inputs, outputs]
            } else {
                vec![outputs, inputs]
            })?;
            change = Change::Weight(lora);
        }
        if let Some((lora, bias)) = changes.bias {
            fits(adapter.tensor(bias).shape.clone())?;
            change = Change::Bias(lora, bias);
        }
    }
    let is_changed = !matches!(change, Change::Nothing) || changes.replacement.is_some();
    let dtype = tensor.dtype;
    let formats = match (NumberFormat::of(dtype), NumberFormat::of(source.dtype())) {
        (Some(base), Some(from)) => Some((from, format.of(base))),
        _ if is_changed || is_floating(dtype) => {
            return Err(wrong(MergeProblem::Format { dtype }));
        }
        _ => None,
    };
    Ok(Planned {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        source,
        formats,
        change,
    })
}

/// Tells whether a format that cannot be computed with holds weights nevertheless.
fn is_floating(dtype: Dtype) -> bool {
    !matches!(
        dtype,
        Dtype::BOOL
            | Dtype::U8
            | Dtype::I8
            | Dtype::U16
            | Dtype::I16
            | Dtype::U32
            | Dtype::I32
            | Dtype::U64
            | Dtype::I64
    )
}

fn merge_error(tensor: &str, problem: MergeProblem) -> ModelError {
    ModelError::Merge {
        tensor: tensor.to_owned(),
        problem,
    }
}

/// The base's tensors, to be found under their own name or under another prefix.
struct Names<'a> {
    base: &'a Checkpoint,
    /// `None` where two tensors differ in their prefix only.
    bare: BTreeMap<&'a str, Option<TensorPlace>>,
}

impl<'a> Names<'a> {
    fn of(base: &'a Checkpoint) -> Self {
        let mut bare = BTreeMap::new();
        for name in base.tensor_names() {
            if let Some(bare_name) = without_prefix(name) {
                bare.entry(bare_name)
                    .and_modify(|place| *place = None)
                    .or_insert(base.place(name));
            }
        }
        Self { base, bare }
    }

    fn find(&self, name: &str) -> Option<TensorPlace> {
        let exact = self.base.place(name);
        exact.or_else(|| self.bare.get(without_prefix(name)?).copied().flatten())
    }
}

/// Returns what follows the language model's prefix; a head has one in some checkpoints.
fn without_prefix(name: &str) -> Option<&str> {
    if name == HEAD {
        return Some(name);
    }
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(
        "model.layers.0.mlp.up_proj.weight",
        Some("layers.0.mlp.up_proj.weight")
    )]
    #[test_case("language_model.model.norm.weight", Some("norm.weight"))]
    #[test_case("model.language_model.norm.weight", Some("norm.weight"))]
    #[test_case("language_model.lm_head.weight", Some("lm_head.weight"))]
    #[test_case("lm_head.weight", Some("lm_head.weight"))]
    #[test_case("vision_tower.vision_model.post_layernorm.weight", None)]
    fn prefixes_are_left_out(name: &str, bare: Option<&str>) {
        assert_eq!(without_prefix(name), bare);
    }
}
