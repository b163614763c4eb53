use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::pattern::Patterns;
use crate::error::{AdapterProblem, ModelError};
use crate::json_file;

/// Name of the file that describes an adapter.
pub(crate) const FILE: &str = "adapter_config.json";

/// Options that change what merging has to compute; anything but nothing, `false` or empty is refused.
const UNSUPPORTED: [&str; 13] = [
    "alora_invocation_tokens",
    "arrow_config",
    "corda_config",
    "kasa_config",
    "layer_replication",
    "lora_ga_config",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
];

/// Ways to begin that leave the base's weights as they are. The others (`PiSSA`, `OLoRA`, …) take a part
/// out of them, so that their adapters do not belong to the base on disk.
const HARMLESS_BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// What `adapter_config.json` says that merging needs.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// The rank where no pattern says another.
    pub rank: usize,
    /// `lora_alpha` where no pattern says another.
    pub alpha: f64,
    /// Whether the scale is alpha / √rank instead of alpha / rank.
    pub use_rslora: bool,
    /// Whether weights are decomposed into magnitude and direction.
    pub use_dora: bool,
    /// Modules that were trained in full.
    pub modules_to_save: Vec<String>,
    /// Whether a module saved in full stays tied to its twin.
    pub ensure_weight_tying: bool,
    /// What the adapter was trained on, as its trainer called it.
    pub base_model: Option<String>,
    rank_patterns: Patterns<usize>,
    alpha_patterns: Patterns<f64>,
}

#[derive(Deserialize)]
struct Fields {
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    ensure_weight_tying: bool,
    modules_to_save: Option<Vec<String>>,
    rank_pattern: Option<Map<String, Value>>,
    alpha_pattern: Option<Map<String, Value>>,
    base_model_name_or_path: Option<String>,
}

impl AdapterConfig {
    /// Reads an adapter's configuration; refuses what cannot be merged, by name.
    pub(crate) fn read(directory: &Path) -> Result<Self, ModelError> {
        let path = directory.join(FILE);
        let fields: Map<String, Value> = json_file::read(&path)?;
        let wrong = |problem| ModelError::Adapter {
            path: path.clone(),
            problem,
        };
        let peft_type = fields.get("peft_type").and_then(Value::as_str);
        if peft_type != Some("LORA") {
            return Err(wrong(AdapterProblem::PeftType {
                found: peft_type.unwrap_or("(not given)").to_owned(),
            }));
        }
        refuse_unsupported(&fields).map_err(wrong)?;
        let json = |source| ModelError::Json {
            path: path.clone(),
            source,
        };
        let fields: Fields = serde_json::from_value(Value::Object(fields)).map_err(json)?;
        let rank_patterns = fields.rank_pattern.unwrap_or_default();
        let alpha_patterns = fields.alpha_pattern.unwrap_or_default();
        Ok(Self {
            rank: fields.r,
            alpha: fields.lora_alpha,
            use_rslora: fields.use_rslora,
            use_dora: fields.use_dora,
            modules_to_save: fields.modules_to_save.unwrap_or_default(),
            ensure_weight_tying: fields.ensure_weight_tying,
            base_model: fields.base_model_name_or_path,
            rank_patterns: Patterns::read(&path, "rank_pattern", rank_patterns)?,
            alpha_patterns: Patterns::read(&path, "alpha_pattern", alpha_patterns)?,
        })
    }

    /// Returns the rank of a module, named as in the model it was trained in.
    pub fn rank_of(&self, module: &str) -> usize {
        self.rank_patterns.find(module).unwrap_or(self.rank)
    }

    /// Returns what B·A is multiplied by: alpha / rank, or alpha / √rank for rsLoRA (Kalajdzievski
    /// 2023).
    ///
    /// Errors with rank and alpha if that is no finite number.
    pub fn scale_of(&self, module: &str) -> Result<f64, AdapterProblem> {
        let rank = self.rank_of(module);
        let alpha = self.alpha_patterns.find(module).unwrap_or(self.alpha);
        let divisor = if self.use_rslora {
            (rank as f64).sqrt()
        } else {
            rank as f64
        };
        let scale = alpha / divisor;
        if rank == 0 || !scale.is_finite() {
            return Err(AdapterProblem::Scale {
                module: module.to_owned(),
                rank,
                alpha,
            });
        }
        Ok(scale)
    }

    /// Tells whether a module was trained in full.
    pub(crate) fn saves(&self, module: &str) -> bool {
        self.modules_to_save.iter().any(|saved| {
            module == saved
                || module
                    .strip_suffix(saved.as_str())
                    .is_some_and(|before| before.ends_with('.'))
        })
    }
}

fn refuse_unsupported(fields: &Map<String, Value>) -> Result<(), AdapterProblem> {
    for field in UNSUPPORTED {
        let value = fields.get(field).unwrap_or(&Value::Null);
        let is_off = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !is_off {
            return Err(AdapterProblem::Option {
                field,
                value: value.clone(),
            });
        }
    }
    let field = "init_lora_weights";
    match fields.get(field) {
        Some(value @ Value::String(way)) if !HARMLESS_BEGINNINGS.contains(&way.as_str()) => {
            Err(AdapterProblem::Option {
                field,
                value: value.clone(),
            })
        }
        _ => Ok(()),
    }
}
