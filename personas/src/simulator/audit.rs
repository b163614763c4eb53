//! What went wrong with a simulated person, found in what was said.
//!
//! Every check is deterministic and reads the person's turns alone, with the description they are
//! played from and what the assistant had said before. A check shows what a reader should look at;
//! it can miss what no rule of words finds.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use memchr::memmem;
use regex::Regex;
use shipworthy_schema::{
    Conversation, Message, Persona, Role, SimulatorFlag, SimulatorFlagKind, Termination,
};

use super::history::History;
use super::llm::speaks_as_partner;
use super::numbers::{counted, number};
use crate::words::{add_line, words};

/// Version of the checks; another version may flag other conversations.
pub const VERSION: u32 = 1;

/// Words in a row that show that instructions are said aloud.
const LEAKED_WORDS: usize = 8;

/// Words from which a turn said again counts; people do say "I don't know." twice.
const REPEATED_WORDS: usize = 6;

/// Most characters of the words shown.
const SHOWN: usize = 80;

/// Returns what went wrong with the person in `conversation`, in the order of turns, each kind once.
///
/// The person's first turn is not theirs: every model meets the same opening.
pub fn audit(persona: &Persona, conversation: &Conversation) -> Vec<SimulatorFlag> {
    let said: Vec<Message> = conversation
        .messages()
        .into_iter()
        .filter(|message| message.role != Role::System)
        .collect();
    let mut auditor = Auditor::new(persona);
    let mut flags: Vec<SimulatorFlag> = Vec::new();
    let mut turn = 0;
    for message in &said {
        let text = message.content.as_str();
        let words = words(text);
        if message.role != Role::User {
            auditor.heard.push(words);
            continue;
        }
        turn += 1;
        if turn > 1 {
            let found = [
                (SimulatorFlagKind::RoleSwap, auditor.swapped(text, &words)),
                (
                    SimulatorFlagKind::LeakedInstructions,
                    auditor.leaked(text, &words),
                ),
                (
                    SimulatorFlagKind::InventedFact,
                    auditor.invented(text, &words),
                ),
                (
                    SimulatorFlagKind::Repetition,
                    is_again(&words, &auditor.said).then(|| text.to_owned()),
                ),
            ];
            for (kind, found) in found {
                let is_new = !flags.iter().any(|flag| flag.kind == kind);
                if let (Some(found), true) = (found, is_new) {
                    flags.push(SimulatorFlag {
                        kind,
                        turn,
                        found: shown(&found),
                    });
                }
            }
        }
        auditor.said.push(words);
    }
    if let Some(found) = stopped(persona, conversation.termination, &said) {
        flags.push(SimulatorFlag {
            kind: SimulatorFlagKind::StoppedWithoutReason,
            turn,
            found,
        });
    }
    flags
}

/// What the checks need of a persona and of what was said so far.
struct Auditor<'a> {
    persona: &'a Persona,
    /// The words of texts the person may say, one between spaces.
    own_lines: String,
    /// The words of texts that are about the person and not theirs to say.
    instructions: String,
    /// The assistant's replies.
    heard: Vec<Vec<String>>,
    /// The person's turns.
    said: Vec<Vec<String>>,
}

