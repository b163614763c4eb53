use std::path::Path;
use std::sync::Arc;

use clap::Args;
use shipworthy_harness::evaluation::{EvaluationError, Start, evaluate};
use shipworthy_harness::halt::{Halt, HaltReason};
use shipworthy_harness::preparation::{Servers, prepare};
use shipworthy_harness::run_directory::{self, PAGE, REPORT, TRANSCRIPTS};
use shipworthy_harness::store::{RunState, Store};
use shipworthy_schema::{Evaluation, Persona};

use super::error::{Failure, RESUME};
use super::printer::Printer;
use super::project::{ConfigPath, DEFAULT_CONFIG, Project, environment};
use super::stop_signal::StopSignal;
use super::{Outcome, exit_code, interrupted, progress};

/// Let held-out people talk with the models, score, compare, decide, report
///
/// The exit code is the verdict's (see `shipworthy --help`).
#[derive(Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    path: ConfigPath,
    /// Go on with the latest run of the same plan; no stored reply is asked for again
    #[arg(long)]
    resume: bool,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl Eval {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let start = if self.resume {
            Start::Resume
        } else {
            Start::New
        };
        evaluate_project(printer, &self.path.file(), start, self.exit_zero)
    }
}

/// Evaluates the project whose configuration is at `config` and reports.
pub(super) fn evaluate_project(
    printer: &Printer,
    config: &Path,
    start: Start,
    exit_zero: bool,
) -> Outcome {
    evaluate_and_report(printer, config, start, exit_zero).map_err(|mut failure| {
        // Hints name the command as it would have to be typed here.
        if config != Path::new(DEFAULT_CONFIG) {
            let command = format!("shipworthy eval -c {} --resume", config.display());
            for hint in &mut failure.hints {
                *hint = hint.replace("shipworthy eval --resume", &command);
            }
        }
        failure
    })
}

fn evaluate_and_report(printer: &Printer, config: &Path, start: Start, exit_zero: bool) -> Outcome {
    let (project, parsed) = Project::load(config)?;
    let runtime = super::calling_runtime();
    let halt = Halt::default();
    let asked = halt.clone();
    StopSignal::listen_and(
        "finishing the calls under way; once more stops at once",
        move || asked.request(HaltReason::Interrupted),
    );
    let prepared = runtime.block_on(async {
        let prepared = prepare(&parsed, config, &environment);
        tokio::select! {
            prepared = prepared => prepared.map_err(Failure::from),
            _ = halt.requested() => Err(interrupted().hint(RESUME)),
        }
    })?;
    let store = Arc::new(Store::open(&project.store())?);
    let latest = store.latest_run_of(&prepared.plan.digest())?;
    match latest.map(|run| (run.state, run.id)) {
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
        "plan {}: {} models × {} personas × {} each, at most {} per conversation",
        prepared.plan.digest().short(),
        prepared.plan.models.len(),
        pool.count,
        count(pool.repeats, "conversation"),
        count(pool.max_turns, "turn"),
    ));
    let (personas, personas_text) = (prepared.personas.clone(), prepared.personas_text.clone());
    let (listener, bar) = progress::listener(printer);
    let servers = Arc::clone(&prepared.servers);
    let done = runtime.block_on(async {
        let done = evaluate(prepared, store.clone(), start, halt, listener).await;
        done.map_err(|error| without_verdict(error, &project, &store, &personas))
    });
    bar.finish_and_clear();
    let done = done.map_err(|failure| with_obituaries(failure, &servers));
    // What was started for this run is stopped before its results are shown.
    drop(servers);
    let (run, evaluation) = done?;
    let directory = project.run_directory(&run);
    run_directory::write(&directory, &evaluation, &personas_text)?;
    show(printer, &run, &evaluation, &directory);
    Ok(if exit_zero {
        exit_code::SUCCESS
    } else {
        evaluation.verdict().exit_code()
    })
}

/// Adds what servers wrote last that died under way.
fn with_obituaries(failure: Failure, servers: &Servers) -> Failure {
    servers
        .obituaries()
        .into_iter()
        .fold(failure, |failure, died| {
            let hint = format!("server `{}` died; its log is {}", died.server, died.log);
            failure.hint(hint).log(&died.last_lines)
        })
}

/// Prints the verdict, its reasons, the tables and where the report is.
pub(super) fn show(printer: &Printer, run: &str, evaluation: &Evaluation, directory: &Path) {
    if printer.json() {
        let decision = shipworthy_reports::decision_json(evaluation);
        let decision: serde_json::Value =
            serde_json::from_str(&decision).expect("decision_json writes JSON");
        printer.value(&serde_json::json!({
            "format": 1,
            "run": run,
            "directory": directory.display().to_string(),
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
        "\nrun     {run}\nreport  {}\npage    {}\n",
        directory.join(REPORT).display(),
        directory.join(PAGE).display()
    ));
}

fn count(n: u32, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Writes the transcripts of an evaluation that has no verdict, so that people can see why.
fn without_verdict(
    error: EvaluationError,
    project: &Project,
    store: &Store,
    personas: &[Persona],
) -> Failure {
    let EvaluationError::Invalid { run, .. } = &error else {
        return error.into();
    };
    let directory = project.run_directory(run);
    let written = || {
        let (conversations, scores) = (store.conversations(run)?, store.scores(run)?);
        run_directory::write_transcripts(&directory, personas, &conversations, &scores)?;
        Ok::<_, Failure>(directory.join(TRANSCRIPTS))
    };
    match written() {
        Ok(path) => Failure::from(error).hint(format!("see {}", path.display())),
        Err(failure) => failure,
    }
}
