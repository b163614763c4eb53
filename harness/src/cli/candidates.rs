use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use shipworthy_harness::accounting::PriceList;
use shipworthy_harness::asking::Listener;
use shipworthy_harness::candidates::{
    HubAccess, LoopError, LoopEvent, Observer, Project as LoopProject, run_loop, secrets_at_hub,
};
use shipworthy_harness::halt::{Halt, HaltReason};
use shipworthy_harness::progress::RunProgress;
use shipworthy_harness::store::Store;
use shipworthy_harness::tuning::TuningError;
use shipworthy_reports::{candidate_line, one_line};
use shipworthy_schema::{CandidateState, CandidateTable, ModelName, Plan};

use super::error::{Failure, Kind};
use super::jobs::hub::HubAccess as JobsAccess;
use super::printer::Printer;
use super::project::{ConfigPath, DEFAULT_CONFIG, Project, environment};
use super::stop_signal::StopSignal;
use super::train::at_hub::{Beside, LOOK_EVERY};
use super::train::step_progress::StepProgress;
use super::{Outcome, exit_code, interrupted, progress};

/// Train candidates, evaluate them, and let the best one meet people nobody has met
///
/// What to train, on whom to measure it and when to end stands in the configuration's `loop`. What is
/// done is kept: called again, also after Ctrl-C or a crash, it goes on where it was. The exit code is
/// the confirmed candidate's verdict, else the best one's; only a confirmed candidate ships.
#[derive(Args)]
pub(crate) struct Loop {
    #[command(flatten)]
    path: ConfigPath,
    /// Take steps again that failed
    #[arg(long)]
    retry: bool,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl Loop {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let file = self.path.file();
        let table = make(printer, &file, self.retry).map_err(|mut failure| {
            // Hints name the command as it would have to be typed here.
            let command = command(&file);
            for hint in &mut failure.hints {
                *hint = hint.replace("shipworthy eval --resume", &command);
            }
            failure
        })?;
        show(printer, &table, &file);
        let has_kept = table.candidates.iter().any(|it| is_kept(&it.state));
        if has_kept && table.verdict.is_some() && !self.retry {
            printer.note("what failed or diverged is not tried again without `--retry`");
        }
        let Some(verdict) = table.verdict else {
            return Err(no_verdict(&table));
        };
        Ok(if self.exit_zero {
            exit_code::SUCCESS
        } else {
            verdict.exit_code()
        })
    }
}

/// Says what to do where no candidate came to a verdict.
fn no_verdict(table: &CandidateTable) -> Failure {
    const MESSAGE: &str = "no candidate came to a verdict";
    let mut states = table.candidates.iter().map(|it| &it.state);
    let budget = states.clone().find_map(|state| match state {
        CandidateState::OutOfBudget { what, .. } => Some(what),
        _ => None,
    });
    let failure = match budget {
        Some(what) => Failure::new(
            Kind::Unavailable,
            one_line(&format!("{MESSAGE}: out of budget, {what}")),
        )
        .hint("raise that budget; called again, the loop goes on"),
        None => Failure::new(Kind::Data, MESSAGE),
    };
    if budget.is_none() || states.any(is_kept) {
        failure.hint("mend what the table tells, then run it with `--retry`")
    } else {
        failure
    }
}

/// Tells whether a state stays until somebody asks for another try.
fn is_kept(state: &CandidateState) -> bool {
    matches!(
        state,
        CandidateState::Diverged { .. } | CandidateState::Failed { .. }
    )
}

fn command(file: &Path) -> String {
    if file == Path::new(DEFAULT_CONFIG) {
        "shipworthy loop".to_owned()
    } else {
        format!("shipworthy loop -c {}", file.display())
    }
}

fn make(printer: &Printer, file: &Path, retry: bool) -> Result<CandidateTable, Failure> {
    let (project, config) = Project::load(file)?;
    if config.candidates.is_none() {
        return Err(LoopError::NoLoop.into());
    }
    let store = Arc::new(Store::open(&project.store())?);
    let halt = Halt::default();
    let asked = halt.clone();
    let stop = StopSignal::listen_and(
        "finishing what is under way, which is kept; once more stops at once",
        move || asked.request(HaltReason::Interrupted),
    );
    let runtime = super::calling_runtime();
    let wall_time = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    };
    let hub = secrets_at_hub(&config, file).map(|names| {
        let access = JobsAccess::from_environment()?;
        let secrets = access.secrets(&names)?;
        Ok::<_, Failure>(HubAccess {
            hub: access.hub,
            secrets,
            look_every: LOOK_EVERY,
        })
    });
    let project = LoopProject {
        hub: hub.transpose()?,
        config: &config,
        file,
        store,
        runtime: &runtime,
        environment: &environment,
        wall_time: &wall_time,
        halt,
        stop: stop.flag(),
        retry,
    };
    let watching = Watching {
        printer,
        steps: RefCell::default(),
        beside: RefCell::default(),
        bar: RefCell::default(),
    };
    let made = run_loop(&project, &watching);
    watching.clear();
    Ok(made?)
}

