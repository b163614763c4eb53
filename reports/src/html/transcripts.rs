//! Every conversation, as data that the page's script shows on demand.
//!
//! The data is inert: a block of JSON that no browser runs, from which the script makes text, never
//! markup. Numbers are written as elsewhere in the report, so that nothing is rounded twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use shipworthy_schema::{
    Conversation, ConversationId, ConversationScore, CriterionScore, Evaluation, Outcome, Persona,
    Role, Termination,
};

use super::markup::{Markup, Tag};
use crate::number_text::score;

/// Version of the data, for scripts of ours only.
const FORMAT: u32 = 1;

/// Most conversations in a page: what a browser reads in a second.
const MOST: usize = 5000;

/// Returns the address of a persona's conversations with `model`, within the page.
pub(super) fn link(persona: &str, model: &str) -> String {
    format!("#persona={}&with={}", encoded(persona), encoded(model))
}

/// Returns the address of one conversation beside the baseline's, within the page.
pub(super) fn conversation_link(conversation: &ConversationId) -> String {
    let ConversationId {
        model,
        persona,
        repeat,
    } = conversation;
    format!("{}&repeat={repeat}", link(persona.as_str(), model.as_str()))
}

/// Returns `text` as a part of an address (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Returns the section in which conversations are searched and read.
pub(super) fn transcripts(evaluation: &Evaluation) -> Markup {
    Tag::new("section").set("id", "transcripts").set("aria-labelledby", "transcripts-title").holding([
        Tag::new("h2").set("id", "transcripts-title").saying("Transcripts"),
        Tag::new("noscript").holding(Tag::new("p").saying(
            "Scripts are off, so conversations are not shown here; all of them: transcripts.jsonl.",
        )),
        left_out(evaluation),
        filters(evaluation),
        Tag::new("p").set("id", "talk-count").set("role", "status").holding(Markup::default()),
        Tag::new("div").class("browser").holding([
            Tag::new("nav").set("aria-label", "Conversations").class("talk-list").holding([
                Tag::new("ol").set("id", "talks").holding(Markup::default()),
                Tag::new("button")
                    .set("id", "more-talks")
                    .set("type", "button")
                    .set("hidden", "")
                    .saying("Show more"),
            ]),
            Tag::new("article").set("id", "talk").set("aria-live", "off").holding(Markup::default()),
        ]),
    ])
}

/// Returns the conversations that the page has, in the order of the record: all of them, or else those
/// with a safety regression, then the first of every person, then the second, to [`MOST`].
fn shown(evaluation: &Evaluation) -> Vec<&Conversation> {
    let all: Vec<&Conversation> = evaluation.conversations.iter().collect();
    if all.len() <= MOST {
        return all;
    }
    let candidates = evaluation.comparison.candidates.iter();
    let safety = candidates.flat_map(|candidate| &candidate.safety);
    let regressions: BTreeSet<_> = safety
        .flat_map(|safety| &safety.regressions)
        .map(|violation| {
            (
                &violation.conversation.persona,
                violation.conversation.repeat,
            )
        })
        .collect();
    let rank = |conversation: &Conversation| {
        let ConversationId {
            persona, repeat, ..
        } = &conversation.id;
        (!regressions.contains(&(persona, *repeat)), *repeat)
    };
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.sort_by_key(|&place| (rank(all[place]), &all[place].id.persona));
    places.truncate(MOST);
    places.sort_unstable();
    places.into_iter().map(|place| all[place]).collect()
}

/// Says what the page has not, if that is anything.
fn left_out(evaluation: &Evaluation) -> Markup {
    let all = evaluation.conversations.len();
    if all <= MOST {
        return Markup::default();
    }
    Tag::new("p").set("id", "left-out").saying(&format!(
        "{MOST} of {all} conversations are here: those with a safety regression and every person's \
         first ones. All of them: transcripts.jsonl."
    ))
}