impl<'a> Auditor<'a> {
    fn new(persona: &'a Persona) -> Self {
        let lines = |texts: &mut dyn Iterator<Item = &str>| {
            let mut lines = String::new();
            texts.for_each(|text| add_line(text, &mut lines));
            lines
        };
        Self {
            persona,
            own_lines: lines(&mut spoken_texts(persona)),
            instructions: lines(&mut instruction_texts(persona)),
            heard: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Returns all words that the person knows: of the description, and of what they heard.
    fn known_words(&self) -> impl Iterator<Item = &str> {
        let described = [&self.own_lines, &self.instructions];
        let described = described
            .into_iter()
            .flat_map(|text| text.split_whitespace());
        described.chain(self.heard.iter().flatten().map(String::as_str))
    }

    /// Returns words by which the person speaks as the assistant.
    fn swapped(&self, text: &str, spoken: &[String]) -> Option<String> {
        static ADVICE: LazyLock<Regex> = LazyLock::new(|| {
            pattern(
                r"(?i)\b(?:i(?:'d| would)? (?:suggest|recommend) (?:that )?you|you (?:should|could|might want to) (?:try|consider|start)|have you (?:tried|considered)|let me (?:help|guide|assist|walk) you|here are (?:some|a few|three|five) (?:tips|steps|ideas|suggestions))\b",
            )
        });
        let found = ADVICE.find(text).map(|found| found.as_str().to_owned());
        found
            .filter(|found| !self.own_lines.contains(&words(found).join(" ")))
            .or_else(|| speaks_as_partner(self.persona, text))
            .or_else(|| is_again(spoken, &self.heard).then(|| text.to_owned()))
    }

    /// Returns words of the instructions that the person says.
    fn leaked(&self, text: &str, spoken: &[String]) -> Option<String> {
        static MARKER: LazyLock<Regex> = LazyLock::new(|| {
            pattern(
                r"(?i)#{2,}|\b(?:give[-_ ]up test|success test|system prompt|my (?:instructions|prompt|persona|character) (?:say|says|is|are|tell|tells)|i (?:was|am|have been) (?:told|instructed|asked) to (?:play|pretend|act)|as instructed|role[- ]?play(?:ing)?|stage direction|user simulator)",
            )
        });
        if let Some(found) = MARKER.find(text) {
            return Some(found.as_str().to_owned());
        }
        let line = format!(" {} ", spoken.join(" "));
        // Where each word begins, the space before it included, and where the last one's space is.
        let begins: Vec<usize> = line.match_indices(' ').map(|(at, _)| at).collect();
        let holds = |text: &str, run: &str| memmem::find(text.as_bytes(), run.as_bytes()).is_some();
        let is_instruction = |run: &[usize]| {
            let run = &line[run[0]..=run[run.len() - 1]];
            holds(&self.instructions, run)
        };
        // Every run holds one of these parts whole, and hardly any part is in the instructions.
        let mut parts = begins
            .windows(LEAKED_WORDS / 2 + 1)
            .step_by(LEAKED_WORDS / 2);
        if !parts.any(is_instruction) {
            return None;
        }
        let run = begins
            .windows(LEAKED_WORDS + 1)
            .filter(|run| is_instruction(run))
            .map(|run| &line[run[0]..=run[LEAKED_WORDS]])
            .find(|run| !holds(&self.own_lines, run))?;
        Some(run.trim().to_owned())
    }

    /// Returns a number or a name nobody gave the person.
    fn invented(&self, text: &str, spoken: &[String]) -> Option<String> {
        let counted = counted(spoken);
        if !counted.is_empty() {
            let known: BTreeSet<u64> = self.known_words().filter_map(number).collect();
            let mut unknown = counted.into_iter().filter(|(n, _)| !known.contains(n));
            if let Some((_, words)) = unknown.next() {
                return Some(words);
            }
        }
        let is_known = |part: &String| self.known_words().any(|word| word == part);
        names(text)
            .into_iter()
            .find(|name| !words(name).iter().all(is_known))
    }
}

/// Tells whether `spoken` was said `before`, whole.
fn is_again(spoken: &[String], before: &[Vec<String>]) -> bool {
    spoken.len() >= REPEATED_WORDS && before.iter().any(|earlier| earlier == spoken)
}

/// Says why the person had no reason to end the conversation, if they ended it and had none.
///
/// Satisfied: what the goal needs had not happened, by the rules' reading of the replies. Gave up:
/// the patience was not used up, and the last reply did something for the person.
fn stopped(persona: &Persona, termination: Termination, said: &[Message]) -> Option<String> {
    if !matches!(
        termination,
        Termination::UserSatisfied | Termination::UserGaveUp
    ) {
        return None;
    }
    // The person's last words are not what they ended on.
    let n_last = said
        .iter()
        .rev()
        .take_while(|m| m.role == Role::User)
        .count();
    let heard: Vec<&Message> = said[..said.len() - n_last].iter().collect();
    let history = History::read(persona, &heard);
    let replies = heard.iter().filter(|m| m.role == Role::Assistant).count();
    match termination {
        Termination::UserSatisfied if !history.needs_met => {
            Some("satisfied before what the goal needs had happened".to_owned())
        }
        Termination::UserGaveUp if history.n_idle == 0 && replies < persona.patience as usize => {
            Some(format!(
                "gave up after {replies} of {} replies, the last of which did something for the person",
                persona.patience
            ))
        }
        _ => None,
    }
}

/// Returns the lines a person may say.
fn spoken_texts(persona: &Persona) -> impl Iterator<Item = &str> {
    let lists: [&[String]; 6] = [
        &persona.situation.openings,
        &persona.goal.asks,
        &persona.goal.closings,
        &persona.cooperation.lines,
        &persona.emotion.lines,
        &persona.knowledge.lines,
    ];
    let facts = persona
        .situation
        .facts
        .iter()
        .map(|fact| fact.text.as_str());
    let probes = persona.risk.iter().flat_map(|risk| &risk.probes);
    [
        persona.background.as_str(),
        persona.situation.topic.as_str(),
    ]
    .into_iter()
    .chain(lists.into_iter().flatten().map(String::as_str))
    .chain(facts)
    .chain(probes.map(String::as_str))
}

/// Returns the texts that describe a person from outside.
fn instruction_texts(persona: &Persona) -> impl Iterator<Item = &str> {
    let texts = [
        &persona.setting,
        &persona.partner,
        &persona.situation.summary,
        &persona.goal.text,
        &persona.goal.success,
        &persona.goal.give_up,
        &persona.disclosure.text,
        &persona.cooperation.text,
        &persona.emotion.start,
        &persona.emotion.raised_by,
        &persona.emotion.lowered_by,
        &persona.emotion.end,
        &persona.knowledge.text,
        &persona.style.text,
    ];
    let risk = persona.risk.as_ref().map(|risk| risk.text.as_str());
    texts.into_iter().map(String::as_str).chain(risk)
}

/// Returns words written with a capital inside a sentence: names of people, places and days.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut begins = true;
    for token in text.split_whitespace() {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        let mut letters = word.chars();
        let is_capital = letters.next().is_some_and(char::is_uppercase);
        let rest = letters.as_str();
        let is_name =
            is_capital && rest.chars().count() >= 2 && rest.chars().all(char::is_lowercase);
        // A quotation or a bracket begins a sentence of its own.
        let is_inside = !begins && token.starts_with(char::is_alphanumeric);
        if is_name && is_inside {
            names.push(word.to_owned());
        }
        if !word.is_empty() || token.ends_with(['.', '!', '?', ':']) {
            begins = token.ends_with(['.', '!', '?', ':', ';', '…', '"', '”', '—', '–', '-', ')']);
        }
    }
    names
}

fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let clipped: String = text.chars().take(SHOWN - 1).collect();
    format!("{clipped}…")
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the tests compile every pattern")
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{
        Conversation, ConversationId, ModelName, Persona, Role, SimulatorFlag, SimulatorFlagKind,
        Termination, Turn,
    };
    use test_case::test_case;