fn show(printer: &Printer, table: &CandidateTable, file: &Path) {
    if printer.json() {
        let document = shipworthy_reports::candidates_json(table);
        let table: Value = serde_json::from_str(&document).expect("candidates_json writes JSON");
        let directory = Project::of(file).directory;
        printer.value(&json!({
            "format": 1,
            "directory": directory.join("candidates").display().to_string(),
            "table": table,
        }));
        return;
    }
    let (width, color) = (printer.width(), printer.color());
    printer.text(&shipworthy_reports::candidates_terminal(
        table, width, color,
    ));
    let report = Project::of(file).directory.join("candidates/report.md");
    printer.text(&format!("\nreport  {}\n", report.display()));
}

/// Shows what a loop does on stderr.
struct Watching<'a> {
    printer: &'a Printer,
    steps: RefCell<Option<StepProgress<'a>>>,
    beside: RefCell<Option<Beside<'a>>>,
    bar: RefCell<Option<ProgressBar>>,
}

impl Watching<'_> {
    /// Takes away what is drawn.
    fn clear(&self) {
        self.beside.take();
        if let Some(steps) = self.steps.take() {
            steps.finish();
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Watching<'_> {
    fn tell(&self, event: &LoopEvent<'_>) {
        if !matches!(event, LoopEvent::Training { .. } | LoopEvent::AtHub { .. }) {
            self.clear();
        }
        match event {
            LoopEvent::Begun { name, step } => {
                let line = format!("{name}: {}", step.label());
                self.printer.note(&one_line(&line));
            }
            LoopEvent::Planned { steps } => {
                let steps = StepProgress::start(self.printer, *steps);
                self.beside
                    .replace(Some(Beside::new(self.printer, steps.bar())));
                self.steps.replace(Some(steps));
            }
            LoopEvent::AtHub { event } => {
                if let Some(beside) = self.beside.borrow().as_ref() {
                    beside.tell(event);
                }
            }
            LoopEvent::Training { event } => {
                if let Some(beside) = self.beside.borrow().as_ref() {
                    beside.hear(event);
                }
                if let Some(steps) = self.steps.borrow_mut().as_mut() {
                    steps.show(event);
                }
            }
            LoopEvent::Concluded { result } => self.printer.note(&candidate_line(result)),
            LoopEvent::Confirming { name } => {
                let line = format!("{name}: meets people nobody has met");
                self.printer.note(&one_line(&line));
            }
        }
    }

    fn listen(&self, _: &ModelName, plan: &Plan, prices: PriceList) -> Listener {
        let progress = Arc::new(Mutex::new(RunProgress::of(plan, prices)));
        let (listener, bar) = progress::listener(self.printer, progress, None);
        self.bar.replace(Some(bar));
        listener
    }

    fn unlisten(&self) {
        self.clear();
    }
}

impl From<LoopError> for Failure {
    fn from(error: LoopError) -> Self {
        let message = error.to_string();
        let mut failure = match error {
            LoopError::NoLoop => Self::new(Kind::Usage, "").hint(
                "write `loop: {candidates: [finetune_config.yaml]}` into the configuration to begin",
            ),
            LoopError::Recipe { source, .. } | LoopError::Training { source, .. } => {
                let is_left = matches!(*source, TuningError::Left { .. });
                let failure = Self::from(*source);
                if is_left {
                    // As the loop itself does, which goes on after it.
                    failure.hint("what is done is kept; `shipworthy eval --resume` goes on")
                } else {
                    failure
                }
            }
            LoopError::JobUnderWay { job, .. } => Self::new(Kind::Usage, "")
                .hint(format!("`shipworthy jobs wait {job}` waits for it"))
                .hint(format!("`shipworthy jobs cancel {job}` stops it")),
            LoopError::Checkpoint { .. }
            | LoopError::SameName { .. }
            | LoopError::Task { .. } => Self::new(Kind::Usage, ""),
            LoopError::PoolUsed { .. } => Self::new(Kind::Usage, "")
                .hint("set `loop.confirmation` to seeds that no run has used"),
            LoopError::OtherPlan { .. } => Self::new(Kind::Usage, "")
                .hint("set `loop.confirmation` to seeds that no run has used")
                .hint("or bring back what was planned"),
            LoopError::Conversion { source, .. } => (*source).into(),
            LoopError::Preparation(error) => return (*error).into(),
            LoopError::Evaluation(error) => return (*error).into(),
            LoopError::Store(error) => return error.into(),
            LoopError::Write(error) => return error.into(),
            LoopError::Busy => Self::new(Kind::Usage, "").hint("wait for it, or stop it"),
            LoopError::Interrupted => {
                interrupted().hint("what is done is kept; `shipworthy eval --resume` goes on")
            }
        };
        failure.message = message;
        failure
    }
}
