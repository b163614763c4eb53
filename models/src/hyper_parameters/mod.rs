//! A model's sizes and constants, as `config.json` has them.

mod fields;
mod rope;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::{Map, Value};

pub(crate) use fields::Fields;
pub use fields::{FieldError, FieldProblem};
pub use rope::{Llama3Scaling, Rope, RopeScaling, YarnScaling};

use crate::model_config::Family;

/// The most layers, far more than any model has; a list of them is made.
const LAYER_LIMIT: u32 = 10_000;
/// The most of anything else.
const SIZE_LIMIT: u32 = i32::MAX as u32;

/// A model's sizes and constants; every one was found to be possible.
///
/// Where `config.json` is silent, values are those of transformers' configuration of the family. Sizes
/// are numbers of values, not bytes.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of `config.json`"
)]
pub struct HyperParameters {
    /// Values of a token's vector.
    pub hidden_size: u32,
    /// Values within the feed-forward network.
    pub intermediate_size: u32,
    /// Layers.
    pub num_hidden_layers: u32,
    /// Heads that ask.
    pub num_attention_heads: u32,
    /// Heads that are asked; a divisor of those that ask.
    pub num_key_value_heads: u32,
    /// Values of a head's vector, an even number.
    pub head_dim: u32,
    /// Whether `config.json` gives `head_dim`, where that matters to nobody but the converter.
    pub(crate) head_dim_is_given: bool,
    /// Tokens the embedding has rows for.
    pub vocab_size: u32,
    /// Tokens of the longest context.
    pub max_position_embeddings: u32,
    /// What is added to the mean square in an RMS norm.
    pub rms_norm_eps: f64,
    /// Rotary position embeddings.
    pub rope: Rope,
    /// Tokens that a layer with a window sees; none if no layer has one.
    pub sliding_window: Option<u32>,
    /// What each layer sees.
    pub layer_types: Vec<LayerType>,
    /// Whether the head's weights are the embedding's.
    pub tie_word_embeddings: bool,
    /// Whether the query, key and value projections add a bias.
    pub qkv_bias: bool,
    /// Whether the projection after attention adds a bias.
    pub output_bias: bool,
    /// Whether the feed-forward network's projections add a bias.
    pub mlp_bias: bool,
    /// The function within the feed-forward network.
    pub activation: Activation,
    /// The root of this divides attention's scores, where it is not `head_dim` (Gemma 3).
    pub query_pre_attn_scalar: Option<f64>,
    /// Logits are kept within ± this by a hyperbolic tangent (Gemma 3).
    pub final_logit_softcapping: Option<f64>,
}

/// What a layer's attention sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerType {
    /// All that came before.
    Full,
    /// The last [`HyperParameters::sliding_window`] tokens.
    Sliding,
}

/// The function within a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(x).
    Silu,
    /// The Gaussian error linear unit, approximated by a hyperbolic tangent.
    GeluTanh,
}

/// What transformers takes for granted of Gemma 3, whose `text_config` leaves out what is usual.
struct Usual {
    hidden_size: Option<u32>,
    intermediate_size: Option<u32>,
    num_hidden_layers: Option<u32>,
    num_attention_heads: Option<u32>,
    vocab_size: Option<u32>,
    max_position_embeddings: Option<u32>,
}

impl Usual {
    fn of(family: Family) -> Self {
        let gemma = |value| (family == Family::Gemma3).then_some(value);
        Self {
            hidden_size: gemma(2304),
            intermediate_size: gemma(9216),
            num_hidden_layers: gemma(26),
            num_attention_heads: gemma(8),
            vocab_size: gemma(262_208),
            max_position_embeddings: gemma(131_072),
        }
    }
}

