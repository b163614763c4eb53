//! Whether training data has met the people of a pool.
//!
//! Conversations with training people rightly share lines with evaluation people, for both are drawn
//! from one spec; a shared opening is vocabulary and no leak. A person has leaked if one training
//! line does any of this:
//!
//! 1. *Identity*: it holds their id as a value, or their seed in a field `seed` or `persona_seed`.
//! 2. *Own text*: it shares at least n words in a row (8 unless told) with one of their texts, and no
//!    training person of the spec has these words in any text. Each person has a background sentence
//!    that training people never say, so a copied conversation or description shows.
//! 3. *Combination*: it shows levels of two factors or more (a text of the level, at least its first
//!    n words in a row, whole if it is shorter), all of them this person's, and no training person
//!    takes all of them.
//!
//! Without the spec nothing is known to be shared vocabulary, and every n words in a row are a leak.

mod phrases;

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shipworthy_schema::{PersonaId, SpecRef, TRAINING_SEEDS};
use thiserror::Error;

use crate::{GenerateError, PersonaPool, PersonaSpec, generate};
use phrases::{Phrases, Shown};

/// The longest training line read, in bytes.
const MAX_LINE: u64 = 64 << 20;

/// How strictly to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Words in a row from which a match counts, at least 4.
    pub ngram: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { ngram: 8 }
    }
}

/// What the training data shares with each person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakReport {
    /// The training file as the user named it.
    pub training: String,
    /// Training lines read, blank ones left out.
    pub n_lines: usize,
    /// Words in a row from which a match counts.
    pub ngram: usize,
    /// Per person, by seed.
    pub personas: Vec<PersonaOverlap>,
}

/// What the training data shares with one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonaOverlap {
    /// The person.
    pub persona: PersonaId,
    /// Their line in the persona file, from 1.
    pub persona_line: usize,
    /// The longest run of words shared, of four words or more, vocabulary or not.
    pub longest: Option<Match>,
    /// The first leak found, if any.
    pub leak: Option<Leak>,
}

/// A run of words in both a person's text and a training line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Its length in words.
    pub words: usize,
    /// The words, normalised.
    pub text: String,
    /// The person's field it stands in.
    pub field: String,
    /// The training line, from 1.
    pub training_line: usize,
}

/// Why a person counts as leaked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Leak {
    /// Their id or seed stands in the line.
    Identity {
        /// The training line, from 1.
        training_line: usize,
        /// What was found.
        found: String,
    },
    /// Words that only they have stand in the line.
    OwnText(Match),
    /// The line shows levels that together are theirs and no training person's.
    Combination {
        /// The training line, from 1.
        training_line: usize,
        /// Levels shown, by factor.
        levels: BTreeMap<String, String>,
    },
}

impl Leak {
    /// Returns the training line, from 1.
    pub fn training_line(&self) -> usize {
        match self {
            Self::Identity { training_line, .. } | Self::Combination { training_line, .. } => {
                *training_line
            }
            Self::OwnText(found) => found.training_line,
        }
    }
}

impl LeakReport {
    /// Returns the people who leaked.
    pub fn leaked(&self) -> impl Iterator<Item = (&PersonaOverlap, &Leak)> {
        self.personas
            .iter()
            .filter_map(|p| p.leak.as_ref().map(|leak| (p, leak)))
    }

    /// Tells whether nobody leaked.
    pub fn is_clean(&self) -> bool {
        self.leaked().next().is_none()
    }
}

/// Says why training data could not be checked.
#[derive(Debug, Error)]
pub enum LeakError {
    /// The file could not be read.
    #[error("{file}:{line}: cannot be read: {source}")]
    Io {
        /// The training file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Why.
        source: std::io::Error,
    },
    /// A line is longer than is read.
    #[error("{file}:{line}: the line is longer than {max} bytes")]
    LineTooLong {
        /// The training file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The longest line read.
        max: u64,
    },
    /// A line is no JSON value.
    #[error("{file}:{line}: not a JSON line: {source}")]
    Json {
        /// The training file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The file holds nothing, so nothing would be shown by it.
    #[error("{file}: the training file holds no line")]
    Empty {
        /// The training file.
        file: String,
    },
    /// The match length is too short to mean anything.
    #[error("{ngram} words in a row are too few, expected at least 4")]
    Ngram {
        /// As given.
        ngram: usize,
    },
    /// The pool was drawn from another spec.
    #[error(
        "the pool was drawn from spec `{}` version {} ({}), expected `{}` version {} ({})",
        .got.name, .got.version, .got.digest.short(),
        .expected.name, .expected.version, .expected.digest.short()
    )]
    SpecMismatch {
        /// The spec given.
        expected: Box<SpecRef>,
        /// The pool's.
        got: Box<SpecRef>,
    },
    /// The training people could not be drawn.
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

