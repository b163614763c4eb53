pub(super) mod at_hub;
pub(super) mod preflight_text;
pub(super) mod step_progress;

use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use shipworthy_backends::trainer::{Resume, TrainError};
use shipworthy_harness::tuning::{CONFIG, Preflight, RunWatch, TuningConfig, TuningError, run};
use shipworthy_schema::finetune::TrainerKind;
use shipworthy_schema::{TrainingEnding, TrainingReport};

use self::step_progress::StepProgress;
use super::error::{Failure, Kind};
use super::printer::Printer;
use super::stop_signal::StopSignal;
use super::{Outcome, exit_code, interrupted};

/// Fine-tune a model: LoRA, QLoRA or all weights, on the processor or a card
///
/// Reads conversations, shows what of them is learnt, predicts the memory, trains, and leaves a
/// directory as PEFT and transformers read it, with a report. Ctrl-C saves and stops.
#[derive(Args)]
pub(crate) struct Train {
    /// How to fine-tune: a file from `shipworthy init --template finetune`, or its directory
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Show what would be learnt and what it would take; train nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on from the latest checkpoint in `output_dir`, or from this one; the result is the same as
    /// without the interruption. With `trainer: hf_jobs`: take up the job that `output_dir` has
    #[arg(long, value_name = "CHECKPOINT", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "given or not, with a value or not")]
    resume: Option<Option<PathBuf>>,
    /// Start the job and leave it (`trainer: hf_jobs`); `--resume` takes it up again
    #[arg(short, long)]
    detach: bool,
}

impl Train {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let file = if self.config.is_dir() {
            self.config.join(CONFIG)
        } else {
            self.config.clone()
        };
        let config = TuningConfig::load(&file)?;
        if config.opened.trainer == TrainerKind::HfJobs {
            return at_hub::run(self, printer, &file, config);
        }
        if self.detach {
            let message = "`--detach` leaves a job at the Hub, and this trains here";
            return Err(Failure::new(Kind::Usage, message)
                .hint("write `trainer: hf_jobs`, or leave `--detach` out"));
        }
        let resume = self.resume.as_ref().map(|checkpoint| match checkpoint {
            Some(checkpoint) => Resume::Checkpoint(checkpoint.clone()),
            None => Resume::Latest,
        });
        let opened = config.opened.clone();
        let output = &opened.output_dir;
        let preflight = Preflight::new(config, resume)?;
        let page = preflight_text::page(&preflight, printer.width(), printer.color());
        if self.dry_run {
            printer.value(&preflight_text::document(&preflight));
            printer.text(&page);
            return Ok(exit_code::SUCCESS);
        }
        printer.text(&page);
        let report = train(printer, preflight).map_err(|error| {
            if is_refused(&error) {
                error.into()
            } else {
                resumable(error.into(), &file, output)
            }
        })?;
        if let TrainingEnding::Interrupted { .. } = report.ending {
            return Err(resumable(interrupted(), &file, output));
        }
        show(printer, output, Some(&opened.model), &report);
        Ok(exit_code::SUCCESS)
    }
}

/// Prints the report of a run that ended, and where its files are; `model`: where its base lies, if here.
fn show(printer: &Printer, output: &Path, model: Option<&Path>, report: &TrainingReport) {
    if printer.json() {
        let report = shipworthy_reports::training_json(report);
        let report: serde_json::Value =
            serde_json::from_str(&report).expect("training_json writes JSON");
        printer.value(&json!({
            "format": 1,
            "directory": output.display().to_string(),
            "report": report,
        }));
    }
    // Its own paths are relative to the configuration's file; commands are to be copied where the user stands.
    let mut report = report.clone();
    report.output_dir = from_here(output);
    if let Some(model) = model {
        report.base.model = from_here(model);
    }
    let (width, color) = (printer.width(), printer.color());
    printer.text("\n");
    printer.text(&shipworthy_reports::training_terminal(
        &report, width, color,
    ));
}

/// Returns the seconds since 1970.
fn wall_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Returns a path as it is called from the current directory, the short way where it lies below that.
fn from_here(path: &Path) -> String {
    let is_plain = |part| matches!(part, Component::Normal(_));
    if path.components().all(is_plain) {
        return path.display().to_string();
    }
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let short = here.ok().zip(path.canonicalize().ok());
    let short = short.and_then(|(here, path)| Some(path.strip_prefix(here).ok()?.to_owned()));
    let short = short.filter(|short| !short.as_os_str().is_empty());
    let path = short.as_deref().unwrap_or(path);
    path.display().to_string()
}

/// Tells whether training was refused before it began, so that going on would be refused as well.
fn is_refused(error: &TuningError) -> bool {
    matches!(
        error,
        TuningError::Busy { .. }
            | TuningError::Train(TrainError::Resume { .. } | TrainError::OutputInUse { .. })
    )
}

fn train(printer: &Printer, preflight: Preflight) -> Result<TrainingReport, TuningError> {
    let stop = StopSignal::listen(
        "stopping after the batch under way, with a checkpoint; once more stops at once",
    );
    let mut progress = StepProgress::start(printer, preflight.plan.steps);
    let done = run(
        preflight,
        &mut RunWatch {
            observe: &mut |event| progress.show(event),
            stop: stop.flag(),
            wall_time: &wall_time,
        },
    );
    progress.finish();
    done
}

/// Says how to go on, where there is something to go on from.
fn resumable(failure: Failure, file: &Path, output: &Path) -> Failure {
    let is_checkpoint = |name: &str| {
        let step = name.strip_prefix("checkpoint-");
        step.is_some_and(|step| step.parse::<u64>().is_ok())
    };
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    if names.any(|name| is_checkpoint(&name)) {
        let file = file.display();
        failure.hint(format!(
            "`shipworthy train -c {file} --resume` goes on from the latest checkpoint"
        ))
    } else {
        failure
    }
}
