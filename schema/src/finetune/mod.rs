//! How a model is to be fine-tuned: `finetune_config.yaml`.
//!
//! Keys are called as in TRL and PEFT where those have them.

mod choices;
mod consistency;
mod hf_jobs;
mod key_names;
mod places;
mod ranges;
mod script_choices;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::yaml::{self, YamlError};

pub use choices::{
    Bias, DeviceChoice, Dtype, ExcessLengthStrategy, LrSchedulerType, Method, Optim, TargetModules,
    TrainerKind,
};
pub use hf_jobs::{HfJobs, TimeLimit};
pub use places::Places;
pub use script_choices::{Distributed, HubStrategy, Objective, ReportTo};

/// The share of steps that warm up where the file says nothing of it.
const WARMUP_RATIO: f64 = 0.1;

/// Passes over the data where the file says nothing of them.
const NUM_TRAIN_EPOCHS: f64 = 3.0;

/// The highest learning rate of preferences where the file says nothing of it: of adapters, of all weights.
const DPO_LEARNING_RATE: f64 = 5e-6;
const DPO_LEARNING_RATE_FULL: f64 = 1e-6;

/// What is trained, on what, how and where to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that the file has by that name"
)]
pub struct FinetuneConfig {
    /// The model to start from: a directory with config.json, safetensors and tokenizer.
    pub model: PathBuf,
    /// Conversations to learn from: JSON Lines with `messages`.
    pub dataset: PathBuf,
    /// Conversations to measure the loss on, none of them among those of `dataset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval_dataset: Option<PathBuf>,
    /// The directory that everything is written into.
    pub output_dir: PathBuf,

    /// Who trains.
    #[serde(default)]
    pub trainer: TrainerKind,
    /// What it trains on.
    #[serde(default)]
    pub device: DeviceChoice,
    /// What the model learns; preferences need `trainer: trl`, and rows of `prompt`, `chosen` and `rejected`.
    #[serde(default)]
    pub objective: Objective,
    /// How strongly the model is held to the reference while it learns preferences (`dpo`), above 0.
    #[serde(default = "beta", deserialize_with = "ranges::above_zero")]
    pub beta: f64,
    /// What is trained: small matrices beside the weights, or the weights.
    #[serde(default)]
    pub method: Method,
    /// What is computed in.
    #[serde(default)]
    pub dtype: Dtype,
    /// Whether the scales of 4-bit blocks are quantised too (`qlora`).
    #[serde(default = "yes")]
    pub bnb_4bit_use_double_quant: bool,

    /// The rank of the added matrices, 1 to 4096.
    #[serde(default = "lora_r", deserialize_with = "ranges::whole::<_, 1, 4096>")]
    pub lora_r: u32,
    /// The added product counts alpha / r times; above 0.
    #[serde(default = "lora_alpha", deserialize_with = "ranges::above_zero")]
    pub lora_alpha: f64,
    /// The share of inputs of the added matrices that is dropped while training, below 1.
    #[serde(default = "lora_dropout", deserialize_with = "ranges::below_one")]
    pub lora_dropout: f64,
    /// Whether the added product counts alpha / √r times instead.
    #[serde(default)]
    pub use_rslora: bool,
    /// The modules that get matrices: a list of names, or `all-linear`.
    #[serde(default)]
    pub target_modules: TargetModules,
    /// Modules trained in full beside them, and saved with them.
    #[serde(default)]
    pub modules_to_save: Vec<String>,
    /// Which biases are trained.
    #[serde(default)]
    pub bias: Bias,
    /// An adapter as PEFT saves it, to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_adapter: Option<PathBuf>,

