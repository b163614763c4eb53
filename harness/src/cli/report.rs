use clap::{Args, ValueEnum};
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::run_directory;
use shipworthy_harness::store::Store;
use shipworthy_schema::Evaluation;

use super::printer::Printer;
use super::project::{ConfigPath, Project, find_run};
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
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Terminal,
    Html,
    Markdown,
    Json,
    Csv,
    Transcripts,
}

impl Report {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let project = Project::of(&self.path.file());
        let store = Store::open_existing(&project.store())?;
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        let directory = project.run_directory(&run.id);
        match self.format {
            None => {
                run_directory::write(&directory, &evaluation, &run.personas)?;
                eval::show(printer, &run.id, &evaluation, &directory);
            }
            Some(Format::Terminal) => {
                let (width, color) = (printer.width(), printer.color());
                printer.data(&shipworthy_reports::terminal(&evaluation, width, color));
            }
            Some(Format::Html) => printer.data(&shipworthy_reports::html(&evaluation)),
            Some(Format::Markdown) => printer.data(&shipworthy_reports::markdown(&evaluation)),
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
        }
        Ok(exit_code::SUCCESS)
    }
}