impl HyperParameters {
    /// Reads them from all of a `config.json`, found at `path`.
    ///
    /// Errors with file and field for what is missing, of another type, impossible or not supported.
    pub(crate) fn read(
        path: &Path,
        family: Family,
        ties: bool,
        all: &Map<String, Value>,
    ) -> Result<Self, FieldError> {
        let outer = Fields::new(path, all);
        let config = match outer.object("text_config")? {
            Some(inner) => outer.under("text_config.", inner),
            None => outer,
        };
        let size = |name: &str, most: u32, usual: Option<u32>| {
            let given = config.count(name, most)?;
            given.or(usual).ok_or_else(|| config.missing(name))
        };
        let usual = Usual::of(family);
        let hidden_size = size("hidden_size", SIZE_LIMIT, usual.hidden_size)?;
        let num_hidden_layers = size("num_hidden_layers", LAYER_LIMIT, usual.num_hidden_layers)?;
        let num_attention_heads =
            size("num_attention_heads", SIZE_LIMIT, usual.num_attention_heads)?;
        let (sliding_window, layer_types) = windows(family, config, num_hidden_layers)?;
        let max_position_embeddings = size(
            "max_position_embeddings",
            SIZE_LIMIT,
            usual.max_position_embeddings,
        )?;
        let attention_bias = config.truth("attention_bias")?.unwrap_or(false);
        let llama = family == Family::Llama;
        let gemma = family == Family::Gemma3;
        if gemma {
            refuse_softcapped_attention(config)?;
        }
        Ok(Self {
            hidden_size,
            intermediate_size: size("intermediate_size", SIZE_LIMIT, usual.intermediate_size)?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: key_value_heads(family, config, num_attention_heads)?,
            head_dim: head_dim(family, config, hidden_size, num_attention_heads)?,
            head_dim_is_given: config.value("head_dim").is_some(),
            vocab_size: size("vocab_size", SIZE_LIMIT, usual.vocab_size)?,
            max_position_embeddings,
            rms_norm_eps: config.positive("rms_norm_eps")?.unwrap_or(1e-6),
            rope: Rope::read(family, config, max_position_embeddings)?,
            sliding_window,
            layer_types,
            tie_word_embeddings: ties,
            qkv_bias: match family {
                Family::Qwen2 => true,
                Family::Mistral => false,
                Family::Llama | Family::Qwen3 | Family::Gemma3 => attention_bias,
            },
            output_bias: match family {
                Family::Qwen2 | Family::Mistral => false,
                Family::Llama | Family::Qwen3 | Family::Gemma3 => attention_bias,
            },
            mlp_bias: llama && config.truth("mlp_bias")?.unwrap_or(false),
            activation: activation(family, config)?,
            query_pre_attn_scalar: if gemma {
                Some(config.positive("query_pre_attn_scalar")?.unwrap_or(256.0))
            } else {
                None
            },
            final_logit_softcapping: if gemma {
                let softcap = config.number("final_logit_softcapping")?;
                softcap.filter(|&softcap| softcap != 0.0)
            } else {
                None
            },
        })
    }
}

fn key_value_heads(family: Family, config: Fields<'_>, heads: u32) -> Result<u32, FieldError> {
    let name = "num_key_value_heads";
    let count = match (config.count(name, SIZE_LIMIT)?, family) {
        (Some(count), _) => count,
        (None, Family::Gemma3) => 4,
        (None, Family::Llama) => heads,
        // Their usual numbers fit one size of model only.
        (None, _) if config.is_mentioned(name) => heads,
        (None, _) => return Err(config.missing(name)),
    };
    if heads.is_multiple_of(count) {
        return Ok(count);
    }
    let problem = FieldProblem::Range {
        expected: format!("a divisor of `num_attention_heads`, which is {heads}"),
        found: count.to_string(),
    };
    Err(config.error(name, problem))
}

fn head_dim(
    family: Family,
    config: Fields<'_>,
    hidden_size: u32,
    heads: u32,
) -> Result<u32, FieldError> {
    let name = "head_dim";
    let wrong = |name: &str, expected: &str, found: u32| {
        let problem = FieldProblem::Range {
            expected: expected.to_owned(),
            found: found.to_string(),
        };
        config.error(name, problem)
    };
    let size = match (config.count(name, SIZE_LIMIT)?, family) {
        (Some(size), _) => size,
        (None, Family::Qwen3) => 128,
        (None, Family::Gemma3) => 256,
        (None, _) if hidden_size.is_multiple_of(heads) => hidden_size / heads,
        (None, _) => {
            let expected = format!("a multiple of `num_attention_heads`, which is {heads}");
            return Err(wrong("hidden_size", &expected, hidden_size));
        }
    };
    if size.is_multiple_of(2) {
        return Ok(size);
    }
    Err(wrong(name, "an even number", size))
}

