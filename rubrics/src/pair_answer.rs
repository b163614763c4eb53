use std::collections::BTreeMap;

use serde_json::{Map, Value};
use shipworthy_schema::{Choice, ModelName, PairJudgement, Preference};
use thiserror::Error;

use crate::AnswerError;
use crate::answer::{answer_objects, shown};

/// Says why a judge's reply gives no preference.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PairAnswerError {
    /// No JSON object can be read from it.
    #[error(transparent)]
    Unreadable(#[from] AnswerError),
    /// It does not say which it prefers.
    #[error("the answer has no `preferred`")]
    NoPreference,
    /// What it prefers is none of what it may.
    #[error("`preferred` is {got}, expected `A`, `B` or `tie`")]
    NotAChoice {
        /// What stands there.
        got: String,
    },
    /// It gives no reason.
    #[error("the answer has no `reason` in words")]
    NoReason,
    /// It holds several answers that do not agree.
    #[error("the answer holds {count} JSON objects with different preferences, expected one")]
    SeveralAnswers {
        /// How many.
        count: usize,
    },
}

/// Reads a judge's preference between two conversations, with its reason.
///
/// What is tolerated and what is refused is as for [`read_answer`](crate::read_answer): the last
/// object with a preference is the answer, and an earlier one that says otherwise spoils it. `A`, `B`
/// and `tie` may be written in small or capital letters.
pub fn read_pair_answer(reply: &str) -> Result<(Choice, String), PairAnswerError> {
    let mut answers: Vec<Map<String, Value>> = answer_objects(reply)?
        .into_iter()
        .filter_map(preferring)
        .collect();
    let count = answers.len();
    let last = answers.pop().ok_or(PairAnswerError::NoPreference)?;
    let answer = read_preference(&last)?;
    let agrees = |earlier| read_preference(earlier).is_ok_and(|(choice, _)| choice == answer.0);
    if answers.iter().all(agrees) {
        Ok(answer)
    } else {
        Err(PairAnswerError::SeveralAnswers { count })
    }
}

/// Returns the object that has a preference, if `object` is one or holds one as its only value.
fn preferring(object: Map<String, Value>) -> Option<Map<String, Value>> {
    if object.contains_key("preferred") {
        return Some(object);
    }
    match object.into_iter().collect::<Vec<_>>().as_mut_slice() {
        [(_, Value::Object(inner))] if inner.contains_key("preferred") => {
            Some(std::mem::take(inner))
        }
        _ => None,
    }
}

fn read_preference(object: &Map<String, Value>) -> Result<(Choice, String), PairAnswerError> {
    let preferred = object.get("preferred").unwrap_or(&Value::Null);
    let choices = [
        ("A", Choice::First),
        ("B", Choice::Second),
        ("tie", Choice::Tie),
    ];
    let said = preferred.as_str().unwrap_or_default().trim();
    let choice = choices
        .into_iter()
        .find(|(name, _)| said.eq_ignore_ascii_case(name))
        .ok_or_else(|| PairAnswerError::NotAChoice {
            got: shown(preferred),
        })?;
    match object.get("reason") {
        Some(Value::String(reason)) => Ok((choice.1, reason.trim().to_owned())),
        _ => Err(PairAnswerError::NoReason),
    }
}

/// Returns what more judges prefer, or why there is no preference.
///
/// A judge prefers what more of its repeats prefer; as many for the one as for the other, and a tie
/// each time, are a tie. Judges are put together in the same way, so that each weighs the same. More
/// than half of the judges must have a usable judgement.
pub fn preference(judgements: &[PairJudgement]) -> Result<Preference, String> {
    let mut by_judge: BTreeMap<&ModelName, Vec<f64>> = BTreeMap::new();
    for judgement in judgements {
        let values = by_judge.entry(&judgement.judge).or_default();
        values.extend(judgement.preference().map(Preference::value));
    }
    let judges = by_judge.len();
    let votes: Vec<f64> = by_judge
        .into_values()
        .filter(|values| !values.is_empty())
        .map(|values| preferred(&values).value())
        .collect();
    if 2 * votes.len() > judges {
        return Ok(preferred(&votes));
    }
    let why = judgements
        .iter()
        .flat_map(|judgement| [&judgement.baseline_first, &judgement.candidate_first])
        .find(|answer| answer.choice.is_none());
    let why = why.map_or("nobody was asked", |answer| answer.reason.as_str());
    Err(match judges {
        0 | 1 => format!("the judge gave no usable answer in both orders: {why}"),
        _ => format!(
            "{} of {judges} judges gave no usable answer in both orders: {why}",
            judges - votes.len()
        ),
    })
}

