//! What a run leaves in its output directory beside the model.

use std::path::Path;

use shipworthy_schema::{Artefact, DatasetRef, TrainingLineage, TrainingReport};

use super::base_model::file_digest;
use super::error::TuningError;
use crate::run_directory::{WriteError, write_file};

/// Name of the configuration as resolved.
pub const CONFIG: &str = "finetune_config.yaml";
/// Name of the file with a line for every log entry.
pub const METRICS: &str = "metrics.jsonl";
/// Name of the report for people.
pub const REPORT: &str = "finetune_report.md";
/// Name of the file that says where the weights come from.
pub const LINEAGE: &str = "lineage.json";
/// Name of the report for programs.
pub(super) const REPORT_JSON: &str = "finetune_report.json";
/// Names of the curves that the report shows.
const CURVES: [&str; 2] = ["loss.svg", "learning_rate.svg"];

/// Returns the files of the tuned model, by path.
pub(super) fn artefacts(output: &Path) -> Result<Vec<Artefact>, TuningError> {
    let failed = |source| TuningError::Digest {
        path: output.to_owned(),
        source,
    };
    let ours = [METRICS, REPORT, REPORT_JSON, LINEAGE];
    let mut artefacts = Vec::new();
    for entry in std::fs::read_dir(output).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_record = ours.contains(&name.as_str())
            || CURVES.contains(&name.as_str())
            || name.starts_with("events.out.");
        let metadata = entry.metadata().map_err(failed)?;
        if metadata.is_file() && !is_record && !name.starts_with('.') {
            artefacts.push(Artefact {
                bytes: metadata.len(),
                digest: file_digest(&entry.path())?,
                path: name,
            });
        }
    }
    artefacts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(artefacts)
}

/// Writes lineage, curves and reports; the report for people last.
pub(super) fn write(
    output: &Path,
    report: &TrainingReport,
    init_adapter: Option<DatasetRef>,
) -> Result<(), WriteError> {
    let lineage = TrainingLineage {
        format: TrainingLineage::FORMAT,
        base: report.base.clone(),
        init_adapter,
        dataset: report.dataset.clone(),
        eval_dataset: report.eval_dataset.clone(),
        config: report.config.clone(),
        trainer: report.trainer.clone(),
        ending: report.ending.clone(),
        metrics: report.metrics.clone(),
        best: report.best.clone(),
        artefacts: report.artefacts.clone(),
    };
    let put = |name: &str, text: &str| write_file(&output.join(name), text);
    put(LINEAGE, &shipworthy_reports::lineage_json(&lineage))?;
    let curves = [
        shipworthy_reports::loss_svg(&report.log, report.best.as_ref()),
        shipworthy_reports::learning_rate_svg(&report.log),
    ];
    for (name, curve) in CURVES.iter().zip(curves) {
        if let Some(curve) = curve {
            put(name, &curve)?;
        }
    }
    put(REPORT_JSON, &shipworthy_reports::training_json(report))?;
    put(REPORT, &shipworthy_reports::training_markdown(report))
}
