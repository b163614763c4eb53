//! Prints chat JSONL: training personas of the spec `coaching` talk with a scripted coach.
//!
//! The recipe of `examples/coaching` trains its two toy models on this. Usage:
//!
//!     coaching_conversations (plain|good|careless) FIRST_SEED COUNT COACHES_YAML
//!
//! The same arguments give the same bytes.

mod coaches;

use std::error::Error;
use std::io::Write as _;

use serde::Serialize;
use shipworthy_personas::simulator::rule_based;
use shipworthy_personas::{PersonaSpec, generate};
use shipworthy_schema::{Message, Persona, PersonaId, Role, Split, yaml};

use coaches::{Coaches, Material, lower_first, to_you};

const SYSTEM_PROMPT: &str = "You are a kind, practical coach.";
const MAX_TURNS: usize = 6;

#[derive(Serialize)]
struct Line<'a> {
    messages: &'a [Message],
    persona: &'a PersonaId,
    seed: u32,
}

/// `SplitMix64`; the personas' own generator is private to them.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn percent(&mut self, odds: u64) -> bool {
        self.next() % 100 < odds
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let n = items.len().max(1) as u64;
        let chosen = usize::try_from(self.next() % n).unwrap_or(0);
        items.get(chosen).copied().unwrap_or("")
    }
}

/// What the person's last message did, as the coach understands it.
enum Heard<'a> {
    Risk(&'a str),
    Fact(&'a str),
    Doubt,
    Tangent,
    Other,
}

struct Coach<'a> {
    coaches: &'a Coaches,
    persona: &'a Persona,
    material: &'a Material,
    rng: Rng,
    /// Every line said so far, so that the good coach says none twice.
    said: Vec<String>,
}

impl Coach<'_> {
    /// Picks a line not said before, if there is one.
    fn pick(&mut self, lines: &[String]) -> String {
        let new: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .filter(|l| !self.said.iter().any(|s| s == l))
            .collect();
        let all: Vec<&str> = lines.iter().map(String::as_str).collect();
        let line = self
            .rng
            .pick(if new.is_empty() { &all } else { &new })
            .to_owned();
        self.said.push(line.clone());
        line
    }

    fn heard(&self, message: &str) -> Heard<'_> {
        let holds = |line: &String| overlap(message, line);
        let persona = self.persona;
        if let Some(risk) = &persona.risk
            && risk.probes.iter().any(holds)
        {
            return Heard::Risk(persona.levels.get("risk").map_or("", String::as_str));
        }
        if let Some(fact) = persona
            .situation
            .facts
            .iter()
            .find(|fact| holds(&fact.text))
        {
            return Heard::Fact(&fact.text);
        }
        if persona.cooperation.lines.iter().any(holds) {
            return match persona.levels.get("cooperation").map_or("", String::as_str) {
                "sceptical" | "resistant" | "busy" => Heard::Doubt,
                "tangential" => Heard::Tangent,
                _ => Heard::Other,
            };
        }
        Heard::Other
    }

    fn question(&mut self, conversation: &[Message]) -> String {
        let told = |text: &str| {
            conversation
                .iter()
                .any(|m| m.role == Role::User && overlap(&m.content, text))
        };
        let material = self.material;
        let open: Vec<String> = (self.persona.situation.facts.iter())
            .filter(|fact| !told(&fact.text))
            .filter_map(|fact| material.questions.get(&fact.id).cloned())
            .collect();
        let all: Vec<String> = material.questions.values().cloned().collect();
        self.pick(if open.is_empty() { &all } else { &open })
    }

    fn offer(&mut self, offers: &[String]) -> String {
        let steps = &self.material.steps;
        let step = self.pick(steps);
        self.pick(offers).replace("{step}", &step)
    }

    fn good(&mut self, conversation: &[Message]) -> String {
        let coaches = self.coaches;
        let lines = &coaches.good;
        let topic = to_you(&self.persona.situation.topic);
        let n_replies = conversation
            .iter()
            .filter(|m| m.role == Role::Assistant)
            .count();
        let last = conversation.last().map_or("", |m| m.content.as_str());
        let (reflection, may_ask) = match self.heard(last) {
            Heard::Risk(risk) => {
                return match risk {
                    "crisis_hint" => self.pick(&lines.crisis),
                    "over_reliance" => self.pick(&lines.over_reliance),
                    _ => self.pick(&lines.boundary_push),
                };
            }
            _ if n_replies == 0 => (self.pick(&lines.reflect_opening), true),
            Heard::Fact(fact) => {
                let fact = lower_first(to_you(fact).trim_end_matches('.'));
                (
                    self.pick(&lines.reflect_fact).replace("{fact}", &fact),
                    true,
                )
            }
            Heard::Doubt => (self.pick(&lines.after_doubt), false),
            Heard::Tangent => (self.pick(&lines.after_tangent), true),
            Heard::Other => (self.pick(&lines.reflect_feeling), true),
        };
        let asks = n_replies == 0 || (may_ask && n_replies == 1 && self.rng.percent(40));
        let rest = if asks {
            self.question(conversation)
        } else {
            format!("{} {}", self.offer(&lines.offer), self.pick(&lines.check))
        };
        format!("{reflection} {rest}").replace("{topic}", &topic)
    }

    /// Says what the good coach would, but passes over what the person risks, and promises with each step.
    fn careless(&mut self, conversation: &[Message]) -> String {
        let coaches = self.coaches;
        let last = conversation.last().map_or("", |m| m.content.as_str());
        let reply = if let Heard::Risk(_) = self.heard(last) {
            let feeling = self.pick(&coaches.good.reflect_feeling);
            format!("{feeling} {}", self.offer(&coaches.good.offer))
        } else {
            self.good(conversation)
        };
        if self.rng.percent(60) {
            return format!(
                "{reply} {}",
                self.rng.pick(&refs(&coaches.careless.promise))
            );
        }
        reply
    }

    fn plain(&mut self, conversation: &[Message]) -> String {
        let coaches = self.coaches;
        let lines = &coaches.plain;
        let odds = &lines.odds;
        let topic = to_you(&self.persona.situation.topic);
        let last = conversation.last().map_or("", |m| m.content.as_str());
        let mut parts = Vec::new();
        match self.heard(last) {
            Heard::Risk("crisis_hint") => return self.rng.pick(&refs(&lines.crisis)).to_owned(),
            Heard::Risk("over_reliance") => {
                return self.rng.pick(&refs(&lines.over_reliance)).to_owned();
            }
            Heard::Risk(_) => return self.rng.pick(&refs(&lines.boundary_push)).to_owned(),
            Heard::Fact(fact) => {
                let fact = lower_first(to_you(fact).trim_end_matches('.'));
                if self.rng.percent(odds.reflect) {
                    parts.push(
                        self.rng
                            .pick(&refs(&lines.reflect_fact))
                            .replace("{fact}", &fact),
                    );
                }
            }
            _ => {}
        }
        if self.rng.percent(odds.repeat)
            && let Some(earlier) = conversation
                .iter()
                .rev()
                .find(|m| m.role == Role::Assistant)
        {
            return earlier.content.clone();
        }
        if parts.is_empty() {
            parts.push(
                self.rng
                    .pick(&refs(&lines.generic))
                    .replace("{topic}", &topic),
            );
        }
        if self.rng.percent(odds.offer) {
            parts.push(self.offer(&lines.offer));
        } else if self.rng.percent(odds.advice) {
            parts.push(self.rng.pick(&refs(&lines.advice)).to_owned());
        }
        if self.rng.percent(odds.question) {
            parts.push(self.rng.pick(&refs(&lines.question)).to_owned());
        }
        parts.join(" ")
    }
}

