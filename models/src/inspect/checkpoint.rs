use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::chat::ChatDescription;
use super::gguf::{SpecialTokenDescription, TokenizerDescription};
use super::naming::{self, Training};
use super::weights::WeightsDescription;
use crate::chat_template::SpecialTokens;
use crate::checkpoint::Checkpoint;
use crate::error::{CheckpointProblem, ModelError};
use crate::hyper_parameters::{HyperParameters, LayerType, RopeScaling};
use crate::json_file;
use crate::metadata::{Lineage, ModelCard, Source};
use crate::model_config::ModelConfig;
use crate::tokenizer::{SpecialToken, TokenKind, TokenizerError, Vocabulary};

const GENERATION_CONFIG: &str = "generation_config.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Roles in the order they are told.
const ROLES: [(SpecialToken, &str); 8] = [
    (SpecialToken::Bos, "bos"),
    (SpecialToken::Eos, "eos"),
    (SpecialToken::Eot, "eot"),
    (SpecialToken::Eom, "eom"),
    (SpecialToken::Padding, "padding"),
    (SpecialToken::Unknown, "unknown"),
    (SpecialToken::Separator, "separator"),
    (SpecialToken::Mask, "mask"),
];

/// What a checkpoint is.
///
/// Strings are the files' own and may hold anything that UTF-8 can.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckpointDescription {
    /// The family, e.g. `Qwen2`.
    pub family: &'static str,
    /// The class in transformers, e.g. `Qwen2ForCausalLM`.
    pub architecture: Option<String>,
    /// What it is called, by its card or its directory.
    pub name: Option<String>,
    /// What it was trained for, as its name tells.
    pub training: Training,
    /// How many values the weights have; none without weights and for quantised ones.
    pub parameters: Option<u64>,
    /// What the weights are stored as; none if there are none.
    pub weights: Option<WeightsDescription>,
    /// How they are quantised, if they are.
    pub quantisation: Option<QuantisationDescription>,
    /// Its sizes and constants.
    pub sizes: SizesDescription,
    /// Whether the head's weights are the embedding's.
    pub ties_embeddings: bool,
    /// The tokenizer, if there is one that is understood.
    pub tokenizer: Option<TokenizerDescription>,
    /// Rows of the embedding that no token has; none without a tokenizer.
    pub rows_without_token: Option<u64>,
    /// Ids at which `generation_config.json` stops, if it says.
    pub generation_eos: Vec<u64>,
    /// The chat templates, if there are any.
    pub chat: Option<ChatDescription>,
    /// The licence.
    pub license: Option<String>,
    /// What the model was made from.
    pub base_models: Vec<Source>,
    /// What it was trained on.
    pub datasets: Vec<Source>,
    /// The languages it is for.
    pub languages: Vec<String>,
}

/// How weights are quantised, as `quantization_config` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuantisationDescription {
    /// The method, e.g. `bitsandbytes`.
    pub method: String,
    /// Bits of a value, if that is said.
    pub bits: Option<u64>,
    /// The type of the values, e.g. `nf4`.
    pub kind: Option<String>,
}

/// A model's sizes and constants.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SizesDescription {
    /// Layers.
    pub layers: u32,
    /// Values of a token's vector.
    pub hidden_size: u32,
    /// Values within the feed-forward network.
    pub intermediate_size: u32,
    /// Heads that ask.
    pub heads: u32,
    /// Heads that are asked.
    pub key_value_heads: u32,
    /// Values of a head's vector.
    pub head_dim: u32,
    /// Tokens the embedding has rows for.
    pub vocab_size: u32,
    /// Tokens of the longest context.
    pub context_length: u32,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// The same in layers with a window, where it is another.
    pub rope_local_theta: Option<f64>,
    /// How the frequencies are changed for longer contexts.
    pub rope_scaling: Option<RopeScalingDescription>,
    /// Tokens that a layer with a window sees; none if no layer has one.
    pub sliding_window: Option<u32>,
    /// Layers with a window.
    pub sliding_layers: u32,
}

/// How rotary frequencies are changed for longer contexts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RopeScalingDescription {
    /// The way, e.g. `llama3`.
    pub kind: &'static str,
    /// The factor.
    pub factor: f64,
    /// Tokens of the context in pre-training, if that is said.
    pub original_context_length: Option<u32>,
}

/// A checkpoint that was read for its description, and what the findings are looked for in.
pub(super) struct Examined {
    pub(super) description: CheckpointDescription,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) vocabulary: Option<Vocabulary>,
    /// Why there is none though there are files of one.
    pub(super) tokenizer_error: Option<String>,
    /// Why the card tells nothing.
    pub(super) card_error: Option<String>,
    pub(super) special_tokens: SpecialTokens,
    pub(super) tokenizer_config: Map<String, Value>,
}

