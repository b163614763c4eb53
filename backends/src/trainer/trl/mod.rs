//! TRL, in a Python of this machine's: a script is written, run and listened to.

mod limits;
mod listener;
mod literal;
mod memory;
mod process;
mod progress;
mod script;
mod settings;
mod token_file;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use shipworthy_models::ModelConfig;
use shipworthy_schema::finetune::{DeviceChoice, Objective, TrainerKind};
use shipworthy_schema::{ForecastDevice, MemoryPart, TrainerVersion, TrainingPlan};

pub use listener::ScriptListener;
pub use memory::{LogitsHeld, TRL_CHUNK, forecast_trl_memory, trl_values};
pub use script::{ScriptData, ScriptPlace, ScriptResume, script_requirements, training_script};

use self::process::{Running, Waited};
use super::{
    ForecastBatch, ForecastModel, Resume, TrainError, Trainer, TrainingJob, TrainingWatch,
};
use crate::server::exit_code;

/// Name of the script in the output directory.
const SCRIPT: &str = "train.py";
/// Name of what it writes.
const LOG: &str = "train.log";
/// Time between two looks at whether to stop.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a script that is asked to stop may take for the step under way and a checkpoint.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Returns it.
pub(super) fn open() -> Box<dyn Trainer> {
    Box::new(TrlTrainer)
}

struct TrlTrainer;

impl Trainer for TrlTrainer {
    fn version(&self) -> TrainerVersion {
        script_version(TrainerKind::Trl)
    }

    fn plan(&self, job: &TrainingJob) -> Result<TrainingPlan, TrainError> {
        plan_script(job)
    }

    fn train(&self, job: &TrainingJob, watch: &mut TrainingWatch<'_>) -> Result<(), TrainError> {
        let config = &job.config;
        let output = &config.output_dir;
        refuse_other_run(job)?;
        let place = place(job)?;
        let text = training_script(config, &place)?;
        let failed = |detail: String| move |source| TrainError::InputOutput { detail, source };
        let script = output.join(SCRIPT);
        std::fs::write(&script, text)
            .map_err(failed(format!("failed to write `{}`", script.display())))?;
        let mut listener = ScriptListener::new(config, plan(job)?, &output.join(LOG), Vec::new())?;
        let command = command(config.python.as_deref(), &script);
        listener.note(&format!("shipworthy: starts {}", command.join(" ")));
        let mut running = Running::start(&command, Path::new("."))
            .map_err(failed(format!("failed to start `{}`", command.join(" "))))?;
        let mut asked: Option<Instant> = None;
        loop {
            match running.wait(PAUSE) {
                Waited::Ended => break,
                Waited::Nothing => {}
                Waited::Line(line) if exit_code(&line).is_some() => listener.note(&line),
                Waited::Line(line) => listener.hear(&line, watch.observe)?,
            }
            match asked {
                None if watch.stop.load(Ordering::Relaxed) => {
                    asked = Some(Instant::now());
                    running.ask_to_stop();
                }
                Some(since) if since.elapsed() > PATIENCE => running.end(),
                None | Some(_) => {}
            }
        }
        if listener.has_ended() {
            return Ok(());
        }
        if asked.is_some() {
            listener.cut_short(watch.observe);
            return Ok(());
        }
        Err(listener.failure(running.exit_code()))
    }
}

/// Returns what trains where a script does, and the version of TRL that it is written for.
pub fn script_version(kind: TrainerKind) -> TrainerVersion {
    TrainerVersion {
        name: kind.name().to_owned(),
        version: script::trl_version().to_owned(),
    }
}

/// Returns what the script of a job would do and take, wherever it runs; nothing is written.
///
/// Of the model only `config.json` is read.
pub fn plan_script(job: &TrainingJob) -> Result<TrainingPlan, TrainError> {
    limits::check(&job.config)?;
    plan(job)
}

/// Returns program and arguments that run a script.
fn command(python: Option<&Path>, script: &Path) -> Vec<String> {
    let script = script.display().to_string();
    match python {
        Some(python) => vec![python.display().to_string(), script],
        None => ["uv", "run", "--script", &script]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// Errors if the output directory has what another run left there, unless the job goes on with that.
pub fn refuse_other_run(job: &TrainingJob) -> Result<(), TrainError> {
    let output = &job.config.output_dir;
    if job.resume != Resume::Anew {
        return Ok(());
    }
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            name.starts_with("checkpoint-")
                || ["adapter_model.safetensors", "model.safetensors"].contains(&name.as_str())
        })
        .collect();
    names.sort();
    match names.first() {
        None => Ok(()),
        Some(name) => Err(TrainError::OutputInUse {
            path: output.clone(),
            detail: format!("`{}` has another run's `{name}`", output.display()),
        }),
    }
}

