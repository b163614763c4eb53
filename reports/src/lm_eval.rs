//! Results and samples in the layout of lm-evaluation-harness, for tools that read it.

use serde_json::{Map, Value, json};
use shipworthy_schema::{
    Conversation, ConversationScore, Evaluation, ModelName, ModelSource, Outcome,
};

use crate::inert_text::inert_json;

/// Returns `results.json` for `model`: the rubric's overall score and pass rate, then each
/// criterion as a task of its own. `None` where the evaluation has no such model.
///
/// Standard errors are those of persona means: conversations of one persona are not independent.
pub fn lm_eval_results(evaluation: &Evaluation, model: &ModelName) -> Option<String> {
    let plan = &evaluation.plan;
    let planned = plan.models.iter().find(|m| m.name == *model)?;
    let models = &evaluation.comparison.models;
    let summary = models.iter().find(|summary| summary.model == *model)?;
    let own = own(evaluation, model);
    let task = task_name(evaluation);
    let mut results = Map::new();
    let mut entry = entry(&task, &persona_means(&own, |score| score.overall.value()));
    entry.insert("pass_rate,none".to_owned(), summary.pass_rate.into());
    results.insert(task.clone(), entry.into());
    for criterion in criteria(&own) {
        let name = format!("{task}_{criterion}");
        let means = persona_means(&own, |score| {
            let mut criteria = score.criteria.iter();
            criteria.find(|c| c.criterion == criterion)?.outcome.value()
        });
        results.insert(name.clone(), entry_of(&name, &means));
    }
    let tasks: Vec<String> = results.keys().cloned().collect();
    let each = |value: Value| -> Value {
        let entries = tasks.iter().map(|task| (task.clone(), value.clone()));
        entries.collect::<Map<_, _>>().into()
    };
    let scored = own.iter().filter(|(_, s)| s.overall.value().is_some());
    let args = match &planned.source {
        ModelSource::Http { url, model, .. } => format!("base_url={url},model={model}"),
        ModelSource::Gguf { path, .. } | ModelSource::Scripted { path, .. } => {
            format!("path={path}")
        }
    };
    let document = json!({
        "results": results,
        "versions": each(json!(plan.rubric.digest)),
        "n-shot": each(json!(0)),
        "higher_is_better": each(json!({"score": true})),
        "n-samples": each(json!({"original": own.len(), "effective": scored.count()})),
        "config": {"model": model, "model_args": args, "random_seed": plan.sampling.seed},
        "model_name": model,
        "model_source": "shipworthy",
        "system_instruction": plan.system_prompt,
        "task_hashes": each(json!(plan.digest())),
    });
    Some(inert_json(&format!("{document:#}\n")))
}

/// Returns `samples_TASK.jsonl` for `model`: one conversation a line. `None` where the evaluation
/// has no such model.
pub fn lm_eval_samples(evaluation: &Evaluation, model: &ModelName) -> Option<String> {
    evaluation.plan.models.iter().find(|m| m.name == *model)?;
    let own = own(evaluation, model);
    let line = |(doc_id, (conversation, score)): (usize, &Pair<'_>)| {
        let last = conversation.replies().last().unwrap_or_default();
        let unscored = match &score.overall {
            Outcome::Unscored { reason } => Some(reason),
            Outcome::Scored { .. } | Outcome::NotApplicable => None,
        };
        let line = json!({
            "doc_id": doc_id,
            "doc": {"persona": conversation.id.persona, "repeat": conversation.id.repeat},
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": conversation.messages()}},
            "resps": [[last]],
            "filtered_resps": [last],
            "filter": "none",
            "metrics": ["score"],
            "score": score.overall.value(),
            "passed": score.passed,
            "unscored": unscored,
            "termination": conversation.termination,
        });
        inert_json(&line.to_string()) + "\n"
    };
    Some(own.iter().enumerate().map(line).collect())
}

/// Returns the name of the evaluation as a task: the project's, in letters that file names take.
pub fn task_name(evaluation: &Evaluation) -> String {
    let name = evaluation.plan.project.chars();
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("shipworthy_{}", name.map(safe).collect::<String>())
}

type Pair<'a> = (&'a Conversation, &'a ConversationScore);

fn own<'a>(evaluation: &'a Evaluation, model: &ModelName) -> Vec<Pair<'a>> {
    let pairs = evaluation.conversations.iter().zip(&evaluation.scores);
    pairs.filter(|(c, _)| c.id.model == *model).collect()
}

fn criteria<'a>(own: &[Pair<'a>]) -> Vec<&'a str> {
    let mut ids: Vec<&str> = Vec::new();
    for criterion in own.iter().flat_map(|(_, score)| &score.criteria) {
        if !ids.contains(&criterion.criterion.as_str()) {
            ids.push(&criterion.criterion);
        }
    }
    ids
}

/// Returns each persona's mean, without those that have no score.
fn persona_means(own: &[Pair<'_>], value: impl Fn(&ConversationScore) -> Option<f64>) -> Vec<f64> {
    let by_persona = own.chunk_by(|(a, _), (b, _)| a.id.persona == b.id.persona);
    let means = by_persona.filter_map(|conversations| {
        let values: Vec<f64> = conversations.iter().filter_map(|(_, s)| value(s)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    });
    means.collect()
}

fn entry_of(task: &str, means: &[f64]) -> Value {
    entry(task, means).into()
}

fn entry(task: &str, means: &[f64]) -> Map<String, Value> {
    let n = means.len() as f64;
    let mean = (!means.is_empty()).then(|| means.iter().sum::<f64>() / n);
    let error = mean.filter(|_| means.len() > 1).map(|mean| {
        let squares: f64 = means.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (n - 1.0) / n).sqrt()
    });
    Map::from_iter([
        ("alias".to_owned(), json!(task)),
        ("score,none".to_owned(), json!(mean)),
        ("score_stderr,none".to_owned(), json!(error)),
    ])
}
