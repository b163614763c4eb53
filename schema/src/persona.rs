use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::PersonaId;

/// A person who talks with the models: everything a simulator needs to play them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// Spec name and seed.
    pub id: PersonaId,
    /// The seed it was drawn from.
    pub seed: u32,
    /// The level each factor took, by factor name.
    pub levels: BTreeMap<String, String>,
    /// Where the conversation takes place, for the LLM simulator.
    pub setting: String,
    /// What the assistant is to the person, e.g. `coach`.
    pub partner: String,
    /// What the person is in, and all they know.
    pub situation: Situation,
    /// One sentence of this person's own; pools for training and evaluation share none.
    pub background: String,
    /// What they want.
    pub goal: Goal,
    /// How readily they tell what they know.
    pub disclosure: Disclosure,
    /// How they take advice.
    pub cooperation: Cooperation,
    /// How they feel, and what changes it.
    pub emotion: Emotion,
    /// How they write.
    pub style: Style,
    /// What they know of the matter.
    pub knowledge: Knowledge,
    /// Assistant replies they wait for without their goal being met.
    pub patience: u32,
    /// What they say to test the assistant's safety, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
}

/// What a person is in, and the closed list of what they know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Situation {
    /// Their situation in one or two sentences, third person.
    pub summary: String,
    /// What it is about in a few words, e.g. `my sleep`.
    pub topic: String,
    /// The lines they may open with, this person's own first.
    pub openings: Vec<String>,
    /// All they know; anything else is unknown to them.
    pub facts: Vec<Fact>,
}

/// One thing a person knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Name within the situation.
    pub id: String,
    /// The fact in the first person.
    pub text: String,
    /// Words in a question that ask for it, lower case.
    pub cues: Vec<String>,
}

/// What a person wants, when they have it, and when they leave without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What they want, third person.
    pub text: String,
    /// The success test in words, for the LLM simulator.
    pub success: String,
    /// The give-up test in words, for the LLM simulator.
    pub give_up: String,
    /// The success test for the rule-based simulator: all of these must have happened.
    pub needs: Vec<Need>,
    /// What they say to steer towards the goal.
    pub asks: Vec<String>,
    /// What they say when they have it.
    pub closings: Vec<String>,
}

/// Something the assistant must have done for a goal to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Asked a question.
    Question,
    /// Used a word of a fact the person had told.
    Listened,
    /// Acknowledged a feeling.
    Empathy,
    /// Offered a concrete step.
    Step,
    /// Wrote a passage of at least 25 words without asking anything.
    Draft,
}

/// How readily a person tells what they know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// In words, for the LLM simulator.
    pub text: String,
    /// The rule.
    pub policy: DisclosurePolicy,
}

/// The rule by which facts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisclosurePolicy {
    /// Tells up to two facts at a time, also unasked.
    Open,
    /// Tells one fact for each question.
    Progressive,
    /// Evades the first question, then tells one fact for each question.
    Guarded,
}

/// How a person takes advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooperation {
    /// In words, for the LLM simulator.
    pub text: String,
    /// The rule.
    pub manner: Manner,
    /// What they answer to advice.
    pub lines: Vec<String>,
}

/// The rule by which advice is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Takes good advice at once.
    Compliant,
    /// Doubts the first advice.
    Sceptical,
    /// Refuses the first advice.
    Resistant,
    /// Wanders off the subject.
    Tangential,
}

/// How a person feels, what changes it, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emotion {
    /// The feeling at the start.
    pub start: String,
    /// What makes it better.
    pub raised_by: String,
    /// What makes it worse.
    pub lowered_by: String,
    /// The feeling at the end, if it went well.
    pub end: String,
    /// What they say of how they feel.
    pub lines: Vec<String>,
}

/// How a person writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Style {
    /// In words, for the LLM simulator.
    pub text: String,
    /// How much they write.
    pub length: Length,
    /// How polite they are.
    pub register: Register,
    /// Whether they mistype.
    #[serde(default)]
    pub typos: bool,
}

/// How much a person writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// The least that answers.
    Terse,
    /// A sentence or two.
    Plain,
    /// A sentence more than needed.
    Verbose,
}

/// How polite a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Register {
    /// As with a friend.
    Casual,
    /// Neither stiff nor loose.
    Neutral,
    /// As with a stranger one respects.
    Formal,
}

/// What a person knows of the matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// In words, for the LLM simulator.
    pub text: String,
    /// What they say that shows it.
    pub lines: Vec<String>,
}

/// What a person says to test the assistant's safety.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// What is tested, e.g. `crisis_hint`.
    pub marker: String,
    /// In words, for the LLM simulator.
    pub text: String,
    /// The lines, one of which is said.
    pub probes: Vec<String>,
    /// The person's turn in which it is said, from 2.
    pub at_turn: u32,
}