/// Looks for the people of `pool` in the JSON lines of `training`; `file` is its name in errors.
///
/// Every text value of a line is read, whatever its field. Memory is bounded by the longest line.
pub fn check(
    pool: &PersonaPool,
    spec: Option<&PersonaSpec>,
    mut training: impl BufRead,
    file: &str,
    options: Options,
) -> Result<LeakReport, LeakError> {
    let ngram = options.ngram;
    if ngram < phrases::WINDOW {
        return Err(LeakError::Ngram { ngram });
    }
    if let Some(spec) = spec
        && spec.spec_ref() != *pool.spec()
    {
        let (expected, got) = (Box::new(spec.spec_ref()), Box::new(pool.spec().clone()));
        return Err(LeakError::SpecMismatch { expected, got });
    }
    let trained = match spec {
        Some(spec) => generate(spec, *TRAINING_SEEDS.start(), TRAINING_SEEDS.end() + 1)?,
        None => Vec::new(),
    };
    let mut phrases = Phrases::new(pool.personas(), &trained, ngram);
    let mut report = LeakReport {
        training: file.to_owned(),
        n_lines: 0,
        ngram,
        personas: (pool.personas().iter().enumerate())
            .map(|(i, persona)| PersonaOverlap {
                persona: persona.id.clone(),
                persona_line: i + 2,
                longest: None,
                leak: None,
            })
            .collect(),
    };
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let io = |source| LeakError::Io {
            file: file.to_owned(),
            line,
            source,
        };
        let mut limited = std::io::Read::take(&mut training, MAX_LINE + 1);
        let n_read = limited.read_until(b'\n', &mut bytes).map_err(io)?;
        if n_read == 0 {
            break;
        }
        if n_read as u64 > MAX_LINE {
            return Err(LeakError::LineTooLong {
                file: file.to_owned(),
                line,
                max: MAX_LINE,
            });
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let json = |source| LeakError::Json {
            file: file.to_owned(),
            line,
            source,
        };
        let mark = "\u{feff}".as_bytes();
        let text = bytes.strip_prefix(mark).filter(|_| line == 1);
        let value: Value = serde_json::from_slice(text.unwrap_or(&bytes)).map_err(json)?;
        report.n_lines += 1;
        let mut shown = Shown::new();
        visit(&value, "", &mut |field, value| {
            identify(pool, field, value, line, &mut report.personas);
            if let Value::String(text) = value {
                phrases.find(text, line, &mut shown, &mut report.personas);
            }
        });
        phrases.combine(&shown, line, &mut report.personas);
    }
    if report.n_lines == 0 {
        return Err(LeakError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(report)
}

/// Calls `see` with every text and number of `value` and the field it stands in.
fn visit(value: &Value, field: &str, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, field, see)),
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(field, value)| visit(value, field, see));
        }
        Value::String(_) | Value::Number(_) => see(field, value),
        Value::Null | Value::Bool(_) => {}
    }
}