/// Returns what most of `values` are above or below a tie.
fn preferred(values: &[f64]) -> Preference {
    // Halves add up without rounding.
    let lead: f64 = values.iter().map(|value| value - 0.5).sum();
    if lead > 0.0 {
        Preference::Candidate
    } else if lead < 0.0 {
        Preference::Baseline
    } else {
        Preference::Tie
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shipworthy_schema::{Choice, ModelName, PairAnswer, PairJudgement, Preference};
    use test_case::test_case;

    use super::{preference, read_pair_answer};

    const GOOD: &str = r#"{"reason": "B asks what was tried", "preferred": "B"}"#;

    #[test_case(GOOD; "plain")]
    #[test_case(&format!("```json\n{GOOD}\n```"); "fenced")]
    #[test_case(&format!("I compared {{both}}.\n{GOOD}\nDone."); "prose around")]
    #[test_case(&GOOD.replace("\"B\"", "\" b \""); "small letter")]
    #[test_case(&format!("{{\"answer\": {GOOD}}}"); "wrapped")]
    #[test_case(&format!("{GOOD}{GOOD}"); "said twice")]
    #[test_case(r#"{"preferred": "B", "reason": "B asks what was tried"}"#; "other order")]
    fn a_usable_answer_is_read(reply: &str) {
        let expected = (Choice::Second, "B asks what was tried".to_owned());
        assert_eq!(read_pair_answer(reply), Ok(expected));
    }

    #[test_case("", "the answer is empty"; "empty")]
    #[test_case("B.", "the answer holds no JSON object, it begins with `B.`"; "bare")]
    #[test_case("{}", "the answer has no `preferred`"; "nothing in it")]
    #[test_case(&GOOD[..GOOD.len() - 1], "the answer is cut off before its JSON object ends"; "cut")]
    #[test_case(&GOOD.replace("\"B\"", "\"C\""), "`preferred` is the text `C`, expected `A`, `B` or `tie`"; "no choice")]
    #[test_case(&GOOD.replace("\"B\"", "2"), "`preferred` is 2, expected `A`, `B` or `tie`"; "number")]
    #[test_case(&GOOD.replace("\"B asks what was tried\"", "null"), "the answer has no `reason` in words"; "no reason")]
    #[test_case(
        &format!("{}{GOOD}", GOOD.replace("\"B\"", "\"A\"")),
        "the answer holds 2 JSON objects with different preferences, expected one"; "two that differ"
    )]
    fn an_unusable_answer_says_why(reply: &str, message: &str) {
        assert_eq!(read_pair_answer(reply).unwrap_err().to_string(), message);
    }

    /// A judge's answers that come to a win, a loss, a tie, or nothing (`?`).
    fn judged(judge: &str, results: &str) -> Vec<PairJudgement> {
        let answers = |result| match result {
            '+' => [Some(Choice::Second), Some(Choice::First)],
            '-' => [Some(Choice::First), Some(Choice::Second)],
            '=' => [Some(Choice::First), Some(Choice::First)],
            _ => [Some(Choice::First), None],
        };
        let judgement = |(repeat, result)| {
            let [baseline_first, candidate_first] = answers(result).map(|choice| PairAnswer {
                choice,
                reason: "timed out".to_owned(),
            });
            PairJudgement {
                judge: ModelName::new(judge).unwrap(),
                repeat,
                baseline_first,
                candidate_first,
            }
        };
        (1..).zip(results.chars()).map(judgement).collect()
    }

    #[test_case(&["+"], Preference::Candidate; "one judge")]
    #[test_case(&["="], Preference::Tie; "orders that differ")]
    #[test_case(&["+-+"], Preference::Candidate; "most repeats")]
    #[test_case(&["+=="], Preference::Candidate; "ties decide nothing")]
    #[test_case(&["+?"], Preference::Candidate; "a repeat is missing")]
    #[test_case(&["+++", "-"], Preference::Tie; "judges weigh the same")]
    #[test_case(&["+", "-", "-"], Preference::Baseline; "most judges")]
    #[test_case(&["+", "?", "+"], Preference::Candidate; "a judge is missing")]
    fn judgements_are_put_together(judges: &[&str], is: Preference) {
        let judgements = judges.iter().zip(["a", "b", "c"]);
        let judgements: Vec<_> = judgements.flat_map(|(r, judge)| judged(judge, r)).collect();
        assert_eq!(preference(&judgements), Ok(is));
    }

    #[test]
    fn too_few_judges_are_no_tie() {
        let one = preference(&judged("a", "?")).unwrap_err();
        assert_eq!(
            one,
            "the judge gave no usable answer in both orders: timed out"
        );
        let two = preference(&[judged("a", "+"), judged("b", "?")].concat()).unwrap_err();
        assert_eq!(
            two,
            "1 of 2 judges gave no usable answer in both orders: timed out"
        );
        assert!(preference(&[]).is_err());
    }

    proptest! {
        #[test]
        fn no_reply_panics(reply in r#"[ -~{}":AB,]{0,60}"#) {
            let _ = read_pair_answer(&reply);
        }
    }
}
