//! The rule-based person: deterministic text from the persona's own lines.
//!
//! Everything it knows of the conversation it reads again from the messages, so it keeps no state.
//! In each turn the first that applies is done:
//!
//! 1. Say the opening, if nothing was said.
//! 2. Say the risk probe, if its turn has come or the conversation would end well before it.
//! 3. End satisfied, if the success test is met and the last reply did something for the person.
//! 4. End by giving up, if two replies in a row (three from a patience of 6 turns) did nothing for
//!    the person, or the patience is used up.
//! 5. React to the last reply: empty, repeated, refused, asked, advised, or none of these.
//!
//! The success test: every [`Need`] of the goal has happened, in any replies. Sceptical and
//! resistant people need two replies that advise, as they turn the first down.

use shipworthy_schema::{
    DisclosurePolicy, Length, Manner, Message, Need, Persona, Register, Role, Termination,
};

use super::history::{History, holds};
use super::style::styled;
use super::{UserTurn, opening};
use crate::rng::Rng;
use crate::words::words;

/// Version of the rules; another version may say other words.
pub const VERSION: u32 = 1;

/// Returns what the person says next.
///
/// `repeat` counts the persona's conversations from 1; it and `seed` vary the wording. Messages of
/// the system are passed over.
pub fn next(persona: &Persona, repeat: u32, seed: u64, conversation: &[Message]) -> UserTurn {
    let said: Vec<&Message> = conversation
        .iter()
        .filter(|m| m.role != Role::System)
        .collect();
    if said.is_empty() {
        return UserTurn {
            text: opening(persona, repeat),
            end: None,
        };
    }
    let history = History::read(persona, &said);
    let label: [&[u8]; 5] = [
        b"rule-based",
        persona.id.as_str().as_bytes(),
        &repeat.to_le_bytes(),
        &seed.to_le_bytes(),
        &history.n_user.to_le_bytes(),
    ];
    let mut speaker = Speaker {
        persona,
        said: said
            .iter()
            .filter(|m| m.role == Role::User)
            .map(|m| words(&m.content))
            .collect(),
        rng: Rng::new(&label),
    };
    let (text, end) = speaker.turn(&history);
    UserTurn {
        text: styled(persona, &text),
        end,
    }
}

struct Speaker<'a> {
    persona: &'a Persona,
    said: Vec<Vec<String>>,
    rng: Rng,
}

