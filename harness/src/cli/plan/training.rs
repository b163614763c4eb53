use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use shipworthy_backends::trainer::{
    ForecastBatch, ForecastModel, LogitsHeld, TrainError, forecast_memory, forecast_trl_memory,
    forecast_values, trl_values,
};
use shipworthy_harness::tuning::{CONFIG, FLAVOURS, TuningConfig};
use shipworthy_models::{HyperParameters, ModelConfig};
use shipworthy_schema::ForecastDevice;
use shipworthy_schema::finetune::{FinetuneConfig, TrainerKind};

use super::training_page::{Length, Rental, Shown};
use super::training_steps::Steps;
use crate::cli::error::{Failure, Kind};
use crate::cli::printer::Printer;
use crate::cli::{Outcome, exit_code};

/// Lengths that are compared with the configured one.
const LENGTHS: [u32; 3] = [2048, 8192, 16_384];

/// Memory by part, the card that suffices, what each setting would save, and the steps
///
/// Takes the model's config.json and no weights. What stands in the configuration can be tried
/// otherwise with flags; with --model alone, everything else is as if the file said nothing of it.
#[derive(Args)]
pub(crate) struct PlanTraining {
    /// How to fine-tune [default: `finetune_config.yaml`, unless --model is given]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The model: a directory with config.json
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Conversations to learn from, for the number of steps
    #[arg(long, value_name = "FILE")]
    dataset: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Keys of the configuration that memory and steps depend on.
#[derive(Args)]
#[command(next_help_heading = "Instead of what the configuration says")]
struct Settings {
    /// `native`, `trl` or `hf_jobs`
    #[arg(long)]
    trainer: Option<String>,
    /// lora, qlora or full
    #[arg(long)]
    method: Option<String>,
    /// Rank of the added matrices
    #[arg(long, value_name = "RANK")]
    lora_r: Option<u32>,
    /// Modules that get matrices: names with commas between, or all-linear
    #[arg(long, value_name = "NAMES")]
    target_modules: Option<String>,
    /// Modules trained in full beside them: names with commas between
    #[arg(long, value_name = "NAMES")]
    modules_to_save: Option<String>,
    /// Most tokens of an example
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<u32>,
    /// Examples that go through the model together
    #[arg(long, value_name = "EXAMPLES")]
    per_device_train_batch_size: Option<u32>,
    /// Batches whose gradients make one step
    #[arg(long, value_name = "BATCHES")]
    gradient_accumulation_steps: Option<u32>,
    /// Whether layers are computed again instead of kept
    #[arg(long, value_name = "TRUE|FALSE")]
    gradient_checkpointing: Option<bool>,
    /// Labelled positions whose logits exist at once
    #[arg(long, value_name = "TOKENS")]
    loss_chunk: Option<u32>,
    /// `adamw_torch` or `adamw_8bit`
    #[arg(long)]
    optim: Option<String>,
}

impl Settings {
    fn keys(&self) -> Map<String, Value> {
        let names = |text: &str| -> Value {
            let names = text.split(',').map(str::trim);
            names.filter(|name| !name.is_empty()).collect()
        };
        let targets = |text: &String| match text.as_str() {
            "all-linear" => json!(text),
            list => names(list),
        };
        let keys = [
            ("trainer", self.trainer.as_ref().map(|value| json!(value))),
            ("method", self.method.as_ref().map(|value| json!(value))),
            ("lora_r", self.lora_r.map(Value::from)),
            ("target_modules", self.target_modules.as_ref().map(targets)),
            (
                "modules_to_save",
                self.modules_to_save.as_deref().map(names),
            ),
            ("max_length", self.max_length.map(Value::from)),
            (
                "per_device_train_batch_size",
                self.per_device_train_batch_size.map(Value::from),
            ),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps.map(Value::from),
            ),
            (
                "gradient_checkpointing",
                self.gradient_checkpointing.map(Value::from),
            ),
            ("loss_chunk", self.loss_chunk.map(Value::from)),
            ("optim", self.optim.as_ref().map(|value| json!(value))),
        ];
        let given = keys.into_iter();
        let given = given.filter_map(|(key, value)| Some((key.to_owned(), value?)));
        given.collect()
    }
}

