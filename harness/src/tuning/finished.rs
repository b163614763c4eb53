use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use shipworthy_schema::{Artefact, DatasetRef, Digest, TrainingEnding, TrainingReport};

use super::base_model::file_digest;
use super::error::TuningError;
use super::origins::Origins;
use super::output_files::{REPORT, REPORT_JSON};
use super::preflight::Preflight;

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

/// Keys of the configuration that may be others when a run is gone on with: neither weights nor log follow
/// from them.
const FREE: [&str; 6] = [
    "gradient_checkpointing",
    "loss_chunk",
    "output_dir",
    "resume_from_checkpoint",
    "save_steps",
    "save_total_limit",
];

/// Returns the report of the run that is to be gone on with, if it ended well and is the one that is asked
/// for: then nothing is left to do.
pub(super) fn ended_already(preflight: &Preflight) -> Result<Option<TrainingReport>, TuningError> {
    let config = &preflight.config;
    let Some(report) = finished(&config.opened.output_dir)? else {
        return Ok(None);
    };
    let trainer = preflight.trainer.as_ref();
    let trainer = trainer.map(|trainer| trainer.version());
    if trainer.as_ref() != Some(&report.trainer)
        || keys(&report.config) != keys(&config.written.to_map())
    {
        return Ok(None);
    }
    let origins = Origins::here(config, preflight.family.clone())?;
    let held_out = |data: &Option<DatasetRef>| data.as_ref().map(|data| data.digest.clone());
    let is_same = origins.base.digest == report.base.digest
        && origins.dataset.digest == report.dataset.digest
        && held_out(&origins.eval_dataset) == held_out(&report.eval_dataset);
    Ok(is_same.then_some(report))
}

/// Returns the keys that must be the same, as they are written: numbers may change when they are read.
fn keys(config: &Map<String, Value>) -> BTreeMap<&String, String> {
    let keys = config.iter();
    let keys = keys.filter(|(key, _)| !FREE.contains(&key.as_str()));
    keys.map(|(key, value)| (key, value.to_string())).collect()
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