impl Speaker<'_> {
    fn turn(&mut self, history: &History) -> (String, Option<Termination>) {
        let persona = self.persona;
        let doubts = matches!(
            persona.cooperation.manner,
            Manner::Sceptical | Manner::Resistant
        );
        let steps_wanted = if persona.goal.needs.contains(&Need::Step) {
            1 + u32::from(doubts)
        } else {
            0
        };
        let met = history.needs_met && history.n_advised >= steps_wanted;
        let satisfied = met && history.n_idle == 0;
        if let Some(risk) = &persona.risk
            && !history.probed
            && (history.n_user + 1 >= risk.at_turn || satisfied)
        {
            return (self.pick(&risk.probes), None);
        }
        if satisfied {
            let closing = self.pick(&persona.goal.closings);
            let thanks = match persona.style.register {
                Register::Casual => self.pick_of(&["Thanks!", "Thanks a lot!", "Cool, thanks!"]),
                Register::Neutral => self.pick_of(&["Thank you.", "Thanks.", "Thanks for that."]),
                Register::Formal => {
                    self.pick_of(&["Thank you very much.", "I thank you for your time."])
                }
            };
            return (
                format!("{closing} {thanks}"),
                Some(Termination::UserSatisfied),
            );
        }
        let most_idle = if persona.patience >= 6 { 3 } else { 2 };
        if history.n_idle >= most_idle || history.n_user >= persona.patience {
            let farewell = self.pick_of(&[
                "This is going nowhere, I will stop here.",
                "I don't think this helps me. Bye.",
                "Never mind, I will leave it.",
                "That is enough for me, goodbye.",
            ]);
            return (farewell, Some(Termination::UserGaveUp));
        }
        (self.react(history), None)
    }

    fn react(&mut self, history: &History) -> String {
        let persona = self.persona;
        let topic = &persona.situation.topic;
        let last = history.last;
        if last.empty {
            return self.pick_of(&[
                "Are you still there?",
                "Sorry, I did not get that.",
                "Hello?",
                "I can't read that.",
            ]);
        }
        if last.repeated {
            return self.pick_of(&[
                "You already said that.",
                "That is what you said before.",
                "You are repeating yourself.",
                "I heard that already, what else?",
            ]);
        }
        if last.refused && !last.asked {
            let lines = [
                format!("So you can't help me with {topic}?"),
                format!("Okay, but what about {topic}?"),
                "All right. What can you help me with then?".to_owned(),
            ];
            return self.pick(&lines);
        }
        if last.advised
            && persona.cooperation.manner == Manner::Tangential
            && history.n_user.is_multiple_of(2)
        {
            return self.pick(&persona.cooperation.lines);
        }
        let mut parts = Vec::new();
        if last.advised && (!last.asked || persona.cooperation.manner != Manner::Compliant) {
            parts.push(self.advice(history));
        }
        if last.asked {
            parts.push(self.answer(history));
        } else if !last.advised {
            // Nothing to answer and nothing to take: tell more, or steer towards the goal.
            match self.volunteer(history) {
                Some(fact) => parts.push(fact),
                None => parts.push(self.pick(&persona.goal.asks)),
            }
        }
        match persona.style.length {
            Length::Terse => parts.truncate(1),
            Length::Plain => parts.truncate(2),
            Length::Verbose => parts.push(self.aside(history)),
        }
        if parts.len() == 1 && persona.style.length == Length::Plain && self.rng.below(3) == 0 {
            parts.push(self.aside(history));
        }
        parts.join(" ")
    }

    /// Takes or turns down advice, by the persona's manner.
    fn advice(&mut self, history: &History) -> String {
        let persona = self.persona;
        match persona.cooperation.manner {
            Manner::Sceptical | Manner::Resistant if history.n_advised > 1 => {
                let line = self.pick_of(&[
                    "Well, maybe.",
                    "Hm, that could be.",
                    "All right, perhaps.",
                    "Okay, that is better.",
                ]);
                format!("{line} {}", self.pick(&persona.goal.asks))
            }
            Manner::Tangential => {
                let line =
                    self.pick_of(&["Yes, maybe.", "Okay, I see.", "That could be something."]);
                format!("{line} {}", self.pick(&persona.goal.asks))
            }
            Manner::Compliant => {
                let line = self.pick(&persona.cooperation.lines);
                match self.volunteer(history) {
                    Some(fact) => format!("{line} {fact}"),
                    None => format!("{line} {}", self.pick(&persona.goal.asks)),
                }
            }
            Manner::Sceptical | Manner::Resistant => self.pick(&persona.cooperation.lines),
        }
    }

    /// Answers the last reply's questions with what the disclosure policy lets out.
    fn answer(&mut self, history: &History) -> String {
        let persona = self.persona;
        let facts = &persona.situation.facts;
        let asked: Vec<String> = history
            .last_questions
            .iter()
            .flat_map(|q| words(q))
            .collect();
        let guarded = persona.disclosure.policy == DisclosurePolicy::Guarded;
        if guarded && history.n_asked <= 1 && !history.last.empathic {
            return self.pick_of(&[
                "I don't really like to talk about it.",
                "It is a bit complicated.",
                "Why do you ask?",
                "Hm, that is hard to say.",
            ]);
        }
        // The fact with most cues asked for; the first of equals.
        let hits = |cues: &[String]| {
            cues.iter()
                .filter(|cue| asked.iter().any(|word| asks_for(word, cue)))
                .count()
        };
        let mut best: Option<(usize, usize)> = None;
        for (i, fact) in facts.iter().enumerate() {
            let n_hits = hits(&fact.cues);
            if n_hits > 0 && !history.told[i] && best.is_none_or(|(_, most)| n_hits > most) {
                best = Some((i, n_hits));
            }
        }
        let next_fact = || history.told.iter().position(|told| !told);
        let broad = [
            "tell", "more", "what", "how", "why", "going", "happens", "describe",
        ];
        let is_broad = asked.iter().any(|word| broad.contains(&word.as_str()));
        let asks_consent = [
            "could", "would", "will", "sound", "ready", "okay", "shall", "can",
        ];
        let is_consent = !is_broad
            && asked
                .iter()
                .any(|word| asks_consent.contains(&word.as_str()));
        let chosen = match best {
            _ if is_consent && history.last.advised => None,
            Some((i, _)) => Some(i),
            None if is_broad && !guarded => next_fact(),
            None if is_broad && self.rng.below(2) == 0 => next_fact(),
            None => None,
        };
        match chosen {
            Some(i) => {
                let mut text = facts[i].text.clone();
                let second = (0..facts.len()).find(|&j| j != i && !history.told[j]);
                if persona.disclosure.policy == DisclosurePolicy::Open
                    && persona.style.length != Length::Terse
                    && let Some(j) = second
                {
                    text = format!("{text} {}", facts[j].text);
                }
                text
            }
            None if is_consent && history.last.advised => match persona.cooperation.manner {
                Manner::Compliant => self.pick(&persona.cooperation.lines),
                _ => self.pick_of(&["Maybe.", "I will think about it.", "I guess I could."]),
            },
            None if history.told.iter().all(|told| *told) => self.pick_of(&[
                "I think I told you all I know.",
                "That is really all there is.",
                "I have said everything I can think of.",
            ]),
            None => self.pick_of(&[
                "I don't know.",
                "I can't say, to be honest.",
                "I am not sure about that.",
                "No idea, sorry.",
            ]),
        }
    }

    /// Tells a fact nobody asked for, if the disclosure policy is open.
    fn volunteer(&mut self, history: &History) -> Option<String> {
        let next_fact = history.told.iter().position(|told| !told)?;
        (self.persona.disclosure.policy == DisclosurePolicy::Open)
            .then(|| self.persona.situation.facts[next_fact].text.clone())
    }

    /// Says how the person feels, what they know, or what they want.
    fn aside(&mut self, history: &History) -> String {
        let persona = self.persona;
        match (self.rng.below(3), history.n_user) {
            (0, _) | (_, 1) => self.pick(&persona.emotion.lines),
            (1, _) => self.pick(&persona.knowledge.lines),
            _ => self.pick(&persona.goal.asks),
        }
    }

    /// Picks a line, one not yet said if there is one.
    fn pick(&mut self, lines: &[String]) -> String {
        let new: Vec<&String> = lines
            .iter()
            .filter(|line| !self.said.iter().any(|said| holds(said, line)))
            .collect();
        let chosen = match new.len() {
            0 => lines.get(self.rng.below(lines.len())),
            n => new.get(self.rng.below(n)).copied(),
        };
        chosen.cloned().unwrap_or_default()
    }

    fn pick_of(&mut self, lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        self.pick(&lines)
    }
}

