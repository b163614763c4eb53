use std::path::Path;

use shipworthy_schema::{Artefact, Digest, TrainingEnding, TrainingReport};

use super::base_model::file_digest;
use super::error::TuningError;
use super::output_files::{REPORT, REPORT_JSON};

/// Returns the report of a run that ended well in the directory `output`, if all that it left is still
/// as it was left.
pub fn finished(output: &Path) -> Result<Option<TrainingReport>, TuningError> {
    // The report for people comes last: where it is, the others are.
    if !output.join(REPORT).is_file() {
        return Ok(None);
    }
    let text = std::fs::read(output.join(REPORT_JSON)).unwrap_or_default();
    // One of another version, or a damaged one, is none.
    let Ok(report) = serde_json::from_slice::<TrainingReport>(&text) else {
        return Ok(None);
    };
    let is_over = matches!(
        report.ending,
        TrainingEnding::Finished | TrainingEnding::EarlyStopping { .. }
    );
    if !is_over || weights(&report).next().is_none() {
        return Ok(None);
    }
    for artefact in &report.artefacts {
        let path = output.join(&artefact.path);
        if !path.is_file() || file_digest(&path)? != artefact.digest {
            return Ok(None);
        }
    }
    Ok(Some(report))
}

/// Returns what names the weights that a run left: the digest of their file, or of all their files.
pub fn weights_digest(report: &TrainingReport) -> Digest {
    let files: Vec<&Artefact> = weights(report).collect();
    match files[..] {
        [file] => file.digest.clone(),
        _ => Digest::of_files(files.iter().map(|file| (file.path.as_str(), &file.digest))),
    }
}

fn weights(report: &TrainingReport) -> impl Iterator<Item = &Artefact> {
    let artefacts = report.artefacts.iter();
    artefacts.filter(|artefact| artefact.path.ends_with(".safetensors"))
}
