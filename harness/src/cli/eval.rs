use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::Args;
use shipworthy_harness::config::Config;
use shipworthy_harness::evaluation::{Done, EvaluationError, Start};
use shipworthy_harness::preparation::{personas_of_run, prepare};
use shipworthy_harness::progress::RunProgress;
use shipworthy_harness::regression::{Bar, Baseline};
use shipworthy_harness::run_directory::{self, PAGE, REPORT, TRANSCRIPTS};
use shipworthy_harness::shard::Shard;
use shipworthy_harness::store::{Reused, RoleUsage, RunState, Store};
use shipworthy_schema::{Digest, Evaluation, Regression};

use super::error::{Failure, Kind};
use super::prepared_run::{Carried, RunProcess};
use super::printer::Printer;
use super::project::{ConfigPath, DEFAULT_CONFIG, Project, environment};
use super::watching::Watching;
use super::{Outcome, call_times, dry_run, exit_code, gate};

/// Let held-out people talk with the models, score, compare, decide, report
///
/// The exit code is the verdict's (see `shipworthy --help`).
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Eval {
    #[command(flatten)]
    path: ConfigPath,
    /// Go on with the latest run of the same plan; no stored reply is asked for again
    #[arg(long)]
    resume: bool,
    /// Ask everything anew, whatever earlier runs were answered
    #[arg(long)]
    fresh: bool,
    /// Hold and score one share of the people only, e.g. `2/3`; `runs merge` gathers all shares
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Evaluate the candidates alone and hold them against the shipped model in
    /// `regression.baseline_file`
    #[arg(long, conflicts_with_all = ["shard", "dry_run"])]
    candidates_only: bool,
    /// Print the most calls, tokens, money and time it can take, make no call, and exit with 0
    #[arg(long, conflicts_with_all = ["resume", "exit_zero"])]
    dry_run: bool,
    /// Serve a page on this machine that shows the run while it goes on and becomes its report in the
    /// end; pages that are open then have 10 seconds to get it
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl Eval {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if self.dry_run {
            return dry_run::dry_run(printer, &self.path.file());
        }
        let start = if self.resume {
            Start::Resume
        } else {
            Start::New
        };
        let options = Options {
            start,
            is_fresh: self.fresh,
            shard: self.shard,
            candidates_only: self.candidates_only,
            watch: self.watch,
            exit_zero: self.exit_zero,
        };
        evaluate_project(printer, &self.path.file(), &options)
    }
}

/// How to evaluate.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Options {
    pub(super) start: Start,
    /// Whether earlier runs answer nothing.
    pub(super) is_fresh: bool,
    pub(super) shard: Option<Shard>,
    /// Whether the baseline is a file's.
    pub(super) candidates_only: bool,
    /// Whether a page shows the run while it goes on.
    pub(super) watch: bool,
    pub(super) exit_zero: bool,
}

/// Evaluates the project whose configuration is at `config` and reports.
pub(super) fn evaluate_project(printer: &Printer, config: &Path, options: &Options) -> Outcome {
    let mut watching = None;
    let outcome = evaluate_and_report(printer, config, options, &mut watching);
    if let Some(watching) = watching {
        watching.finish(match &outcome {
            Ok(_) => "what came out is in the terminal",
            Err(failure) => &failure.message,
        });
    }
    outcome.map_err(|mut failure| {
        // Hints name the command as it would have to be typed here.
        let mut command = "shipworthy eval".to_owned();
        if config != Path::new(DEFAULT_CONFIG) {
            command = format!("{command} -c {}", config.display());
        }
        if let Some(shard) = options.shard {
            command = format!("{command} --shard {shard}");
        }
        if options.candidates_only {
            command += " --candidates-only";
        }
        command += " --resume";
        for hint in &mut failure.hints {
            *hint = hint.replace("shipworthy eval --resume", &command);
        }
        failure
    })
}

