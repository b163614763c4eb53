use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use shipworthy_harness::config::{Config, RegressionConfig};
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::regression::{Baseline, BaselineError, BaselineFile, hold_against};
use shipworthy_harness::run_directory::write_file;
use shipworthy_harness::store::{Run, RunState, Store};
use shipworthy_schema::{ModelName, Regression, Verdict};

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::{ConfigPath, find_run, find_run_to_gate};
use super::{Outcome, eval, exit_code};

/// Turn a finished run's verdict into an exit code, for CI
///
/// The rule is that for shipping (`gate:`), or, with `regression:` in the configuration, that
/// candidates be no worse than the shipped model by more than a margin.
#[derive(Args)]
pub(crate) struct GateRun {
    /// The run; the latest one if left out
    run: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// The rule [default: regression, if the configuration has `regression`; else ship]
    #[arg(long, value_enum)]
    rule: Option<Rule>,
    /// Hold candidates against the shipped model in this file [default:
    /// `regression.baseline_file`]
    #[arg(long, value_name = "FILE", conflicts_with = "write_baseline")]
    baseline: Option<PathBuf>,
    /// Write a model's scores as the baseline of later runs, and judge nothing
    #[arg(long, value_name = "FILE", conflicts_with = "rule")]
    write_baseline: Option<PathBuf>,
    /// The model to write [default: the recommended candidate, if the verdict is to ship it]
    #[arg(long, requires = "write_baseline")]
    model: Option<String>,
    /// How to print the verdict: Markdown is for a step summary or a comment
    #[arg(long, value_enum, default_value_t = Format::Terminal, conflicts_with = "write_baseline")]
    format: Format,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Terminal,
    Markdown,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Better by enough and significantly, and no less safe
    Ship,
    /// No worse by more than the margins, and no less safe
    Regression,
}

impl GateRun {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let config = self.path.file();
        let project = self.path.project()?;
        let store = Store::open_existing(&project.store())?;
        if let Some(path) = &self.write_baseline {
            let run = find_run_to_gate(&store, self.run.as_deref())?;
            return self.write(printer, &store, &run, path);
        }
        // A run stands by itself; by which rule it is judged is the configuration's to say, or whoever asks.
        let is_told = self.rule.is_some() || self.baseline.is_some();
        let configured = if config.exists() {
            Config::load(&config)?.regression
        } else if self.path.is_named() || !is_told {
            let failure = self.path.missing();
            return Err(failure.hint("`--rule ship` judges without one, by the run's own rule"));
        } else {
            None
        };
        let is_regression = match self.rule {
            Some(rule) => rule == Rule::Regression,
            None => self.baseline.is_some() || configured.is_some(),
        };
        if is_regression {
            let run = find_run_to_gate(&store, self.run.as_deref())?;
            let configured = configured.unwrap_or_default();
            let path = match (&self.baseline, &configured.baseline_file) {
                (Some(path), _) => Some(path.clone()),
                (None, Some(path)) => Some(project.directory.join(path)),
                (None, None) => None,
            };
            return self.regression(printer, &store, &run, &configured, path.as_deref());
        }
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        if printer.json() {
            eval::show(
                printer,
                &run.id,
                &evaluation,
                &project.run_directory(&run.id),
                &eval::Took::of(&store, &run.id)?,
            );
        } else if self.format == Format::Markdown {
            printer.text(&shipworthy_reports::verdict_markdown(&evaluation));
        } else {
            let (width, color) = (printer.width(), printer.color());
            printer.text(&shipworthy_reports::headline(&evaluation, width, color));
        }
        Ok(self.exit_code(evaluation.verdict()))
    }

    fn exit_code(&self, verdict: Verdict) -> u8 {
        if self.exit_zero {
            exit_code::SUCCESS
        } else {
            verdict.exit_code()
        }
    }

    fn regression(
        &self,
        printer: &Printer,
        store: &Store,
        run: &Run,
        configured: &RegressionConfig,
        path: Option<&Path>,
    ) -> Outcome {
        let baseline = path.map(Baseline::read).transpose()?;
        let held = hold_against(store, run, configured, baseline.as_ref())?;
        if self.format == Format::Markdown && !printer.json() {
            printer.text(&shipworthy_reports::regression_markdown(&held));
        } else {
            show(printer, &run.id, &held, baseline.as_ref());
        }
        Ok(self.exit_code(held.verdict()))
    }

    fn write(&self, printer: &Printer, store: &Store, run: &Run, path: &Path) -> Outcome {
        let scores = store.scores(&run.id)?;
        let model = match &self.model {
            Some(name) => {
                let mut models = run.plan.models.iter().map(|model| &model.name);
                let known = || run.plan.models.iter().map(|m| m.name.to_string()).collect();
                let found = models.find(|model| model.as_str() == name);
                found.cloned().ok_or_else(|| BaselineError::NoModel {
                    model: name.clone(),
                    known: known(),
                })?
            }
            None => shipped(store, run)?,
        };
        let found = store.preflight(&run.id)?.unwrap_or_default();
        let file = BaselineFile::of(&run.plan, &found, &model, &scores)?;
        write_file(path, &file.text())?;
        printer.value(&json!({
            "format": 1,
            "run": run.id,
            "model": model,
            "baseline_file": path.display().to_string(),
        }));
        printer.text(&format!(
            "{}: {} of run {}, for `regression: {{baseline_file: …}}`.\n",
            shipworthy_reports::one_line(&path.display().to_string()),
            shipworthy_reports::one_line(model.as_str()),
            run.id
        ));
        Ok(exit_code::SUCCESS)
    }
}

/// Returns the candidate that the verdict of `run` ships.
fn shipped(store: &Store, run: &Run) -> Result<ModelName, Failure> {
    let candidates = || {
        run.plan
            .models
            .iter()
            .filter(|m| m.name != run.plan.baseline)
    };
    let (model, verdict) = if run.plan.has_baseline() {
        let evaluation = recall(store, run)?;
        (evaluation.recommended.clone(), evaluation.verdict())
    } else if let (RunState::Finished { verdict, .. }, [only]) =
        (&run.state, &candidates().collect::<Vec<_>>()[..])
    {
        (only.name.clone(), *verdict)
    } else {
        let message = "the run has several candidates and no baseline of its own";
        return Err(Failure::new(Kind::Usage, message)
            .hint("name the model that was shipped with `--model NAME`"));
    };
    if verdict == Verdict::Ship {
        return Ok(model);
    }
    let verdict = verdict.label();
    Err(BaselineError::NotShipped { model, verdict }.into())
}

/// Prints what came out.
pub(super) fn show(
    printer: &Printer,
    run: &str,
    regression: &Regression,
    baseline: Option<&Baseline>,
) {
    printer.value(&json!({
        "format": 1,
        "run": run,
        "baseline_file": baseline.map(|baseline| json!({
            "path": baseline.path.display().to_string(),
            "model": baseline.file.model(),
            "plan": baseline.file.plan(),
            "version": baseline.file.version(),
        })),
        "gate": shipworthy_reports::regression_json(regression),
    }));
    let (width, color) = (printer.width(), printer.color());
    printer.text(&shipworthy_reports::regression_terminal(
        regression, width, color,
    ));
    let from = baseline.map_or_else(String::new, |baseline| {
        format!(
            "shipped {}, plan {}, written by {}\n",
            baseline.path.display(),
            baseline.file.plan().short(),
            baseline.file.version()
        )
    });
    let from = shipworthy_reports::one_line(from.trim_end());
    let gap = if from.is_empty() { "" } else { "\n" };
    printer.text(&format!("\nrun     {run}\n{from}{gap}"));
}
