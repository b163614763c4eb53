use clap::{Args, ValueEnum};
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::run_directory;
use shipworthy_harness::store::Store;
use shipworthy_reports::{Fit, markdown_within};
use shipworthy_schema::Evaluation;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::{ConfigPath, find_run};
use super::{Outcome, eval, exit_code};

/// Render a finished run again from what the store has
#[derive(Args)]
pub(crate) struct Report {
    /// The run; the latest one if left out
    run: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// Print one format on stdout instead of writing the run's directory anew
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Leave out what GitHub would not show there; for `--format markdown`
    #[arg(long, value_enum, value_name = "WHERE")]
    fit: Option<Place>,
}

/// Where a Markdown report has to fit
#[derive(Clone, Copy, ValueEnum)]
enum Place {
    StepSummary,
    Comment,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Terminal,
    Html,
    Markdown,
    Json,
    Csv,
    Transcripts,
    Junit,
    Github,
}

impl Report {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        if self.fit.is_some() && !matches!(self.format, Some(Format::Markdown)) {
            let message = "--fit is for `--format markdown` alone";
            return Err(Failure::new(Kind::Usage, message));
        }
        let project = self.path.project()?;
        let store = Store::open_existing(&project.store())?;
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        let directory = project.run_directory(&run.id);
        match self.format {
            None => {
                run_directory::write(&directory, &evaluation, &run.personas)?;
                let took = eval::Took::of(&store, &run.id)?;
                eval::show(printer, &run.id, &evaluation, &directory, &took);
            }
            Some(Format::Terminal) => {
                let (width, color) = (printer.width(), printer.color());
                printer.data(&shipworthy_reports::terminal(&evaluation, width, color));
            }
            Some(Format::Html) => printer.data(&shipworthy_reports::html(&evaluation)),
            Some(Format::Markdown) => {
                let fit = self.fit.map(|place| match place {
                    Place::StepSummary => Fit::StepSummary,
                    Place::Comment => Fit::Comment,
                });
                printer.data(&match fit {
                    Some(fit) => markdown_within(&evaluation, fit.bytes()),
                    None => shipworthy_reports::markdown(&evaluation),
                });
            }
            Some(Format::Json) => printer.data(&shipworthy_reports::decision_json(&evaluation)),
            Some(Format::Csv) => {
                let Evaluation {
                    conversations,
                    scores,
                    ..
                } = &evaluation;
                printer.data(&shipworthy_reports::scores_csv(conversations, scores));
            }
            Some(Format::Transcripts) => {
                let Evaluation {
                    personas,
                    conversations,
                    scores,
                    ..
                } = &evaluation;
                let lines = shipworthy_reports::transcripts_jsonl(personas, conversations, scores);
                printer.data(&lines);
            }
            Some(Format::Junit) => printer.data(&shipworthy_reports::junit(&evaluation)),
            Some(Format::Github) => {
                printer.data(&shipworthy_reports::github_annotations(&evaluation));
            }
        }
        Ok(exit_code::SUCCESS)
    }
}