fn evaluate_and_report(
    printer: &Printer,
    config: &Path,
    options: &Options,
    watching: &mut Option<Watching>,
) -> Outcome {
    let start = options.start;
    let (project, mut parsed) = Project::load(config)?;
    let bar = if options.candidates_only {
        let bar = bar(&project, &parsed)?;
        parsed.without_baseline();
        Some(bar)
    } else {
        None
    };
    let process = RunProcess::begin();
    let mut prepared = process.prepare(prepare(&parsed, config, &environment))?;
    if options.is_fresh {
        prepared.reuse = prepared.reuse.fresh();
    }
    let store = Arc::new(Store::open(&project.store())?);
    prepared.shard = options.shard;
    let shipped = bar.as_ref().map(|bar| bar.baseline.clone());
    prepared.bar = bar;
    let digest = prepared.plan.digest();
    let latest = match options.shard {
        Some(shard) => store.latest_shard_of(&digest, shard)?,
        None => store.latest_run_of(&digest)?,
    };
    let is_done = match &latest {
        Some(run) => store.shard_of(&run.id)?.is_some_and(|(_, is_done)| is_done),
        None => false,
    };
    match latest.filter(|_| !is_done).map(|run| (run.state, run.id)) {
        Some((RunState::Unfinished, run)) if start == Start::New => printer.note(&format!(
            "note: run {run} of this plan is unfinished; `--resume` goes on with it"
        )),
        Some((RunState::Finished { .. }, run)) if start == Start::Resume => {
            printer.note(&format!(
                "note: run {run} is finished; it is only reported again"
            ));
        }
        _ => {}
    }
    let pool = &prepared.plan.personas;
    printer.note(&format!(
        "plan {}: {} × {} personas × {} each, at most {} per conversation",
        prepared.plan.digest().short(),
        count(
            u32::try_from(prepared.plan.models.len()).unwrap_or(u32::MAX),
            "model"
        ),
        pool.count,
        count(pool.repeats, "conversation"),
        count(pool.max_turns, "turn"),
    ));
    let personas_text = prepared.personas_text.clone();
    let progress = RunProgress::of(&prepared.plan, prepared.prices.clone());
    let progress = Arc::new(Mutex::new(progress));
    if options.watch {
        *watching = Some(Watching::start(printer, &progress, &store)?);
    }
    let watch = watching.as_ref().map(Watching::watch);
    let carried = Carried {
        store: &store,
        start,
        progress,
        watch,
        tracing: &parsed.tracing,
    };
    let done = process.carry_out(printer, prepared, carried, |error| {
        without_verdict(error, &project, &store)
    });
    let (run, evaluation) = match done? {
        Done::Decided { run, evaluation } => (run, evaluation),
        Done::Shard {
            run,
            shard,
            personas,
        } => {
            let reused = store.reused(&run)?;
            show_shard(printer, &run, shard, personas, &digest, &reused);
            return Ok(exit_code::SUCCESS);
        }
        Done::Generated(_) => unreachable!("an evaluation generates no data"),
        Done::Held { run, regression } => {
            let directory = project.run_directory(&run);
            write_candidates(&store, &run, &directory, &regression)?;
            gate::show(printer, &run, &regression, shipped.as_ref());
            return Ok(if options.exit_zero {
                exit_code::SUCCESS
            } else {
                regression.verdict().exit_code()
            });
        }
    };
    let directory = project.run_directory(&run);
    let (written, took) = rayon::join(
        || run_directory::write(&directory, &evaluation, &personas_text),
        || Took::of(&store, &run),
    );
    written?;
    let took = took?;
    show(printer, &run, &evaluation, &directory, &took);
    if let Some(watching) = watching {
        watching.report = Some(directory.join(PAGE));
    }
    Ok(if options.exit_zero {
        exit_code::SUCCESS
    } else {
        evaluation.verdict().exit_code()
    })
}

/// Returns the shipped model that the configuration names, and its margins.
fn bar(project: &Project, config: &Config) -> Result<Bar, Failure> {
    let margins = config.regression.clone().unwrap_or_default();
    let Some(path) = &margins.baseline_file else {
        let message = "candidates alone have nothing to be held against";
        return Err(Failure::new(Kind::Usage, message).hint(
            "write `shipworthy gate --write-baseline baseline.json` from the run of the shipped model, \
             and set `regression: {baseline_file: baseline.json}`",
        ));
    };
    let baseline = Baseline::read(&project.directory.join(path))?;
    Ok(Bar { baseline, margins })
}