    /// The highest learning rate, above 0 and at most 1.
    #[serde(
        default = "learning_rate",
        deserialize_with = "crate::range::positive_share"
    )]
    pub learning_rate: f64,
    /// What matrices are pulled towards 0 by, times the learning rate; 0 to 1.
    #[serde(default, deserialize_with = "crate::range::share")]
    pub weight_decay: f64,
    /// The length gradients are cut to; 0 leaves them as they are.
    #[serde(default = "max_grad_norm", deserialize_with = "ranges::not_negative")]
    pub max_grad_norm: f64,
    /// What the learning rate does after warming up.
    #[serde(default)]
    pub lr_scheduler_type: LrSchedulerType,
    /// The share of steps that the learning rate rises over, 0 to 1; 0.1 if `warmup_steps` is left out too.
    #[serde(
        default,
        deserialize_with = "ranges::optional_share",
        skip_serializing_if = "Option::is_none"
    )]
    pub warmup_ratio: Option<f64>,
    /// The steps that the learning rate rises over, instead of a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<u32>,
    /// The optimiser.
    #[serde(default)]
    pub optim: Optim,

    /// Passes over the data, parts of one allowed; 3 if `max_steps` is left out too.
    #[serde(
        default,
        deserialize_with = "ranges::optional_epochs",
        skip_serializing_if = "Option::is_none"
    )]
    pub num_train_epochs: Option<f64>,
    /// Steps, instead of passes over the data.
    #[serde(
        default,
        deserialize_with = "ranges::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_steps: Option<u32>,
    /// Examples that go through the model together.
    #[serde(default = "one", deserialize_with = "ranges::whole::<_, 1, 65536>")]
    pub per_device_train_batch_size: u32,
    /// Examples that go through the model together while evaluating.
    #[serde(default = "one", deserialize_with = "ranges::whole::<_, 1, 65536>")]
    pub per_device_eval_batch_size: u32,
    /// Batches whose gradients make one step.
    #[serde(default = "eight", deserialize_with = "ranges::whole::<_, 1, 65536>")]
    pub gradient_accumulation_steps: u32,
    /// The most tokens of one example, 2 to 1048576.
    #[serde(
        default = "max_length",
        deserialize_with = "ranges::whole::<_, 2, 1048576>"
    )]
    pub max_length: u32,
    /// What becomes of an example with more tokens.
    #[serde(default)]
    pub excess_length_strategy: ExcessLengthStrategy,
    /// Whether examples share a row of `max_length` tokens; none sees another.
    #[serde(default)]
    pub packing: bool,
    /// Whether every pass takes the examples in another order.
    #[serde(default = "yes")]
    pub shuffle: bool,
    /// Decides order, dropout and first values.
    #[serde(default = "seed")]
    pub seed: u64,

    /// Whether what a layer computed is computed again instead of kept.
    #[serde(default = "yes")]
    pub gradient_checkpointing: bool,
    /// The labelled positions whose logits exist at once.
    #[serde(
        default = "loss_chunk",
        deserialize_with = "ranges::whole::<_, 1, 1048576>"
    )]
    pub loss_chunk: u32,

    /// Steps from one line of metrics to the next.
    #[serde(default = "one", deserialize_with = "ranges::count")]
    pub logging_steps: u32,
    /// Steps from one evaluation to the next; each pass's end if left out.
    #[serde(
        default,
        deserialize_with = "ranges::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub eval_steps: Option<u32>,
    /// Steps from one checkpoint to the next; each pass's end if left out.
    #[serde(
        default,
        deserialize_with = "ranges::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub save_steps: Option<u32>,
    /// The most checkpoints kept, the best among them; all if left out.
    #[serde(
        default,
        deserialize_with = "ranges::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub save_total_limit: Option<u32>,
    /// Evaluations without a new lowest loss after which training ends; never if left out.
    #[serde(
        default,
        deserialize_with = "ranges::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub early_stopping_patience: Option<u32>,
    /// A `checkpoint-N` of the same configuration, to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_from_checkpoint: Option<PathBuf>,

    /// The Python that runs the script (`trl`), with its packages installed; `uv run` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// Processes that share a run, one for each card (`trl`).
    #[serde(default = "one", deserialize_with = "ranges::whole::<_, 1, 1024>")]
    pub num_processes: u32,
    /// How they share it (`trl`).
    #[serde(default)]
    pub distributed: Distributed,
    /// Whether optimiser states, and weights where they are shared, are kept in the host's memory
    /// (`fsdp`, `zero2`, `zero3`).
    #[serde(default)]
    pub cpu_offload: bool,
    /// Where metrics are sent (`trl`).
    #[serde(default)]
    pub report_to: ReportTo,
    /// The project that they belong to there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What the run's name there begins with; time and a random part follow, so that no two are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_name: Option<String>,
    /// The Space that shows them, as `owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trackio_space_id: Option<String>,
    /// The repository on the Hub that the result is pushed to, as `owner/name` (`trl`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_model_id: Option<String>,
    /// What is pushed, and when.
    #[serde(default)]
    pub hub_strategy: HubStrategy,
    /// Whether a repository that is made for it is private.
    #[serde(default = "yes")]
    pub hub_private_repo: bool,
    /// Where it runs at the Hub (`hf_jobs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hf_jobs: Option<HfJobs>,
}

