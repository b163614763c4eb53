//! What the file will have, decided and checked before a byte is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::ConvertProblem;
use super::layout::{self, Layout, Place, RowOrder};
use super::metadata;
use crate::adapter::Adapter;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::gguf::{KeyValues, TensorDescription, TensorType};
use crate::hyper_parameters::HyperParameters;
use crate::metadata::FileType;
use crate::model_config::Family;
use crate::number_format::NumberFormat;
use crate::quantize::{self, Mix};
use crate::tokenizer::Vocabulary;
use crate::weights::{Plan, Planned};

/// The tensor of the factors that Llama 3 divides its frequencies by.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// A file's key-values and tensors.
pub(super) struct ConversionPlan<'a> {
    pub(super) key_values: KeyValues,
    pub(super) tensors: Vec<ConvertedTensor<'a>>,
    /// Tensors whose rows do not fill the blocks they should have.
    pub(super) fallbacks: usize,
    /// Tensors of the checkpoint that do not go into the file.
    pub(super) left_out: usize,
}

/// One tensor of the file.
pub(super) struct ConvertedTensor<'a> {
    pub(super) description: TensorDescription,
    pub(super) origin: Origin<'a>,
}

/// Where a tensor's values come from.
pub(super) enum Origin<'a> {
    /// They are these.
    Computed(Vec<f32>),
    /// The checkpoint, with the adapter's changes.
    Weights {
        planned: &'a Planned<'a>,
        layout: Layout,
        /// Rows of a head, where the order is not kept.
        head_rows: usize,
        /// Rows that are written; those beyond belong to no token.
        rows: usize,
    },
}

impl ConversionPlan<'_> {
    /// Returns tensors and bytes by type.
    pub(super) fn types(&self) -> Vec<(TensorType, usize, u64)> {
        let mut types: BTreeMap<TensorType, (usize, u64)> = BTreeMap::new();
        for ConvertedTensor { description, .. } in &self.tensors {
            let (tensors, bytes) = types.entry(description.tensor_type).or_default();
            *tensors += 1;
            *bytes += description.bytes().unwrap_or(0);
        }
        let types = types.into_iter();
        types
            .map(|(tensor_type, (tensors, bytes))| (tensor_type, tensors, bytes))
            .collect()
    }
}

/// Plans the conversion of `weights`, which are `base`'s with `adapter`'s changes, with the tokenizer
/// that lies in `tokenizer`.
pub(super) fn plan<'a>(
    base: &Checkpoint,
    adapter: Option<&Adapter>,
    weights: &'a Plan<'a>,
    file_type: FileType,
    tokenizer: &Path,
) -> Result<ConversionPlan<'a>, ModelError> {
    if let Some(quantized) = quantize::usual_type(file_type) {
        quantize::is_available(quantized)?;
    }
    let family = base.config().family();
    let parameters = base.config().hyper_parameters()?;
    let vocab_size = usize::try_from(parameters.vocab_size).unwrap_or(usize::MAX);
    let vocabulary = Vocabulary::read(tokenizer, family, vocab_size)?;
    let tokens = vocabulary.tokens().len();
    let mut tensors = Vec::new();
    let mut left_out = 0;
    if matches!(family, Family::Llama | Family::Mistral)
        && let Some(factors) = parameters.rope.llama3_factors(parameters.head_dim)
    {
        tensors.push(ConvertedTensor {
            description: TensorDescription {
                name: ROPE_FACTORS.to_owned(),
                dimensions: vec![factors.len() as u64],
                tensor_type: TensorType::F32,
            },
            origin: Origin::Computed(factors),
        });
    }
    for planned in weights.files.iter().flat_map(|file| &file.tensors) {
        match layout::place(family, &planned.name) {
            Place::Nowhere => left_out += 1,
            Place::Unknown => {
                let family = family.name();
                return Err(wrong(&planned.name, ConvertProblem::Unknown { family }));
            }
            Place::At(layout) => {
                let tensor = converted(planned, layout, &parameters, tokens, file_type)?;
                tensors.push(tensor);
            }
        }
    }
    check_complete(&tensors, &parameters)?;
    let fallbacks = choose_types(&mut tensors, family, &parameters, file_type);
    let elements = tensors.iter().filter_map(|t| t.description.elements());
    let mut key_values = metadata::of_model(base, adapter, &parameters, file_type, elements.sum())?;
    metadata::put_tokenizer(&mut key_values, &vocabulary, tokenizer)?;
    Ok(ConversionPlan {
        key_values,
        tensors,
        fallbacks,
        left_out,
    })
}

