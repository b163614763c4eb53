//! An Inspect log: a model's conversations for Inspect's viewer and its `read_eval_log`.

use serde_json::{Map, Value, json};
use shipworthy_schema::{
    Conversation, ConversationScore, Evaluation, FinishReason, ModelName, ModelSource, Outcome,
    Role, Turn,
};

use crate::inert_text::inert_json;

/// Inspect's log format that is written.
const VERSION: u32 = 2;

/// Returns the log of `model`'s conversations; `None` where the evaluation has no such model.
///
/// A sample is a persona, an epoch one of its conversations. Scores are `overall` and one for each
/// criterion; what could not be scored has no score there, and a conversation that failed carries
/// its error. `created` is when the run began, as ISO 8601 with a time zone.
pub fn inspect_log(evaluation: &Evaluation, model: &ModelName, created: &str) -> Option<String> {
    let plan = &evaluation.plan;
    let planned = plan.models.iter().find(|m| m.name == *model)?;
    let pairs = evaluation.conversations.iter().zip(&evaluation.scores);
    let own: Vec<_> = pairs.filter(|(c, _)| c.id.model == *model).collect();
    let digest = plan.digest().to_string();
    let ids: Vec<&str> = evaluation.personas.iter().map(|p| p.id.as_str()).collect();
    let served = match &planned.source {
        ModelSource::Http { url, model, .. } => (format!("openai-api/{model}"), Some(url)),
        ModelSource::Gguf { .. } | ModelSource::Scripted { .. } => {
            (format!("shipworthy/{model}"), None)
        }
    };
    let sampling = &plan.sampling;
    let log = json!({
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": digest,
            "run_id": digest,
            "task_id": format!("{digest}/{model}"),
            "created": created,
            "task": plan.project,
            "dataset": {
                "name": plan.personas.spec.name,
                "samples": ids.len(),
                "sample_ids": ids,
                "shuffled": false,
            },
            "model": served.0,
            "model_base_url": served.1,
            "model_generate_config": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "seed": sampling.seed,
                "system_message": plan.system_prompt,
            },
            "config": {"epochs": plan.personas.repeats, "message_limit": null},
            "packages": {"shipworthy": env!("CARGO_PKG_VERSION")},
            "metadata": {"plan": digest, "rubric": plan.rubric.name, "baseline": plan.baseline},
        },
        "results": results(evaluation, model, &own),
        "stats": {"started_at": created, "completed_at": created},
        "samples": own.iter().map(|(c, s)| sample(plan.system_prompt.as_deref(), c, s)).collect::<Vec<_>>(),
    });
    Some(inert_json(&format!("{log:#}\n")))
}

fn results(
    evaluation: &Evaluation,
    model: &ModelName,
    own: &[(&Conversation, &ConversationScore)],
) -> Value {
    let scored = own.iter().filter(|(_, s)| s.overall.value().is_some());
    let scored = scored.count();
    let models = &evaluation.comparison.models;
    let summary = models.iter().find(|summary| summary.model == *model);
    let metrics = summary.map(|summary| {
        let metric =
            |name: &str, value: f64| (name.to_owned(), json!({"name": name, "value": value}));
        Map::from_iter([
            metric("mean", summary.mean),
            metric("pass_rate", summary.pass_rate),
        ])
    });
    json!({
        "total_samples": own.len(),
        "completed_samples": scored,
        "scores": [{
            "name": "overall",
            "scorer": "shipworthy",
            "scored_samples": scored,
            "unscored_samples": own.len() - scored,
            "params": {"rubric": evaluation.plan.rubric.name},
            "metrics": metrics.unwrap_or_default(),
        }],
    })
}

fn sample(system: Option<&str>, conversation: &Conversation, score: &ConversationScore) -> Value {
    let id = &conversation.id;
    let system = system.map(|text| json!({"role": "system", "content": text}));
    let said = conversation.turns.iter().map(message);
    let opening = conversation.turns.first().map_or("", |turn| &turn.content);
    let mut scores = Map::new();
    insert_score(&mut scores, "overall", &score.overall, None);
    for criterion in &score.criteria {
        let name = &criterion.criterion;
        insert_score(
            &mut scores,
            name,
            &criterion.outcome,
            Some(&criterion.reason),
        );
    }
    let error = (!conversation.termination.is_complete()).then(|| {
        let detail = conversation.detail.as_deref().unwrap_or_default();
        let message = format!("{}: {detail}", conversation.termination.label());
        json!({"message": message, "traceback": "", "traceback_ansi": ""})
    });
    json!({
        "id": id.persona,
        "epoch": id.repeat,
        "input": opening,
        "target": "",
        "messages": system.into_iter().chain(said).collect::<Vec<_>>(),
        "output": output(id.model.as_str(), conversation),
        "scores": scores,
        "metadata": {
            "termination": conversation.termination,
            "passed": score.passed,
            "simulator_flags": score.simulator_flags,
        },
        "error": error,
    })
}

fn message(turn: &Turn) -> Value {
    match (turn.role, &turn.reasoning) {
        (Role::Assistant, Some(reasoning)) => json!({
            "role": "assistant",
            "source": "generate",
            "content": [
                {"type": "reasoning", "reasoning": reasoning},
                {"type": "text", "text": turn.content},
            ],
        }),
        (Role::Assistant, None) => {
            json!({"role": "assistant", "source": "generate", "content": turn.content})
        }
        (Role::User | Role::System, _) => json!({"role": turn.role, "content": turn.content}),
    }
}

fn output(model: &str, conversation: &Conversation) -> Value {
    let mut replies = conversation.turns.iter().rev();
    let choices: Vec<Value> = replies
        .find(|turn| turn.role == Role::Assistant)
        .map(|turn| {
            let stop_reason = match turn.finish_reason {
                Some(FinishReason::Stop) => "stop",
                Some(FinishReason::Length) => "max_tokens",
                Some(FinishReason::ToolCalls) => "tool_calls",
                Some(FinishReason::Other(_)) | None => "unknown",
            };
            json!({"message": message(turn), "stop_reason": stop_reason})
        })
        .into_iter()
        .collect();
    json!({"model": model, "choices": choices})
}

fn insert_score(
    scores: &mut Map<String, Value>,
    name: &str,
    outcome: &Outcome,
    explanation: Option<&str>,
) {
    if let Some(value) = outcome.value() {
        let score = json!({"value": value, "explanation": explanation});
        scores.insert(name.to_owned(), score);
    }
}
