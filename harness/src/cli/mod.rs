//! The command line: parses flags, reads the environment, prints and exits. Nothing else does.

mod byte_progress;
mod call_times;
mod candidates;
mod check;
mod compare;
mod data;
mod demo;
mod diff_runs;
mod doctor;
mod dry_run;
mod error;
mod eval;
mod exit_code;
mod export;
mod gate;
mod gate_options;
mod gguf;
mod init;
mod inspect;
mod jobs;
mod label;
mod label_terminal;
mod live_table;
mod merge;
mod merge_runs;
mod page;
mod perplexity;
mod personas;
mod plan;
mod prepared_run;
mod printer;
mod progress;
mod project;
mod range;
mod report;
mod runs;
mod ship;
mod stop_signal;
mod template;
mod train;
mod tuning_error;
mod watching;

use std::io::IsTerminal as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use error::{Failure, Kind};
use printer::Printer;

/// Tells whether a fine-tuned model is worthy to ship
///
/// Held-out people talk with a baseline and a candidate, a rubric scores every conversation, a
/// paired test compares them, and a verdict follows: ship, iterate, more evidence, hold, or do not
/// deploy.
#[derive(Parser)]
#[command(name = "shipworthy", version, max_term_width = 100, after_help = exit_code::TABLE)]
struct Arguments {
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// Say more on stderr: -v what happens, -vv also why; never what is said in conversations
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    verbose: u8,
    /// Do not draw a progress bar
    #[arg(long, global = true, help_heading = "Everywhere")]
    no_progress: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Personas(personas::Personas),
    Data(data::Data),
    Train(train::Train),
    Jobs(jobs::Jobs),
    Perplexity(perplexity::Perplexity),
    Check(check::Check),
    Eval(eval::Eval),
    Loop(candidates::Loop),
    Ship(ship::Ship),
    Compare(compare::Compare),
    Plan(plan::Plan),
    Gate(gate::GateRun),
    Report(report::Report),
    Label(label::Label),
    Export(export::Export),
    Runs(runs::Runs),
    Doctor(doctor::Doctor),
    Merge(merge::Merge),
    Gguf(gguf::Gguf),
    Inspect(inspect::Inspect),
}

impl Command {
    /// Tells whether models are trained in this process.
    fn trains(&self) -> bool {
        matches!(self, Self::Demo(_) | Self::Train(_) | Self::Loop(_))
    }

    fn run(self, printer: &Printer) -> Outcome {
        match self {
            Self::Demo(demo) => demo.run(printer),
            Self::Init(init) => init.run(printer),
            Self::Personas(personas) => personas.run(printer),
            Self::Data(data) => data.run(printer),
            Self::Train(train) => train.run(printer),
            Self::Jobs(jobs) => jobs.run(printer),
            Self::Perplexity(perplexity) => perplexity.run(printer),
            Self::Check(check) => check.run(printer),
            Self::Eval(eval) => eval.run(printer),
            Self::Loop(candidates) => candidates.run(printer),
            Self::Ship(ship) => ship.run(printer),
            Self::Compare(compare) => compare.run(printer),
            Self::Plan(plan) => plan.run(printer),
            Self::Gate(gate) => gate.run(printer),
            Self::Report(report) => report.run(printer),
            Self::Label(label) => label.run(printer),
            Self::Export(export) => export.run(printer),
            Self::Runs(runs) => runs.run(printer),
            Self::Doctor(doctor) => doctor.run(printer),
            Self::Merge(merge) => merge.run(printer),
            Self::Gguf(gguf) => gguf.run(printer),
            Self::Inspect(inspect) => inspect.run(printer),
        }
    }
}

/// Runs the command and returns its exit code.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json, !arguments.no_progress);
    start_log(&printer, arguments.verbose);
    if arguments.command.trains() {
        shipworthy_backends::trainer::share_one_heap();
    }
    // A panic has said on stderr what and where; here it only gets its exit code.
    let command = AssertUnwindSafe(|| arguments.command.run(&printer));
    let done = std::panic::catch_unwind(command).unwrap_or_else(|_| Err(bug()));
    let done = match (done, printer.failed()) {
        // Half an output is worse than none: whoever reads it must know.
        (Ok(_), Some(error)) => {
            let message = format!("failed to write to stdout: {error}");
            Err(Failure::new(Kind::InputOutput, message))
        }
        (done, _) => done,
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// What every command returns: its exit code, or why it failed.
type Outcome = Result<u8, Failure>;

fn start_log(printer: &Printer, verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "shipworthy=info,shipworthy_harness=info,shipworthy_backends=info,warn",
        _ => "shipworthy=debug,shipworthy_harness=debug,shipworthy_backends=debug,info",
    };
    let usual = || EnvFilter::new(level);
    // It logs the bodies that it cannot read, and with them what is said; ours say as much as is needed.
    let quiet = "async_openai=off".parse().expect("it is a directive");
    let filter = std::env::var("SHIPWORTHY_LOG").map_or_else(
        |_| usual(),
        |wanted| {
            EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
                printer.note(&format!("note: SHIPWORTHY_LOG is ignored: {error}"));
                usual()
            })
        },
    );
    tracing_subscriber::fmt()
        .with_env_filter(filter.add_directive(quiet))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Returns a runtime that goes on by itself.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("the system has threads and timers to give")
}

/// Returns a runtime that goes on while somebody waits for it.
///
/// Thousands of calls that wait for the network cost less on the thread that waits for them: nothing
/// passes between threads.
fn calling_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has timers to give")
}

fn interrupted() -> Failure {
    Failure::new(Kind::Interrupted, "interrupted")
}

fn bug() -> Failure {
    Failure::new(Kind::Internal, "shipworthy failed by a mistake of its own")
        .hint("please report it with the command and the lines above")
}
