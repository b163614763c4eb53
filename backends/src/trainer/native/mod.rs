//! The trainer in this process.

mod faults;
mod options;
mod peak_memory;
mod telling;

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use shipworthy_datasets::TokenisedExample;
use shipworthy_models::{Adapter, Checkpoint};
use shipworthy_native::{
    Adaptation, AdapterDescription, Bias as NativeBias, Compute, Decoder, LoraOptions, MemoryKnob,
    ModelForm, Nf4Options, TargetModules as NativeTargets, TrainedModel, TrainingData,
    TrainingJob as NativeJob, Watch, latest_checkpoint,
};
use shipworthy_schema::finetune::{Bias, FinetuneConfig, Method, TargetModules};
use shipworthy_schema::{ForecastDevice, MemoryForecast, MemoryPart, TrainerVersion, TrainingPlan};

use super::forecast::{forecast_memory, forecast_values};
use super::{ForecastBatch, ForecastModel};
use super::{Resume, TrainError, Trainer, TrainingJob, TrainingWatch};
use crate::compute_device;
use telling::{HOST, Teller};

pub use shipworthy_native::share_one_heap;

/// Returns it.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it has the signature of what stands in for it"
)]
pub(super) fn open() -> Result<Box<dyn Trainer>, TrainError> {
    Ok(Box::new(NativeTrainer))
}

struct NativeTrainer;

impl Trainer for NativeTrainer {
    fn version(&self) -> TrainerVersion {
        TrainerVersion {
            name: "native".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn plan(&self, job: &TrainingJob) -> Result<TrainingPlan, TrainError> {
        let compute = compute(&job.config)?;
        let checkpoint = Checkpoint::open(&job.config.model)?;
        let (plan, _) = plan(job, &checkpoint, &compute)?;
        Ok(plan)
    }

    fn train(&self, job: &TrainingJob, watch: &mut TrainingWatch<'_>) -> Result<(), TrainError> {
        peak_memory::forget_process_peak();
        let config = &job.config;
        let compute = compute(config)?;
        let checkpoint = Arc::new(Checkpoint::open(&config.model)?);
        let (plan, forecast) = plan(job, &checkpoint, &compute)?;
        let resume = resume(job)?;
        let init = config
            .init_adapter
            .as_deref()
            .map(Adapter::open)
            .transpose()?;
        let adaptation = adaptation(config, init.as_ref())?;
        let mut decoder = Decoder::load(
            &checkpoint,
            &adaptation,
            &compute,
            config.seed,
            &mut |_, _| {},
        )?;
        if let Some(adapter) = &init {
            decoder.load_adapter(adapter)?;
        }
        let knobs = forecast.knobs.into_iter().map(|knob| MemoryKnob {
            setting: format!("{}: {}", knob.key, knob.value),
            saved_bytes: knob.saved_bytes,
        });
        let options = options::options(job, knobs.collect());
        let data = TrainingData {
            train: job.data.clone(),
            eval: job.eval_data.clone(),
        };
        let model = trained_model(job, &adaptation, &decoder, &compute);
        let patience = config.early_stopping_patience.unwrap_or(0);
        let mut teller = Teller::new(
            plan,
            patience,
            resume.as_ref().map(|path| path.display().to_string()),
        );
        let begun = Instant::now();
        shipworthy_native::train(
            &mut decoder,
            &NativeJob {
                data: &data,
                options: &options,
                model: &model,
                output: &config.output_dir,
                resume: resume.as_deref(),
            },
            &mut Watch {
                observe: &mut |event| teller.tell(event, watch.observe),
                stop: watch.stop,
                clock: &|| begun.elapsed(),
            },
        )?;
        Ok(())
    }
}

fn compute(config: &FinetuneConfig) -> Result<Compute, TrainError> {
    let quantisation = (config.method == Method::Qlora).then_some(Nf4Options {
        double_quant: config.bnb_4bit_use_double_quant,
    });
    compute_device::choose(config.device, config.dtype, quantisation).map_err(|detail| {
        TrainError::Setting {
            key: "device",
            detail,
        }
    })
}

/// Returns what training would do and take, and what the memory is made of.
fn plan(
    job: &TrainingJob,
    checkpoint: &Checkpoint,
    compute: &Compute,
) -> Result<(TrainingPlan, MemoryForecast), TrainError> {
    let config = &job.config;
    let (batches, steps_per_epoch) = options::per_epoch(job);
    let steps = match (config.max_steps, config.num_train_epochs) {
        (Some(steps), _) => u64::from(steps),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "passes over the data are at most 100,000"
        )]
        (None, epochs) => (steps_per_epoch as f64 * epochs.unwrap_or(1.0)).ceil() as u64,
    };
    let sizes = checkpoint.config().hyper_parameters()?;
    let model = ForecastModel {
        family: checkpoint.config().family(),
        sizes: &sizes,
        stored_bytes: stored_bytes(checkpoint),
    };
    let is_card = compute.device.is_cuda();
    let place = if is_card {
        ForecastDevice::Cuda
    } else {
        ForecastDevice::Cpu
    };
    let forecast = forecast_memory(config, &model, &longest_batch(job), place)?;
    let (trainable_parameters, total_parameters) = forecast_values(config, &model)?;
    let plan = TrainingPlan {
        steps,
        epochs: steps as f64 / steps_per_epoch.max(1) as f64,
        batches_per_epoch: batches,
        gradient_accumulation_steps: config.gradient_accumulation_steps.into(),
        data: job.data_report.clone(),
        eval_data: job.eval_data_report.clone(),
        trainable_parameters,
        total_parameters,
        device: if is_card { "cuda" } else { HOST }.to_owned(),
        capacity_bytes: if is_card {
            None
        } else {
            peak_memory::machine()
        },
        memory: forecast
            .parts
            .iter()
            .filter(|part| !part.is_on_host)
            .map(|part| MemoryPart {
                part: part.part.clone(),
                bytes: part.bytes,
            })
            .collect(),
        predicted_peak_bytes: forecast.peak_bytes,
    };
    Ok((plan, forecast))
}