/// Decides about one tensor, still without a type of few bits.
fn converted<'a>(
    planned: &'a Planned<'a>,
    layout: Layout,
    parameters: &HyperParameters,
    tokens: usize,
    file_type: FileType,
) -> Result<ConvertedTensor<'a>, ModelError> {
    let wrong = |problem| wrong(&planned.name, problem);
    let Some((_, format)) = planned.formats else {
        let dtype = planned.source.dtype();
        return Err(wrong(ConvertProblem::Format { dtype }));
    };
    if layout
        .layer
        .is_some_and(|layer| layer >= parameters.num_hidden_layers)
    {
        let layers = parameters.num_hidden_layers;
        return Err(wrong(ConvertProblem::Layer { layers }));
    }
    let (rows, values) = match planned.shape[..] {
        [values] => (1, values),
        [rows, values] => (rows, values),
        _ => {
            let found = planned.shape.clone();
            return Err(wrong(ConvertProblem::Dimensions { found }));
        }
    };
    let is_vector = planned.shape.len() == 1;
    let kept = match layout.is_embedding {
        true if rows < tokens || layout.name.starts_with("output") && rows > tokens => {
            return Err(wrong(ConvertProblem::Vocabulary { rows, tokens }));
        }
        true => tokens,
        false => rows,
    };
    let heads = match layout.order {
        RowOrder::Kept => 1,
        RowOrder::Queries => parameters.num_attention_heads,
        RowOrder::Keys => parameters.num_key_value_heads,
    };
    // A bias has one value for each row of its matrix.
    let ordered = if is_vector { values } else { rows };
    let heads_usize = usize::try_from(heads).unwrap_or(usize::MAX);
    let head_rows = ordered / heads_usize;
    if layout.order != RowOrder::Kept
        && (ordered % heads_usize != 0 || head_rows == 0 || head_rows % 2 != 0)
    {
        let rows = ordered;
        return Err(wrong(ConvertProblem::Heads { rows, heads }));
    }
    let is_plain =
        is_vector || layout.name.ends_with("_norm.weight") || !layout.name.ends_with(".weight");
    let mut dimensions = vec![values as u64];
    if !is_vector {
        dimensions.push(kept as u64);
    }
    Ok(ConvertedTensor {
        description: TensorDescription {
            name: layout.name.clone(),
            dimensions,
            tensor_type: if is_plain {
                TensorType::F32
            } else {
                plain_type(file_type, format)
            },
        },
        origin: Origin::Weights {
            planned,
            layout,
            head_rows,
            rows: kept,
        },
    })
}

/// Returns what a matrix stored as `format` is before it is quantised.
fn plain_type(file_type: FileType, format: NumberFormat) -> TensorType {
    match file_type {
        FileType::F32 => TensorType::F32,
        FileType::F16 => TensorType::F16,
        FileType::Bf16 => TensorType::BF16,
        FileType::Q8_0 | FileType::Q4_K_M | FileType::Q5_K_M | FileType::Q6_K => match format {
            NumberFormat::F32 => TensorType::F32,
            NumberFormat::F16 => TensorType::F16,
            NumberFormat::Bf16 => TensorType::BF16,
        },
    }
}

/// Gives the tensors their types, and returns how many got another than they should have had.
fn choose_types(
    tensors: &mut [ConvertedTensor<'_>],
    family: Family,
    parameters: &HyperParameters,
    file_type: FileType,
) -> usize {
    let has = |name: &str| tensors.iter().any(|t| t.description.name == name);
    let mix = Mix {
        file_type,
        layers: parameters.num_hidden_layers,
        is_tied: !has("output.weight"),
        has_small_values: quantize::has_small_values(family, parameters),
    };
    let mut fallbacks = 0;
    for ConvertedTensor { description, .. } in tensors {
        let (tensor_type, is_fallback) = mix.tensor_type(description);
        description.tensor_type = tensor_type;
        fallbacks += usize::from(is_fallback);
    }
    fallbacks
}

/// Checks that every layer has what the first has, and that the ends of the model are there.
fn check_complete(
    tensors: &[ConvertedTensor<'_>],
    parameters: &HyperParameters,
) -> Result<(), ModelError> {
    let names: BTreeSet<&str> = tensors
        .iter()
        .map(|t| t.description.name.as_str())
        .collect();
    let need = |name: &str| {
        if names.contains(name) {
            Ok(())
        } else {
            Err(wrong(name, ConvertProblem::Missing))
        }
    };
    need("token_embd.weight")?;
    need("output_norm.weight")?;
    if !parameters.tie_word_embeddings {
        need("output.weight")?;
    }
    let modules = names
        .iter()
        .filter_map(|name| name.strip_prefix("blk."))
        .filter_map(|name| Some(name.split_once('.')?.1));
    let mut modules: BTreeSet<&str> = modules.collect();
    modules.extend([
        "attn_norm.weight",
        "attn_q.weight",
        "attn_k.weight",
        "attn_v.weight",
        "attn_output.weight",
        "ffn_norm.weight",
        "ffn_gate.weight",
        "ffn_up.weight",
        "ffn_down.weight",
    ]);
    for layer in 0..parameters.num_hidden_layers {
        for module in &modules {
            need(&format!("blk.{layer}.{module}"))?;
        }
    }
    Ok(())
}

fn wrong(tensor: &str, problem: ConvertProblem) -> ModelError {
    ModelError::Convert {
        tensor: tensor.to_owned(),
        problem,
    }
}
