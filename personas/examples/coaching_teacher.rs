//! Prints scripted replies: the good coach of `coaches.yaml` as a model that answers whatever a person
//! of the spec `coaching` says.
//!
//! It is the teacher of `examples/coaching`. Usage:
//!
//!     coaching_teacher COACHES_YAML > teacher.jsonl
//!
//! The same arguments give the same bytes.

mod coaches;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write as _;

use serde::Serialize;
use shipworthy_personas::{PersonaSpec, generate};
use shipworthy_schema::{Situation, yaml};

use coaches::{Coaches, Material, lower_first, to_you};

/// So many training people show every level.
const PEOPLE: u32 = 500;
/// The last turn with replies of its own.
const LAST_TURN: usize = 4;
/// Words that hasty people mistype, so that a pattern leaves them open.
const MISTYPED: [&str; 13] = [
    "the", "really", "because", "don't", "can't", "i'm", "that", "before", "always", "know",
    "with", "would", "already",
];

#[derive(Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<usize>,
    replies: Vec<String>,
}

/// What people of the spec say that a coach reacts to.
#[derive(Default)]
struct Heard {
    situations: BTreeMap<String, Situation>,
    risks: BTreeMap<String, BTreeSet<String>>,
    doubts: BTreeSet<String>,
    tangents: BTreeSet<String>,
}

impl Heard {
    fn of(spec: &PersonaSpec) -> Result<Self, Box<dyn Error>> {
        let mut heard = Self::default();
        for persona in generate(spec, 0, PEOPLE)? {
            let level = |factor: &str| persona.levels.get(factor).cloned().unwrap_or_default();
            if let Some(risk) = &persona.risk {
                let probes = heard.risks.entry(level("risk")).or_default();
                probes.extend(risk.probes.iter().cloned());
            }
            match level("cooperation").as_str() {
                "sceptical" | "resistant" | "busy" => {
                    heard
                        .doubts
                        .extend(persona.cooperation.lines.iter().cloned());
                }
                "tangential" => heard
                    .tangents
                    .extend(persona.cooperation.lines.iter().cloned()),
                _ => {}
            }
            heard
                .situations
                .insert(level("situation"), persona.situation);
        }
        Ok(heard)
    }
}

/// Returns a pattern for texts that hold one of `lines`.
fn pattern<'a>(lines: impl IntoIterator<Item = &'a String>) -> String {
    let of = |line: &String| {
        let words = line.trim_end_matches(['.', '?', '!']).split(' ');
        let words = words.map(|word| {
            let is_mistyped = MISTYPED.contains(&word.to_lowercase().as_str());
            if is_mistyped { "*" } else { word }
        });
        format!("*{}*", words.collect::<Vec<_>>().join(" "))
    };
    let patterns: BTreeSet<String> = lines.into_iter().map(of).collect();
    patterns.into_iter().collect::<Vec<_>>().join("|")
}

/// Returns the item at `index`, counted round and round.
fn nth(items: &[String], index: usize) -> &str {
    &items[index % items.len()]
}

/// A coach who knows the situation.
struct Coach<'a> {
    coaches: &'a Coaches,
    material: &'a Material,
    opening: String,
    topic: String,
}

impl Coach<'_> {
    /// Returns a reply that begins with `reflection` and offers the step at `index`.
    fn offering(&self, reflection: &str, index: usize) -> String {
        let good = &self.coaches.good;
        let offer = nth(&good.offer, index).replace("{step}", nth(&self.material.steps, index));
        let check = nth(&good.check, index);
        format!("{reflection} {offer} {check}").replace("{topic}", &self.topic)
    }

    fn line(&self, said: Option<String>, turn: Option<usize>, replies: Vec<String>) -> Line {
        let opening = Some(self.opening.clone());
        Line {
            opening,
            said,
            turn,
            replies,
        }
    }

    /// Returns what is said to the opening: something of the person's, and a question.
    fn opening(&self) -> Line {
        let questions: Vec<&String> = self.material.questions.values().collect();
        let reflections = &self.coaches.good.reflect_opening;
        let replies = questions.iter().enumerate().map(|(index, question)| {
            let reflection = nth(reflections, index).replace("{topic}", &self.topic);
            format!("{reflection} {question}")
        });
        self.line(None, Some(1), replies.collect())
    }

    /// Returns what is said to the fact at `index`.
    fn fact(&self, index: usize, text: &String) -> Line {
        let fact = lower_first(to_you(text).trim_end_matches('.'));
        let reflections = &self.coaches.good.reflect_fact;
        let replies = (0..2).map(|variant| {
            let at = index + 2 * variant;
            self.offering(&nth(reflections, at).replace("{fact}", &fact), at)
        });
        self.line(Some(pattern([text])), None, replies.collect())
    }

    /// Returns what is said in each turn to anything that `said` fits, beginning with `reflections`.
    fn each_turn<'b>(
        &'b self,
        said: Option<&'b String>,
        reflections: &'b [String],
    ) -> impl Iterator<Item = Line> + 'b {
        (2..=LAST_TURN + 1).map(move |turn| {
            let replies = (0..2).map(|variant| {
                let at = turn + 2 * variant;
                self.offering(nth(reflections, at), at)
            });
            let turn = (turn <= LAST_TURN).then_some(turn);
            self.line(said.cloned(), turn, replies.collect())
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("expected: COACHES_YAML")?;
    let coaches: Coaches = yaml::read(&std::fs::read_to_string(&file)?, &file)?;
    let spec = PersonaSpec::library("coaching").ok_or("no spec `coaching`")?;
    let heard = Heard::of(&spec)?;
    let good = &coaches.good;
    let mut lines = Vec::new();
    for (risk, probes) in &heard.risks {
        let replies = match risk.as_str() {
            "crisis_hint" => &good.crisis,
            "over_reliance" => &good.over_reliance,
            _ => &good.boundary_push,
        };
        lines.push(Line {
            opening: None,
            said: Some(pattern(probes)),
            turn: None,
            replies: replies.clone(),
        });
    }
    let (doubts, tangents) = (pattern(&heard.doubts), pattern(&heard.tangents));
    for (name, situation) in &heard.situations {
        let material = coaches.situations.get(name);
        let coach = Coach {
            coaches: &coaches,
            material: material.ok_or_else(|| format!("{file}: no situation `{name}`"))?,
            opening: pattern(&situation.openings),
            topic: to_you(&situation.topic),
        };
        lines.push(coach.opening());
        let facts = situation.facts.iter().enumerate();
        lines.extend(facts.map(|(index, fact)| coach.fact(index, &fact.text)));
        lines.extend(coach.each_turn(Some(&doubts), &good.after_doubt));
        lines.extend(coach.each_turn(Some(&tangents), &good.after_tangent));
        lines.extend(coach.each_turn(None, &good.reflect_feeling));
    }
    let mut out = std::io::stdout().lock();
    for line in &lines {
        writeln!(out, "{}", serde_json::to_string(line)?)?;
    }
    Ok(())
}
