//! What the curves of a training run warn of, by the usual table of loss values.

use shipworthy_schema::finetune::Objective;
use shipworthy_schema::{TrainingLogEntry, TrainingWarning};

/// A loss above this at the end: the model is still confused.
const CONFUSED: f64 = 3.0;

/// A training loss below this at the end: it may be memorising.
const MEMORISING: f64 = 1.0;

/// By how much, in nats a token, what was learnt must be better known than what was held out, or than
/// before, to be memorised; a fifth of the perplexity.
const GAP: f64 = 0.2;

/// A loss below this is none.
const ZERO: f64 = 1e-3;

/// Entries at least before anything is said about a course.
const LEAST_ENTRIES: usize = 8;

/// A change by less than this share is no change.
const NOTICEABLE: f64 = 0.01;

/// Returns what the curves warn of; empty where nothing was logged.
///
/// The training loss at the beginning and at the end is the mean over a tenth of its entries, because
/// single steps are noisy. Entries that are not finite do not count. A low training loss is a risk only
/// where held-out examples fit by 0.2 nats a token worse and no better than before, or, with nothing held out,
/// where it fell by that much: a model that knows such text already has learnt little by heart. Nor has one that
/// met no example twice. How high a loss may be is known of
/// replies, not of preferences.
pub fn loss_warnings(log: &[TrainingLogEntry], objective: Objective) -> Vec<TrainingWarning> {
    let training = curve(log, |entry| entry.loss);
    let evaluation = curve(log, |entry| entry.eval_loss);
    let mut warnings = Vec::new();
    if let Some((first, last)) = ends(&training) {
        let is_of_replies = objective == Objective::Sft;
        let eval_loss = evaluation.last().map(|(_, loss)| *loss);
        let gap = eval_loss.map_or(first - last, |held_out| held_out - last);
        // A log without passes has 0 there.
        let met_once = log
            .last()
            .is_some_and(|entry| entry.epoch > 0.0 && entry.epoch <= 1.0);
        let zero = training.iter().find(|(_, loss)| *loss < ZERO);
        if let Some(&(step, loss)) = zero {
            warnings.push(TrainingWarning::ZeroLoss { step, loss });
        } else if is_of_replies && last > CONFUSED {
            warnings.push(TrainingWarning::HighLoss {
                loss: last,
                threshold: CONFUSED,
            });
        } else if is_of_replies
            && last < MEMORISING
            && gap > GAP
            && !met_once
            && !is_falling(&evaluation)
        {
            warnings.push(TrainingWarning::OverfittingRisk {
                loss: last,
                eval_loss,
                threshold: MEMORISING,
            });
        }
        if zero.is_none() && training.len() >= LEAST_ENTRIES && last > first * (1.0 - NOTICEABLE) {
            warnings.push(TrainingWarning::LossNotFalling { first, last });
        }
        if evaluation.is_empty() {
            warnings.push(TrainingWarning::NoEvaluation);
        }
    }
    warnings.extend(rising(&training, &evaluation));
    warnings
}

/// Returns the training loss at the beginning and at the end, each the mean over a tenth of its finite
/// entries; `None` where there is none.
pub fn loss_ends(log: &[TrainingLogEntry]) -> Option<(f64, f64)> {
    ends(&curve(log, |entry| entry.loss))
}

/// Tells whether a curve ends noticeably lower than it was one entry before.
fn is_falling(curve: &[(u64, f64)]) -> bool {
    match curve {
        [.., (_, before), (_, last)] => *last < before * (1.0 - NOTICEABLE),
        _ => false,
    }
}

/// Tells of an evaluation loss that ends above its lowest while the training loss fell.
fn rising(training: &[(u64, f64)], evaluation: &[(u64, f64)]) -> Option<TrainingWarning> {
    let by_loss = |a: &&(u64, f64), b: &&(u64, f64)| a.1.total_cmp(&b.1);
    let &(best_step, best) = evaluation.iter().min_by(by_loss)?;
    let &(last_step, last) = evaluation.last()?;
    let until_best = training.iter().filter(|(step, _)| *step <= best_step);
    let since = training.iter().filter(|(step, _)| *step > best_step);
    let before = mean(until_best.map(|(_, loss)| *loss))?;
    let after = mean(since.map(|(_, loss)| *loss))?;
    (last > best * (1.0 + NOTICEABLE) && after < before).then_some(
        TrainingWarning::EvalLossRising {
            best_step,
            best,
            last_step,
            last,
        },
    )
}