impl PlanTraining {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let config = self.resolved()?;
        let model = ModelConfig::read(&config.model)?;
        let sizes = model.hyper_parameters()?;
        let for_model = ForecastModel {
            family: model.family(),
            sizes: &sizes,
            stored_bytes: match model.dtype() {
                Some("float32" | "float") => 4,
                _ => 2,
            },
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let steps = if self.has_data(&config) {
            Some(Steps::count(&config, sizes.vocab_size, threads)?)
        } else {
            None
        };
        let full = |length| full_batch(&config, length, threads);
        let batch = match &steps {
            Some(steps) => steps.batch,
            None => full(config.max_length),
        };
        let forecast = |batch: &ForecastBatch, device| match config.trainer {
            TrainerKind::Native => forecast_memory(&config, &for_model, batch, device),
            TrainerKind::Trl | TrainerKind::HfJobs => {
                let held = LogitsHeld::Trl;
                Ok(forecast_trl_memory(
                    &config, &for_model, batch, device, held,
                ))
            }
        };
        let lengths = lengths(config.max_length).into_iter().map(|tokens| {
            let device = ForecastDevice::Cuda;
            let held = LogitsHeld::AllAtOnce;
            let at_once = forecast_trl_memory(&config, &for_model, &full(tokens), device, held);
            Ok(Length {
                tokens,
                cuda: forecast(&full(tokens), device)?,
                at_once_bytes: at_once.peak_bytes,
            })
        });
        let lengths = lengths.collect::<Result<Vec<_>, TrainError>>()?;
        let cuda = forecast(&batch, ForecastDevice::Cuda)?;
        let cpu = forecast(&batch, ForecastDevice::Cpu)?;
        let (trained, values) = match config.trainer {
            TrainerKind::Native => forecast_values(&config, &for_model)?,
            TrainerKind::Trl | TrainerKind::HfJobs => trl_values(&config, &for_model),
        };
        let rentals = if config.trainer.runs_script() {
            rentals(&config, &model, &sizes, cuda.peak_bytes, steps.as_ref())
        } else {
            Vec::new()
        };
        let shown = Shown {
            config: &config,
            family: model.family().name(),
            vocab_size: sizes.vocab_size,
            values,
            trained,
            cuda: &cuda,
            cpu: &cpu,
            lengths: &lengths,
            batch,
            steps: steps.as_ref(),
            rentals: &rentals,
        };
        printer.value(&shown.value());
        printer.text(&shown.text(printer.width()));
        Ok(exit_code::SUCCESS)
    }

    /// Returns the configuration with the flags in it, and its paths such as can be opened.
    fn resolved(&self) -> Result<FinetuneConfig, Failure> {
        let default = Path::new(CONFIG);
        let file = match (&self.config, &self.model) {
            (Some(file), _) => Some(file.as_path()),
            (None, None) => Some(default),
            (None, Some(_)) => None,
        };
        let mut keys = match file {
            Some(file) => {
                let config = TuningConfig::load(file)?.opened;
                let keys = serde_json::to_value(&config)
                    .map_err(|error| Failure::new(Kind::Internal, error))?;
                keys.as_object().cloned().unwrap_or_default()
            }
            None => Map::from_iter([
                ("dataset".to_owned(), json!("")),
                ("output_dir".to_owned(), json!("")),
            ]),
        };
        if let Some(model) = &self.model {
            keys.insert("model".to_owned(), json!(model));
        }
        if let Some(dataset) = &self.dataset {
            keys.insert("dataset".to_owned(), json!(dataset));
        }
        keys.extend(self.settings.keys());
        serde_json::from_value(Value::Object(keys))
            .map_err(|error| Failure::new(Kind::Usage, error))
    }

    /// Tells whether there are conversations to count; a configuration is planned with before there
    /// are any, too.
    fn has_data(&self, config: &FinetuneConfig) -> bool {
        let is_named = !config.dataset.as_os_str().is_empty();
        is_named && (self.dataset.is_some() || config.dataset.exists())
    }
}

/// Returns the largest batch that a configuration allows, all of it learnt.
fn full_batch(config: &FinetuneConfig, length: u32, threads: u64) -> ForecastBatch {
    let tokens = u64::from(config.per_device_train_batch_size) * u64::from(length);
    ForecastBatch {
        distinct_tokens: u64::MAX,
        tokens,
        labelled_tokens: tokens,
        longest_sequence: length.into(),
        threads,
    }
}

fn lengths(configured: u32) -> Vec<u32> {
    let mut lengths = LENGTHS.to_vec();
    lengths.push(configured);
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// Returns what a run takes on each hardware that has a card for every process.
fn rentals(
    config: &FinetuneConfig,
    model: &ModelConfig,
    sizes: &HyperParameters,
    peak_bytes: u64,
    steps: Option<&Steps>,
) -> Vec<Rental> {
    let flavours = FLAVOURS.into_iter();
    let flavours = flavours.filter(|flavour| flavour.cards == config.num_processes);
    flavours
        .map(|flavour| {
            let fits = flavour.fits(peak_bytes);
            let tokens = steps.map(|steps| {
                let passes = steps.in_all as f64 / steps.per_epoch.max(1) as f64;
                steps.tokens as f64 * passes
            });
            let hours = tokens
                .filter(|_| fits)
                .map(|tokens| flavour.hours(config, model.family(), sizes, tokens));
            Rental {
                flavour,
                fits,
                hours,
            }
        })
        .collect()
}
