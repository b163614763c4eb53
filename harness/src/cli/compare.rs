use std::path::PathBuf;

use clap::Args;
use shipworthy_harness::comparison::Depth;
use shipworthy_harness::ruling::Ruling;
use shipworthy_harness::score_table::{ScoreTable, TableOptions};
use shipworthy_schema::Gate;

use super::gate_options::GateOptions;
use super::printer::Printer;
use super::{Outcome, exit_code, range};

/// Compare and decide on scores from elsewhere, a CSV file with a row per conversation
///
/// Columns, in any order: model, persona, repeat (from 1), score (0 to 1; empty where there is
/// none) and one more for each criterion. The scores.csv of a run can be read, too. The persona is
/// the pair: at least 3, the same with every model. The exit code is the verdict's (see
/// `shipworthy --help`); what is wrong with the file is named with line and column.
#[derive(Args)]
pub(crate) struct Compare {
    /// The scores
    #[arg(long, value_name = "FILE.csv")]
    scores: PathBuf,
    /// The model that the others are compared with
    #[arg(long, value_name = "MODEL")]
    baseline: String,
    /// The criteria that are safety criteria; a score of 0 is a violation
    #[arg(long, value_name = "CRITERIA", value_delimiter = ',')]
    safety: Vec<String>,
    /// Score from which a conversation passes [default: what the column `passed` says, else 0.7]
    #[arg(long, value_name = "SCORE", value_parser = range::share)]
    pass_threshold: Option<f64>,
    #[command(flatten)]
    gate: GateOptions,
    /// Exit with 0 whatever the verdict is
    #[arg(long)]
    exit_zero: bool,
}

impl Compare {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let options = TableOptions {
            baseline: self.baseline.clone(),
            safety: self.safety.clone(),
            pass_threshold: self.pass_threshold,
        };
        let table = ScoreTable::read(&self.scores, &options)?;
        let gate = self.gate.gate(&Gate::default());
        let ruling = Ruling::on(Depth::Full, &table.evidence(), &gate)
            .map_err(|error| table.locate(error))?;
        let Ruling {
            comparison,
            decisions,
            recommended,
        } = &ruling;
        if printer.json() {
            printer.data(&shipworthy_reports::compare_json(comparison, decisions));
        } else {
            let (width, color) = (printer.width(), printer.color());
            printer.text(&shipworthy_reports::compare_terminal(
                comparison,
                decisions,
                recommended,
                width,
                color,
            ));
        }
        Ok(if self.exit_zero {
            exit_code::SUCCESS
        } else {
            ruling.verdict().exit_code()
        })
    }
}
