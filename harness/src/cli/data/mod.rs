//! `shipworthy data`: one file per command.

mod check;
mod check_text;
mod chunk;
mod convert;
mod dedupe;
mod format_argument;
mod generate;
mod output;
mod pull;
mod push;
mod row_reader;
mod split;
mod text;

use clap::{Args, Subcommand};

use super::Outcome;
use super::printer::Printer;

/// Check, convert, split and deduplicate training data, make it of raw text or with a teacher, or keep it
/// at the Hub
///
/// Files are JSON Lines, a JSON list, CSV, TSV or Parquet. Formats are told by their columns.
#[derive(Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Convert(convert::Convert),
    Split(split::Split),
    Dedupe(dedupe::Dedupe),
    Chunk(chunk::Chunk),
    Generate(generate::Generate),
    Push(push::Push),
    Pull(pull::Pull),
}

impl Data {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        match &self.command {
            Command::Check(check) => check.run(printer),
            Command::Convert(convert) => convert.run(printer),
            Command::Split(split) => split.run(printer),
            Command::Dedupe(dedupe) => dedupe.run(printer),
            Command::Chunk(chunk) => chunk.run(printer),
            Command::Generate(generate) => generate.run(printer),
            Command::Push(push) => push.run(printer),
            Command::Pull(pull) => pull.run(printer),
        }
    }
}
