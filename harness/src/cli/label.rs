use std::sync::Arc;

use clap::Args;
use serde_json::json;
use shipworthy_harness::evaluation::recall;
use shipworthy_harness::labelling::{Labelling, LabellingError, Rater, Site, Token};
use shipworthy_harness::store::Store;
use shipworthy_schema::ModelName;

use super::error::{Failure, Kind};
use super::printer::Printer;
use super::project::{ConfigPath, Project, find_run};
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
}

impl Label {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let rater = self.rater.as_deref().map(Rater::new).transpose()?;
        let project = Project::of(&self.path.file());
        let store = Arc::new(Store::open_existing(&project.store())?);
        let run = find_run(&store, self.run.as_deref())?;
        let evaluation = recall(&store, &run)?;
        let named = self.candidate.as_deref().map(ModelName::new).transpose();
        let candidate = named.map_err(|error| Failure::new(Kind::Usage, error))?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            Failure::new(Kind::InputOutput, format!("no random numbers: {error}"))
        })?;
        let token = Token::new(random);
        let labelling = Labelling::new(
            Arc::clone(&store),
            &run,
            &evaluation,
            candidate.as_ref(),
            (usize::from(self.count), self.seed),
            token.as_str(),
        )?;
        // What is no longer needed may be large.
        drop(evaluation);
        let before = store.labels(&run.id)?.len();
        if let (true, Some(rater)) = (self.terminal, &rater) {
            let runtime = super::calling_runtime();
            label_terminal::ask(printer, &runtime, &labelling, rater)?;
        } else {
            serve(printer, labelling, token, rater, self.port)?;
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

/// Serves the page until Ctrl-C.
fn serve(
    printer: &Printer,
    labelling: Labelling,
    token: Token,
    rater: Option<Rater>,
    port: u16,
) -> Result<(), Failure> {
    let count = labelling.len();
    super::runtime().block_on(async {
        let site = Site::open(labelling, token, rater, port).await?;
        printer.note(&format!("{count} conversations to score at"));
        printer.note(&format!("  {}", site.address()));
        printer.note("for everybody on this machine who has the address; Ctrl-C ends it");
        tokio::select! {
            never = site.serve() => match never {},
            stopped = tokio::signal::ctrl_c() => stopped
                .map_err(|error| Failure::new(Kind::Internal, format!("no signals: {error}"))),
        }
    })
}

impl From<LabellingError> for Failure {
    fn from(error: LabellingError) -> Self {
        match error {
            LabellingError::Store(error) => error.into(),
            LabellingError::InvalidRater { .. } | LabellingError::NoCandidate { .. } => {
                Self::new(Kind::Usage, error)
            }
            LabellingError::Serve { .. } => {
                Self::new(Kind::InputOutput, error).hint("leave --port out to take any free port")
            }
            error => Self::new(Kind::Data, error),
        }
    }
}
