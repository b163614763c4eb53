//! What the records of a training run warn of.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shipworthy_reports::{loss_ends, loss_warnings, training_warning_text};
use shipworthy_schema::finetune::Objective;
use shipworthy_schema::{
    TrainerState, TrainingEnding, TrainingLogEntry, TrainingReport, TrainingWarning,
};

use super::error::SanityError;
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};
use super::request::SanityRequest;

/// The report of a run for programs, its log as it grows, and what transformers' trainers write.
const RECORDS: [&str; 3] = [
    "finetune_report.json",
    "metrics.jsonl",
    "trainer_state.json",
];

/// What TRL's trainer of preferences logs beside the loss.
const REWARDS: &str = "\"rewards/accuracies\"";

/// A loss that ends above so many times its beginning has diverged.
const DIVERGED: f64 = 1.5;

/// What a run's curves came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveFigures {
    /// The last step that was logged.
    pub steps: u64,
    /// Mean training loss over the first tenth of entries.
    pub first_loss: Option<f64>,
    /// Mean training loss over the last tenth of entries.
    pub last_loss: Option<f64>,
    /// The lowest evaluation loss.
    pub best_eval_loss: Option<f64>,
    /// The last evaluation loss.
    pub last_eval_loss: Option<f64>,
}

/// What is known of a run.
struct Record {
    log: Vec<TrainingLogEntry>,
    objective: Objective,
    ending: Option<TrainingEnding>,
    /// Whether something is written down as not a number.
    has_not_finite: bool,
}

/// Looks at the records of the training run that the request names.
pub(super) fn check(request: &SanityRequest) -> Result<CheckOutcome, SanityError> {
    const CHECK: SanityCheck = SanityCheck::TrainingCurves;
    let Some(run) = &request.training_run else {
        let reason = "no training run was named";
        return Ok(CheckOutcome::not_done(CHECK, "", reason));
    };
    let subject = run.display().to_string();
    let Some(record) = read(run)? else {
        let reason = format!("it holds none of {}", RECORDS.join(", "));
        return Ok(CheckOutcome::not_done(CHECK, subject, reason));
    };
    let figures = figures(&record.log);
    let (status, mut found) = judge(&record, &figures);
    let first = (!found.is_empty()).then(|| found.remove(0));
    let detail = first.unwrap_or_else(|| match figures.last_loss {
        Some(last) => format!("the loss ends at {last:.3}; nothing odd"),
        None => "no loss was logged".to_owned(),
    });
    let mut outcome = CheckOutcome::new(CHECK, subject, status, detail);
    if !found.is_empty() {
        outcome.detail = [vec![outcome.detail], found].concat().join(" ");
    }
    Ok(outcome.figures(Figures::TrainingCurves(figures)))
}

fn figures(log: &[TrainingLogEntry]) -> CurveFigures {
    let ends = loss_ends(log);
    let evaluations = || log.iter().filter_map(|entry| entry.eval_loss);
    let finite = || evaluations().filter(|loss| loss.is_finite());
    CurveFigures {
        steps: log.iter().map(|entry| entry.step).max().unwrap_or(0),
        first_loss: ends.map(|(first, _)| first),
        last_loss: ends.map(|(_, last)| last),
        best_eval_loss: finite().min_by(f64::total_cmp),
        last_eval_loss: finite().next_back(),
    }
}

/// Returns how a run stands, and what is to be said of it, the worst first.
fn judge(record: &Record, figures: &CurveFigures) -> (SanityStatus, Vec<String>) {
    let mut failures = Vec::new();
    let mut warnings = Vec::new();
    match &record.ending {
        Some(TrainingEnding::Failed { error, .. }) => {
            failures.push(format!("The run failed: {error}."));
        }
        Some(TrainingEnding::Interrupted { .. }) => {
            warnings.push("The run was interrupted, and was not resumed since.".to_owned());
        }
        _ => {}
    }
    if record.has_not_finite {
        failures.push("A loss or a gradient norm was not a number.".to_owned());
    }
    if let (Some(first), Some(last)) = (figures.first_loss, figures.last_loss)
        && last > first * DIVERGED
    {
        failures.push(format!(
            "The loss diverged: {first:.3} at first, {last:.3} in the end. Lower the learning rate."
        ));
    }
    let of_curves = loss_warnings(&record.log, record.objective);
    // A loss that diverged did not fall either.
    let says_more = |warning: &&TrainingWarning| {
        failures.is_empty() || !matches!(warning, TrainingWarning::LossNotFalling { .. })
    };
    warnings.extend(
        of_curves
            .iter()
            .filter(says_more)
            .map(training_warning_text),
    );
    let status = match (failures.is_empty(), warnings.is_empty()) {
        (false, _) => SanityStatus::Failed,
        (true, false) => SanityStatus::Warned,
        (true, true) if record.log.is_empty() => SanityStatus::NotDone,
        (true, true) => SanityStatus::Passed,
    };
    failures.extend(warnings);
    (status, failures)
}

