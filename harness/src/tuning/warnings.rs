//! What a reader of a training run must know first.

use std::path::Path;

use shipworthy_datasets::{DatasetWarning, TokenisedExample};
use shipworthy_models::Training;
use shipworthy_schema::{
    BestStep, TrainingDataReport, TrainingLogEntry, TrainingMetrics, TrainingWarning,
};

/// A loss above this says that the model is still confused.
const HIGH_LOSS: f64 = 3.0;
/// A training loss below this says that it may be memorising.
const LOW_LOSS: f64 = 1.0;
/// A loss this small says that there is nothing left to learn.
const NO_LOSS: f64 = 1e-4;
/// Examples from which on a style begins to show.
const FEW_EXAMPLES: u64 = 20;
/// By how much the evaluation loss must rise to count.
const RISE: f64 = 1.02;
/// Entries of a log from which on it is said whether the loss falls.
const ENOUGH_ENTRIES: usize = 8;

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

/// Returns what the numbers of a run say.
pub(super) fn after(
    log: &[TrainingLogEntry],
    metrics: &TrainingMetrics,
    best: Option<&BestStep>,
    predicted_bytes: u64,
    measured_bytes: Option<u64>,
) -> Vec<TrainingWarning> {
    let mut warnings = Vec::new();
    let losses: Vec<(u64, f64)> = log
        .iter()
        .filter_map(|entry| Some((entry.step, entry.loss?)))
        .collect();
    let mean = |part: &[(u64, f64)]| {
        let sum: f64 = part.iter().map(|(_, loss)| loss).sum();
        sum / part.len() as f64
    };
    let part = losses.len().div_ceil(10);
    let ended = (part > 0).then(|| mean(&losses[losses.len() - part..]));
    if let Some(loss) = ended.or(metrics.train_loss) {
        let threshold = HIGH_LOSS;
        if loss > threshold {
            warnings.push(TrainingWarning::HighLoss { loss, threshold });
        }
        let threshold = LOW_LOSS;
        if loss < threshold {
            warnings.push(TrainingWarning::OverfittingRisk { loss, threshold });
        }
    }
    if let Some(&(step, loss)) = losses.iter().find(|(_, loss)| *loss < NO_LOSS) {
        warnings.push(TrainingWarning::ZeroLoss { step, loss });
    }
    if losses.len() >= ENOUGH_ENTRIES {
        let quarter = losses.len() / 4;
        let first = mean(&losses[..quarter]);
        let last = mean(&losses[losses.len() - quarter..]);
        if last >= first {
            warnings.push(TrainingWarning::LossNotFalling { first, last });
        }
    }
    let evaluated = log
        .iter()
        .rev()
        .find_map(|entry| Some((entry.step, entry.eval_loss?)));
    if let (Some(best), Some((last_step, last))) = (best, evaluated)
        && last_step > best.step
        && last > best.eval_loss * RISE
    {
        warnings.push(TrainingWarning::EvalLossRising {
            best_step: best.step,
            best: best.eval_loss,
            last_step,
            last,
        });
    }
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

    fn log(losses: &[f64]) -> Vec<TrainingLogEntry> {
        let entry = |(idx, loss): (usize, &f64)| TrainingLogEntry {
            step: idx as u64 + 1,
            loss: Some(*loss),
            ..TrainingLogEntry::default()
        };
        losses.iter().enumerate().map(entry).collect()
    }

    fn kinds(losses: &[f64]) -> Vec<String> {
        let said = after(
            &log(losses),
            &TrainingMetrics::default(),
            None,
            10,
            Some(10),
        );
        let kind = |warning: &TrainingWarning| {
            serde_json::to_value(warning).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        said.iter().map(kind).collect()
    }

    #[test]
    fn losses_speak() {
        assert_eq!(kinds(&[2.5, 2.0, 1.5]), Vec::<String>::new());
        assert_eq!(kinds(&[5.0, 4.0, 3.5]), ["high_loss"]);
        assert_eq!(kinds(&[2.0, 1.0, 0.5]), ["overfitting_risk"]);
        assert_eq!(kinds(&[2.0, 0.0, 1.5]), ["zero_loss"]);
        assert_eq!(kinds(&[2.0; 8]), ["loss_not_falling"]);
        assert_eq!(kinds(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_rising_evaluation_loss_is_told() {
        let mut entries = log(&[2.0, 1.9]);
        for (step, eval_loss) in [(1, 2.0), (2, 2.2)] {
            entries.push(TrainingLogEntry {
                step,
                eval_loss: Some(eval_loss),
                ..TrainingLogEntry::default()
            });
        }
        let best = BestStep {
            step: 1,
            epoch: 0.5,
            eval_loss: 2.0,
            checkpoint: None,
        };
        let said = after(
            &entries,
            &TrainingMetrics::default(),
            Some(&best),
            10,
            Some(11),
        );
        assert!(matches!(
            said[0],
            TrainingWarning::EvalLossRising {
                best_step: 1,
                last_step: 2,
                ..
            }
        ));
        assert!(matches!(
            said[1],
            TrainingWarning::MemoryAbovePrediction { .. }
        ));
    }
}
