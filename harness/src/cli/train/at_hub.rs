//! `train` with `trainer: hf_jobs`.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};
use shipworthy_backends::Secret;
use shipworthy_backends::jobs::Job;
use shipworthy_harness::store::Store;
use shipworthy_harness::tuning::at_hub::{AtHub, HubEvent, HubRun, Rental, begin, follow};
use shipworthy_harness::tuning::{Preflight, RunWatch, TuningConfig};
use shipworthy_reports::{amount_text, one_line};
use shipworthy_schema::TrainingEvent;

use super::step_progress::StepProgress;
use super::{Train, preflight_text, show, wall_time};
use crate::cli::error::{Failure, Kind};
use crate::cli::jobs::conclusion::took;
use crate::cli::jobs::hub::HubAccess;
use crate::cli::jobs::run::uploaded;
use crate::cli::jobs::watch::{again, inert};
use crate::cli::printer::Printer;
use crate::cli::project::{DEFAULT_CONFIG, Project, config_file, environment};
use crate::cli::stop_signal::StopSignal;
use crate::cli::{Outcome, calling_runtime, exit_code};

/// Time from one look at a job to the next.
pub(in crate::cli) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Time from one word on what a job costs to the next.
const SAY_EVERY: Duration = Duration::from_secs(300);

/// Trains as the configuration in `file` says.
pub(super) fn run(train: &Train, printer: &Printer, file: &Path, config: TuningConfig) -> Outcome {
    if let Some(Some(_)) = &train.resume {
        return Err(
            Failure::new(Kind::Usage, "a job cannot see a checkpoint of this machine")
                .hint("`--resume` alone takes up the job that `output_dir` has"),
        );
    }
    let access = HubAccess::from_environment()?;
    let output = config.opened.output_dir.clone();
    if train.resume.is_some() && !train.dry_run {
        let Some(run) = HubRun::of(&output)? else {
            let message = format!("`{}` has no job to take up", output.display());
            return Err(Failure::new(Kind::Usage, message).hint(
                "`shipworthy train` starts one; `shipworthy jobs list` shows those there are",
            ));
        };
        let store = open_store()?;
        return calling_runtime().block_on(take_up(printer, &access, &store, run));
    }
    let detach = train.detach || config.opened.hf_jobs.as_ref().is_some_and(|job| job.detach);
    let names = secret_names(&config);
    let preflight = Preflight::new(config, None)?;
    calling_runtime().block_on(async {
        let rental = Rental::find(&access.hub, &preflight).await?;
        let mut page = preflight_text::page(&preflight, printer.width(), printer.color());
        page.push('\n');
        page.push_str(&rental_text(&preflight, &rental));
        if train.dry_run {
            let mut document = preflight_text::document(&preflight);
            document["job"] = rental_value(&rental);
            printer.value(&document);
            printer.text(&page);
            return Ok(exit_code::SUCCESS);
        }
        printer.text(&page);
        let secrets = access.secrets(&names)?;
        let store = open_store()?;
        let told = |event: HubEvent<'_>| {
            if let HubEvent::Uploaded { repository, done } = event {
                uploaded(printer, repository, done);
            }
        };
        let at = AtHub {
            hub: &access.hub,
            store: &store,
            secrets,
            look_every: LOOK_EVERY,
            told: &told,
        };
        let run = begin(preflight, file, &rental, &at).await?;
        let id = &run.job.id;
        printer.note(&format!("job {id} on {}", run.job.flavour));
        if detach {
            printer.value(&json!({
                "format": 1,
                "job": id,
                "flavour": run.job.flavour,
                "most_usd": rental.most_usd,
            }));
            printer.text(&format!("{id}\n"));
            printer.note(&again(id));
            return Ok(exit_code::SUCCESS);
        }
        take_up(printer, &access, &store, run).await
    })
}

/// Follows a training at the Hub to its end and shows its report.
pub(in crate::cli) async fn take_up(
    printer: &Printer,
    access: &HubAccess,
    store: &Store,
    run: HubRun,
) -> Outcome {
    let endpoint = access.hub.endpoint().as_str();
    if run.job.endpoint != endpoint {
        let message = format!("job {} was given to {}", run.job.id, run.job.endpoint);
        return Err(Failure::new(Kind::Usage, message).hint("set `HF_ENDPOINT` to that"));
    }
    let price = run.job.usd_per_minute;
    let output = run.job.directory.clone().unwrap_or_default();
    let stop = StopSignal::listen("leaving the job, which goes on");
    let progress = RefCell::new(StepProgress::start(printer, run.steps()));
    let beside = Beside::new(printer, progress.borrow().bar());
    let mut secrets = access.secrets(&["HF_TOKEN".to_owned()])?;
    for name in run.secret_names()? {
        // Those that are set are struck out of what the job writes.
        let value = environment(&name).filter(|value| !value.is_empty());
        secrets.extend(value.map(|value| (name, Secret::new(value))));
    }
    let told = |event: HubEvent<'_>| beside.tell(&event);
    let at = AtHub {
        hub: &access.hub,
        store,
        secrets,
        look_every: LOOK_EVERY,
        told: &told,
    };
    let mut observe = |event: &TrainingEvent| {
        beside.hear(event);
        progress.borrow_mut().show(event);
    };
    let mut watch = RunWatch {
        observe: &mut observe,
        stop: stop.flag(),
        wall_time: &wall_time,
    };
    let followed = follow(run, &at, &mut watch).await;
    progress.borrow().finish();
    let followed = followed?;
    show(printer, &output, None, &followed.report);
    printer.note(&format!(
        "job {}: {}",
        followed.job.id,
        took(&followed.job, price)
    ));
    Ok(exit_code::SUCCESS)
}