fn refs(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

fn words(text: &str) -> Vec<String> {
    let kept = |c: char| if c == '\'' { None } else { Some(c) };
    let text: String = text.to_lowercase().chars().filter_map(kept).collect();
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Tells whether at least four in five of `line`'s words stand in `message`; typos lose some.
fn overlap(message: &str, line: &str) -> bool {
    let said = words(message);
    let line = words(line);
    let n_held = line.iter().filter(|word| said.contains(word)).count();
    !line.is_empty() && n_held * 5 >= line.len() * 4
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, first_seed, count, file] = arguments.as_slice() else {
        return Err("expected: (plain|good|careless) FIRST_SEED COUNT COACHES_YAML".into());
    };
    if !["plain", "good", "careless"].contains(&kind.as_str()) {
        return Err(
            format!("unknown coach `{kind}`, expected `plain`, `good` or `careless`").into(),
        );
    }
    let is_plain = kind == "plain";
    let coaches: Coaches = yaml::read(&std::fs::read_to_string(file)?, file)?;
    let (first_seed, count) = (first_seed.parse()?, count.parse()?);
    if Split::of_seeds(first_seed, count)? != Split::Training {
        return Err("training conversations need training seeds, 0 to 4999".into());
    }
    let spec = PersonaSpec::library("coaching").ok_or("no spec `coaching`")?;
    let mut out = std::io::stdout().lock();
    for persona in generate(&spec, first_seed, count)? {
        let situation = persona.levels.get("situation").map_or("", String::as_str);
        let material = coaches.situations.get(situation);
        let material = material.ok_or_else(|| format!("{file}: no situation `{situation}`"))?;
        let mut coach = Coach {
            coaches: &coaches,
            persona: &persona,
            material,
            rng: Rng(u64::from(persona.seed) * 2 + u64::from(!is_plain)),
            said: Vec::new(),
        };
        let mut messages = Vec::new();
        // Some conversations have no system prompt, so that the models do without one as well.
        if coach.rng.percent(90) {
            messages.push(Message::new(Role::System, SYSTEM_PROMPT));
        }
        let repeat = 1 + persona.seed % 3;
        for _ in 0..MAX_TURNS {
            let turn = rule_based::next(&persona, repeat, u64::from(persona.seed), &messages);
            if turn.end.is_some() {
                break;
            }
            messages.push(Message::new(Role::User, turn.text));
            let reply = match kind.as_str() {
                "good" => coach.good(&messages),
                "careless" => coach.careless(&messages),
                _ => coach.plain(&messages),
            };
            messages.push(Message::new(Role::Assistant, reply));
        }
        let line = Line {
            messages: &messages,
            persona: &persona.id,
            seed: persona.seed,
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}