/// Writes the files of a run of candidates alone.
fn write_candidates(
    store: &Store,
    run: &str,
    directory: &Path,
    regression: &Regression,
) -> Result<(), Failure> {
    let Some(stored) = store.run(run)? else {
        return Ok(());
    };
    let gate = shipworthy_reports::regression_json(regression);
    let personas = personas_of_run(&stored)?;
    let (conversations, scores) = (store.conversations(run)?, store.scores(run)?);
    run_directory::write_candidates(
        directory,
        &stored.plan,
        &stored.personas,
        &shipworthy_reports::inert_json(&format!("{gate:#}\n")),
    )?;
    run_directory::write_transcripts(directory, &personas, &conversations, &scores)?;
    Ok(())
}

/// What a run's calls took, where times and other runs may be told.
pub(super) struct Took {
    usage: Vec<RoleUsage>,
    reused: Reused,
}

impl Took {
    pub(super) fn of(store: &Store, run: &str) -> Result<Self, Failure> {
        Ok(Self {
            usage: store.usage(run)?,
            reused: store.reused(run)?,
        })
    }
}

/// Prints the verdict, its reasons, the tables and where the report is, and to stderr how long calls
/// took.
pub(super) fn show(
    printer: &Printer,
    run: &str,
    evaluation: &Evaluation,
    directory: &Path,
    took: &Took,
) {
    if printer.json() {
        let decision = shipworthy_reports::decision_json(evaluation);
        let decision: serde_json::Value =
            serde_json::from_str(&decision).expect("decision_json writes JSON");
        printer.value(&serde_json::json!({
            "format": 1,
            "run": run,
            "directory": directory.display().to_string(),
            "reuse": took.reused,
            "calls": call_times::value(&took.usage),
            "decision": decision,
        }));
        return;
    }
    let width = printer.width();
    printer.text(&shipworthy_reports::terminal(
        evaluation,
        width,
        printer.color(),
    ));
    printer.text(&format!(
        "\nrun     {run}\n{}report  {}\npage    {}\n",
        reused_text(&took.reused),
        directory.join(REPORT).display(),
        directory.join(PAGE).display()
    ));
    if let Some(line) = call_times::line(&took.usage) {
        printer.note(&line);
    }
}

/// Says that a share of the people have spoken, and what becomes of it.
fn show_shard(
    printer: &Printer,
    run: &str,
    shard: Shard,
    personas: usize,
    plan: &Digest,
    reused: &Reused,
) {
    printer.value(&serde_json::json!({
        "format": 1,
        "run": run,
        "plan": plan,
        "shard": shard,
        "personas": personas,
        "reuse": reused,
        "decision": null,
    }));
    printer.text(&format!(
        "Shard {shard} of plan {}: {personas} people have spoken with every model and were scored.\n\
         No verdict is made from a shard: `shipworthy runs merge DIR…` gathers all {} and decides.\n\
         \nrun     {run}\n{}",
        plan.short(),
        shard.of(),
        reused_text(reused)
    ));
}

/// Returns a line on calls that earlier runs had made, if there are any.
pub(super) fn reused_text(reused: &Reused) -> String {
    let Reused {
        calls,
        reused,
        runs,
    } = reused;
    if *reused == 0 {
        return String::new();
    }
    let runs = match &runs[..] {
        [run] => format!("run {run}"),
        runs => format!("{} runs, {} among them", runs.len(), runs[0]),
    };
    format!("reused  {reused} of {calls} calls were answered from earlier runs ({runs})\n")
}

fn count(n: u32, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Writes the transcripts of an evaluation that has no verdict, so that people can see why.
pub(super) fn without_verdict(error: EvaluationError, project: &Project, store: &Store) -> Failure {
    let EvaluationError::Invalid { run, .. } = &error else {
        return error.into();
    };
    let directory = project.run_directory(run);
    let written = run_directory::write_without_verdict(store, run, &directory, &error.to_string());
    match written {
        Ok(()) => {
            let path = directory.join(TRANSCRIPTS);
            Failure::from(error).hint(format!("see {}", path.display()))
        }
        Err(error) => error.into(),
    }
}
