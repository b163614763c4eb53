//! What was compared, down to digests, and how to do it again.

use shipworthy_schema::{
    Aggregate, Aggregation, Ask, EVALUATION_SEEDS_START, Evaluation, JudgePlan, ModelRef,
    ModelSource, Plan, Sampling, SimulatorPlan, Split, TRAINING_SEEDS,
};

use super::escape::{code, escaped};
use crate::number_text::{count, percent};

/// Returns what was compared: models, people, rubric, simulator, judge and rule.
pub(crate) fn compared(evaluation: &Evaluation) -> String {
    let plan = &evaluation.plan;
    let mut lines = vec![format!("Plan: {}", code(plan.digest().as_str()))];
    lines.extend(plan.models.iter().map(|model| model_line(plan, model)));
    lines.push(match &plan.system_prompt {
        Some(prompt) => format!("System prompt: {}", code(prompt)),
        None => "System prompt: none".to_owned(),
    });
    lines.push(format!("Sampling: {}", sampling(&plan.sampling)));
    lines.push(personas(plan));
    lines.push(held_out(plan));
    lines.push(format!(
        "Rubric: {}, {}; a conversation passes from {}",
        escaped(&plan.rubric.name),
        code(plan.rubric.digest.as_str()),
        plan.rubric.pass_threshold
    ));
    lines.push(simulator(&plan.simulator));
    lines.extend(judges(plan));
    lines.push(format!(
        "Gate: least gain {}, level {}, suspicious above {}, safety margin {}",
        plan.gate.min_gain, plan.gate.alpha, plan.gate.suspicious_gain, plan.gate.safety_margin
    ));
    lines.push(format!(
        "Missing scores: at most {} of a model's conversations, and not depending on the model \
         (exact McNemar test at level {}); every persona needs one with every model",
        percent(plan.missing.max_share),
        plan.missing.asymmetry_alpha
    ));
    let list: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    format!("## What was compared\n\n{list}")
}

/// Returns a line for each judge, and one on how they were asked.
fn judges(plan: &Plan) -> Vec<String> {
    let judge = |judge: &JudgePlan| {
        format!(
            "Judge: {}, {}; {}; {}",
            escaped(judge.model.name.as_str()),
            count(judge.repeats, "judgement"),
            source(&judge.model.source),
            sampling(&judge.sampling)
        )
    };
    let mut lines: Vec<String> = plan.judges.iter().map(judge).collect();
    if lines.is_empty() {
        return vec!["No judge: deterministic checks only".to_owned()];
    }
    let ask = match plan.judging.ask {
        Ask::Together => "all criteria in one question",
        Ask::OneByOne => "one question for each criterion",
    };
    let word = |aggregation| match aggregation {
        Aggregation::Mean => "mean",
        Aggregation::Median => "median",
        Aggregation::Majority => "majority",
    };
    let Aggregate { met, levels } = plan.judging.aggregate;
    lines.push(format!(
        "Judging: {ask}; several judgements become one by their {} (met or not met) and {} (levels), \
         a judge's repeats first, then judges; safety by the majority, a tie is a violation",
        word(met),
        word(levels)
    ));
    lines
}

fn model_line(plan: &Plan, model: &ModelRef) -> String {
    let arm = if model.name == plan.baseline {
        "Baseline"
    } else {
        "Candidate"
    };
    let name = escaped(model.name.as_str());
    format!("{arm} **{name}**: {}", source(&model.source))
}

fn source(source: &ModelSource) -> String {
    match source {
        ModelSource::Gguf {
            path,
            digest,
            context,
        } => {
            let tokens = context.map_or_else(String::new, |n| format!(", context {n} tokens"));
            format!("GGUF {}, {}{tokens}", code(path), code(digest.as_str()))
        }
        ModelSource::Http { url, model, served } => {
            let mut said = Vec::new();
            if let Some(path) = &served.model_path {
                said.push(format!("loaded from {}", code(path)));
            }
            if let Some(n_params) = served.n_params {
                said.push(format!("{n_params} parameters"));
            }
            if let Some(digest) = &served.chat_template {
                said.push(format!("chat template {}", code(digest.as_str())));
            }
            let words = match said.as_slice() {
                [] => "it says nothing of its weights".to_owned(),
                said => format!(
                    "no digest of its weights, only what it says of itself: {}",
                    said.join(", ")
                ),
            };
            format!("server {}, model {}; {words}", code(url), code(model))
        }
        ModelSource::Scripted { path, digest } => {
            format!("scripted replies {}, {}", code(path), code(digest.as_str()))
        }
    }
}

fn sampling(sampling: &Sampling) -> String {
    let Sampling {
        temperature,
        top_p,
        top_k,
        min_p,
        max_tokens,
        seed,
    } = sampling;
    escaped(&format!(
        "temperature {temperature}, top_p {top_p}, top_k {top_k}, min_p {min_p}, max_tokens \
         {max_tokens}, seed {seed}"
    ))
}

fn personas(plan: &Plan) -> String {
    let people = &plan.personas;
    format!(
        "Personas: {} from spec {} version {}, {}; {} each with every model, of at most {}; pool {}",
        count(people.count, "persona"),
        escaped(&people.spec.name),
        people.spec.version,
        code(people.spec.digest.as_str()),
        count(people.repeats, "conversation"),
        count(people.max_turns, "turn"),
        code(people.pool.as_str())
    )
}

/// Says what proves that the models never met the personas, and what was not checked.
fn held_out(plan: &Plan) -> String {
    let people = &plan.personas;
    let last = u64::from(people.seed_start) + u64::from(people.count.max(1)) - 1;
    let seeds = match Split::of_seeds(people.seed_start, people.count) {
        Ok(Split::Evaluation) => format!(
            "seeds {} to {last}; training seeds end at {}, evaluation seeds begin at \
             {EVALUATION_SEEDS_START}, and no combination of factors that a training seed draws is \
             drawn for evaluation",
            people.seed_start,
            TRAINING_SEEDS.end()
        ),
        Ok(Split::Training) | Err(_) => format!(
            "**no**: seeds {} to {last} are not reserved for evaluation",
            people.seed_start
        ),
    };
    let content = match &plan.training_data {
        Some(data) => format!(
            "checked against training data {}, {}",
            code(&data.path),
            code(data.digest.as_str())
        ),
        None => "not verified: no training data given".to_owned(),
    };
    format!("Held out by construction: {seeds}. Held out by content: {content}")
}

fn simulator(simulator: &SimulatorPlan) -> String {
    match simulator {
        SimulatorPlan::RuleBased { version } => {
            format!("User simulator: rule-based, version {version}")
        }
        SimulatorPlan::Llm {
            model,
            version,
            sampling: drawing,
        } => format!(
            "User simulator: language model {}, prompt version {version}; {}; {}",
            escaped(model.name.as_str()),
            source(&model.source),
            sampling(drawing)
        ),
    }
}

/// Returns how to run the same evaluation again.
pub(crate) fn reproduce(evaluation: &Evaluation) -> String {
    format!(
        "## How to reproduce\n\n```sh\nshipworthy eval -c shipworthy.yaml\n```\n\nWith the \
         project's configuration and the files whose digests stand above, the plan's digest comes \
         out as {} again. The same plan and the same replies give the same numbers; servers may \
         reply differently to the same seed.\n",
        code(evaluation.plan.digest().short())
    )
}
