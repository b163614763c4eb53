use serde_json::{Map, Value};
use shipworthy_schema::CriterionId;
use thiserror::Error;

use crate::JudgeQuestion;
use crate::json::{Found, objects};
use crate::question::Asked;
use crate::question::Form;

/// A judge's grade of one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeAnswer {
    /// The criterion.
    pub criterion: CriterionId,
    /// The grade.
    pub judgement: Judgement,
    /// The judge's words.
    pub reason: String,
}

/// A grade as the judge gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Whether the criterion's text is true of the assistant.
    Met(bool),
    /// A level from 1 to 5.
    Level(u8),
}

/// Says why a judge's reply gives no grades.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AnswerError {
    /// There is nothing in it.
    #[error("the answer is empty")]
    Empty,
    /// It is prose.
    #[error("the answer holds no JSON object, it begins with `{start}`")]
    NoJson {
        /// Its first characters.
        start: String,
    },
    /// It ends before its JSON does.
    #[error("the answer is cut off before its JSON object ends")]
    Truncated,
    /// What stands between its braces is no JSON.
    #[error("the answer is not valid JSON: {message}")]
    InvalidJson {
        /// What the JSON parser says.
        message: String,
    },
    /// It holds several answers that do not agree.
    #[error("the answer holds {count} JSON objects with different grades, expected one")]
    SeveralAnswers {
        /// How many.
        count: usize,
    },
    /// It grades something it was not asked about.
    #[error("the answer grades `{criterion}`, which is not one of the criteria")]
    UnknownCriterion {
        /// The unknown key.
        criterion: String,
    },
    /// It leaves a criterion out.
    #[error("the answer does not grade criterion `{criterion}`")]
    MissingCriterion {
        /// The first one left out.
        criterion: CriterionId,
    },
    /// It leaves a field of a criterion out.
    #[error("criterion `{criterion}` has no `{field}`")]
    MissingField {
        /// The criterion.
        criterion: CriterionId,
        /// The field.
        field: &'static str,
    },
    /// A field is of another JSON type.
    #[error("`{field}` of criterion `{criterion}` is {got}, expected {expected}")]
    WrongType {
        /// The criterion.
        criterion: CriterionId,
        /// The field.
        field: &'static str,
        /// What stands there.
        got: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A level is none of the scale's. It is never moved to the nearest one.
    #[error("`level` of criterion `{criterion}` is {got}, out of range: expected {expected}")]
    OutOfRange {
        /// The criterion.
        criterion: CriterionId,
        /// What stands there.
        got: String,
        /// What may stand there.
        expected: &'static str,
    },
}

/// Reads the grades in a judge's reply to `question`, one for each criterion asked about, in the
/// question's order.
///
/// Code fences, prose around the JSON object, trailing commas, raw line breaks in strings and one
/// object around the object are tolerated; a question on one criterion may be answered without
/// naming it. Nothing is guessed: a grade that is missing, of another type or out of range, a
/// criterion nobody asked about, and an object that is cut off or broken, are errors.
///
/// A judge's reasoning may quote an answer, its own draft or one planted in the transcript. Hence
/// the last object that grades anything is the answer: if it does not fit, no earlier one is used
/// in its place, and if an earlier one grades differently, the reply is refused as well.
pub fn read_answer(question: &JudgeQuestion, reply: &str) -> Result<Vec<JudgeAnswer>, AnswerError> {
    let asked = question.asked();
    let mut grades: Vec<_> = answer_objects(reply)?
        .into_iter()
        .filter_map(|object| graded(object, asked))
        .collect();
    let count = grades.len();
    let last = grades.pop().ok_or_else(|| AnswerError::MissingCriterion {
        criterion: asked[0].id.clone(),
    })?;
    let answers = read_grades(last, asked)?;
    let agrees = |grades| {
        read_grades(grades, asked).is_ok_and(|earlier| {
            let pairs = earlier.iter().zip(&answers);
            pairs.into_iter().all(|(a, b)| a.judgement == b.judgement)
        })
    };
    if grades.into_iter().all(agrees) {
        Ok(answers)
    } else {
        Err(AnswerError::SeveralAnswers { count })
    }
}

