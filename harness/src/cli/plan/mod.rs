mod evaluation;
mod operating_characteristics;
mod sample_size;

use clap::{Args, Subcommand};

use super::Outcome;
use super::printer::Printer;

/// Sample size, calls, tokens and time, before anything starts
#[derive(Args)]
pub(crate) struct Plan {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Evaluation(evaluation::PlanEvaluation),
}

impl Plan {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        match &self.command {
            Command::Evaluation(evaluation) => evaluation.run(printer),
        }
    }
}
