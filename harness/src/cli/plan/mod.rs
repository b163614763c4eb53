mod evaluation;
mod operating_characteristics;
mod sample_size;
mod training;
mod training_page;
mod training_steps;

use clap::{Args, Subcommand};

pub(super) use sample_size::{duration, whole};

use super::Outcome;
use super::printer::Printer;

/// Sample size, calls, memory and time, before anything starts
#[derive(Args)]
pub(crate) struct Plan {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Evaluation(evaluation::PlanEvaluation),
    Training(training::PlanTraining),
}

impl Plan {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        match &self.command {
            Command::Evaluation(evaluation) => evaluation.run(printer),
            Command::Training(training) => training.run(printer),
        }
    }
}
