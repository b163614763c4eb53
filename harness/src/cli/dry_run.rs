//! `eval --dry-run`: what a run may take, before its first call.

use std::path::Path;

use serde_json::{Value, json};
use shipworthy_harness::config::{Config, ConfigError};
use shipworthy_harness::cost_bound::{Amounts, CostBound, History};
use shipworthy_harness::preparation::Inputs;
use shipworthy_harness::store::Store;
use shipworthy_reports::{amount_text, bullets, one_line, table};
use shipworthy_schema::{CallRole, SimulatorPlan};

use super::error::Failure;
use super::printer::Printer;
use super::project::Project;
use super::{Outcome, exit_code};
use crate::cli::plan::{duration, whole};

/// Prints the bound on the evaluation that the configuration `file` describes; no model is touched.
pub(super) fn dry_run(printer: &Printer, file: &Path) -> Outcome {
    let (project, config) = Project::load(file)?;
    bound(printer, &project, &config, file)
}

/// Prints the bound on a run of `config`, which stands in `file`.
pub(super) fn bound(printer: &Printer, project: &Project, config: &Config, file: &Path) -> Outcome {
    let inputs = Inputs::read(config, file)?;
    config
        .check_company(&file.display().to_string())
        .map_err(ConfigError::from)?;
    let earlier = history(project, config)?;
    let history = earlier.as_ref().map(|(_, history)| history);
    let bound = CostBound::of(config, &inputs, history);
    let run = earlier.as_ref().map(|(run, _)| run.as_str());
    printer.value(&value(&bound, run));
    printer.text(&text(&bound, run, printer.width()));
    Ok(exit_code::SUCCESS)
}

/// Returns the latest run of conversations like these, and how they went.
fn history(project: &Project, config: &Config) -> Result<Option<(String, History)>, Failure> {
    let path = project.store();
    if !path.exists() {
        return Ok(None);
    }
    let store = Store::open_existing(&path)?;
    let is_llm = config
        .speakers()
        .iter()
        .any(|s| s.role == CallRole::Simulator);
    for run in store.runs()? {
        let plan = &run.plan;
        let is_alike = plan.personas.max_turns == config.personas.max_turns.get()
            && matches!(plan.simulator, SimulatorPlan::Llm { .. }) == is_llm
            && plan.judges.len() == config.judge.value.entries().len()
            && plan.judging.ask == config.judging.value.ask;
        if !is_alike {
            continue;
        }
        let conversations = store.conversations(&run.id)?.len();
        if conversations > 0 {
            let history = History {
                usage: store.usage(&run.id)?,
                conversations,
                models: plan.models.len(),
            };
            return Ok(Some((run.id, history)));
        }
    }
    Ok(None)
}

/// Returns a count as JSON; what is expected on average need not be whole.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole and in range"
)]
fn count(count: f64) -> Value {
    // Whole numbers below this are exact.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    if count.fract() == 0.0 && (0.0..LIMIT).contains(&count) {
        json!(count as u64)
    } else {
        json!(count)
    }
}

fn value(bound: &CostBound, run: Option<&str>) -> Value {
    let amounts = |amounts: &Amounts| {
        json!({
            "calls": count(amounts.calls),
            "prompt_tokens": amounts.prompt_tokens.map(count),
            "completion_tokens": amounts.completion_tokens.map(count),
            "money": amounts.money,
        })
    };
    let (most, expected) = bound.total();
    let part = |part: &shipworthy_harness::cost_bound::PartBound| {
        json!({
            "role": part.role,
            "model": part.model,
            "most": amounts(&part.most),
            "expected": part.expected.as_ref().map(amounts),
        })
    };
    json!({
        "format": 1,
        "conversations": bound.conversations,
        "currency": bound.prices.currency(),
        "parts": bound.parts.iter().map(part).collect::<Vec<_>>(),
        "most": amounts(&most),
        "expected": expected.as_ref().map(amounts),
        "most_seconds": bound.most_seconds,
        "expected_seconds": bound.expected_seconds,
        "expected_from": run,
    })
}

fn text(bound: &CostBound, run: Option<&str>, width: usize) -> String {
    let (most, expected) = bound.total();
    let of = |role| match role {
        CallRole::Model => "model ",
        CallRole::Simulator => "",
        CallRole::Judge => "judge ",
    };
    let who = |part: &shipworthy_harness::cost_bound::PartBound| {
        format!("{}{}", of(part.role), one_line(part.model.as_str()))
    };
    let money = bound.prices.currency().map(|currency| currency.to_string());
    let rows = |amounts: &dyn Fn(usize) -> Option<Amounts>, total: Option<Amounts>| {
        let mut rows: Vec<[String; 5]> = Vec::new();
        for (idx, part) in bound.parts.iter().enumerate() {
            rows.extend(amounts(idx).map(|amounts| row(who(part), &amounts)));
        }
        rows.extend(total.map(|total| row("all".to_owned(), &total)));
        let heads = ["", "calls", "tokens read", "written"];
        if let Some(money) = &money {
            let [a, b, c, d] = heads;
            return table([a, b, c, d, money], &rows, width);
        }
        let rows = rows.into_iter().map(|[a, b, c, d, _]| [a, b, c, d]);
        table(heads, &rows.collect::<Vec<_>>(), width)
    };
    let mut blocks = vec![
        format!(
            "{} conversations; no call was made\n\n",
            bound.conversations
        ),
        format!(
            "At most\n{}",
            rows(&|idx| Some(bound.parts[idx].most), Some(most))
        ),
        format!("time  {}\n\n", duration(bound.most_seconds)),
    ];
    if let Some(run) = run {
        let expected = rows(&|idx| bound.parts[idx].expected, expected);
        blocks.push(format!(
            "Expected, as conversations of run {run} went\n{expected}"
        ));
        let seconds = bound.expected_seconds.map(duration);
        blocks.extend(seconds.map(|seconds| format!("time  {seconds}\n\n")));
    } else {
        let nothing = "No earlier run of such conversations is there to expect anything from.\n\n";
        blocks.push(nothing.to_owned());
    }
    let meaning = "At most: every turn taken, every reply as long as `max_tokens` allows, every question \
                   of judges and simulator asked again as often as may be, a token for each byte of \
                   what is known, every call as slow as `call_timeout_s` allows. Failed tries and the \
                   questions before a run are not among it.";
    blocks.push(format!("Note\n{}", bullets(&[meaning.to_owned()], width)));
    blocks.concat()
}

fn row(who: String, amounts: &Amounts) -> [String; 5] {
    let tokens = |tokens: Option<f64>| tokens.map_or("unknown".to_owned(), whole);
    [
        who,
        whole(amounts.calls),
        tokens(amounts.prompt_tokens),
        tokens(amounts.completion_tokens),
        amounts.money.map_or("unknown".to_owned(), amount_text),
    ]
}
