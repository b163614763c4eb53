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
        let fact_words: Vec<Vec<String>> = facts.iter().map(|f| content_words(&f.text)).collect();
        let mut told = vec![false; facts.len()];
        let mut probed = false;
        let mut met: Vec<Need> = Vec::new();
        let mut replies: Vec<&str> = Vec::new();
        let (mut n_user, mut n_idle, mut n_advised, mut n_asked) = (0, 0, 0, 0);
        let mut last = Reply {
            empty: true,
            ..Reply::default()
        };
        for message in said {
            if message.role == Role::User {
                n_user += 1;
                let spoken = words(&message.content);
                for (told, fact) in told.iter_mut().zip(facts) {
                    *told |= holds(&spoken, &fact.text);
                }
                if let Some(risk) = &persona.risk {
                    probed |= risk.probes.iter().any(|probe| holds(&spoken, probe));
                }
                continue;
            }
            last = Reply::read(&message.content, &replies);
            replies.push(&message.content);
            n_asked += u32::from(last.asked);
            n_advised += u32::from(last.advised && !last.repeated);
            n_idle = if last.engages() { 0 } else { n_idle + 1 };
            if last.empty || last.repeated {
                continue;
            }
            let spoken = words(&message.content);
            let listened = (fact_words.iter().zip(&told))
                .any(|(words, told)| *told && words.iter().any(|word| spoken.contains(word)));
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
        let last_text = if ended_with_user {
            ""
        } else {
            replies.last().copied().unwrap_or("")
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

/// Tells whether `spoken` holds `line`: at least three in five of its words, for style changes some.
pub(super) fn holds(spoken: &[String], line: &str) -> bool {
    let line = words(line);
    let n_held = line.iter().filter(|word| spoken.contains(word)).count();
    !line.is_empty() && n_held * 5 >= line.len() * 3 && {
        let content = content_words(&line.join(" "));
        let n_content = content.iter().filter(|word| spoken.contains(word)).count();
        n_content * 3 >= content.len() * 2
    }
}
