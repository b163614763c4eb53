use std::path::{Path, PathBuf};

use clap::{Args, Parser as _};

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::template::TEMPLATES;
use super::{Arguments, Outcome};

/// Run the whole product on a shipped toy, offline: data, training, evaluation, verdicts
///
/// Training people talk with a teacher, what was said is checked, three candidates are trained and turned
/// into GGUF files, held-out people talk with each, and the best meets people nobody has met. Called again
/// in the same directory it does nothing twice.
#[derive(Args)]
pub(crate) struct Demo {
    /// Where to put the example project
    #[arg(long, value_name = "DIR", default_value = "shipworthy-demo")]
    directory: PathBuf,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl Demo {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        TEMPLATES[0].write(&self.directory)?;
        let at = |name: &str| self.directory.join(name).display().to_string();
        let config = at("shipworthy.yaml");
        printer.note(&format!(
            "A base model of about a million weights, a toy, lies in {}. What follows is typed for you.",
            at("models/base"),
        ));
        // Steps before the last have no document of their own.
        let steps = printer.without_documents();
        let baseline = at("models/base-q8_0.gguf");
        if !Path::new(&baseline).exists() {
            let base = at("models/base");
            let command = [
                "gguf", "--model", &base, "--type", "q8_0", "--out", &baseline,
            ];
            step(&steps, "The baseline, as it is served:", &command)?;
        }
        let (data, base) = (at("data/train.jsonl"), at("models/base"));
        if !Path::new(&data).exists() {
            let generate = ["data", "generate", "-c", &config];
            step(
                &steps,
                "Training people talk with a teacher; the rubric keeps what is good:",
                &generate,
            )?;
        }
        let check = [
            "data",
            "check",
            &data,
            "--model",
            &base,
            "--max-length",
            "1024",
        ];
        step(&steps, "Is the data right?", &check)?;
        let mut train_and_judge = vec!["loop", "-c", &config];
        if self.exit_zero {
            train_and_judge.push("--exit-zero");
        }
        step(
            printer,
            "Train, evaluate, decide. One candidate learns from the data, one from a careless coach, one hardly \
             learns at all:",
            &train_and_judge,
        )
    }
}

/// Says what a command is for, and runs it as if it had been typed.
///
/// Errors if it fails; the exit code of one that succeeds is returned.
fn step(printer: &Printer, what_for: &str, command: &[&str]) -> Outcome {
    printer.note(&format!(
        "\n{what_for}\n$ shipworthy {}\n",
        command.join(" ")
    ));
    let typed = std::iter::once("shipworthy").chain(command.iter().copied());
    let arguments = Arguments::try_parse_from(typed)
        .map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
    arguments.command.run(printer)
}