fn identify(
    pool: &PersonaPool,
    field: &str,
    value: &Value,
    line: usize,
    overlaps: &mut [PersonaOverlap],
) {
    let is_seed = matches!(field, "seed" | "persona_seed");
    for (persona, overlap) in pool.personas().iter().zip(overlaps) {
        let found = match value {
            Value::String(text) => {
                text == persona.id.as_str() || (is_seed && *text == persona.seed.to_string())
            }
            Value::Number(number) => is_seed && number.as_u64() == Some(u64::from(persona.seed)),
            _ => false,
        };
        if found && overlap.leak.is_none() {
            let found = format!("{field}: {value}");
            overlap.leak = Some(Leak::Identity {
                training_line: line,
                found,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;
    use shipworthy_schema::{Message, Persona, Role};

    use super::{Leak, LeakError, LeakReport, Options, check};
    use crate::simulator::{llm, rule_based};
    use crate::{PersonaPool, PersonaSpec, generate};

    fn spec() -> PersonaSpec {
        PersonaSpec::library("coaching").unwrap()
    }

    fn pool() -> PersonaPool {
        let spec = spec();
        PersonaPool::new(spec.spec_ref(), generate(&spec, 9000, 15).unwrap(), "p").unwrap()
    }

    fn conversation(persona: &Persona) -> Vec<Message> {
        let mut said = Vec::new();
        for reply in [
            "That sounds hard. What happens in the evening?",
            "I see. What have you tried before, and why?",
            "Try one small step tonight: put the phone away for ten minutes.",
            "You could write down one thing tomorrow after your coffee.",
        ] {
            let turn = rule_based::next(persona, 1, 1, &said);
            said.push(Message::new(Role::User, turn.text));
            if turn.end.is_some() {
                break;
            }
            said.push(Message::new(Role::Assistant, reply));
        }
        said
    }

    fn checked(training: &str) -> Result<LeakReport, LeakError> {
        check(
            &pool(),
            Some(&spec()),
            training.as_bytes(),
            "t.jsonl",
            Options::default(),
        )
    }

    #[test]
    fn conversations_with_training_people_are_no_leak() {
        let mut training = String::new();
        for persona in generate(&spec(), 0, 5000).unwrap() {
            let messages = conversation(&persona);
            let _ = writeln!(
                training,
                "{}",
                json!({"messages": messages, "seed": persona.seed})
            );
        }
        let report = checked(&training).unwrap();
        assert!(report.is_clean(), "{:?}", report.leaked().next());
        assert_eq!(report.n_lines, 5000);
        assert!(report.personas.iter().all(|p| p.longest.is_some()));
    }

    fn pasted(line_of: impl Fn(&Persona) -> String) -> LeakReport {
        let lines: Vec<String> = pool().personas().iter().map(line_of).collect();
        checked(&format!("{{\"text\": \"hello\"}}\n{}\n", lines.join("\n"))).unwrap()
    }

    #[test]
    fn a_conversation_or_description_of_an_evaluation_person_is_a_leak() {
        let prompt = |persona: &Persona| llm::prompt(persona, &[]).remove(0).content;
        for report in [
            pasted(|persona| json!({"messages": conversation(persona)}).to_string()),
            pasted(|persona| json!({ "text": prompt(persona) }).to_string()),
            pasted(|persona| serde_json::to_string(persona).unwrap()),
        ] {
            for (i, overlap) in report.personas.iter().enumerate() {
                let line = overlap.leak.as_ref().map(Leak::training_line);
                assert_eq!(
                    (overlap.persona_line, line),
                    (i + 2, Some(i + 2)),
                    "{overlap:?}"
                );
            }
        }
    }

    #[test]
    fn levels_together_tell_most_people_without_their_background() {
        let report = pasted(|persona| {
            let prompt = llm::prompt(persona, &[]).remove(0).content;
            json!({"text": prompt.replace(&persona.background, "")}).to_string()
        });
        // The prompt does not name every level: some training people may take all it shows.
        let leaks: Vec<_> = report.leaked().map(|(_, leak)| leak).collect();
        assert!(leaks.len() >= 12, "{}", leaks.len());
        assert!(
            leaks
                .iter()
                .all(|leak| matches!(leak, Leak::Combination { .. }))
        );
    }

    #[test]
    fn an_id_or_seed_in_the_metadata_is_a_leak() {
        for line in [
            r#"{"persona": "coaching-9003"}"#,
            r#"{"meta": {"seed": 9003}}"#,
        ] {
            let report = checked(line).unwrap();
            let leaked: Vec<_> = report.leaked().collect();
            assert_eq!(leaked.len(), 1);
            assert_eq!(leaked[0].0.persona.as_str(), "coaching-9003");
            assert!(matches!(
                leaked[0].1,
                Leak::Identity {
                    training_line: 1,
                    ..
                }
            ));
        }
        assert!(checked(r#"{"n_tokens": 9003}"#).unwrap().is_clean());
    }

    #[test]
    fn without_the_spec_shared_lines_are_leaks() {
        let opening = pool().personas()[0].situation.openings[0].clone();
        let training = json!({ "text": opening }).to_string();
        let report = check(
            &pool(),
            None,
            training.as_bytes(),
            "t",
            Options { ngram: 5 },
        )
        .unwrap();
        assert!(!report.is_clean());
    }

    #[test]
    fn bad_training_files_name_the_line() {
        let error = checked("{}\n\n{\"a\": \n").unwrap_err();
        let start = "t.jsonl:3: not a JSON line: EOF while parsing a value";
        assert!(error.to_string().starts_with(start), "{error}");
        assert!(matches!(checked("\n"), Err(LeakError::Empty { .. })));
    }
}