impl Examined {
    /// Reads a checkpoint; weights, tokenizer, templates and card may be missing.
    pub(super) fn read(directory: &Path) -> Result<Self, ModelError> {
        let config = ModelConfig::read_quantised_too(directory)?;
        let hyper_parameters = config.hyper_parameters()?;
        let checkpoint = match Checkpoint::open_as(directory, config.clone()) {
            Ok(checkpoint) => Some(checkpoint),
            Err(ModelError::Checkpoint {
                problem: CheckpointProblem::NoWeights,
                ..
            }) => None,
            Err(error) => return Err(error),
        };
        let weights = checkpoint
            .as_ref()
            .map(|checkpoint| WeightsDescription::of(checkpoint.shards()));
        let quantisation = config.quantisation().map(QuantisationDescription::of);
        let counted = weights.as_ref().filter(|_| quantisation.is_none());
        let parameters = counted.map(|weights| weights.values);
        let rows = hyper_parameters.vocab_size as usize;
        let (vocabulary, tokenizer_error) = match Vocabulary::read(directory, config.family(), rows)
        {
            Ok(vocabulary) => (Some(vocabulary), None),
            Err(TokenizerError::File(error)) => return Err(*error),
            Err(TokenizerError::Absent { .. }) => (None, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let special_tokens = SpecialTokens::read(directory)?;
        let chat = ChatDescription::read(directory, &special_tokens)?;
        let lineage = Lineage::of_checkpoint(directory, &config, parameters.unwrap_or(0));
        let (card, card_error) = match lineage {
            Ok(lineage) => (lineage.card, None),
            Err(ModelError::ModelCard(error)) => (ModelCard::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let own_name = naming::directory_name(directory).unwrap_or_default();
        let tokenizer = vocabulary.as_ref().map(tokenizer);
        let rows_without_token = vocabulary.as_ref().map(unused);
        let description = CheckpointDescription {
            family: config.family().name(),
            architecture: config.architecture().map(str::to_owned),
            training: Training::of_name(&own_name),
            parameters,
            weights,
            quantisation,
            sizes: SizesDescription::of(&hyper_parameters),
            ties_embeddings: config.ties_embeddings(),
            tokenizer,
            rows_without_token,
            generation_eos: generation_eos(directory)?,
            chat,
            license: card.license_name.or(card.license),
            base_models: card.base_models.unwrap_or_default(),
            datasets: card.datasets.unwrap_or_default(),
            languages: card.languages.unwrap_or_default(),
            name: card.name,
        };
        Ok(Self {
            description,
            checkpoint,
            vocabulary,
            tokenizer_error,
            card_error,
            special_tokens,
            tokenizer_config: object(directory, TOKENIZER_CONFIG)?,
        })
    }
}

impl QuantisationDescription {
    fn of(config: &Value) -> Self {
        let text = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_owned);
        let is = |name: &str| config.get(name).and_then(Value::as_bool) == Some(true);
        let bits = match config.get("bits").and_then(Value::as_u64) {
            None if is("load_in_4bit") => Some(4),
            None if is("load_in_8bit") => Some(8),
            bits => bits,
        };
        Self {
            method: text("quant_method").unwrap_or_else(|| "an unknown method".to_owned()),
            bits,
            kind: text("bnb_4bit_quant_type").filter(|_| is("load_in_4bit")),
        }
    }
}

impl SizesDescription {
    fn of(sizes: &HyperParameters) -> Self {
        let slides = |layer: &&LayerType| **layer == LayerType::Sliding;
        let sliding = sizes.layer_types.iter().filter(slides).count();
        Self {
            layers: sizes.num_hidden_layers,
            hidden_size: sizes.hidden_size,
            intermediate_size: sizes.intermediate_size,
            heads: sizes.num_attention_heads,
            key_value_heads: sizes.num_key_value_heads,
            head_dim: sizes.head_dim,
            vocab_size: sizes.vocab_size,
            context_length: sizes.max_position_embeddings,
            rope_theta: sizes.rope.theta,
            rope_local_theta: sizes.rope.local_theta,
            rope_scaling: RopeScalingDescription::of(&sizes.rope.scaling),
            sliding_window: sizes.sliding_window.filter(|_| sliding > 0),
            sliding_layers: u32::try_from(sliding).unwrap_or(sizes.num_hidden_layers),
        }
    }
}

impl RopeScalingDescription {
    fn of(scaling: &RopeScaling) -> Option<Self> {
        let (kind, factor, original_context_length) = match scaling {
            RopeScaling::None => return None,
            RopeScaling::Linear { factor } => ("linear", *factor, None),
            RopeScaling::Llama3(llama3) => {
                let original = llama3.original_max_position_embeddings;
                ("llama3", llama3.factor, Some(original))
            }
            RopeScaling::Yarn(yarn) => {
                let original = yarn.original_max_position_embeddings;
                ("yarn", yarn.factor, Some(original))
            }
        };
        Some(Self {
            kind,
            factor,
            original_context_length,
        })
    }
}

fn tokenizer(vocabulary: &Vocabulary) -> TokenizerDescription {
    let special = ROLES.iter().filter_map(|&(token, role)| {
        let id = vocabulary.special(token)?;
        let text = vocabulary.tokens().get(id as usize);
        Some(SpecialTokenDescription {
            role,
            id: u64::from(id),
            token: text.map(|token| token.text.clone()),
        })
    });
    TokenizerDescription {
        model: Some(vocabulary.model().name().to_owned()),
        pre: Some(vocabulary.pre().to_owned()),
        tokens: vocabulary.tokens().len() as u64 - unused(vocabulary),
        special: special.collect(),
        adds_bos: vocabulary.add_bos(),
        adds_eos: vocabulary.add_eos(),
    }
}

fn unused(vocabulary: &Vocabulary) -> u64 {
    let tokens = vocabulary.tokens().iter();
    tokens
        .filter(|token| token.kind == TokenKind::Unused)
        .count() as u64
}

/// Returns the ids that `generation_config.json` has for the end, one or a list.
fn generation_eos(directory: &Path) -> Result<Vec<u64>, ModelError> {
    let fields = object(directory, GENERATION_CONFIG)?;
    Ok(match fields.get("eos_token_id") {
        Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).collect(),
        Some(id) => id.as_u64().into_iter().collect(),
        None => Vec::new(),
    })
}

/// Reads a JSON object; an empty one if there is no such file.
pub(super) fn object(directory: &Path, name: &str) -> Result<Map<String, Value>, ModelError> {
    let path = directory.join(name);
    if !path.is_file() {
        return Ok(Map::new());
    }
    json_file::read(&path)
}