impl FinetuneConfig {
    /// Reads a configuration from `text`; `file` is only used to say where an error is.
    ///
    /// Returns it with warm-up and length filled in, and where its keys stand.
    pub fn parse(text: &str, file: &str) -> Result<(Self, Places), YamlError> {
        let places = Places::read(text, file)?;
        key_names::check(&places, &Self::keys())?;
        let mut config: Self = yaml::read(text, file)?;
        consistency::check(&config, &places)?;
        if config.warmup_steps.is_none() {
            config.warmup_ratio.get_or_insert(WARMUP_RATIO);
        }
        if config.objective == Objective::Dpo && !places.has("learning_rate") {
            config.learning_rate = match config.method {
                Method::Full => DPO_LEARNING_RATE_FULL,
                Method::Lora | Method::Qlora => DPO_LEARNING_RATE,
            };
        }
        if config.max_steps.is_none() {
            config.num_train_epochs.get_or_insert(NUM_TRAIN_EPOCHS);
        }
        Ok((config, places))
    }

    /// Returns the configuration as a file that is read as the same.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(&self.to_map()).expect("a configuration is plain data")
    }

    /// Returns the keys that mean anything for the method and the trainer, with their values.
    pub fn to_map(&self) -> Map<String, Value> {
        let value = serde_json::to_value(self).expect("a configuration is plain data");
        let Value::Object(mut keys) = value else {
            return Map::new();
        };
        keys.retain(|key, _| consistency::goes_with(key, self));
        keys
    }

    /// Returns the JSON schema of the configuration, for editors.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    fn keys() -> Vec<String> {
        let schema = Self::json_schema();
        let properties = schema["properties"].as_object();
        properties.map_or_else(Vec::new, |properties| properties.keys().cloned().collect())
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn eight() -> u32 {
    8
}

fn lora_r() -> u32 {
    64
}

fn lora_alpha() -> f64 {
    128.0
}

fn lora_dropout() -> f64 {
    0.05
}

fn learning_rate() -> f64 {
    2e-4
}

fn max_grad_norm() -> f64 {
    1.0
}

fn beta() -> f64 {
    0.1
}

fn max_length() -> u32 {
    2048
}

fn seed() -> u64 {
    42
}