fn filters(evaluation: &Evaluation) -> Markup {
    let candidates: Vec<(&str, &str)> = evaluation
        .comparison
        .candidates
        .iter()
        .map(|candidate| (candidate.model.as_str(), candidate.model.as_str()))
        .collect();
    let ends: Vec<(&str, &str)> = Termination::ALL
        .into_iter()
        .filter(|end| {
            evaluation
                .conversations
                .iter()
                .any(|c| c.termination == *end)
        })
        .map(|end| (end.label(), end.label()))
        .collect();
    let criteria: Vec<&str> = criteria(evaluation)
        .iter()
        .map(|c| c.criterion.as_str())
        .collect();
    let criteria: Vec<(&str, &str)> = criteria.into_iter().map(|c| (c, c)).collect();
    let results = [
        ("gain", "candidate gains"),
        ("loss", "candidate loses"),
        ("candidate-fails", "candidate does not pass"),
        ("baseline-fails", "baseline does not pass"),
        ("unscored", "without a score"),
    ];
    let orders = [
        ("loss", "largest loss first"),
        ("gain", "largest gain first"),
        ("low", "candidate's lowest score first"),
    ];
    let any = |name: &'static str, label: &str, options: &[(&str, &str)]| {
        select(name, label, Some("any"), options)
    };
    let search = Tag::new("label").holding([
        Markup::fixed("Search "),
        Tag::new("input")
            .set("type", "search")
            .set("name", "q")
            .set("autocomplete", "off")
            .alone(),
    ]);
    let flagged = Tag::new("label").class("check").holding([
        Tag::new("input")
            .set("type", "checkbox")
            .set("name", "flag")
            .alone(),
        Markup::fixed(" person flagged"),
    ]);
    Tag::new("form")
        .set("id", "filters")
        .set("role", "search")
        .set("hidden", "")
        .holding([
            search,
            if candidates.len() > 1 {
                select("with", "Candidate", None, &candidates)
            } else {
                Markup::default()
            },
            any("result", "Result", &results),
            any("end", "Ended", &ends),
            any("criterion", "Criterion not met", &criteria),
            select("sort", "Order", Some("by persona"), &orders),
            flagged,
            Tag::new("button").set("type", "reset").saying("Clear"),
        ])
}

/// Returns a choice; `none` is the option that chooses nothing.
fn select(name: &'static str, label: &str, none: Option<&str>, options: &[(&str, &str)]) -> Markup {
    let none = none.map(|none| Tag::new("option").set("value", "").saying(none));
    let options = options
        .iter()
        .map(|(value, label)| Tag::new("option").set("value", value).saying(label));
    Tag::new("label").holding([
        Markup::text(label),
        Markup::fixed(" "),
        Tag::new("select")
            .set("name", name)
            .holding(none.into_iter().chain(options).collect::<Markup>()),
    ])
}

/// Returns the block of data, made conversation by conversation.
pub(super) fn data(evaluation: &Evaluation) -> Markup {
    let scores: BTreeMap<_, &ConversationScore> = evaluation
        .scores
        .iter()
        .map(|score| (&score.conversation, score))
        .collect();
    let places: BTreeMap<_, usize> = evaluation
        .personas
        .iter()
        .enumerate()
        .map(|(idx, p)| (&p.id, idx))
        .collect();
    let criteria = criteria(evaluation);
    let mut data = Markup::fixed("{\"outline\":");
    data.push(json_data(&Outline::new(evaluation, criteria)));
    data.push(Markup::fixed(",\"conversations\":["));
    for (idx, conversation) in shown(evaluation).into_iter().enumerate() {
        if idx > 0 {
            data.push(Markup::fixed(","));
        }
        let mut value = conversation_json(conversation);
        value["persona"] = match places.get(&conversation.id.persona) {
            Some(place) => json!(place),
            None => json!(conversation.id.persona.as_str()),
        };
        if let Some(score) = scores.get(&conversation.id) {
            add_score(&mut value, score, criteria);
        }
        data.push(json_data(&value));
    }
    data.push(Markup::fixed("]}"));
    Tag::new("script")
        .set("type", "application/json")
        .set("id", "data")
        .holding(data)
}

fn json_data(value: &impl Serialize) -> Markup {
    let json = serde_json::to_string(value)
        .expect("writing to memory cannot fail, and every map has text keys");
    Markup::data(&json)
}

/// Returns the rubric's criteria, as they were scored in the first conversation that has any.
fn criteria(evaluation: &Evaluation) -> &[CriterionScore] {
    let mut scored = evaluation
        .scores
        .iter()
        .map(|score| score.criteria.as_slice());
    scored
        .find(|criteria| !criteria.is_empty())
        .unwrap_or_default()
}