/// Reads the first record there is.
fn read(run: &Path) -> Result<Option<Record>, SanityError> {
    for name in RECORDS {
        let path = run.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(SanityError::Read { path, source }),
        };
        let text = without_not_finite(&text);
        let wrong = |detail: String| SanityError::Record {
            path: path.clone(),
            detail,
        };
        let unreadable = |error: serde_json::Error| wrong(error.to_string());
        let mut objective = Objective::Sft;
        let (log, ending) = match name {
            "finetune_report.json" => {
                let report: TrainingReport = serde_json::from_str(&text).map_err(unreadable)?;
                if let Some(named) = report.config.get("objective") {
                    objective = serde_json::from_value(named.clone()).map_err(unreadable)?;
                }
                let value: Value = serde_json::from_str(&text).map_err(unreadable)?;
                (entries(&value, "log"), Some(report.ending))
            }
            "metrics.jsonl" => (lines(&text).map_err(wrong)?, None),
            _ => {
                let state: Value = serde_json::from_str(&text).map_err(unreadable)?;
                if text.contains(REWARDS) {
                    objective = Objective::Dpo;
                }
                // The rest of it is looked at too.
                TrainerState::deserialize(&state).map_err(unreadable)?;
                (entries(&state, "log_history"), None)
            }
        };
        return Ok(Some(Record {
            has_not_finite: log.iter().any(is_odd),
            log: serde_json::from_value(Value::Array(log)).map_err(unreadable)?,
            objective,
            ending,
        }));
    }
    Ok(None)
}

/// Returns the list that is called `key`, if there is one.
fn entries(record: &Value, key: &str) -> Vec<Value> {
    let entries = record.get(key).and_then(Value::as_array);
    entries.cloned().unwrap_or_default()
}

/// Tells whether an entry has a value that was no number when it was written: what was not measured is
/// left out.
fn is_odd(entry: &Value) -> bool {
    let measured = ["loss", "eval_loss", "grad_norm"];
    measured
        .iter()
        .any(|key| entry.get(key).is_some_and(Value::is_null))
}

/// Reads the lines of a log; the last one may have been cut off by a kill.
fn lines(text: &str) -> Result<Vec<Value>, String> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((idx, line)) = lines.next() {
        match serde_json::from_str(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if lines.peek().is_none() => {}
            Err(error) => return Err(format!("line {}: {error}", idx + 1)),
        }
    }
    Ok(entries)
}