fn loss_chunk() -> u32 {
    128
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const LEAST: &str = "model: base\ndataset: train.jsonl\noutput_dir: out\n";

    fn parsed(more: &str) -> Result<FinetuneConfig, String> {
        FinetuneConfig::parse(&format!("{LEAST}{more}"), "f.yaml")
            .map(|(config, _)| config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn three_lines_are_enough_and_defaults_are_the_guides() {
        let config = parsed("").unwrap();
        assert_eq!(config.method, Method::Qlora);
        assert_eq!(
            (config.lora_r, config.lora_alpha, config.lora_dropout),
            (64, 128.0, 0.05)
        );
        assert_eq!(config.learning_rate, 2e-4);
        assert_eq!(config.lr_scheduler_type, LrSchedulerType::Cosine);
        assert_eq!(
            (config.warmup_ratio, config.warmup_steps),
            (Some(0.1), None)
        );
        assert_eq!(
            (config.num_train_epochs, config.max_steps),
            (Some(3.0), None)
        );
        let batch = (
            config.per_device_train_batch_size,
            config.gradient_accumulation_steps,
        );
        assert_eq!(batch, (1, 8));
        assert_eq!(config.max_length, 2048);
        assert_eq!(config.target_modules, TargetModules::AllLinear);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let config = parsed(
            "target_modules: [q_proj, v_proj]\nmethod: lora\nlearning_rate: 2e-5\nmax_steps: 7\n\
             warmup_steps: 0\neval_dataset: eval.jsonl\neval_steps: 2\nlora_alpha: 0.1\n\
             modules_to_save: [lm_head]\nseed: 18446744073709551615\n",
        )
        .unwrap();
        let again = FinetuneConfig::parse(&config.to_yaml(), "again.yaml")
            .unwrap()
            .0;
        assert_eq!(again, config);
        let plain = parsed("").unwrap();
        assert_eq!(
            FinetuneConfig::parse(&plain.to_yaml(), "a").unwrap().0,
            plain
        );
    }

    #[test_case("learning_rate: 2", "f.yaml:4:16: field `learning_rate`: must be above 0 and at most 1, got 2"; "rate")]
    #[test_case("learning_rate: .nan", "f.yaml:4:16: `.nan` is no number that can be used"; "rate not a number")]
    #[test_case("lora_r: 0", "f.yaml:4:9: field `lora_r`: must be from 1 to 4096, got 0"; "rank")]
    #[test_case("lora_r: -4", "f.yaml:4:9: field `lora_r`: "; "negative rank")]
    #[test_case("lora_alpha: 0", "f.yaml:4:13: field `lora_alpha`: must be above 0, got 0"; "alpha")]
    #[test_case("lora_alpha: .inf", "f.yaml:4:13: `.inf` is no number that can be used"; "alpha without end")]
    #[test_case("lora_dropout: 1", "f.yaml:4:15: field `lora_dropout`: must be at least 0 and below 1, got 1"; "dropout")]
    #[test_case("weight_decay: -0.1", "f.yaml:4:15: field `weight_decay`: must be between 0 and 1, got -0.1"; "decay")]
    #[test_case("max_grad_norm: -1", "f.yaml:4:16: field `max_grad_norm`: must be at least 0, got -1"; "norm")]
    #[test_case("max_length: 1", "f.yaml:4:13: field `max_length`: must be from 2 to 1048576, got 1"; "length")]
    #[test_case("max_steps: -1", "f.yaml:4:12: field `max_steps`: "; "steps")]
    #[test_case("max_steps: 0", "f.yaml:4:12: field `max_steps`: must be at least 1"; "no steps")]
    #[test_case("num_train_epochs: 0", "f.yaml:4:19: field `num_train_epochs`: must be above 0 and at most 100000, got 0"; "epochs")]
    #[test_case("method: dora", "f.yaml:4:9: field `method`: unknown variant `dora`, expected one of lora, qlora, full"; "method")]
    #[test_case("dtype: float16", "f.yaml:4:8: field `dtype`: "; "dtype")]
    #[test_case("target_modules: all", "f.yaml:4:17: field `target_modules`: `all` is neither `all-linear` nor a list"; "targets")]
    #[test_case("target_modules: []", "f.yaml:4:17: field `target_modules`: an empty list trains nothing"; "no targets")]
    #[test_case("warmup_ratio: 0.1\nwarmup_steps: 4", "f.yaml:5:1: field `warmup_steps`: give this or `warmup_ratio` (line 4), not both"; "two warm-ups")]
    #[test_case("max_steps: 9\nnum_train_epochs: 1", "f.yaml:4:1: field `max_steps`: give this or `num_train_epochs` (line 5), not both"; "two lengths")]
    #[test_case("method: full\nlora_r: 8", "f.yaml:5:1: field `lora_r`: goes with `method: lora` and `qlora`"; "rank of a full fine-tuning")]
    #[test_case("method: lora\nbnb_4bit_use_double_quant: true", "f.yaml:5:1: field `bnb_4bit_use_double_quant`: goes with `method: qlora`"; "quantised scales of nothing")]
    #[test_case("eval_steps: 5", "f.yaml:4:1: field `eval_steps`: needs `eval_dataset`"; "evaluation of nothing")]
    #[test_case("early_stopping_patience: 5", "f.yaml:4:1: field `early_stopping_patience`: needs `eval_dataset`"; "patience for nothing")]
    #[test_case("max_seq_length: 5", "f.yaml:4:1: field `max_seq_length`: this is called `max_length`"; "old name of length")]
    #[test_case("evaluation_strategy: steps", "f.yaml:4:1: field `evaluation_strategy`: "; "strategy")]
    #[test_case("lora_target_modules: all-linear", "f.yaml:4:1: field `lora_target_modules`: this is called `target_modules`"; "targets elsewhere")]
    #[test_case("r: 8", "f.yaml:4:1: field `r`: this is called `lora_r`"; "PEFT's rank")]
    #[test_case("alpha: 8", "f.yaml:4:1: field `alpha`: this is called `lora_alpha`"; "alpha alone")]
    #[test_case("lerning_rate: 8", "f.yaml:4:1: field `lerning_rate`: there is no such key; did you mean `learning_rate`?"; "slip")]
    #[test_case("frobnicate: 8", "f.yaml:4:1: field `frobnicate`: there is no such key; there are model, dataset, "; "anything")]
    #[test_case("seed: 1\nseed: 2", "f.yaml:5:1: "; "twice")]
    #[test_case("seed: [", "f.yaml:"; "no YAML")]
    fn mistakes_are_located(more: &str, expected: &str) {
        let error = parsed(more).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test_case("objective: dpo", "f.yaml:4:1: field `objective`: needs `trainer: trl`"; "preferences here")]
    #[test_case("hub_model_id: a/b", "f.yaml:4:1: field `hub_model_id`: goes with `trainer: trl`"; "a push from here")]
    #[test_case("trainer: trl\nbeta: 0.2", "f.yaml:5:1: field `beta`: goes with `objective: dpo`"; "beta of no preferences")]
    #[test_case("trainer: trl\nloss_chunk: 2", "f.yaml:5:1: field `loss_chunk`: goes with `trainer: native`"; "chunks of others")]
    #[test_case("trainer: trl\ndistributed: fsdp", "f.yaml:5:1: field `distributed`: needs `num_processes`"; "shared with nobody")]
    #[test_case("trainer: trl\nnum_processes: 2\ncpu_offload: true", "f.yaml:6:1: field `cpu_offload`: goes with `distributed: fsdp`, `zero2` and `zero3`"; "nothing to move")]
    #[test_case("trainer: trl\nhub_model_id: x", "f.yaml:5:15: field `hub_model_id`: `x` is no repository; write it as `owner/name`"; "no owner")]
    #[test_case("trainer: trl\nhub_strategy: end", "f.yaml:5:1: field `hub_strategy`: needs `hub_model_id`"; "a push nowhere")]
    #[test_case("trainer: trl\nrun_name: a", "f.yaml:5:1: field `run_name`: needs `report_to: trackio`"; "a name for nobody")]
    fn what_trainers_cannot_do_is_located(more: &str, expected: &str) {
        let error = parsed(more).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }

    const JOB: &str = "trainer: hf_jobs\nhub_model_id: a/tuned\nhf_jobs:\n  model: a/base\n  dataset_repo: a/data\n";

    #[test_case("hf_jobs: {model: a/b, dataset_repo: a/c}", "f.yaml:4:10: field `hf_jobs`: goes with `trainer: hf_jobs`"; "a job of another trainer")]
    #[test_case("trainer: hf_jobs", "f.yaml:4:10: field `trainer`: needs the section `hf_jobs`"; "no section")]
    #[test_case("trainer: hf_jobs\nhf_jobs: {model: a/b, dataset_repo: a/c}", "f.yaml:4:10: field `trainer`: needs `hub_model_id`"; "a push nowhere")]
    #[test_case(&format!("{JOB}  timeout: soon"), "f.yaml:9:12: field `hf_jobs.timeout`: `soon` is no time"; "time")]
    #[test_case(&format!("{JOB}  flavor: x"), "f.yaml:9:3: field `hf_jobs"; "slip")]
    #[test_case(&format!("{JOB}  secrets: [A=hush]"), "f.yaml:7:3: field `hf_jobs`: `secrets` are names"; "a secret itself")]
    #[test_case(&format!("{JOB}python: python3"), "f.yaml:9:1: field `python`: goes with `trainer: trl`"; "a Python here")]
    #[test_case(&format!("{JOB}init_adapter: x"), "f.yaml:9:1: field `init_adapter`: is a directory here"; "an adapter here")]
    fn what_a_job_cannot_do_is_located(more: &str, expected: &str) {
        let error = parsed(more).unwrap_err();
        assert!(
            error.starts_with(expected) && !error.contains("hush"),
            "{error}"
        );
    }

    #[test]
    fn a_job_is_written_as_it_is_read() {
        let text = format!("{JOB}  timeout: 1.5h\n  secrets: [WANDB_API_KEY]\n");
        let config = parsed(&text).unwrap();
        let job = config.hf_jobs.as_ref().unwrap();
        assert_eq!(job.timeout.unwrap().duration().as_secs(), 5400);
        let again = FinetuneConfig::parse(&config.to_yaml(), "again.yaml");
        assert_eq!(again.unwrap().0, config);
    }

    #[test]
    fn preferences_are_learnt_slowly() {
        let config = parsed("trainer: trl\nobjective: dpo").unwrap();
        assert_eq!((config.learning_rate, config.beta), (5e-6, 0.1));
        let config = parsed("trainer: trl\nobjective: dpo\nmethod: full").unwrap();
        assert_eq!(config.learning_rate, 1e-6);
        let config = parsed("trainer: trl\nobjective: dpo\nlearning_rate: 1e-5").unwrap();
        assert_eq!(config.learning_rate, 1e-5);
    }

    #[test]
    fn keys_of_scripts_are_not_told_of_other_trainers() {
        let keys = parsed("").unwrap().to_map();
        assert!(!keys.contains_key("hub_strategy") && keys.contains_key("loss_chunk"));
        let keys = parsed("trainer: trl").unwrap().to_map();
        assert!(keys.contains_key("num_processes") && !keys.contains_key("loss_chunk"));
        assert!(!keys.contains_key("hub_strategy") && !keys.contains_key("beta"));
    }

    #[test_case("", "f.yaml:1:1: there is nothing in it"; "empty")]
    #[test_case("- a", "f.yaml:1:1: "; "a list")]
    #[test_case("model: a\noutput_dir: b", "f.yaml:2:1: missing field `dataset`"; "no dataset")]
    fn other_files_are_refused(text: &str, expected: &str) {
        let error = FinetuneConfig::parse(text, "f.yaml")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