fn open_store() -> Result<Store, Failure> {
    let config = environment("SHIPWORTHY_CONFIG").unwrap_or_else(|| DEFAULT_CONFIG.to_owned());
    let project = Project::of(&config_file(Path::new(&config)));
    Ok(Store::open(&project.store())?)
}

/// Returns the names of a job's secrets: without the token it could push nothing.
fn secret_names(config: &TuningConfig) -> Vec<String> {
    let job = config.opened.hf_jobs.as_ref();
    let mut names = job.map_or_else(Vec::new, |job| job.secrets.clone());
    names.push("HF_TOKEN".to_owned());
    names.sort();
    names.dedup();
    names
}

fn rental_text(preflight: &Preflight, rental: &Rental) -> String {
    let mut text = String::new();
    let mut row = |key: &str, value: String| {
        let _ = writeln!(text, "  {key:<10}{value}");
    };
    let amount = |usd: Option<f64>| {
        usd.map_or_else(
            || "unknown".to_owned(),
            |usd| format!("{} USD", amount_text(usd)),
        )
    };
    let flavour = &rental.flavour;
    let card = flavour.card.as_deref().unwrap_or("no card");
    let hourly = flavour.usd_per_minute.map(|usd| usd * 60.0);
    row(
        "machine",
        format!(
            "{} ({} × {}), {} an hour",
            one_line(&flavour.name),
            flavour.cards,
            one_line(card),
            amount(hourly)
        ),
    );
    row(
        "time",
        rental.hours.map_or_else(
            || "unknown".to_owned(),
            |hours| format!("about {hours:.1} h, {}; an estimate", amount(rental.usd)),
        ),
    );
    row(
        "limit",
        format!(
            "{} min, so at most {}",
            rental.timeout.as_secs().div_ceil(60),
            amount(rental.most_usd)
        ),
    );
    let config = &preflight.config.opened;
    if let Some(job) = &config.hf_jobs {
        row(
            "base",
            format!("{} at {}", job.model, one_line(&rental.revision)),
        );
        row(
            "data",
            format!("to {}, private if it is new", job.dataset_repo),
        );
    }
    if let Some(repository) = &config.hub_model_id {
        row("result", format!("to {repository}, then here"));
    }
    text
}

fn rental_value(rental: &Rental) -> Value {
    json!({
        "flavour": rental.flavour.name,
        "usd_per_hour": rental.flavour.usd_per_minute.map(|usd| usd * 60.0),
        "hours": rental.hours,
        "usd": rental.usd,
        "timeout_s": rental.timeout.as_secs(),
        "most_usd": rental.most_usd,
        "namespace": rental.namespace,
        "revision": rental.revision,
    })
}

/// Says on stderr what happens beside the training: where the job is, what it costs, what comes from the Hub.
pub(in crate::cli) struct Beside<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
    /// Whether the first step is near: until then the job's own lines are shown.
    has_begun: Cell<bool>,
    said: RefCell<Option<(String, Instant)>>,
    shown: RefCell<Option<String>>,
}

impl<'a> Beside<'a> {
    pub(in crate::cli) fn new(printer: &'a Printer, bar: Option<ProgressBar>) -> Self {
        Self {
            printer,
            bar,
            has_begun: Cell::new(false),
            said: RefCell::new(None),
            shown: RefCell::new(None),
        }
    }

    pub(in crate::cli) fn tell(&self, event: &HubEvent<'_>) {
        match *event {
            HubEvent::Uploaded { repository, done } => uploaded(self.printer, repository, done),
            HubEvent::Line(line) => {
                // Ours are told as what they mean.
                if !self.has_begun.get() && !line.contains("{\"shipworthy\": ") {
                    self.say(&inert(line));
                }
            }
            HubEvent::Looked { job, cost_usd } => self.look(job, cost_usd),
            HubEvent::Download { file, bytes } => {
                let mut shown = self.shown.borrow_mut();
                if bytes >= file.size && shown.as_ref() != Some(&file.path) {
                    let path = one_line(&file.path);
                    self.say(&format!("{path}: {} are here", HumanBytes(file.size)));
                    *shown = Some(file.path.clone());
                }
            }
        }
    }

    /// Hears what the training itself told.
    pub(in crate::cli) fn hear(&self, event: &TrainingEvent) {
        if let TrainingEvent::Planned { .. } = event {
            self.has_begun.set(true);
        }
    }

    fn look(&self, job: &Job, cost_usd: Option<f64>) {
        let mut said = self.said.borrow_mut();
        let stage = job.stage.name();
        let is_known = said
            .as_ref()
            .is_some_and(|(known, since)| known == stage && since.elapsed() < SAY_EVERY);
        if is_known {
            return;
        }
        *said = Some((stage.to_owned(), Instant::now()));
        let cost = cost_usd.map_or_else(String::new, |usd| {
            format!(", about {} USD so far", amount_text(usd))
        });
        self.say(&format!("job {}: {}{cost}", job.id, one_line(stage)));
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.printer.note(line),
        }
    }
}