/// Puts `null` for what Python's JSON writes where a value is not a number.
fn without_not_finite(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut in_string, mut is_escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let words = ["NaN", "-Infinity", "Infinity"];
        let word = words.iter().find(|word| rest.starts_with(**word));
        if let (Some(word), false) = (word, in_string) {
            plain.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= c == '"' && !is_escaped;
        is_escaped = in_string && c == '\\' && !is_escaped;
        plain.push(c);
        rest = &rest[c.len_utf8()..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn run(name: &str, text: &str) -> CheckOutcome {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), text).unwrap();
        let request = SanityRequest {
            training_run: Some(directory.path().to_owned()),
            ..SanityRequest::default()
        };
        check(&request).unwrap()
    }

    fn metrics(losses: &[f64], evaluations: &[f64]) -> String {
        let line =
            |(idx, loss): (usize, &f64)| format!("{{\"step\": {}, \"loss\": {loss}}}\n", idx + 1);
        let text: String = losses.iter().enumerate().map(line).collect();
        let each = losses.len() / evaluations.len().max(1);
        let line = |(idx, loss): (usize, &f64)| {
            let step = each * (idx + 1);
            format!("{{\"step\": {step}, \"eval_loss\": {loss}}}\n")
        };
        let evaluations: String = evaluations.iter().enumerate().map(line).collect();
        text + &evaluations
    }

    const FALLING: [f64; 10] = [2.6, 2.5, 2.2, 2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4];
    const GROWING: [f64; 10] = [2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.4, 4.0, 5.0, 9.0];

    #[test_case(&FALLING, &[1.8, 1.5], SanityStatus::Passed, "nothing odd"; "a good course")]
    #[test_case(&FALLING, &[1.5, 1.9], SanityStatus::Warned, "begun to memorise"; "memorising")]
    #[test_case(&[2.0; 10], &[2.0, 2.0], SanityStatus::Warned, "did not fall"; "flat")]
    #[test_case(&GROWING, &[2.0, 8.0], SanityStatus::Failed, "diverged"; "diverged")]
    #[test_case(&[], &[], SanityStatus::NotDone, "no loss was logged"; "nothing")]
    fn curves_are_judged(losses: &[f64], evaluations: &[f64], status: SanityStatus, said: &str) {
        let outcome = run("metrics.jsonl", &metrics(losses, evaluations));
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert!(outcome.detail.contains(said), "{outcome:?}");
    }

    #[test]
    fn a_loss_of_preferences_is_none_of_replies() {
        let state = |more: &str| {
            let entry = |(step, loss): (u64, f64)| {
                format!("{{\"step\": {step}, \"loss\": {loss}{more}, \"eval_loss\": 0.6}}")
            };
            let entries: Vec<String> = (1..).zip([0.69, 0.5, 0.3, 0.1]).map(entry).collect();
            format!("{{\"log_history\": [{}]}}", entries.join(", "))
        };
        let outcome = run("trainer_state.json", &state(""));
        assert_eq!(outcome.status, SanityStatus::Warned, "{outcome:?}");
        let preferences = state(", \"rewards/accuracies\": 0.9");
        let outcome = run("trainer_state.json", &preferences);
        assert_eq!(outcome.status, SanityStatus::Passed, "{outcome:?}");
    }

    #[test_case("trainer_state.json", r#"{"log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": NaN}]}"#; "python's word")]
    #[test_case("trainer_state.json", r#"{"log_history":[{"step":2,"loss":-Infinity}]}"#; "without a blank")]
    #[test_case("metrics.jsonl", "{\"step\":1,\"loss\":2.0}\n{\"step\":2,\"loss\":NaN}\n"; "in a line")]
    #[test_case("metrics.jsonl", "{\"step\": 1, \"loss\": null}\n"; "null")]
    fn what_is_no_number_fails(name: &str, text: &str) {
        let outcome = run(name, text);
        assert_eq!(outcome.status, SanityStatus::Failed, "{outcome:?}");
        assert!(outcome.detail.contains("not a number"), "{outcome:?}");
    }

    #[test]
    fn words_within_texts_are_left_alone() {
        let text = r#"{"a": "NaN \" NaN", "b": NaN, "c": "\\", "d": Infinity}"#;
        let expected = r#"{"a": "NaN \" NaN", "b": null, "c": "\\", "d": null}"#;
        assert_eq!(without_not_finite(text), expected);
    }

    #[test]
    fn only_the_last_line_of_a_log_may_be_cut_off() {
        let log = metrics(&FALLING, &[1.5]);
        let outcome = run("metrics.jsonl", &(log.clone() + "{\"step\": 11, \"lo"));
        assert_eq!(outcome.status, SanityStatus::Passed, "{outcome:?}");
        let directory = tempfile::tempdir().unwrap();
        let text = format!("garbage\n{log}");
        std::fs::write(directory.path().join("metrics.jsonl"), text).unwrap();
        let request = SanityRequest {
            training_run: Some(directory.path().to_owned()),
            ..SanityRequest::default()
        };
        let error = check(&request).unwrap_err().to_string();
        assert!(error.contains("no record of training: line 1"), "{error}");
    }

    #[test]
    fn records_that_are_none_are_refused_and_missing_ones_told() {
        let outcome = run("other.txt", "");
        assert_eq!(outcome.status, SanityStatus::NotDone);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("finetune_report.json"), "{}").unwrap();
        let request = SanityRequest {
            training_run: Some(directory.path().to_owned()),
            ..SanityRequest::default()
        };
        let error = check(&request).unwrap_err().to_string();
        assert!(
            error.contains("is no record of training: missing field"),
            "{error}"
        );
    }
}
