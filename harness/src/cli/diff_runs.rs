use clap::{Args, ValueEnum};
use shipworthy_harness::run_difference::run_difference;
use shipworthy_harness::store::Store;
use shipworthy_reports::{run_difference_json, run_difference_markdown, run_difference_terminal};

use super::printer::Printer;
use super::project::{ConfigPath, find_run_to_gate};
use super::{Outcome, exit_code};

/// Hold one finished run beside another: what differs first, then the numbers
///
/// Scores are subtracted only where the same people were asked and scored in the same way; else they
/// stand side by side. Differences are other minus run. The exit code is 0 whatever comes out.
#[derive(Args)]
pub(super) struct DiffRuns {
    /// The run to look from
    run: String,
    /// The other run; the latest one if left out
    other: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Terminal,
    Markdown,
}

impl DiffRuns {
    pub(super) fn run(&self, printer: &Printer) -> Outcome {
        let project = self.path.project()?;
        let store = Store::open_existing(&project.store())?;
        let run = find_run_to_gate(&store, Some(&self.run))?;
        let other = find_run_to_gate(&store, self.other.as_deref())?;
        let difference = run_difference(&store, &run, &other)?;
        printer.value(&run_difference_json(&difference));
        printer.text(&match self.format {
            Format::Terminal => {
                run_difference_terminal(&difference, printer.width(), printer.color())
            }
            Format::Markdown => run_difference_markdown(&difference),
        });
        Ok(exit_code::SUCCESS)
    }
}
