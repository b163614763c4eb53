use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::chat::ChatDescription;
use super::checkpoint::object;
use super::finite::{first_not_finite, is_zero};
use super::naming::{self, Training};
use super::weights::WeightsDescription;
use crate::adapter::Adapter;
use crate::chat_template::SpecialTokens;
use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::metadata::{ModelCard, Source};
use crate::model_config::ModelConfig;
use crate::weights::{OutputFormat, Plan};

/// What a PEFT adapter is.
///
/// Strings are the files' own and may hold anything that UTF-8 can.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdapterDescription {
    /// `LoRA`, `rsLoRA`, `DoRA` or `rsLoRA + DoRA`.
    pub kind: &'static str,
    /// The rank where no pattern says another.
    pub rank: u64,
    /// `lora_alpha` where no pattern says another.
    pub alpha: f64,
    /// What B·A is multiplied by, with how many modules, largest first.
    pub scales: Vec<ScaleCount>,
    /// Ranks by pattern of modules, in the order of the file.
    pub rank_pattern: Vec<(String, Value)>,
    /// Alphas by pattern of modules, in the order of the file.
    pub alpha_pattern: Vec<(String, Value)>,
    /// What was to be trained: names of modules, or one expression.
    pub target_modules: Vec<String>,
    /// The kinds of modules that have a low-rank change, with how many of them, by name.
    pub modules: Vec<(String, u64)>,
    /// Modules that were trained in full.
    pub modules_to_save: Vec<String>,
    /// Which biases were trained: `none`, `all` or `lora_only`.
    pub bias: Option<String>,
    /// How many values were trained.
    pub parameters: u64,
    /// What they are stored as.
    pub weights: WeightsDescription,
    /// Modules whose B is all zero, so that they change nothing.
    pub zero_modules: u64,
    /// The first value that is infinite or NaN.
    pub not_finite: Option<ValuePlace>,
    /// What it was trained on, as its trainer called it.
    pub base_model: Option<String>,
    /// What that model was trained for, as its name tells.
    pub base_training: Training,
    /// How it fits the base that was given, if one was.
    pub base: Option<BaseDescription>,
    /// The chat templates that lie beside it, if there are any.
    pub chat: Option<ChatDescription>,
    /// The version of PEFT that wrote it.
    pub peft_version: Option<String>,
    /// Why its card tells nothing, if it cannot be read.
    pub card_error: Option<String>,
    /// The licence.
    pub license: Option<String>,
    /// What it was trained on.
    pub datasets: Vec<Source>,
}

/// A scale and the modules that have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScaleCount {
    /// The rank.
    pub rank: u64,
    /// The scale.
    pub scale: f64,
    /// Modules that have both.
    pub modules: u64,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValuePlace {
    /// The file's name.
    pub file: String,
    /// The tensor's name.
    pub tensor: String,
    /// The byte in the file.
    pub offset: u64,
}

/// How an adapter fits a base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaseDescription {
    /// What the base is called: by its directory, and by its `config.json` if it says.
    pub names: Vec<String>,
    /// Whether one of them is what the adapter was trained on; none if there is nothing to compare.
    pub name_matches: Option<bool>,
    /// Whether its weights are those that the adapter was trained on; none if nobody compared them.
    pub weights_match: Option<bool>,
    /// Why the adapter cannot be merged into it, if it cannot.
    pub misfit: Option<String>,
}

