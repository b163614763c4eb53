//! What every tensor of the merged model is made of, decided and checked before a byte is written.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::OutputFormat;
use crate::adapter::{Adapter, Lora, Replacement};
use crate::checkpoint::{Checkpoint, SINGLE_FILE, TensorPlace};
use crate::error::{MergeProblem, ModelError};
use crate::number_format::NumberFormat;

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
pub(super) struct Plan<'a> {
    pub(super) files: Vec<PlannedFile<'a>>,
    /// Whether head and embedding are one tensor, where that changes.
    pub(super) ties: Option<bool>,
}

pub(super) struct PlannedFile<'a> {
    pub(super) name: String,
    pub(super) tensors: Vec<Planned<'a>>,
}

/// One tensor of the result.
pub(super) struct Planned<'a> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) data: &'a [u8],
    pub(super) from: Dtype,
    pub(super) to: Dtype,
    pub(super) change: Change<'a>,
}

/// What is done to a tensor's values.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
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

impl Planned<'_> {
    /// Returns the bytes of its values in the result.
    pub(super) fn bytes(&self) -> u64 {
        let elements = self.data.len() as u64 * 8 / self.from.bitsize().max(1) as u64;
        elements * self.to.bitsize() as u64 / 8
    }

    /// Returns rows and columns; a tensor of one dimension is a row.
    pub(super) fn rows_and_columns(&self) -> (usize, usize) {
        match self.shape[..] {
            [rows, columns] => (rows, columns),
            _ => (1, self.shape.iter().product()),
        }
    }
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        base: &'a Checkpoint,
        adapter: &'a Adapter,
        format: OutputFormat,
    ) -> Result<Self, ModelError> {
        let names = Names::of(base);
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
        let ties = untie(base, adapter, &names, head, format, &mut files)?;
        Ok(Self { files, ties })
    }
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
        let tensor = planned(base, adapter, embedding, &changes, format)?;
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
    adapter: &'a Adapter,
    place: TensorPlace,
    changes: &Changes<'a>,
    format: OutputFormat,
) -> Result<Planned<'a>, ModelError> {
    let tensor = base.tensor(place);
    let wrong = |problem| merge_error(&tensor.name, problem);
    let mut planned = Planned {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        data: base.data(place),
        from: tensor.dtype,
        to: tensor.dtype,
        change: Change::Nothing,
    };
    let fits = |adapter: Vec<usize>| {
        if adapter == tensor.shape {
            Ok(())
        } else {
            let base = tensor.shape.clone();
            Err(wrong(MergeProblem::Shape { base, adapter }))
        }
    };
    if let Some(Replacement { tensor_idx, .. }) = changes.replacement {
        fits(adapter.tensor(tensor_idx).shape.clone())?;
        planned.data = adapter.data(tensor_idx);
        planned.from = adapter.tensor(tensor_idx).dtype;
    }
    if let Some(lora) = changes.weight {
        let (inputs, outputs) = (
            adapter.tensor(lora.a).shape[1],
            adapter.tensor(lora.b).shape[0],
        );
        fits(if lora.is_embedding {
            vec![inputs, outputs]
        } else {
            vec![outputs, inputs]
        })?;
        planned.change = Change::Weight(lora);
    }
    if let Some((lora, bias)) = changes.bias {
        fits(adapter.tensor(bias).shape.clone())?;
        planned.change = Change::Bias(lora, bias);
    }
    let is_changed = !matches!(planned.change, Change::Nothing);
    let dtype = tensor.dtype;
    if NumberFormat::of(dtype).is_some() {
        planned.to = format.of(dtype);
    } else if is_changed || changes.replacement.is_some() || is_floating(dtype) {
        return Err(wrong(MergeProblem::Format { dtype }));
    }
    Ok(planned)
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