/// Returns how many bytes most of a checkpoint's weights have.
fn stored_bytes(checkpoint: &Checkpoint) -> u64 {
    match checkpoint.config().dtype() {
        Some("float32" | "float") => 4,
        _ => 2,
    }
}

/// Returns what is known of the batch with most tokens.
fn longest_batch(job: &TrainingJob) -> ForecastBatch {
    let config = &job.config;
    let mut examples: Vec<&TokenisedExample> = job.data.iter().collect();
    examples.sort_by_key(|example| std::cmp::Reverse(example.tokens.len()));
    let longest = examples.first().map_or(0, |example| example.tokens.len());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tokens = |examples: &[&TokenisedExample]| -> u64 {
        examples.iter().map(|one| one.tokens.len() as u64).sum()
    };
    let labelled = |examples: &[&TokenisedExample]| -> u64 {
        examples.iter().map(|one| one.labelled_count() as u64).sum()
    };
    let rows = config.per_device_train_batch_size as usize;
    let (batch_tokens, labelled_tokens) = if config.packing {
        let room = u64::from(config.max_length) * rows as u64;
        let (all, learnt) = (tokens(&examples), labelled(&examples));
        let tokens = room.min(all);
        (tokens, (learnt * tokens).checked_div(all).unwrap_or(0))
    } else {
        let batch = &examples[..rows.min(examples.len())];
        (tokens(batch), labelled(batch))
    };
    let distinct: HashSet<u32> = job
        .data
        .iter()
        .flat_map(|one| &one.tokens)
        .copied()
        .collect();
    ForecastBatch {
        distinct_tokens: distinct.len() as u64,
        tokens: batch_tokens,
        labelled_tokens,
        longest_sequence: longest as u64,
        threads: threads as u64,
    }
}

fn resume(job: &TrainingJob) -> Result<Option<PathBuf>, TrainError> {
    match &job.resume {
        Resume::Anew => Ok(None),
        Resume::Checkpoint(path) => Ok(Some(path.clone())),
        Resume::Latest => match latest_checkpoint(&job.config.output_dir)? {
            (Some(path), _) => Ok(Some(path)),
            (None, skipped) => Err(shipworthy_native::TrainingError::NoCheckpoint {
                path: job.config.output_dir.clone(),
                skipped,
            }
            .into()),
        },
    }
}

fn adaptation(config: &FinetuneConfig, init: Option<&Adapter>) -> Result<Adaptation, TrainError> {
    if config.method == Method::Full {
        return Ok(Adaptation::Full);
    }
    let mut options = match init {
        // What has its own rank or scale keeps it.
        Some(adapter) => LoraOptions::of_adapter(adapter)?,
        None => LoraOptions::new(config.lora_r as usize, config.lora_alpha),
    };
    options.dropout = config.lora_dropout;
    if init.is_none() {
        options.use_rslora = config.use_rslora;
        options.target_modules = match &config.target_modules {
            TargetModules::AllLinear => NativeTargets::AllLinear,
            TargetModules::Listed(names) => NativeTargets::Listed(names.clone()),
        };
        options.modules_to_save.clone_from(&config.modules_to_save);
        options.bias = match config.bias {
            Bias::None => NativeBias::None,
            Bias::All => NativeBias::All,
            Bias::LoraOnly => NativeBias::LoraOnly,
        };
    }
    Ok(Adaptation::Lora(options))
}

/// Says what is trained, how it is written, and what must be the same to go on from a checkpoint.
fn trained_model(
    job: &TrainingJob,
    adaptation: &Adaptation,
    decoder: &Decoder,
    compute: &Compute,
) -> TrainedModel {
    let config = &job.config;
    let form = match adaptation {
        Adaptation::Lora(options) => ModelForm::Adapter(AdapterDescription {
            r: options.r,
            lora_alpha: options.alpha,
            lora_dropout: options.dropout,
            use_rslora: options.use_rslora,
            bias: match options.bias {
                NativeBias::None => "none",
                NativeBias::All => "all",
                NativeBias::LoraOnly => "lora_only",
            }
            .to_owned(),
            target_modules: match &options.target_modules {
                NativeTargets::AllLinear => last_names(decoder.target_modules()),
                NativeTargets::Listed(names) => names.clone(),
            },
            modules_to_save: options.modules_to_save.clone(),
        }),
        Adaptation::Full | Adaptation::None => ModelForm::Full,
    };
    let mut settings = vec![
        ("method".to_owned(), config.method.name().to_owned()),
        (
            "dtype".to_owned(),
            format!("{:?}", compute.dtype).to_lowercase(),
        ),
    ];
    if let Some(nf4) = compute.quantisation {
        let key = "bnb_4bit_use_double_quant".to_owned();
        settings.push((key, nf4.double_quant.to_string()));
    }
    TrainedModel {
        base: config.model.clone(),
        base_name: job.base_name.clone(),
        base_digest: job
            .base_digest
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        form,
        settings,
    }
}

/// Returns the last parts of names, each once.
fn last_names(names: &[String]) -> Vec<String> {
    let last = names.iter().filter_map(|name| name.rsplit('.').next());
    let last: BTreeSet<&str> = last.collect();
    last.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_names_are_told_once() {
        let names = ["a.0.q_proj", "a.1.q_proj", "a.0.down_proj"].map(str::to_owned);
        assert_eq!(last_names(&names), ["down_proj", "q_proj"]);
    }
}