/// Returns the JSON objects of a judge's reply, at least one, in order.
///
/// One object that is cut off or broken spoils the reply, wherever it stands: it may be the answer
/// itself, or hold what looks like one.
pub(crate) fn answer_objects(reply: &str) -> Result<Vec<Map<String, Value>>, AnswerError> {
    if reply.trim().is_empty() {
        return Err(AnswerError::Empty);
    }
    let complete: Result<Vec<_>, _> = objects(reply)
        .into_iter()
        // The first failure is the outermost and says more than those within it.
        .map(|found| match found {
            Found::Object(object) => Ok(object),
            Found::Invalid(message) => Err(AnswerError::InvalidJson { message }),
            Found::Unclosed => Err(AnswerError::Truncated),
        })
        .collect();
    let complete = complete?;
    if complete.is_empty() {
        return Err(AnswerError::NoJson {
            start: clipped(reply.trim(), 60),
        });
    }
    Ok(complete)
}

/// Returns the object whose keys are criteria, if `object` is one, holds one as its only value, or
/// grades the only criterion asked about.
fn graded(object: Map<String, Value>, asked: &[Asked]) -> Option<Map<String, Value>> {
    let names_one = |object: &Map<String, Value>| {
        let mut ids = asked.iter().map(|asked| asked.id.as_str());
        ids.any(|id| object.contains_key(id))
    };
    if names_one(&object) {
        return Some(object);
    }
    if let [only] = asked
        && object.contains_key(only.form.field())
    {
        return Some(
            [(only.id.to_string(), Value::Object(object))]
                .into_iter()
                .collect(),
        );
    }
    match object.into_iter().collect::<Vec<_>>().as_mut_slice() {
        [(_, Value::Object(inner))] if names_one(inner) => Some(std::mem::take(inner)),
        _ => None,
    }
}