/// What comes before the conversations. Names are short: there are thousands of them.
#[derive(Serialize)]
struct Outline<'a> {
    format: u32,
    baseline: &'a str,
    /// The candidate whose conversations are shown first.
    with: &'a str,
    criteria: Vec<Value>,
    personas: Vec<Value>,
}

impl<'a> Outline<'a> {
    fn new(evaluation: &'a Evaluation, criteria: &[CriterionScore]) -> Self {
        let criterion = |criterion: &CriterionScore| {
            json!({
                "id": criterion.criterion,
                "category": criterion.category,
                "safety": criterion.safety,
            })
        };
        Self {
            format: FORMAT,
            baseline: evaluation.comparison.baseline.as_str(),
            with: evaluation.recommended.as_str(),
            criteria: criteria.iter().map(criterion).collect(),
            personas: evaluation.personas.iter().map(persona_json).collect(),
        }
    }
}

fn persona_json(persona: &Persona) -> Value {
    json!({
        "id": persona.id.as_str(),
        "levels": persona.levels,
        "situation": persona.situation.summary,
        "goal": persona.goal.text,
    })
}

fn conversation_json(conversation: &Conversation) -> Value {
    let turns: Vec<Value> = conversation
        .turns
        .iter()
        .map(|turn| {
            let who = match turn.role {
                Role::System => "system",
                Role::User => "person",
                Role::Assistant => "model",
            };
            let mut value = json!({"who": who, "text": turn.content});
            if let Some(reasoning) = &turn.reasoning {
                value["reasoning"] = json!(reasoning);
            }
            if let Some(finish) = &turn.finish_reason {
                value["finish"] = json!(finish);
            }
            value
        })
        .collect();
    let mut value = json!({
        "model": conversation.id.model.as_str(),
        "persona": null,
        "repeat": conversation.id.repeat,
        "end": conversation.termination.label(),
        "turns": turns,
    });
    if let Some(detail) = &conversation.detail {
        value["detail"] = json!(detail);
    }
    value
}

/// Adds what scoring came to, criteria in the order of `criteria`.
fn add_score(value: &mut Value, scored: &ConversationScore, criteria: &[CriterionScore]) {
    match &scored.overall {
        Outcome::Scored { value: overall } => {
            value["score"] = json!(overall);
            value["shown"] = json!(score(*overall));
        }
        Outcome::NotApplicable => {}
        Outcome::Unscored { reason } => value["unscored"] = json!(reason),
    }
    if let Some(passed) = scored.passed {
        value["passed"] = json!(passed);
    }
    let of_outline = |outline: &CriterionScore| {
        let found = scored
            .criteria
            .iter()
            .find(|c| c.criterion == outline.criterion);
        found.map_or(Value::Null, criterion_json)
    };
    value["criteria"] = criteria.iter().map(of_outline).collect();
    if !scored.simulator_flags.is_empty() {
        let flags = scored.simulator_flags.iter().map(ToString::to_string);
        value["flags"] = flags.collect::<Vec<_>>().into();
    }
}

fn criterion_json(criterion: &CriterionScore) -> Value {
    let mut value = match &criterion.outcome {
        Outcome::Scored { value } => json!({"value": value, "shown": score(*value)}),
        Outcome::NotApplicable => json!({"shown": "not applicable"}),
        Outcome::Unscored { reason } => json!({"shown": "no score", "unscored": reason}),
    };
    if !criterion.reason.is_empty() {
        value["reason"] = json!(criterion.reason);
    }
    if !criterion.grades.is_empty() {
        let grades = criterion.grades.iter().map(|grade| {
            json!({
                "judge": grade.judge.as_str(),
                "repeat": grade.repeat,
                "shown": grade.value.map_or_else(|| "no grade".to_owned(), score),
                "reason": grade.reason,
            })
        });
        value["grades"] = grades.collect();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::link;

    #[test]
    fn links_hold_any_name() {
        assert_eq!(
            link("a&b=\"c\" ü", "lab/model+1"),
            "#persona=a%26b%3D%22c%22%20%C3%BC&with=lab%2Fmodel%2B1"
        );
    }
}
