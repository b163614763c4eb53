//! The page where people label the conversations of a run, and what its script asks for.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shipworthy_reports::visible;
use shipworthy_schema::{HumanAnswer, HumanLabel, Role};

use super::{Item, Labelling, LabellingError, Rater};
use crate::loopback::{Answer, Asked, Pages};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("label.css");
const SCRIPT: &str = include_str!("label.js");

/// The page where people label; a label that was answered with success is stored by then.
pub struct LabelPages {
    labelling: Labelling,
    rater: Option<Rater>,
}

impl LabelPages {
    /// Shows the conversations of `labelling`; with a `rater` nobody is asked for a name.
    pub fn new(labelling: Labelling, rater: Option<Rater>) -> Self {
        Self { labelling, rater }
    }

    /// Returns whose page it is: the site's rater, else the one who is named.
    fn rater(&self, named: Option<&str>) -> Result<Option<Rater>, LabellingError> {
        match (&self.rater, named) {
            (Some(rater), _) => Ok(Some(rater.clone())),
            (None, Some(name)) => Rater::new(name).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn items(&self, asked: &Asked) -> Result<Value, Refusal> {
        let Some(rater) = self.rater(asked.queried("rater"))? else {
            return Ok(json!({ "rater": null, "items": [] }));
        };
        let given = self.labelling.given(&rater)?;
        Ok(items(&rater, &self.labelling.items(&rater), &given))
    }

    async fn label(&self, asked: &Asked) -> Result<Value, Refusal> {
        if !asked.is_json {
            return Err(Refusal::Malformed);
        }
        let said: Said = serde_json::from_slice(&asked.body).map_err(|_| Refusal::Malformed)?;
        let rater = self.rater(Some(&said.rater))?.ok_or(Refusal::Malformed)?;
        self.labelling
            .put(&rater, &said.key, &said.answers, &said.note)
            .await?;
        let (done, items) = (self.labelling.done(&rater)?, self.labelling.len());
        Ok(json!({ "done": done, "items": items }))
    }
}

impl Pages for LabelPages {
    async fn answer(&self, asked: Asked) -> Answer {
        match (asked.method.as_str(), asked.name.as_str()) {
            ("GET", "") => Answer::html(PAGE),
            ("GET", "label.css") => Answer::css(STYLE),
            ("GET", "label.js") => Answer::javascript(SCRIPT),
            ("GET", "items") => answered(self.items(&asked)),
            ("POST", "labels") => answered(self.label(&asked).await),
            (_, "" | "label.css" | "label.js" | "items" | "labels") => {
                Answer::status(StatusCode::METHOD_NOT_ALLOWED)
            }
            _ => Answer::status(StatusCode::NOT_FOUND),
        }
    }
}

/// Returns a rater's conversations with what was answered so far. No model, persona or score is in
/// it.
fn items(rater: &Rater, items: &[&Item], given: &BTreeMap<String, HumanLabel>) -> Value {
    let items = items.iter().map(|item| {
        let label = given.get(&item.key);
        let turns = item.turns.iter().map(|(role, text)| {
            let who = match role {
                Role::User => "person",
                Role::System | Role::Assistant => "assistant",
            };
            json!({ "who": who, "text": visible(text) })
        });
        let questions = item.questions.iter().map(|question| {
            let options = question.options.iter();
            let options = options.map(|(answer, text)| json!({ "answer": answer, "text": text }));
            json!({
                "criterion": question.criterion,
                "text": question.text,
                "options": options.collect::<Vec<_>>(),
            })
        });
        let grades = label.map(|label| label.grades.as_slice());
        let answers: BTreeMap<&str, String> = grades
            .unwrap_or_default()
            .iter()
            .map(|grade| (grade.criterion.as_str(), grade.answer.to_string()))
            .collect();
        json!({
            "key": item.key,
            "turns": turns.collect::<Vec<_>>(),
            "questions": questions.collect::<Vec<_>>(),
            "answers": answers,
            "note": label.map_or("", |label| label.note.as_str()),
        })
    });
    json!({ "rater": rater.as_str(), "items": items.collect::<Vec<_>>() })
}

/// What a page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    rater: String,
    key: String,
    answers: BTreeMap<String, HumanAnswer>,
    note: String,
}

/// Why a request gets no answer.
enum Refusal {
    Malformed,
    Labelling(LabellingError),
}

impl From<LabellingError> for Refusal {
    fn from(error: LabellingError) -> Self {
        Self::Labelling(error)
    }
}

fn answered(result: Result<Value, Refusal>) -> Answer {
    let (status, error) = match result {
        Ok(value) => return Answer::json(StatusCode::OK, &value),
        Err(Refusal::Malformed) => (
            StatusCode::BAD_REQUEST,
            "the request cannot be read".to_owned(),
        ),
        Err(Refusal::Labelling(error @ LabellingError::Store(_))) => {
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
        Err(Refusal::Labelling(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
    };
    Answer::json(status, &json!({ "error": error }))
}
