use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A LoRA adapter as `adapter_config.json` describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterDescription {
    /// The rank.
    pub r: usize,
    /// What the scale is a multiple of.
    pub lora_alpha: f64,
    /// Share of a module's inputs that is left out while training.
    pub lora_dropout: f64,
    /// Whether the scale is alpha / √rank instead of alpha / rank.
    pub use_rslora: bool,
    /// Which biases are trained, as PEFT says it: `none`, `all` or `lora_only`.
    pub bias: String,
    /// Ends of the names of the modules that are changed, resolved: `q_proj`.
    pub target_modules: Vec<String>,
    /// Modules trained whole: `lm_head`.
    pub modules_to_save: Vec<String>,
}

/// What is trained, what it is trained upon, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedModel {
    /// The base's directory; its tokenizer and chat templates go with what is written.
    pub base: PathBuf,
    /// What the base is called: `base_model_name_or_path`.
    pub base_name: String,
    /// A digest of the base's files, which a checkpoint is resumed upon only if it is the same.
    pub base_digest: String,
    /// How it is written.
    pub form: ModelForm,
    /// Whatever else must be the same for a checkpoint to be resumed: key and value, `dtype` say.
    pub settings: Vec<(String, String)>,
}

/// How a trained model is written.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelForm {
    /// As a PEFT adapter: `adapter_config.json` and `adapter_model.safetensors`.
    Adapter(AdapterDescription),
    /// As a checkpoint: `config.json` and `model.safetensors`, in the base's format of numbers.
    Full,
}