fn curve(
    log: &[TrainingLogEntry],
    value: impl Fn(&TrainingLogEntry) -> Option<f64>,
) -> Vec<(u64, f64)> {
    let known = log
        .iter()
        .filter_map(|entry| Some((entry.step, value(entry)?)));
    known.filter(|(_, loss)| loss.is_finite()).collect()
}

/// Returns the means over the first and over the last tenth.
fn ends(curve: &[(u64, f64)]) -> Option<(f64, f64)> {
    let n = curve.len().div_ceil(10);
    let first = mean(curve.iter().take(n).map(|(_, loss)| *loss))?;
    let last = mean(curve.iter().rev().take(n).map(|(_, loss)| *loss))?;
    Some((first, last))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::loss_warnings;
    use shipworthy_schema::finetune::Objective;
    use shipworthy_schema::{TrainingLogEntry, TrainingWarning};
    use test_case::test_case;

    /// A log of training losses, one a step, and of evaluation losses after every fourth.
    fn log(training: &[f64], evaluation: &[f64]) -> Vec<TrainingLogEntry> {
        let mut log = Vec::new();
        let mut evaluation = evaluation.iter();
        for (step, loss) in (1..).zip(training) {
            let entry = TrainingLogEntry {
                step,
                epoch: step as f64 / 3.0,
                ..TrainingLogEntry::default()
            };
            let loss = Some(*loss);
            log.push(TrainingLogEntry {
                loss,
                ..entry.clone()
            });
            if step % 4 == 0 {
                let eval_loss = evaluation.next().copied();
                log.push(TrainingLogEntry { eval_loss, ..entry });
            }
        }
        log
    }

    const LOW: [f64; 8] = [2.0, 1.8, 1.5, 1.2, 1.0, 0.8, 0.6, 0.4];
    const FALLING: [f64; 8] = [2.5, 2.2, 2.0, 1.8, 1.6, 1.5, 1.4, 1.3];

    #[test_case(&FALLING, &[1.7, 1.4], &[]; "a good course")]
    #[test_case(&FALLING, &[1.7, 1.71], &[]; "hardly a rise")]
    #[test_case(&FALLING, &[1.7, 1.9], &["EvalLossRising"]; "a rise")]
    #[test_case(&FALLING, &[], &["NoEvaluation"]; "nothing held out")]
    #[test_case(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5, 3.1], &[3.3, 3.2], &["HighLoss"]; "confused")]
    #[test_case(&LOW, &[1.4, 1.4], &["OverfittingRisk"]; "low")]
    #[test_case(&LOW, &[1.5, 1.4], &[]; "low, and what was held out still falls")]
    #[test_case(&LOW, &[1.2, 0.5], &[]; "low, and what was held out too")]
    #[test_case(&LOW, &[], &["OverfittingRisk", "NoEvaluation"]; "low, and nothing held out")]
    #[test_case(&[0.3, 0.28, 0.25, 0.24], &[], &["NoEvaluation"]; "low from the beginning")]
    #[test_case(&[2.0, 2.1, 2.0, 1.9, 2.0, 2.1, 2.0, 2.0], &[2.0, 2.0], &["LossNotFalling"]; "flat")]
    #[test_case(&[1.0, 0.0, 0.0, 0.0], &[1.0], &["ZeroLoss"]; "zero")]
    #[test_case(&[f64::NAN], &[], &[]; "nothing finite")]
    #[test_case(&[], &[], &[]; "nothing")]
    fn curves_warn(training: &[f64], evaluation: &[f64], expected: &[&str]) {
        let log = log(training, evaluation);
        assert_eq!(names(&loss_warnings(&log, Objective::Sft)), expected);
    }

    #[test_case(&LOW, &[1.4, 1.4], &[]; "a low loss of preferences is none of replies")]
    #[test_case(&[0.69, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1], &[0.6, 0.7], &["EvalLossRising"]; "a rise")]
    fn preferences_warn(training: &[f64], evaluation: &[f64], expected: &[&str]) {
        let log = log(training, evaluation);
        assert_eq!(names(&loss_warnings(&log, Objective::Dpo)), expected);
    }

    #[test]
    fn what_was_met_once_is_not_known_by_heart() {
        let mut log = log(&LOW, &[1.4, 1.4]);
        for entry in &mut log {
            entry.epoch = entry.step as f64 / 8.0;
        }
        assert!(loss_warnings(&log, Objective::Sft).is_empty());
    }

    fn names(warnings: &[TrainingWarning]) -> Vec<String> {
        let name = |warning: &TrainingWarning| {
            let text = format!("{warning:?}");
            text.split(' ').next().unwrap_or_default().to_owned()
        };
        warnings.iter().map(name).collect()
    }
}
