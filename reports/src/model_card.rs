//! What a model's card on the Hugging Face Hub says of an evaluation.

use serde_json::Value;
use shipworthy_schema::{Decision, Evaluation, ModelName};

use crate::inert_text::{inert_json, one_line};

/// Returns the front matter of a model card for `model` as YAML: `model-index` with the
/// candidate's mean score, pass rate and difference from the baseline.
///
/// Returns `None` where the evaluation did not compare `model` with its baseline. The persona pool
/// is named as the data set, with its digest as the revision: the numbers belong to these people.
/// `remark` stands beside the verdict: what other people say of it.
pub fn model_index(
    evaluation: &Evaluation,
    model: &ModelName,
    remark: Option<&str>,
) -> Option<String> {
    let numbers = Numbers::of(evaluation, model, remark)?;
    let mut yaml = format!(
        "model-index:\n- name: {}\n  results:\n  - task:\n      type: text-generation\n      name: \
         {}\n    dataset:\n      type: shipworthy-personas\n      name: {}\n      revision: {}\n    \
         metrics:\n",
        text(model.as_str()),
        text("Simulated conversations, paired with the baseline by persona"),
        text(&numbers.people),
        text(&evaluation.plan.personas.pool.to_string()),
    );
    for (kind, name, value) in &numbers.metrics {
        yaml.push_str(&format!(
            "    - type: {kind}\n      value: {value}\n      name: {}\n",
            text(name)
        ));
    }
    Some(yaml)
}

/// Returns a file for `.eval_results/` in the model's repository: the mean score on `dataset`, a
/// data set of the Hub (`owner/name`) that holds the people or stands for the benchmark.
///
/// Returns `None` where the evaluation did not compare `model` with its baseline.
pub fn eval_results(evaluation: &Evaluation, model: &ModelName, dataset: &str) -> Option<String> {
    let numbers = Numbers::of(evaluation, model, None)?;
    let mean = &numbers.metrics[0];
    Some(format!(
        "- dataset:\n    id: {}\n    task_id: {}\n  value: {}\n  notes: {}\n",
        text(dataset),
        text(&evaluation.plan.rubric.name),
        mean.2,
        text(&numbers.notes),
    ))
}

struct Numbers {
    people: String,
    notes: String,
    /// Type, name and value.
    metrics: Vec<(&'static str, String, Value)>,
}

impl Numbers {
    fn of(evaluation: &Evaluation, model: &ModelName, remark: Option<&str>) -> Option<Self> {
        let remark = remark.map_or(String::new(), |remark| format!(", {remark}"));
        let comparison = &evaluation.comparison;
        let candidate = comparison.candidates.iter().find(|c| c.model == *model)?;
        let is_of = |decision: &&Decision| decision.model == *model;
        let verdict = evaluation.decisions.iter().find(is_of)?.verdict.label();
        let personas = &evaluation.plan.personas;
        let people = format!(
            "{} personas of {} from seed {}, {} conversations each",
            candidate.personas, personas.spec.name, personas.seed_start, personas.repeats
        );
        let baseline = &comparison.baseline;
        let notes = format!(
            "Verdict against {baseline}: {verdict}. Gain {:+.3} (95 % interval {:+.3} to {:+.3}, \
             paired t-test on persona means, p = {:.3e}); {people}; plan {}.",
            candidate.difference,
            candidate.ci95[0],
            candidate.ci95[1],
            candidate.p_adjusted,
            evaluation.plan.digest(),
        );
        let rubric = &evaluation.plan.rubric.name;
        Some(Self {
            people,
            notes,
            metrics: vec![
                (
                    "mean_score",
                    format!("Mean score, rubric {rubric}"),
                    candidate.mean.into(),
                ),
                (
                    "pass_rate",
                    "Share of conversations that pass".to_owned(),
                    candidate.pass_rate.into(),
                ),
                (
                    "difference",
                    format!("Gain over {baseline} ({verdict}{remark})"),
                    candidate.difference.into(),
                ),
                (
                    "p_value",
                    "Two-sided p of the gain, adjusted for all candidates".to_owned(),
                    candidate.p_adjusted.into(),
                ),
            ],
        })
    }
}

/// Returns `text` as a scalar: a JSON string is one in YAML too.
fn text(text: &str) -> String {
    inert_json(&Value::from(one_line(text)).to_string())
}