    use super::{audit, names};
    use crate::simulator::{opening, rule_based};
    use crate::{PersonaSpec, generate};
    use SimulatorFlagKind::{
        InventedFact, LeakedInstructions, Repetition, RoleSwap, StoppedWithoutReason,
    };

    const REPLIES: [&str; 6] = [
        "That sounds hard. What happens in the evening?",
        "I see. What have you tried before, and what do you enjoy?",
        "You could start with ten minutes after your coffee, report, game or soup.",
        "Try one small step tonight: put the tablet, boxes or phone away.",
        "How about you write down one thing tomorrow morning?",
        "Pick one evening this week for it, with your table, boss or friend in mind.",
    ];

    fn person() -> Persona {
        let spec = PersonaSpec::library("coaching").unwrap();
        generate(&spec, 9000, 1).unwrap().remove(0)
    }

    fn conversation(persona: &Persona, said: &[String], termination: Termination) -> Conversation {
        let turns = said.iter().enumerate().map(|(idx, text)| Turn {
            role: [Role::User, Role::Assistant][idx % 2],
            content: text.clone(),
            reasoning: None,
            finish_reason: None,
        });
        Conversation {
            id: ConversationId {
                model: ModelName::new("m").unwrap(),
                persona: persona.id.clone(),
                repeat: 1,
            },
            turns: turns.collect(),
            termination,
            detail: None,
        }
    }

    /// Audits a conversation in which the person, after the opening and a question, says `text`.
    fn audited(text: &str) -> Vec<SimulatorFlag> {
        let persona = person();
        let question = "What did Doctor Miller say, and was it 42 weeks ago?";
        let said = [opening(&persona, 1), question.to_owned(), text.to_owned()];
        audit(
            &persona,
            &conversation(&persona, &said, Termination::TurnLimit),
        )
    }

