//! Which pairs the file will have, decided and checked before a byte is written.

use std::path::Path;

use super::alpha;
use super::error::LoraProblem;
use crate::adapter::{Adapter, Lora, Replacement};
use crate::checkpoint::Checkpoint;
use crate::convert::layout::{self, Layout, Place, RowOrder};
use crate::error::{CheckpointProblem, ModelError};
use crate::hyper_parameters::HyperParameters;
use crate::model_config::{Family, ModelConfig};
use crate::number_format::NumberFormat;

/// What the file will have.
pub(super) struct LoraPlan<'a> {
    /// What the file says.
    pub(super) alpha: f32,
    pub(super) pairs: Vec<Pair<'a>>,
    /// Changed modules that are no part of the language model.
    pub(super) left_out: usize,
    /// Tensors of the base that the adapter brings and that could not be compared.
    pub(super) not_compared: Vec<String>,
}

/// A and B of one matrix.
pub(super) struct Pair<'a> {
    /// What the matrix is called in GGUF.
    pub(super) name: String,
    pub(super) lora: &'a Lora,
    /// The order of the matrix' rows, which are B's.
    pub(super) order: RowOrder,
    /// Rows of a head, where the order is not kept.
    pub(super) head_rows: usize,
    /// What B is multiplied by.
    pub(super) factor: f32,
    /// Values of the matrix.
    pub(super) changed: u64,
}

/// Plans the file of `adapter`, for a base that lies in `directory`, with or without its weights.
pub(super) fn plan<'a>(
    directory: &Path,
    config: &ModelConfig,
    parameters: &HyperParameters,
    adapter: &'a Adapter,
) -> Result<LoraPlan<'a>, ModelError> {
    let mut plan = LoraPlan {
        alpha: 1.0,
        pairs: Vec::new(),
        left_out: 0,
        not_compared: Vec::new(),
    };
    let mut wanted = Vec::new();
    for (module, lora) in adapter.modules() {
        let name = format!("{module}.weight");
        match layout::place(config.family(), &name) {
            Place::Nowhere => plan.left_out += 1,
            Place::Unknown => {
                let (module, family) = (module.clone(), config.family().name());
                return Err(LoraProblem::Unknown { module, family }.into());
            }
            Place::At(layout) => {
                let pair = pair(module, lora, layout, adapter, config.family(), parameters)?;
                wanted.push((module, alpha::wanted(module, lora)?));
                plan.pairs.push(pair);
            }
        }
    }
    check_replacements(directory, config.family(), adapter, &mut plan)?;
    if plan.pairs.is_empty() {
        return Err(LoraProblem::Empty.into());
    }
    let alphas = wanted.iter().map(|(_, alpha)| *alpha);
    plan.alpha = alpha::common(alphas, adapter.config().alpha);
    for (pair, (module, _)) in plan.pairs.iter_mut().zip(wanted) {
        pair.factor = alpha::factor(module, pair.lora, plan.alpha)?;
    }
    Ok(plan)
}

/// Decides about one module, still without the factor.
fn pair<'a>(
    module: &str,
    lora: &'a Lora,
    layout: Layout,
    adapter: &Adapter,
    family: Family,
    parameters: &HyperParameters,
) -> Result<Pair<'a>, LoraProblem> {
    let module = || module.to_owned();
    if lora.magnitude.is_some() {
        return Err(LoraProblem::Dora { module: module() });
    }
    if lora.bias.is_some() {
        return Err(LoraProblem::Bias { module: module() });
    }
    let layers = parameters.num_hidden_layers;
    if layout.layer.is_some_and(|layer| layer >= layers) {
        let module = module();
        return Err(LoraProblem::Layer { module, layers });
    }
    let is_embedding = layout.name == "token_embd.weight";
    if parameters.tie_word_embeddings && layout.is_embedding {
        let module = module();
        return Err(if is_embedding {
            LoraProblem::TiedEmbedding { module }
        } else {
            LoraProblem::TiedHead { module }
        });
    }
    let expected = shape(&layout, parameters).ok_or_else(|| LoraProblem::Unknown {
        module: module(),
        family: family.name(),
    })?;
    if lora.is_embedding != is_embedding {
        let kind = |is_embedding| {
            if is_embedding {
                "an embedding's change (`lora_embedding_A`)"
            } else {
                "a matrix' change (`lora_A.weight`)"
            }
        };
        return Err(LoraProblem::Kind {
            module: module(),
            found: kind(lora.is_embedding),
            expected: kind(is_embedding),
        });
    }
    let inputs = adapter.tensor(lora.a).shape[1] as u64;
    let outputs = adapter.tensor(lora.b).shape[0] as u64;
    let found = if is_embedding {
        [inputs, outputs]
    } else {
        [outputs, inputs]
    };
    if found != expected {
        let tensor = format!("{}.weight", module());
        return Err(LoraProblem::Shape {
            tensor,
            found,
            expected,
        });
    }
    let head_dim = usize::try_from(parameters.head_dim).unwrap_or(usize::MAX);
    Ok(Pair {
        name: layout.name,
        lora,
        order: layout.order,
        head_rows: head_dim,
        factor: 1.0,
        changed: found[0].saturating_mul(found[1]),
    })
}

