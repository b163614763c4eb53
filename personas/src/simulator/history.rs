use shipworthy_schema::{Message, Need, Persona, Role};

use super::reply::{Reply, questions};
use crate::words::{content_words, words};

/// What has happened so far, read again from the messages.
pub(super) struct History {
    pub(super) n_user: u32,
    pub(super) last: Reply,
    pub(super) last_questions: Vec<String>,
    /// Replies up to the last that did nothing for the person, without a break.
    pub(super) n_idle: u32,
    pub(super) n_advised: u32,
    pub(super) n_asked: u32,
    pub(super) needs_met: bool,
    /// By fact: whether the person has told it.
    pub(super) told: Vec<bool>,
    pub(super) probed: bool,
}

impl History {
    /// Reads what was `said`, the system left out.
    pub(super) fn read(persona: &Persona, said: &[&Message]) -> Self {
        let facts = &persona.situation.facts;
        let fact_lines: Vec<Line> = facts.iter().map(|f| Line::of(&f.text)).collect();
        let probes = persona.risk.iter().flat_map(|risk| &risk.probes);
        let probe_lines: Vec<Line> = probes.map(|probe| Line::of(probe)).collect();
        let mut told = vec![false; facts.len()];
        let mut probed = false;
        let mut met: Vec<Need> = Vec::new();
        let mut replies: Vec<Vec<String>> = Vec::new();
        let (mut n_user, mut n_idle, mut n_advised, mut n_asked) = (0, 0, 0, 0);
        let mut last = Reply {
            empty: true,
            ..Reply::default()
        };
        for message in said {
            if message.role == Role::User {
                n_user += 1;
                let spoken = words(&message.content);
                for (told, fact) in told.iter_mut().zip(&fact_lines) {
                    *told |= fact.is_held_by(&spoken);
                }
                probed |= probe_lines.iter().any(|probe| probe.is_held_by(&spoken));
                continue;
            }
            let spoken = words(&message.content);
            last = Reply::read(&message.content, &spoken, &replies);
            replies.push(spoken);
            let spoken = replies.last().expect("it was just pushed");
            n_asked += u32::from(last.asked);
            n_advised += u32::from(last.advised && !last.repeated);
            n_idle = if last.engages() { 0 } else { n_idle + 1 };
            if last.empty || last.repeated {
                continue;
            }
            let listened = (fact_lines.iter().zip(&told))
                .any(|(fact, told)| *told && fact.content.iter().any(|word| spoken.contains(word)));
            let seen = [
                (Need::Question, last.asked),
                (Need::Listened, listened),
                (Need::Empathy, last.empathic),
                (Need::Step, last.advised),
                (
                    Need::Draft,
                    spoken.len() >= 25 && !last.asked && !last.refused,
                ),
            ];
            met.extend(seen.iter().filter(|(_, seen)| *seen).map(|(need, _)| *need));
        }
        let ended_with_user = said.last().is_none_or(|m| m.role == Role::User);
        if ended_with_user {
            last = Reply {
                empty: true,
                ..Reply::default()
            };
        }
        let last_text = match said.last() {
            Some(last) if !ended_with_user => last.content.as_str(),
            _ => "",
        };
        Self {
            n_user,
            last,
            last_questions: questions(last_text)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            n_idle,
            n_advised,
            n_asked,
            needs_met: persona.goal.needs.iter().all(|need| met.contains(need)),
            told,
            probed,
        }
    }
}

/// Tells whether `spoken` holds `line`.
pub(super) fn holds(spoken: &[String], line: &str) -> bool {
    Line::of(line).is_held_by(spoken)
}

/// A line that a person may say.
struct Line {
    words: Vec<String>,
    /// Those that carry its content.
    content: Vec<String>,
}

impl Line {
    fn of(text: &str) -> Self {
        Self {
            words: words(text),
            content: content_words(text),
        }
    }

    /// Tells whether `spoken` holds at least three in five of its words, for style changes some.
    fn is_held_by(&self, spoken: &[String]) -> bool {
        let held = |words: &[String]| words.iter().filter(|word| spoken.contains(word)).count();
        let Self { words, content } = self;
        !words.is_empty()
            && held(words) * 5 >= words.len() * 3
            && held(content) * 3 >= content.len() * 2
    }
}