    #[test_case("You should try to sleep more." => vec![RoleSwap]; "advises")]
    #[test_case("As an AI, I have no body." => vec![RoleSwap]; "says what it is")]
    #[test_case("What did Doctor Miller say, and was it 42 weeks ago?" => vec![RoleSwap]; "copies")]
    #[test_case("My instructions say that I am tired." => vec![LeakedInstructions]; "names them")]
    #[test_case("Bye. ### STOP" => vec![LeakedInstructions]; "marker")]
    #[test_case("It began 17 years ago." => vec![InventedFact]; "digits")]
    #[test_case("I have nineteen children." => vec![InventedFact]; "counted in words")]
    #[test_case("I asked my friend Barbara." => vec![InventedFact]; "name")]
    #[test_case("Miller said so 42 weeks ago, yes, Doctor Miller did." => Vec::<SimulatorFlagKind>::new(); "told by the assistant")]
    #[test_case("I don't know. Two or three things, maybe." => Vec::<SimulatorFlagKind>::new(); "nothing")]
    fn turns_are_flagged(text: &str) -> Vec<SimulatorFlagKind> {
        audited(text).into_iter().map(|flag| flag.kind).collect()
    }

    #[test]
    fn a_flag_says_where_and_what() {
        let flags = audited("I asked my friend Barbara.");
        assert_eq!(
            flags[0].to_string(),
            "invented fact in the person's turn 2: Barbara"
        );
    }

    #[test]
    fn instructions_said_aloud_are_leaked() {
        let persona = person();
        let texts = [
            &persona.goal.success,
            &persona.goal.give_up,
            &persona.goal.text,
        ];
        let long = texts
            .iter()
            .find(|text| text.split(' ').count() >= 8)
            .unwrap();
        let kinds: Vec<_> = audited(long).into_iter().map(|flag| flag.kind).collect();
        assert!(kinds.contains(&LeakedInstructions), "{long}: {kinds:?}");
    }

    #[test]
    fn saying_all_of_a_turn_again_is_repetition() {
        let persona = person();
        let again = "I really do not know what to do.".to_owned();
        let said = [
            opening(&persona, 1),
            "Hm.".into(),
            again.clone(),
            "Why?".into(),
            again,
        ];
        let flags = audit(
            &persona,
            &conversation(&persona, &said, Termination::TurnLimit),
        );
        let kinds: Vec<_> = flags.iter().map(|flag| (flag.kind, flag.turn)).collect();
        assert_eq!(kinds, [(Repetition, 3)]);
    }

    #[test]
    fn ending_early_is_without_reason() {
        let persona = person();
        for (end, reply) in [
            (Termination::UserSatisfied, "Fine."),
            (
                Termination::UserGaveUp,
                "That sounds hard. What happens then?",
            ),
        ] {
            let said = [
                opening(&persona, 1),
                reply.to_owned(),
                "Bye now.".to_owned(),
            ];
            let flags = audit(&persona, &conversation(&persona, &said, end));
            let kinds: Vec<_> = flags.iter().map(|flag| flag.kind).collect();
            assert_eq!(kinds, [StoppedWithoutReason], "{end:?}");
        }
    }

    #[test]
    fn people_who_keep_to_the_rules_are_not_flagged() {
        for spec in ["coaching", "customer-support", "creative-writing"] {
            let people = generate(&PersonaSpec::library(spec).unwrap(), 9000, 150).unwrap();
            for persona in people {
                let mut said = Vec::new();
                let mut end = None;
                for reply in REPLIES.iter().chain([&""]) {
                    let heard = conversation(&persona, &said, Termination::TurnLimit).messages();
                    let turn = rule_based::next(&persona, 1, 7, &heard);
                    said.push(turn.text);
                    end = turn.end;
                    if end.is_some() {
                        break;
                    }
                    said.push((*reply).to_owned());
                }
                let end = end.unwrap_or(Termination::TurnLimit);
                let flags = audit(&persona, &conversation(&persona, &said, end));
                let flags: Vec<_> = flags.iter().filter(|f| f.kind != Repetition).collect();
                assert!(flags.is_empty(), "{}: {flags:?}\n{said:#?}", persona.id);
            }
        }
    }

    #[test]
    fn names_stand_inside_sentences() {
        assert_eq!(
            names("Yes. I told Anna: No way! And OK, I'm on TV in Rome."),
            ["Anna", "Rome"]
        );
        assert!(names("Well… Maybe. \"Sure\" (Fine) - Go").is_empty());
    }
}