/// Returns the window and what each layer sees.
fn windows(
    family: Family,
    config: Fields<'_>,
    layers: u32,
) -> Result<(Option<u32>, Vec<LayerType>), FieldError> {
    let name = "sliding_window";
    // Where it is `null`, there is none.
    let usual = (!config.is_mentioned(name)).then_some(4096);
    let window = config.count(name, SIZE_LIMIT)?.or(usual);
    let window = match family {
        Family::Llama => None,
        Family::Mistral | Family::Gemma3 => window,
        Family::Qwen2 | Family::Qwen3 => {
            let used = config.truth("use_sliding_window")?.unwrap_or(false);
            window.filter(|_| used)
        }
    };
    let slides = match family {
        Family::Llama => vec![false; layers as usize],
        Family::Mistral => vec![true; layers as usize],
        Family::Qwen2 | Family::Qwen3 => {
            let first = match config.value("max_window_layers").and_then(Value::as_u64) {
                Some(0) => 0,
                _ => config.count("max_window_layers", SIZE_LIMIT)?.unwrap_or(28),
            };
            let slides = (0..layers).map(|layer| layer >= first).collect();
            listed(config, layers)?.unwrap_or(slides)
        }
        Family::Gemma3 => {
            let period = config.count("sliding_window_pattern", SIZE_LIMIT)?;
            let period = period.unwrap_or(6);
            if period == 1 {
                return Ok((None, vec![LayerType::Full; layers as usize]));
            }
            let slides = (1..=layers).map(|layer| !layer.is_multiple_of(period));
            listed(config, layers)?.unwrap_or_else(|| slides.collect())
        }
    };
    let types = slides.into_iter().map(|slides| match window {
        Some(_) if slides => LayerType::Sliding,
        _ => LayerType::Full,
    });
    Ok((window, types.collect()))
}

/// Returns which layers have a window, if the file lists them.
fn listed(config: Fields<'_>, layers: u32) -> Result<Option<Vec<bool>>, FieldError> {
    let name = "layer_types";
    let Some(list) = config.array(name)? else {
        return Ok(None);
    };
    if list.len() != layers as usize {
        let problem = FieldProblem::Range {
            expected: format!("{layers} layers, as in `num_hidden_layers`"),
            found: list.len().to_string(),
        };
        return Err(config.error(name, problem));
    }
    let slides = list.iter().map(|layer| match layer.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        other => {
            let problem = FieldProblem::Unsupported {
                found: other.unwrap_or("no string").to_owned(),
                supported: "full_attention, sliding_attention",
            };
            Err(config.error(name, problem))
        }
    });
    slides.collect::<Result<_, _>>().map(Some)
}

fn activation(family: Family, config: Fields<'_>) -> Result<Activation, FieldError> {
    let (name, usual) = match family {
        // `hidden_act` is there too in older files, and says something else than what is computed.
        Family::Gemma3 => ("hidden_activation", Activation::GeluTanh),
        _ => ("hidden_act", Activation::Silu),
    };
    match config.text(name)? {
        None => Ok(usual),
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
        Some(other) => {
            let problem = FieldProblem::Unsupported {
                found: other.to_owned(),
                supported: "silu, gelu_pytorch_tanh",
            };
            Err(config.error(name, problem))
        }
    }
}

/// Gemma 3 has none of Gemma 2's, and llama.cpp knows of none there.
fn refuse_softcapped_attention(config: Fields<'_>) -> Result<(), FieldError> {
    let name = "attn_logit_softcapping";
    match config.value(name) {
        None => Ok(()),
        Some(value) => {
            let problem = FieldProblem::Unsupported {
                found: value.to_string(),
                supported: "null",
            };
            Err(config.error(name, problem))
        }
    }
}