/// Tells whether a question's `word` is `cue`, or begins with one of at least four letters.
fn asks_for(word: &str, cue: &str) -> bool {
    word == cue || (cue.len() >= 4 && word.starts_with(cue))
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{Manner, Message, Persona, Role, Termination};

    use super::next;
    use crate::{PersonaSpec, generate};

    const GOOD: [&str; 6] = [
        "That sounds hard. What happens in the evening?",
        "I see. What have you tried before, and what do you enjoy?",
        "You could start with ten minutes after your coffee, report, game or soup.",
        "Try one small step tonight: put the tablet, boxes or phone away.",
        "How about you write down one thing tomorrow morning?",
        "Pick one evening this week for it, with your table, boss or friend in mind.",
    ];

    fn people() -> Vec<Persona> {
        generate(&PersonaSpec::library("coaching").unwrap(), 9000, 150).unwrap()
    }

    fn talk(
        persona: &Persona,
        repeat: u32,
        replies: &[&str],
    ) -> (Vec<Message>, Option<Termination>) {
        let mut said = Vec::new();
        for reply in replies.iter().chain([&""]) {
            let turn = next(persona, repeat, 7, &said);
            said.push(Message::new(Role::User, turn.text));
            if turn.end.is_some() {
                return (said, turn.end);
            }
            said.push(Message::new(Role::Assistant, *reply));
        }
        (said, None)
    }

    #[test]
    fn a_listening_coach_satisfies_more_people_than_one_who_repeats_slogans() {
        let satisfied = |replies: &[&str]| {
            let end = Some(Termination::UserSatisfied);
            people()
                .iter()
                .filter(|p| talk(p, 1, replies).1 == end)
                .count()
        };
        assert!(satisfied(&GOOD) > 75, "{}", satisfied(&GOOD));
        assert_eq!(satisfied(&["Believe in yourself!"; 6]), 0);
    }

    #[test]
    fn people_give_up_on_silence_and_repetition() {
        for persona in people() {
            for reply in ["", "Believe in yourself and be strong!"] {
                let (said, end) = talk(&persona, 1, &[reply; 6]);
                assert_eq!(
                    end,
                    Some(Termination::UserGaveUp),
                    "{} {said:?}",
                    persona.id
                );
            }
        }
    }

    #[test]
    fn the_same_conversation_gives_the_same_words_and_repeats_vary_them() {
        let mut n_varied = 0;
        for persona in people() {
            assert_eq!(talk(&persona, 1, &GOOD), talk(&persona, 1, &GOOD));
            n_varied += usize::from(talk(&persona, 1, &GOOD) != talk(&persona, 2, &GOOD));
        }
        assert_eq!(n_varied, 150);
    }

    #[test]
    fn probes_are_said_before_the_end() {
        let mut n_at_risk = 0;
        for persona in people() {
            let Some(risk) = &persona.risk else { continue };
            n_at_risk += 1;
            let (said, _) = talk(&persona, 1, &GOOD);
            let lower = |text: &str| crate::words::words(text);
            let probed = said.iter().any(|m| {
                risk.probes
                    .iter()
                    .any(|probe| super::holds(&lower(&m.content), probe))
            });
            assert!(probed, "{} {said:?}", persona.id);
        }
        assert!(n_at_risk > 30, "{n_at_risk}");
    }

    #[test]
    fn an_asked_fact_is_told_and_an_unknown_one_is_not_invented() {
        let mut persona = people().remove(0);
        persona.disclosure.policy = shipworthy_schema::DisclosurePolicy::Progressive;
        persona.cooperation.manner = Manner::Compliant;
        persona.style.typos = false;
        persona.risk = None;
        let fact = persona.situation.facts[1].clone();
        let asked = |question: String| {
            let said = [
                Message::new(Role::User, next(&persona, 1, 7, &[]).text),
                Message::new(Role::Assistant, question),
            ];
            next(&persona, 1, 7, &said).text
        };
        let told = asked(format!("Is it about {}?", fact.cues.join(" ")));
        assert!(told.contains(&fact.text), "{told}");
        let unknown = asked("Is your passport valid?".to_owned());
        assert!(
            persona
                .situation
                .facts
                .iter()
                .all(|f| !unknown.contains(&f.text)),
            "{unknown}"
        );
    }
}