/// Returns rows and columns of the base's matrix; none if it is not one.
fn shape(layout: &Layout, parameters: &HyperParameters) -> Option<[u64; 2]> {
    let hidden = u64::from(parameters.hidden_size);
    let inner = u64::from(parameters.intermediate_size);
    let head = u64::from(parameters.head_dim);
    let queries = u64::from(parameters.num_attention_heads).saturating_mul(head);
    let keys = u64::from(parameters.num_key_value_heads).saturating_mul(head);
    let name = layout.name.strip_suffix(".weight")?;
    let module = match layout.layer {
        Some(_) => name.rsplit_once('.')?.1,
        None => name,
    };
    Some(match module {
        "token_embd" | "output" => [parameters.vocab_size.into(), hidden],
        "attn_q" => [queries, hidden],
        "attn_k" | "attn_v" => [keys, hidden],
        "attn_output" => [hidden, queries],
        "ffn_gate" | "ffn_up" => [inner, hidden],
        "ffn_down" => [hidden, inner],
        _ => return None,
    })
}

/// Refuses tensors trained in full; what PEFT saves of the base's own must be the base's.
fn check_replacements(
    directory: &Path,
    family: Family,
    adapter: &Adapter,
    plan: &mut LoraPlan<'_>,
) -> Result<(), ModelError> {
    let mut base = None;
    for (tensor, replacement) in adapter.replacements() {
        let place = layout::place(family, tensor);
        if place == Place::Nowhere {
            plan.left_out += 1;
            continue;
        }
        let tensor = tensor.clone();
        // A bias below a low-rank change is there only if it was trained (`bias: lora_only`).
        let is_bias = tensor.rsplit('.').next() == Some("bias");
        if is_bias || !replacement.is_base_layer {
            let what = if is_bias {
                "a bias"
            } else if tensor.ends_with("norm.weight") {
                "a norm"
            } else {
                "`modules_to_save`"
            };
            return Err(LoraProblem::Replaced { tensor, what }.into());
        }
        let base = match &mut base {
            Some(base) => base,
            none => none.insert(weights(directory)?),
        };
        match base {
            None => plan.not_compared.push(tensor),
            Some(base) if is_the_bases(base, family, &place, adapter, *replacement) => {}
            Some(_) => return Err(LoraProblem::OtherBase { tensor }.into()),
        }
    }
    Ok(())
}

/// Opens the base's weights, if they are there.
fn weights(directory: &Path) -> Result<Option<Checkpoint>, ModelError> {
    match Checkpoint::open(directory) {
        Ok(base) => Ok(Some(base)),
        Err(ModelError::Checkpoint {
            problem: CheckpointProblem::NoWeights,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether a tensor of the adapter has the base's values, rounded to its own format.
fn is_the_bases(
    base: &Checkpoint,
    family: Family,
    place: &Place,
    adapter: &Adapter,
    replacement: Replacement,
) -> bool {
    let same = |name: &&str| layout::place(family, name) == *place;
    let Some(found) = base
        .tensor_names()
        .find(same)
        .and_then(|name| base.place(name))
    else {
        return false;
    };
    let stored = base.tensor(found);
    let own = adapter.tensor(replacement.tensor_idx);
    let Some(from) = NumberFormat::of(stored.dtype) else {
        return false;
    };
    if stored.shape != own.shape || *place == Place::Unknown {
        return false;
    }
    let format = adapter.format(replacement.tensor_idx);
    let data = base.shards()[found.shard_idx].data(stored);
    let own = adapter.data(replacement.tensor_idx);
    let columns = stored.shape.last().copied().unwrap_or(1).max(1);
    let mut values = vec![0.0; columns];
    let mut own_values = vec![0.0; columns];
    data.chunks(columns * from.size())
        .zip(own.chunks(columns * format.size()))
        .all(|(row, own_row)| {
            from.decode(row, &mut values);
            format.round(&mut values);
            format.decode(own_row, &mut own_values);
            values == own_values
        })
}