impl AdapterDescription {
    /// Reads an adapter and all of its values; compares it with the checkpoint in `base`.
    pub(super) fn read(directory: &Path, base: Option<&Path>) -> Result<Self, ModelError> {
        let adapter = Adapter::open(directory)?;
        let fields = object(directory, crate::adapter::CONFIG)?;
        let config = adapter.config();
        let file = adapter.file();
        let weights = WeightsDescription::of(std::slice::from_ref(file));
        let special_tokens = SpecialTokens::read(directory)?;
        let (card, card_error) = match ModelCard::read(directory) {
            Ok(card) => (card, None),
            Err(ModelError::ModelCard(error)) => (ModelCard::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let not_finite = file.tensors().iter().find_map(|tensor| {
            let within = first_not_finite(tensor.dtype, file.data(tensor))?;
            let name = file.path().file_name().unwrap_or_default();
            Some(ValuePlace {
                file: name.to_string_lossy().into_owned(),
                tensor: tensor.name.clone(),
                offset: tensor.offset() + within as u64,
            })
        });
        let zero_modules = adapter.modules().values().filter(|lora| {
            let b = adapter.tensor(lora.b);
            is_zero(b.dtype, file.data(b))
        });
        let base_model = config.base_model.clone().filter(|name| !name.is_empty());
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            kind: match (config.use_rslora, config.use_dora) {
                (false, false) => "LoRA",
                (true, false) => "rsLoRA",
                (false, true) => "DoRA",
                (true, true) => "rsLoRA + DoRA",
            },
            rank: config.rank as u64,
            alpha: config.alpha,
            scales: scales(&adapter),
            rank_pattern: pattern(&fields, "rank_pattern"),
            alpha_pattern: pattern(&fields, "alpha_pattern"),
            target_modules: texts(fields.get("target_modules")),
            modules: modules(&adapter),
            modules_to_save: config.modules_to_save.clone(),
            bias: text("bias"),
            parameters: weights.values,
            zero_modules: zero_modules.count() as u64,
            not_finite,
            base_training: Training::of_name(base_model.as_deref().unwrap_or_default()),
            base: base
                .map(|base| BaseDescription::compare(&adapter, base))
                .transpose()?,
            base_model,
            chat: ChatDescription::read(directory, &special_tokens)?,
            peft_version: text("peft_version"),
            card_error,
            license: card.license_name.or(card.license),
            datasets: card.datasets.unwrap_or_default(),
            weights,
        })
    }
}

impl BaseDescription {
    fn compare(adapter: &Adapter, directory: &Path) -> Result<Self, ModelError> {
        let config = ModelConfig::read_quantised_too(directory)?;
        let loaded_as = config.text("_name_or_path").map(str::to_owned);
        let names: Vec<String> = naming::directory_name(directory)
            .into_iter()
            .chain(loaded_as)
            .filter(|name| !name.is_empty())
            .collect();
        let trained_on = adapter.config().base_model.as_deref();
        let trained_on = trained_on
            .map(naming::plain)
            .filter(|name| !name.is_empty());
        let name_matches = trained_on
            .filter(|_| !names.is_empty())
            .map(|trained_on| names.iter().any(|name| naming::plain(name) == trained_on));
        let is_quantised = config.quantisation().is_some();
        let checkpoint = Checkpoint::open_as(directory, config)?;
        let misfit = match Plan::new(&checkpoint, Some(adapter), OutputFormat::Base) {
            _ if is_quantised => Some("its weights are quantised".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        Ok(Self {
            names,
            name_matches,
            weights_match: None,
            misfit,
        })
    }
}

fn scales(adapter: &Adapter) -> Vec<ScaleCount> {
    let mut counts: Vec<ScaleCount> = Vec::new();
    for lora in adapter.modules().values() {
        let (rank, scale) = (lora.rank as u64, lora.scale);
        let found = counts
            .iter_mut()
            .find(|count| count.rank == rank && count.scale == scale);
        match found {
            Some(count) => count.modules += 1,
            None => counts.push(ScaleCount {
                rank,
                scale,
                modules: 1,
            }),
        }
    }
    counts.sort_by_key(|count| std::cmp::Reverse(count.modules));
    counts
}

/// Counts modules by the last part of their names.
fn modules(adapter: &Adapter) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in adapter.module_names() {
        *counts
            .entry(name.rsplit('.').next().unwrap_or(name))
            .or_default() += 1;
    }
    let counts = counts.into_iter();
    counts
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn pattern(fields: &Map<String, Value>, name: &str) -> Vec<(String, Value)> {
    let map = fields.get(name).and_then(Value::as_object);
    let entries = map.into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            let texts: BTreeSet<&str> = list.iter().filter_map(Value::as_str).collect();
            texts.into_iter().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