/// Writes the files that a job's script learns from and is measured on into the output directory.
///
/// They have the tokens and labels that were counted and shown before, so that the same is learnt; for preferences
/// they are the job's own files.
pub fn write_script_data(
    job: &TrainingJob,
) -> Result<(ScriptData, Option<ScriptData>), TrainError> {
    let config = &job.config;
    match config.objective {
        Objective::Sft => {
            let write =
                |name, examples: &[_]| token_file::write(&config.output_dir, name, examples);
            let eval = (!job.eval_data.is_empty()).then(|| write("eval", &job.eval_data));
            Ok((write("train", &job.data)?, eval.transpose()?))
        }
        Objective::Dpo => {
            let file = |path: &PathBuf| ScriptData::File {
                path: path.display().to_string(),
                sha256: None,
            };
            let eval = config.eval_dataset.as_ref().map(file);
            Ok((file(&config.dataset), eval))
        }
    }
}

/// Writes what the script reads, and says where everything is.
fn place(job: &TrainingJob) -> Result<ScriptPlace, TrainError> {
    let config = &job.config;
    let text = |path: &Path| path.display().to_string();
    let (dataset, eval_dataset) = write_script_data(job)?;
    Ok(ScriptPlace {
        model: text(&config.model),
        model_revision: None,
        dataset,
        eval_dataset,
        output_dir: text(&config.output_dir),
        init_adapter: config.init_adapter.as_deref().map(text),
        resume: match &job.resume {
            Resume::Anew => ScriptResume::Anew,
            Resume::Latest => ScriptResume::Latest,
            Resume::Checkpoint(path) => ScriptResume::Checkpoint(text(path)),
        },
    })
}

fn plan(job: &TrainingJob) -> Result<TrainingPlan, TrainError> {
    let config = &job.config;
    let model = ModelConfig::read(&config.model)?;
    let sizes = model.hyper_parameters()?;
    let model = ForecastModel {
        family: model.family(),
        sizes: &sizes,
        stored_bytes: 2,
    };
    // Every process gets its share of the batches, and the last step of a pass may be smaller.
    let batches = job
        .data_report
        .examples
        .div_ceil(config.per_device_train_batch_size.into())
        .div_ceil(config.num_processes.into());
    let per_epoch = batches
        .div_ceil(config.gradient_accumulation_steps.into())
        .max(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "passes over the data are at most 100,000"
    )]
    let steps = match (config.max_steps, config.num_train_epochs) {
        (Some(steps), _) => u64::from(steps),
        (None, epochs) => (per_epoch as f64 * epochs.unwrap_or(1.0)).ceil() as u64,
    };
    let rows = u64::from(config.per_device_train_batch_size);
    let batch = ForecastBatch {
        distinct_tokens: u64::MAX,
        tokens: job.data_report.tokens.max.saturating_mul(rows),
        labelled_tokens: job.data_report.tokens.max.saturating_mul(rows),
        longest_sequence: job.data_report.tokens.max,
        threads: 1,
    };
    // Whether there is a card is the script's to find out, which has the driver's libraries.
    let (place, device) = match config.device {
        DeviceChoice::Cpu => (ForecastDevice::Cpu, "cpu"),
        DeviceChoice::Auto => (
            ForecastDevice::Cuda,
            "a card if there is one, else the processor",
        ),
        DeviceChoice::Cuda => (ForecastDevice::Cuda, "cuda"),
    };
    let forecast = forecast_trl_memory(config, &model, &batch, place, LogitsHeld::Trl);
    let (trainable_parameters, total_parameters) = trl_values(config, &model);
    Ok(TrainingPlan {
        steps,
        epochs: steps as f64 / per_epoch as f64,
        batches_per_epoch: batches,
        gradient_accumulation_steps: config.gradient_accumulation_steps.into(),
        data: job.data_report.clone(),
        eval_data: job.eval_data_report.clone(),
        trainable_parameters,
        total_parameters,
        device: device.to_owned(),
        capacity_bytes: None,
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
    })
}
