//! `shipworthy inspect`: one file per kind of thing that is shown.

#![expect(
    clippy::format_push_string,
    reason = "a page is written once; the shape of its text matters more than allocations"
)]

mod adapter;
mod chat;
mod checkpoint;
mod gguf;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use shipworthy_models::{InspectError, InspectOptions, Inspection, Subject, inspect};

use super::byte_progress::ByteProgress;
use super::error::{Failure, Kind};
use super::page::Page;
use super::printer::Printer;
use super::{Outcome, exit_code};

/// Tell what a checkpoint, an adapter or a GGUF file is, and what is doubtful about it
///
/// Sizes, formats, tokenizer, chat template, lineage; then warnings, each with why it matters and
/// how to mend it. Exits with 0 also with warnings, with 65 if a file is damaged.
#[derive(Args)]
pub(crate) struct Inspect {
    /// A checkpoint's or an adapter's directory, or a GGUF file
    path: PathBuf,
    /// The checkpoint to compare an adapter with: is it the one it was trained on, does it fit
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Read all weights of a checkpoint, and look for NaN and infinities
    #[arg(long)]
    deep: bool,
}

impl Inspect {
    pub(crate) fn run(&self, printer: &Printer) -> Outcome {
        let options = InspectOptions {
            base: self.base.clone(),
            deep: self.deep,
        };
        let progress = ByteProgress::start(printer, "reading");
        let inspected = inspect(&self.path, &options, &mut progress.callback());
        progress.finish();
        let inspection = inspected?;
        printer.value(&json!({
            "format": 1,
            "path": self.path,
            "subject": inspection.subject,
            "findings": inspection.findings,
        }));
        printer.text(&text(&inspection, printer.width()));
        Ok(exit_code::SUCCESS)
    }
}

fn text(inspection: &Inspection, width: usize) -> String {
    let mut page = Page::new(width);
    match &inspection.subject {
        Subject::Checkpoint(checkpoint) => checkpoint::show(checkpoint, &mut page),
        Subject::Adapter(adapter) => adapter::show(adapter, &mut page),
        Subject::Gguf { file, chat } => gguf::show(file, chat.as_ref(), &mut page),
    }
    page.findings(&inspection.findings);
    page.finish()
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Model(error) => error.into(),
            InspectError::NoAdapter { .. } => {
                Self::new(Kind::Usage, error).hint("leave `--base` out")
            }
            InspectError::Both { .. }
            | InspectError::Neither { .. }
            | InspectError::File { .. }
            | InspectError::Pickled { .. } => Self::new(Kind::Data, error),
        }
    }
}
