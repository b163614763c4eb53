//! The words for candidates that all formats share.

use std::collections::BTreeMap;

use serde_json::Value;
use shipworthy_schema::{
    CandidateEvaluation, CandidatePool, CandidateResult, CandidateState, CandidateTable,
    Unconfirmed, Verdict,
};

use crate::inert_text::one_line;
use crate::number_text::{count, difference, interval, loss};

/// Returns what came of a candidate on one line, without control characters.
pub fn candidate_line(result: &CandidateResult) -> String {
    let name = &result.name;
    one_line(&match (&result.state, &result.development) {
        (_, Some(development)) => format!(
            "{name}: {}, {} ({})",
            development.verdict.label(),
            gain(development),
            development.run
        ),
        (state, None) => format!("{name}: {}", state_text(state)),
    })
}

/// Returns how far a candidate came, with the reason in full.
pub(super) fn state_text(state: &CandidateState) -> String {
    match state {
        CandidateState::Evaluated => "evaluated".to_owned(),
        CandidateState::Diverged { error } => format!("diverged: {error}"),
        CandidateState::Failed { step, error } => format!("{} failed: {error}", step.label()),
        CandidateState::OutOfBudget { step, what } => {
            format!("out of budget in {}: {what}", step.label())
        }
        CandidateState::NotTried { why } => format!("not tried: {why}"),
    }
}

/// Returns the same in a word or two, or the verdict.
pub(super) fn verdict_cell(result: &CandidateResult) -> String {
    match (&result.development, &result.state) {
        (Some(development), _) => development.verdict.label(),
        (None, CandidateState::Evaluated) => "evaluated",
        (None, CandidateState::Diverged { .. }) => "diverged",
        (None, CandidateState::Failed { .. }) => "failed",
        (None, CandidateState::OutOfBudget { .. }) => "out of budget",
        (None, CandidateState::NotTried { .. }) => "not tried",
    }
    .to_owned()
}

/// Returns the losses: the last one, and the lowest on held-out conversations.
pub(super) fn losses(result: &CandidateResult) -> [String; 2] {
    let training = result.training.as_ref();
    [
        training.and_then(|it| it.loss),
        training.and_then(|it| it.eval_loss),
    ]
    .map(|value| value.map_or_else(|| "–".to_owned(), loss))
}

/// Returns the gain with its interval.
pub(super) fn gain(evaluation: &CandidateEvaluation) -> String {
    format!(
        "{} {}",
        difference(evaluation.gain),
        interval(evaluation.ci95)
    )
}

/// Returns the keys of a configuration that are not every candidate's.
pub(super) fn differences(keys: &BTreeMap<String, Value>) -> String {
    let keys = keys.iter().filter(|(_, value)| !value.is_null());
    let key = |(key, value): (&String, &Value)| match value {
        Value::String(text) => format!("{key}={text}"),
        Value::Number(number) if number.is_f64() => {
            // A configuration says `1` where the resolved one says `1.0`.
            format!("{key}={}", number.as_f64().unwrap_or_default())
        }
        value => format!("{key}={value}"),
    };
    keys.map(key).collect::<Vec<_>>().join(" ")
}

/// Returns people by their seeds.
pub(super) fn pool(pool: &CandidatePool) -> String {
    format!(
        "{} of spec {} from seed {}, {} each",
        count(pool.count, "person").replace("persons", "people"),
        pool.spec,
        pool.seed_start,
        count(pool.repeats, "conversation"),
    )
}

/// Returns the headline.
pub(super) fn headline(table: &CandidateTable) -> String {
    let verdict = table.verdict.map_or("no verdict", Verdict::label);
    match &table.recommended {
        Some(name) => format!("{}: {name}", capitalised(verdict)),
        None => "No candidate has a verdict".to_owned(),
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

/// Returns what the verdict rests on, a sentence or two.
pub(crate) fn summary(table: &CandidateTable) -> String {
    let Some(best) = table.best() else {
        return "No candidate came to a verdict; the table says how far each came.".to_owned();
    };
    let (name, baseline) = (&best.name, &table.baseline);
    let in_development = best.development.as_ref().map_or_else(String::new, |it| {
        format!(
            "In development {name} is the best candidate: {} over {baseline}, {}.",
            gain(it),
            it.verdict.label()
        )
    });
    let then = match (&best.confirmation, &table.unconfirmed) {
        (Some(it), _) if it.verdict == Verdict::Ship => format!(
            "People nobody had met confirm it: {}, {}.",
            gain(it),
            it.verdict.label()
        ),
        (Some(it), _) => format!(
            "People nobody had met do not confirm it: {}, {}.",
            gain(it),
            it.verdict.label()
        ),
        (None, Some(Unconfirmed::NonePassed) | None) => {
            "No candidate passes there, so nobody met the people who confirm.".to_owned()
        }
        (None, Some(Unconfirmed::OutOfBudget { what })) => {
            format!("It is not confirmed, so it does not ship: {what}.")
        }
        (None, Some(Unconfirmed::Failed { error })) => {
            format!("It is not confirmed, so it does not ship: {error}.")
        }
    };
    format!("{in_development} {then}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::differences;

    #[test]
    fn differences_are_as_a_configuration_says_them() {
        let values = [
            ("dataset", json!("a.jsonl")),
            ("learning_rate", json!(2e-4)),
            ("lora_r", json!(16)),
            ("num_train_epochs", json!(3.0)),
            ("seed", Value::Null),
        ];
        let keys: BTreeMap<String, Value> =
            values.map(|(key, value)| (key.to_owned(), value)).into();
        assert_eq!(
            differences(&keys),
            "dataset=a.jsonl learning_rate=0.0002 lora_r=16 num_train_epochs=3"
        );
    }
}
