//! The words for candidates that all formats share.

use std::collections::BTreeMap;

use serde_json::Value;
use shipworthy_schema::{
    CandidateEvaluation, CandidatePool, CandidateResult, CandidateState, CandidateTable,
    EarlierConfirmation, TrainingWarning, Unconfirmed, Verdict,
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
        (_, None) => format!("{name}: {}", state_text(result)),
    })
}

/// Returns how far a candidate came, with the reason in full.
pub(super) fn state_text(result: &CandidateResult) -> String {
    match &result.state {
        CandidateState::Evaluated => "evaluated".to_owned(),
        CandidateState::Diverged { error } => format!("diverged: {error}"),
        CandidateState::Failed { step, error } => format!("{} failed: {error}", step.label()),
        CandidateState::OutOfBudget { step, what } => {
            format!("out of budget in {}: {what}", step.label())
        }
        CandidateState::NotTried { why } if result.training.is_some() => {
            format!("not gone on with: {why}")
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
        (None, CandidateState::NotTried { .. }) if result.training.is_some() => "not evaluated",
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

/// Returns what looked wrong in training; of what diverged, that is enough.
pub(super) fn warnings(result: &CandidateResult) -> &[TrainingWarning] {
    match (&result.training, &result.state) {
        (None, _) | (_, CandidateState::Diverged { .. }) => &[],
        (Some(training), _) => &training.warnings,
    }
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

/// Returns what people said of a candidate that it was not chosen with, in a word or two: those who are to
/// confirm now, else those who were before.
pub(super) fn confirmation_cell(
    table: &CandidateTable,
    candidate: &CandidateResult,
    words: impl Fn(&CandidateEvaluation) -> String,
) -> String {
    if let Some(evaluation) = &candidate.confirmation {
        return words(evaluation);
    }
    let earlier = table.refutation(candidate);
    match earlier.or_else(|| table.earlier(candidate).pop()) {
        Some(earlier) => match &earlier.evaluation {
            Some(evaluation) => format!("{}, earlier", words(evaluation)),
            None => "no verdict, earlier".to_owned(),
        },
        None => "–".to_owned(),
    }
}

/// Returns what each pool of people came to that was to confirm a candidate before.
pub(super) fn earlier_text(earlier: &EarlierConfirmation) -> String {
    let people = count(earlier.count, "person").replace("persons", "people");
    let met = format!(
        "{people} of spec {} from seed {}",
        earlier.spec, earlier.seed_start
    );
    let name = &earlier.name;
    match &earlier.evaluation {
        Some(it) => {
            let did = if it.verdict == Verdict::Ship {
                "confirmed"
            } else {
                "refuted"
            };
            format!(
                "{name}: {did} before by {met}: {}, {} ({})",
                it.verdict.label(),
                gain(it),
                it.run
            )
        }
        None => format!("{name}: met {met} before, who came to no verdict"),
    }
}

/// Returns how many pools of people were used to confirm, where it was more than this loop's.
pub(super) fn pools_text(table: &CandidateTable) -> Option<String> {
    (!table.earlier_confirmations.is_empty()).then(|| {
        let pools = table.confirmation_pools;
        format!(
            "{} to confirm so far: with every further one it is likelier that one confirms by chance",
            match pools {
                1 => "1 pool of people was used".to_owned(),
                _ => format!("{pools} pools of people were used"),
            }
        )
    })
}

/// Returns what the verdict rests on, a few sentences.
pub(crate) fn summary(table: &CandidateTable) -> String {
    let Some(best) = table.best() else {
        return "No candidate came to a verdict; the table says how far each came.".to_owned();
    };
    let in_development = best.development.as_ref().map_or_else(String::new, |it| {
        format!(
            "In development {} is {}: {} over {}, {}.",
            best.name,
            standing(table, best),
            gain(it),
            table.baseline,
            it.verdict.label()
        )
    });
    let then = match &best.confirmation {
        Some(it) => match table.refutation(best) {
            Some(other) if it.verdict == Verdict::Ship => {
                format!(
                    "{} Others before them: {}.",
                    confirmation_text(it),
                    earlier_text(other)
                )
            }
            _ => confirmation_text(it),
        },
        None => match &table.unconfirmed {
            Some(Unconfirmed::NonePassed) | None => {
                let no = if in_the_running(table).count() < evaluated(table).count() {
                    "No candidate in the running passes"
                } else {
                    "No candidate passes"
                };
                format!("{no} there, so nobody met the people who confirm.")
            }
            Some(Unconfirmed::Refuted) => {
                let refutation = table.refutation(best);
                refutation.map_or_else(String::new, refutation_text)
            }
            Some(Unconfirmed::OutOfBudget { what }) => {
                format!("It is not confirmed, so it does not ship: {what}.")
            }
            Some(Unconfirmed::Failed { error }) => {
                format!("It is not confirmed, so it does not ship: {error}.")
            }
        },
    };
    let pools = pools_text(table).map_or_else(String::new, |text| format!(" {text}."));
    format!("{in_development} {then}{pools}")
}

/// Returns what is known of one candidate, by name, a few sentences; `None` where it has no verdict.
pub(crate) fn summary_of(table: &CandidateTable, name: &str) -> Option<String> {
    if table.recommended.as_deref() == Some(name) {
        return Some(summary(table));
    }
    let candidate = table.candidates.iter().find(|it| it.name == name)?;
    let development = candidate.development.as_ref()?;
    let then = match (&candidate.confirmation, table.refutation(candidate)) {
        (Some(it), _) => confirmation_text(it),
        (None, Some(refutation)) => refutation_text(refutation),
        (None, None) => match table.earlier(candidate).pop() {
            Some(earlier) => refutation_text(earlier),
            None => "People nobody had met were not asked about it.".to_owned(),
        },
    };
    let best = table.recommended.as_ref();
    let best = best.map_or_else(String::new, |best| {
        format!(" The loop recommends {best} in its place.")
    });
    let pools = pools_text(table).map_or_else(String::new, |text| format!(" {text}."));
    Some(format!(
        "In development {name} came to {} over {}, {}. {then}{best}{pools}",
        gain(development),
        table.baseline,
        development.verdict.label()
    ))
}

fn confirmation_text(it: &CandidateEvaluation) -> String {
    let did = if it.verdict == Verdict::Ship {
        "confirm it"
    } else {
        "do not confirm it"
    };
    format!(
        "People nobody had met {did}: {}, {}.",
        gain(it),
        it.verdict.label()
    )
}

fn refutation_text(earlier: &EarlierConfirmation) -> String {
    match &earlier.evaluation {
        Some(it) => confirmation_text(it),
        None => "People nobody had met were to confirm it and came to no verdict.".to_owned(),
    }
}

/// Returns how the recommended candidate stands among those with a verdict in development.
fn standing(table: &CandidateTable, best: &CandidateResult) -> &'static str {
    let surpassing: Vec<_> = evaluated(table).filter(|it| surpasses(it, best)).collect();
    if surpassing.is_empty() {
        "the best candidate"
    } else if surpassing.iter().all(|it| table.refutation(it).is_some()) {
        "the best candidate that was not refuted"
    } else {
        "the best candidate in the running"
    }
}

fn evaluated(table: &CandidateTable) -> impl Iterator<Item = &CandidateResult> {
    let all = table.candidates.iter();
    all.filter(|it| it.development.is_some())
}

/// Returns the candidates with a verdict that could be chosen.
fn in_the_running(table: &CandidateTable) -> impl Iterator<Item = &CandidateResult> {
    evaluated(table)
        .filter(|it| it.state == CandidateState::Evaluated && table.refutation(it).is_none())
}

/// Tells whether a candidate came to a better verdict in development than another, or to the same with a
/// larger gain.
fn surpasses(one: &CandidateResult, other: &CandidateResult) -> bool {
    let rank = |verdict: Verdict| Verdict::ALL.iter().position(|it| *it == verdict);
    let (Some(one), Some(other)) = (&one.development, &other.development) else {
        return false;
    };
    let (rank_one, rank_other) = (rank(one.verdict), rank(other.verdict));
    rank_one < rank_other || (rank_one == rank_other && one.gain > other.gain)
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