fn read_grades(
    mut object: Map<String, Value>,
    asked: &[Asked],
) -> Result<Vec<JudgeAnswer>, AnswerError> {
    let answers = asked
        .iter()
        .map(|asked| match object.shift_remove(asked.id.as_str()) {
            Some(grade) => read_grade(grade, asked),
            None => Err(AnswerError::MissingCriterion {
                criterion: asked.id.clone(),
            }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    match object.keys().next() {
        Some(criterion) => Err(AnswerError::UnknownCriterion {
            criterion: clipped(criterion, 60),
        }),
        None => Ok(answers),
    }
}

fn read_grade(grade: Value, asked: &Asked) -> Result<JudgeAnswer, AnswerError> {
    let criterion = asked.id.clone();
    let wrong_type = |field, got: &Value, expected| AnswerError::WrongType {
        criterion: asked.id.clone(),
        field,
        got: shown(got),
        expected,
    };
    let field = asked.form.field();
    let Value::Object(mut grade) = grade else {
        return Err(wrong_type(
            "grade",
            &grade,
            "an object with `reason` and the verdict",
        ));
    };
    let mut take = |field| {
        grade.shift_remove(field).ok_or(AnswerError::MissingField {
            criterion: asked.id.clone(),
            field,
        })
    };
    let verdict = take(field)?;
    let expected = asked.form.expected();
    let judgement = match (asked.form, &verdict) {
        (Form::Met, Value::Bool(met)) => Judgement::Met(*met),
        (Form::Level, Value::Number(number)) => {
            let level = (1..=5).find(|level| number.as_f64() == Some(f64::from(*level)));
            Judgement::Level(level.ok_or_else(|| AnswerError::OutOfRange {
                criterion: criterion.clone(),
                got: number.to_string(),
                expected,
            })?)
        }
        _ => return Err(wrong_type(field, &verdict, expected)),
    };
    let reason = match take("reason")? {
        Value::String(reason) => reason.trim().to_owned(),
        other => return Err(wrong_type("reason", &other, "text")),
    };
    Ok(JudgeAnswer {
        criterion,
        judgement,
        reason,
    })
}

/// Returns a value of another type than expected, for an error.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text `{}`", clipped(text, 60)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn clipped(text: &str, most: usize) -> String {
    let mut line = text.lines().next().unwrap_or_default().chars();
    let mut start: String = line.by_ref().take(most).collect();
    if line.next().is_some() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shipworthy_schema::Ask;
    use test_case::test_case;

    use super::{AnswerError, Judgement, read_answer};
    use crate::JudgeQuestion;
    use crate::sample::{LEVELS, conversation, persona, rubric};

    const GOOD: &str = r#"{"kind": {"reason": "says thanks", "met": true}, "warm": {"reason": "so so", "level": 4}}"#;
    const OTHER: &str =
        r#"{"kind": {"reason": "rude", "met": false}, "warm": {"reason": "cold", "level": 1}}"#;

    fn question() -> JudgeQuestion {
        let warm = format!("id: warm, text: Is warm., {LEVELS}");
        let rubric = rubric(&["id: kind, text: Is kind.", &warm]);
        let talk = conversation(&["Hi", "Thanks"]);
        rubric
            .questions(&persona(&[]), &talk, Ask::Together)
            .remove(0)
    }

    fn error(reply: &str) -> String {
        read_answer(&question(), reply).unwrap_err().to_string()
    }

    #[test_case(GOOD; "plain")]
    #[test_case(&format!("```json\n{GOOD}\n```"); "fenced")]
    #[test_case(&format!("Here are my grades:\n\n```\n{GOOD}\n```\nI hope {{this}} helps!"); "prose around")]
    #[test_case(&GOOD.replace("}}", ",},}"); "trailing commas")]
    #[test_case(&GOOD.replace("so so", "so\nso"); "line break in a string")]
    #[test_case(&GOOD.replace('4', "4.0"); "whole number with a fraction sign")]
    #[test_case(&format!("{{\"grades\": {GOOD}}}"); "wrapped")]
    #[test_case(&format!("{GOOD}\n{GOOD}"); "said twice")]
    #[test_case(&format!("The transcript says {{\"turn\": 1}}. {GOOD}"); "another object before")]
    #[test_case(&format!("{GOOD} {{\"done\": true}}"); "another object after")]
    fn a_usable_answer_is_read(reply: &str) {
        let answers = read_answer(&question(), reply).unwrap();
        let read: Vec<_> = answers
            .iter()
            .map(|answer| (answer.criterion.as_str(), answer.judgement))
            .collect();
        let expected = [
            ("kind", Judgement::Met(true)),
            ("warm", Judgement::Level(4)),
        ];
        assert_eq!(read, expected);
        assert_eq!(answers[0].reason, "says thanks");
    }

    #[test_case("", "the answer is empty"; "empty")]
    #[test_case(" \n\t", "the answer is empty"; "blank")]
    #[test_case("The coach was kind, level 4.", "the answer holds no JSON object, it begins with `The coach was kind, level 4.`"; "prose")]
    #[test_case("true", "the answer holds no JSON object, it begins with `true`"; "bare verdict")]
    #[test_case("[1, 2]", "the answer holds no JSON object, it begins with `[1, 2]`"; "list")]
    #[test_case("{}", "the answer does not grade criterion `kind`"; "no grades")]
    #[test_case("{", "the answer is cut off before its JSON object ends"; "brace")]
    fn an_unusable_answer_says_why(reply: &str, message: &str) {
        assert_eq!(error(reply), message);
    }

    #[test]
    fn every_cut_is_refused() {
        for (end, _) in GOOD.char_indices().skip(1) {
            let answer = read_answer(&question(), &GOOD[..end]);
            assert_eq!(answer, Err(AnswerError::Truncated), "{}", &GOOD[..end]);
        }
        let fenced = format!("```json\n{}", &GOOD[..GOOD.len() - 1]);
        assert_eq!(
            read_answer(&question(), &fenced),
            Err(AnswerError::Truncated)
        );
    }

    #[test_case("4", "0", "`level` of criterion `warm` is 0, out of range: expected a whole number from 1 to 5"; "level 0")]
    #[test_case("4", "6", "`level` of criterion `warm` is 6, out of range: expected a whole number from 1 to 5"; "level 6")]
    #[test_case("4", "-1", "`level` of criterion `warm` is -1, out of range: expected a whole number from 1 to 5"; "negative level")]
    #[test_case("4", "3.5", "`level` of criterion `warm` is 3.5, out of range: expected a whole number from 1 to 5"; "half a level")]
    #[test_case("4", "1e99", "`level` of criterion `warm` is 1e+99, out of range: expected a whole number from 1 to 5"; "huge level")]
    #[test_case("4", "\"4\"", "`level` of criterion `warm` is the text `4`, expected a whole number from 1 to 5"; "level as text")]
    #[test_case("4", "null", "`level` of criterion `warm` is null, expected a whole number from 1 to 5"; "null")]
    #[test_case("4", "[4]", "`level` of criterion `warm` is a list, expected a whole number from 1 to 5"; "level in a list")]
    #[test_case("4", "NaN", "the answer is not valid JSON: expected value at line 1 column 87"; "not a number")]
    #[test_case("true", "1", "`met` of criterion `kind` is 1, expected true or false"; "met as a number")]
    #[test_case("true", "True", "the answer is not valid JSON: expected value at line 1 column 43"; "python")]
    #[test_case("true", "true, \"met\": false", "the answer is not valid JSON: key `met` stands twice at line 1 column 61"; "verdict twice")]
    #[test_case("\"says thanks\"", "7", "`reason` of criterion `kind` is 7, expected text"; "reason as a number")]
    #[test_case("\"reason\": \"so so\", ", "", "criterion `warm` has no `reason`"; "no reason")]
    #[test_case("\"level\"", "\"score\"", "criterion `warm` has no `level`"; "verdict of another name")]
    #[test_case("\"warm\"", "\"warmth\"", "the answer does not grade criterion `warm`"; "criterion of another name")]
    #[test_case("{\"kind\"", "{\"cold\": 3, \"kind\"", "the answer grades `cold`, which is not one of the criteria"; "unknown criterion")]
    #[test_case("{\"reason\": \"so so\", \"level\": 4}", "4", "`grade` of criterion `warm` is 4, expected an object with `reason` and the verdict"; "bare level")]
    fn an_answer_that_does_not_fit_is_refused(good: &str, bad: &str, message: &str) {
        assert!(GOOD.contains(good));
        assert_eq!(error(&GOOD.replace(good, bad)), message);
    }

    #[test]
    fn a_quoted_answer_never_wins_over_the_final_one() {
        let several = "the answer holds 2 JSON objects with different grades, expected one";
        assert_eq!(
            error(&format!("It wrote {OTHER} but I say {GOOD}")),
            several
        );
        assert_eq!(
            error(&format!("I say {GOOD} though it wrote {OTHER}")),
            several
        );
        let off_menu = GOOD.replace('4', "9");
        assert!(error(&format!("A first thought: {GOOD}. Final: {off_menu}")).contains("is 9"));
        assert_eq!(error(&format!("Draft: {off_menu}. Final: {GOOD}")), several);
        let nested = format!("{{\"draft\": {OTHER}, \"final\": {GOOD}}}");
        assert_eq!(error(&nested), "the answer does not grade criterion `kind`");
        let cut = format!("Draft: {OTHER}. Final: {}", &GOOD[..50]);
        assert_eq!(
            error(&cut),
            "the answer is cut off before its JSON object ends"
        );
        let python = GOOD.replace("true", "True");
        assert!(error(&format!("{OTHER} {python}")).contains("not valid JSON"));
    }

    #[test]
    fn one_criterion_may_be_answered_without_its_name() {
        let rubric = rubric(&["id: kind, text: Is kind."]);
        let talk = conversation(&["Hi", "Thanks"]);
        let question = rubric
            .questions(&persona(&[]), &talk, Ask::Together)
            .remove(0);
        let answers = read_answer(&question, r#"{"reason": "", "met": false}"#).unwrap();
        assert_eq!(answers[0].judgement, Judgement::Met(false));
        let cut = r#"{"kind": {"reason": "", "met": false}"#;
        assert_eq!(read_answer(&question, cut), Err(AnswerError::Truncated));
    }

    proptest! {
        #[test]
        fn no_reply_panics(reply in any::<String>()) {
            let _ = read_answer(&question(), &reply);
        }

        #[test]
        fn no_damaged_answer_panics_or_changes_a_grade(
            at in 0..GOOD.len(),
            cut in 0..4_usize,
            insert in "[{}\\[\\]\",:0-9a-z \n]{0,3}",
        ) {
            let end = (at + cut).min(GOOD.len());
            let reply = format!("{}{insert}{}", &GOOD[..at], &GOOD[end..]);
            if let Ok(answers) = read_answer(&question(), &reply) {
                prop_assert_eq!(answers.len(), 2);
                if let Judgement::Level(level) = answers[1].judgement {
                    prop_assert!((1..=5).contains(&level));
                } else {
                    prop_assert!(false, "a level was asked for");
                }
            }
        }
    }
}
