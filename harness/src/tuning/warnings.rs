//! What a reader of a training run must know first.

use std::path::Path;

use shipworthy_datasets::{DatasetWarning, TokenisedExample};
use shipworthy_models::{ModelConfig, Training};
use shipworthy_reports::loss_warnings;
use shipworthy_schema::finetune::Objective;
use shipworthy_schema::{TrainingDataReport, TrainingLogEntry, TrainingMetrics, TrainingWarning};

/// Examples from which on a style begins to show.
const FEW_EXAMPLES: u64 = 20;

/// Returns what can be said before the first step.
pub(super) fn before(
    model: &Path,
    examples: &[TokenisedExample],
    eval_examples: &[TokenisedExample],
    report: &TrainingDataReport,
    said_of_data: &[DatasetWarning],
) -> Vec<TrainingWarning> {
    let mut warnings = Vec::new();
    let name = model.display().to_string();
    let last = model.file_name().map(|name| name.to_string_lossy());
    if Training::of_name(last.as_deref().unwrap_or(&name)) == Training::Base {
        warnings.push(TrainingWarning::BaseModelNotInstruct { model: name });
    }
    if eval_examples.is_empty() {
        warnings.push(TrainingWarning::NoEvaluation);
    }
    if report.examples < FEW_EXAMPLES {
        warnings.push(TrainingWarning::FewExamples {
            examples: report.examples,
            threshold: FEW_EXAMPLES,
        });
    }
    if report.examples_lost > 0 || report.examples_truncated > 0 {
        warnings.push(TrainingWarning::DataLost {
            examples_lost: report.examples_lost,
            examples_truncated: report.examples_truncated,
            tokens_lost: report.tokens_lost,
        });
    }
    let learnt: std::collections::BTreeSet<&[u32]> =
        examples.iter().map(|one| one.tokens.as_slice()).collect();
    let known = |one: &&TokenisedExample| learnt.contains(one.tokens.as_slice());
    let shared: Vec<&TokenisedExample> = eval_examples.iter().filter(known).collect();
    if let Some(first) = shared.first() {
        warnings.push(TrainingWarning::Other {
            what: format!(
                "{} of {} held-out examples are also learnt from, the first at {}, so the evaluation \
                 loss flatters.",
                shared.len(),
                eval_examples.len(),
                first.id
            ),
            mend: "Take them out of one of the files.".to_owned(),
        });
    }
    for warning in said_of_data {
        let is_counted = matches!(
            warning,
            DatasetWarning::Dropped { .. }
                | DatasetWarning::Truncated { .. }
                | DatasetWarning::Unlabelled { .. }
        );
        if !is_counted {
            warnings.push(TrainingWarning::Other {
                what: format!("{warning}."),
                mend: String::new(),
            });
        }
    }
    warnings
}

/// Says how many examples are longer than the model's context, where its configuration tells that.
pub(super) fn beyond_context(
    model: &Path,
    examples: &[TokenisedExample],
) -> Option<TrainingWarning> {
    let sizes = ModelConfig::read(model).ok()?;
    let context = sizes.hyper_parameters().ok()?.max_position_embeddings as usize;
    let lengths = examples.iter().map(|one| one.tokens.len());
    let longer: Vec<usize> = lengths.filter(|length| *length > context).collect();
    let longest = longer.iter().max()?;
    Some(TrainingWarning::Other {
        what: format!(
            "{} of {} examples are longer than the {context} tokens of the base's context \
             (max_position_embeddings), the longest has {longest}: it has never seen such positions.",
            longer.len(),
            examples.len(),
        ),
        mend: format!("Set max_length to at most {context}, or take a base with a longer context."),
    })
}

/// Returns what the numbers of a run say; that nothing was held out is said before.
pub(super) fn after(
    log: &[TrainingLogEntry],
    metrics: &TrainingMetrics,
    objective: Objective,
    predicted_bytes: u64,
    measured_bytes: Option<u64>,
) -> Vec<TrainingWarning> {
    let mut log = log.to_vec();
    if log.iter().all(|entry| entry.loss.is_none()) {
        // A run may end before its first entry.
        log.push(TrainingLogEntry {
            loss: metrics.train_loss,
            ..TrainingLogEntry::default()
        });
    }
    let mut warnings = loss_warnings(&log, objective);
    warnings.retain(|warning| *warning != TrainingWarning::NoEvaluation);
    if let Some(measured_bytes) = measured_bytes.filter(|measured| *measured > predicted_bytes) {
        warnings.push(TrainingWarning::MemoryAbovePrediction {
            predicted_bytes,
            measured_bytes,
        });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_speak() {
        let entry = |(step, loss): (u64, f64)| TrainingLogEntry {
            step,
            loss: Some(loss),
            ..TrainingLogEntry::default()
        };
        let log: Vec<TrainingLogEntry> = (1..).zip([5.0, 4.0, 3.5]).map(entry).collect();
        let nothing = TrainingMetrics::default();
        let said = after(&log, &nothing, Objective::Sft, 10, Some(11));
        assert!(
            matches!(
                said[..],
                [
                    TrainingWarning::HighLoss { .. },
                    TrainingWarning::MemoryAbovePrediction { .. }
                ]
            ),
            "{said:?}"
        );
        let logged = &log[..0];
        assert_eq!(after(logged, &nothing, Objective::Sft, 10, Some(10)), []);
        let train_loss = Some(3.5);
        let metrics = TrainingMetrics {
            train_loss,
            ..nothing
        };
        let said = after(logged, &metrics, Objective::Sft, 10, Some(10));
        assert!(
            matches!(said[..], [TrainingWarning::HighLoss { .. }]),
            "{said:?}"
        );
    }
}
