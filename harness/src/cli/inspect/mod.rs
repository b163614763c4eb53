//! `shipworthy inspect`: one file per kind of thing that is shown.

#![expect(
    clippy::format_push_string,
    reason = "a page is written once; the shape of its text matters more than allocations"
)]

mod adapter;
mod chat;
mod checkpoint;
mod gguf;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use shipworthy_harness::tuning::TrainedBase;
use shipworthy_models::{
    Finding, InspectError, InspectOptions, Inspection, Level, Subject, inspect,
};

use super::byte_progress::ByteProgress;
use super::error::{Failure, Kind};
use super::page::Page;
use super::printer::Printer;
use super::{Outcome, exit_code};

/// What programs know the finding by that an adapter is put to another base than it was trained on.
const ANOTHER_BASE: &str = "another-base";

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
        let mut inspection = inspected?;
        if let Some(base) = &self.base {
            compare_weights(&mut inspection, &self.path, base)?;
        }
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

/// Says whether the base given has the weights that the adapter was trained on, if it is known of which
/// these were; a name then proves nothing.
fn compare_weights(
    inspection: &mut Inspection,
    adapter: &Path,
    base: &Path,
) -> Result<(), Failure> {
    let found = TrainedBase::of(adapter, base)?;
    let Subject::Adapter(description) = &mut inspection.subject else {
        return Ok(());
    };
    let Some(described) = &mut description.base else {
        return Ok(());
    };
    described.weights_match = match &found {
        TrainedBase::Unknown => return Ok(()),
        TrainedBase::Same => Some(true),
        TrainedBase::Other(_) => Some(false),
    };
    let findings = &mut inspection.findings;
    findings.retain(|finding| finding.code != ANOTHER_BASE);
    if let TrainedBase::Other(other) = found {
        let finding = Finding {
            level: Level::Warning,
            code: ANOTHER_BASE,
            what: format!(
                "it was trained on `{}` whose digest is {}; the one of the base given is {}",
                other.trained_on,
                other.trained.short(),
                other.given.short(),
            ),
            why: "on other weights an adapter of the same shapes does harm, silently".to_owned(),
            mend: "give the model it was trained on".to_owned(),
        };
        findings.insert(0, finding);
    }
    Ok(())
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
