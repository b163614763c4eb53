//! What a browser gets: a page without any data, and the data as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shipworthy_schema::{HumanLabel, Role};

use super::{Item, Rater};

pub(super) const PAGE: &str = include_str!("page.html");
pub(super) const STYLE: &str = include_str!("label.css");
pub(super) const SCRIPT: &str = include_str!("label.js");

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const JS: &str = "text/javascript; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// Nothing but this server's own style, script and data; no inline code, no frame, no form.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// Returns a rater's conversations with what was answered so far. No model, persona or score is in
/// it.
pub(super) fn items(rater: &Rater, items: &[&Item], given: &BTreeMap<String, HumanLabel>) -> Value {
    let items = items.iter().map(|item| {
        let label = given.get(&item.key);
        let turns = item.turns.iter().map(|(role, text)| {
            let who = match role {
                Role::User => "person",
                Role::System | Role::Assistant => "assistant",
            };
            json!({ "who": who, "text": text })
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
