use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::labelling::{LabelPages, Labelling, LabellingError, Rater, SheetError};
use shipworthy_harness::loopback::{ServeError, Site, Token};
use shipworthy_harness::run_directory::write_file;
use shipworthy_harness::store::Store;
use shipworthy_schema::ModelName;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::{ConfigPath, find_run};
use super::{Outcome, exit_code, label_terminal};

/// Let people score conversations of a finished run, blind, on a page of this machine
///
/// Nobody sees which model spoke; the same criteria are asked about as of the judges. Answers are
/// stored at once, so that everybody can stop and go on. Ctrl-C ends it, and `shipworthy report` then
/// shows how far judges and people agree.
#[derive(Args)]
pub(crate) struct Label {
    /// The run; the latest one if left out
    run: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    /// Conversations to score, half of them the baseline's; a larger count holds those of a smaller
    /// one
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// Whose scores they are; the page asks everybody for a name if left out
    #[arg(long, value_name = "NAME")]
    rater: Option<String>,
    /// The candidate whose conversations stand beside the baseline's; the recommended one if left out
    #[arg(long, value_name = "MODEL")]
    candidate: Option<String>,
    /// Draws other conversations
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Port of 127.0.0.1 for the page; any free one if left out
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Ask here instead of on a page; needs --rater
    #[arg(long, requires = "rater", conflicts_with = "port")]
    terminal: bool,
    /// Write the conversations as a CSV file to be filled in, for people who score in a spreadsheet
    #[arg(long, value_name = "FILE", conflicts_with_all = ["port", "terminal", "import"])]
    export: Option<PathBuf>,
    /// Take what was filled in: all of the file, or nothing if anything in it is wrong
    #[arg(long, value_name = "FILE", conflicts_with_all = ["port", "terminal", "count", "seed"])]
    import: Option<PathBuf>,
}

impl Label {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let rater = self.rater.as_deref().map(Rater::new).transpose()?;
        let project = self.path.project()?;
        let store = Arc::new(Store::open_existing(&project.store())?);
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        let named = self.candidate.as_deref().map(ModelName::new).transpose();
        let candidate = named.map_err(|error| Failure::new(Kind::Usage, error))?;
        // A sheet that was filled in may be of any sample.
        let count = match &self.import {
            Some(_) => usize::MAX,
            None => usize::from(self.count),
        };
        let labelling = Labelling::new(
            Arc::clone(&store),
            &run,
            &evaluation,
            candidate.as_ref(),
            (count, self.seed),
        )?;
        // What is no longer needed may be large.
        drop(evaluation);
        let before = store.labels(&run.id)?.len();
        if let Some(path) = &self.export {
            return export(printer, &labelling, rater.as_ref(), path, &run.id);
        }
        if let Some(path) = &self.import {
            let taking = labelling.take_sheet(path, rater.as_ref());
            let taken = super::calling_runtime().block_on(taking)?;
            printer.note(&format!("{taken} labels taken from {}", path.display()));
        } else if let (true, Some(rater)) = (self.terminal, &rater) {
            let runtime = super::calling_runtime();
            label_terminal::ask(printer, &runtime, &labelling, rater)?;
        } else {
            serve(printer, labelling, rater, self.port)?;
        }
        let labels = store.labels(&run.id)?;
        printer.value(&json!({
            "format": 1,
            "run": run.id,
            "labels": labels.len(),
            "new": labels.len().saturating_sub(before),
        }));
        printer.text(&format!(
            "{} labels of run {} are stored; `shipworthy report {}` shows what they say.\n",
            labels.len(),
            run.id,
            run.id
        ));
        Ok(exit_code::SUCCESS)
    }
}

/// Writes the sheet to a file that is not there yet: it may be one that somebody filled in.
fn export(
    printer: &Printer,
    labelling: &Labelling,
    rater: Option<&Rater>,
    path: &Path,
    run: &str,
) -> Outcome {
    if path.exists() {
        let message = format!("`{}` exists already", path.display());
        return Err(Failure::new(Kind::Usage, message)
            .hint("it may hold scores: take them with --import, or name another file"));
    }
    write_file(path, &labelling.sheet(rater)?)?;
    printer.value(&json!({
        "format": 1,
        "run": run,
        "file": path.display().to_string(),
        "conversations": labelling.len(),
    }));
    printer.text(&format!(
        "{} conversations of run {run} are in {file}; once filled in:\n\n  \
         shipworthy label {run} --import {file}\n",
        labelling.len(),
        file = path.display()
    ));
    Ok(exit_code::SUCCESS)
}

/// Returns a token that nobody had before.
pub(super) fn token() -> Result<Token, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(Kind::InputOutput, format!("no random numbers: {error}")))?;
    Ok(Token::new(random))
}

/// Serves the page until Ctrl-C.
fn serve(
    printer: &Printer,
    labelling: Labelling,
    rater: Option<Rater>,
    port: u16,
) -> Result<(), Failure> {
    let count = labelling.len();
    let token = token()?;
    super::runtime().block_on(async {
        let pages = LabelPages::new(labelling, rater);
        let site = Site::open(pages, token, port).await?;
        printer.note(&format!("{count} conversations to score at"));
        printer.note(&format!("  {}", site.address()));
        printer.note("for everybody on this machine who has the address; Ctrl-C ends it");
        let mut stopped = Ok(());
        site.serve_until(async { stopped = tokio::signal::ctrl_c().await })
            .await;
        stopped.map_err(|error| Failure::new(Kind::Internal, format!("no signals: {error}")))
    })
}

impl From<LabellingError> for Failure {
    fn from(error: LabellingError) -> Self {
        match error {
            LabellingError::Store(error) => error.into(),
            LabellingError::InvalidRater { .. }
            | LabellingError::NoCandidate { .. }
            | LabellingError::Sheet(SheetError::Read { .. }) => Self::new(Kind::Usage, error),
            error => Self::new(Kind::Data, error),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::new(Kind::InputOutput, error).hint("leave --port out to take any free port")
    }
}
