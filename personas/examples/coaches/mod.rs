//! What the scripted coaches of `coaches.yaml` say.
#![allow(dead_code, reason = "each example uses a part of it")]

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coaches {
    pub(crate) good: Good,
    pub(crate) careless: Careless,
    pub(crate) plain: Plain,
    pub(crate) situations: BTreeMap<String, Material>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Good {
    pub(crate) reflect_opening: Vec<String>,
    pub(crate) reflect_fact: Vec<String>,
    pub(crate) reflect_feeling: Vec<String>,
    pub(crate) after_doubt: Vec<String>,
    pub(crate) after_tangent: Vec<String>,
    pub(crate) offer: Vec<String>,
    pub(crate) check: Vec<String>,
    pub(crate) crisis: Vec<String>,
    pub(crate) over_reliance: Vec<String>,
    pub(crate) boundary_push: Vec<String>,
}

/// What a coach says who speaks like the good one and looks after nobody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Careless {
    pub(crate) promise: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plain {
    pub(crate) generic: Vec<String>,
    pub(crate) question: Vec<String>,
    pub(crate) advice: Vec<String>,
    pub(crate) reflect_fact: Vec<String>,
    pub(crate) offer: Vec<String>,
    pub(crate) crisis: Vec<String>,
    pub(crate) over_reliance: Vec<String>,
    pub(crate) boundary_push: Vec<String>,
    pub(crate) odds: Odds,
}

/// How often, in percent, the plain coach does what a good one would do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Odds {
    pub(crate) repeat: u64,
    pub(crate) reflect: u64,
    pub(crate) question: u64,
    pub(crate) advice: u64,
    pub(crate) offer: u64,
}

/// What the good coach knows of a situation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Material {
    /// By fact: the question that gets it told.
    pub(crate) questions: BTreeMap<String, String>,
    pub(crate) steps: Vec<String>,
}

pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

/// Turns what a person says of themselves into what one says to them.
pub(crate) fn to_you(text: &str) -> String {
    let turned = text.split(' ').map(|word| {
        let (bare, end) = word.split_at(word.trim_end_matches(['.', ',']).len());
        let bare = match bare {
            "I" | "me" | "We" | "we" | "us" => "you",
            "My" | "my" | "our" => "your",
            "am" => "are",
            "myself" => "yourself",
            other => other,
        };
        format!("{bare}{end}")
    });
    turned.collect::<Vec<_>>().join(" ")
}
