use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use shipworthy_rubrics::{Criterion, Judgement, Rubric, Scale};
use shipworthy_schema::{
    Conversation, ConversationId, ConversationScore, Digest, Evaluation, HumanAnswer, HumanGrade,
    HumanLabel, ModelName, Role,
};
use shipworthy_stats::Random;

use super::LabellingError;
use super::sample::{seed_of, shuffle, units};
use crate::store::{Run, Store};

/// Longest note in bytes.
const LONGEST_NOTE: usize = 4000;

/// A person's name as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rater(String);

impl Rater {
    /// Takes a name, without the space around it: 1 to 60 visible characters.
    pub fn new(name: &str) -> Result<Self, LabellingError> {
        let name = name.trim();
        let shown = shipworthy_reports::one_line(name);
        let is_valid = !name.is_empty() && name.chars().count() <= 60 && shown == name;
        if is_valid {
            Ok(Self(name.to_owned()))
        } else {
            let got = shown.chars().take(60).collect();
            Err(LabellingError::InvalidRater { got })
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One criterion as a person is asked about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The criterion's id.
    pub criterion: String,
    /// What is asked, in the rubric's words.
    pub text: String,
    /// The answers that may be given, each with its words, the worst first.
    pub options: Vec<(HumanAnswer, String)>,
}

/// One conversation to be labelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Names the item towards people; says nothing of the model.
    pub key: String,
    /// What was said, without the models' reasoning.
    pub turns: Vec<(Role, String)>,
    /// What is asked.
    pub questions: Vec<Question>,
    conversation: Conversation,
}

/// The conversations of a run that people are to score, and where their labels go.
pub struct Labelling {
    store: Arc<Store>,
    run: String,
    rubric: Rubric,
    seed: u64,
    items: Vec<Item>,
}

impl Labelling {
    /// Draws `count` conversations, rounded up to whole pairs, of the baseline and `candidate` (the
    /// recommended one if `None`) from a run that has a verdict.
    ///
    /// `seed` fixes the draw and every rater's order; the plan's digest is mixed into the items' keys,
    /// so that nobody can tell from a key which conversation it stands for, and a conversation has the
    /// same key every time.
    pub fn new(
        store: Arc<Store>,
        run: &Run,
        evaluation: &Evaluation,
        candidate: Option<&ModelName>,
        (count, seed): (usize, u64),
    ) -> Result<Self, LabellingError> {
        let rubric = Rubric::parse(&run.rubric, "the run's rubric")?;
        if !rubric.needs_judge() {
            let rubric = rubric.name().to_string();
            return Err(LabellingError::NothingToJudge { rubric });
        }
        let baseline = &evaluation.plan.baseline;
        let candidate = candidate.unwrap_or(&evaluation.recommended);
        let decisions = evaluation.decisions.iter();
        let candidates: Vec<String> = decisions.map(|d| d.model.to_string()).collect();
        if !evaluation.decisions.iter().any(|d| d.model == *candidate) {
            return Err(LabellingError::NoCandidate {
                model: candidate.clone(),
                candidates,
            });
        }
        let blind = format!("{} {}", run.plan_digest, run.id);
        let mut all = BTreeMap::new();
        for conversation in &evaluation.conversations {
            let persona = &conversation.id.persona;
            let Some(persona) = evaluation.personas.iter().find(|p| p.id == *persona) else {
                continue;
            };
            let criteria = rubric.judged_criteria(persona, conversation);
            if !criteria.is_empty() {
                let item = Item::new(conversation, &criteria, &blind);
                all.insert(conversation.id.clone(), item);
            }
        }
        let arms = (baseline, candidate);
        let seed = seed_of(&[run.plan_digest.as_str(), &seed.to_string()]);
        let is_wanted = |score: &ConversationScore| all.contains_key(&score.conversation);
        let mut units = units(&evaluation.scores, arms, is_wanted, seed);
        if units.is_empty() {
            return Err(LabellingError::NoPair {
                baseline: baseline.clone(),
                candidate: candidate.clone(),
            });
        }
        units.truncate(count.div_ceil(2).max(1));
        let mut items = Vec::with_capacity(units.len() * 2);
        for unit in units {
            for model in [baseline, candidate] {
                let id = ConversationId {
                    model: model.clone(),
                    persona: unit.persona.clone(),
                    repeat: unit.repeat,
                };
                items.extend(all.remove(&id));
            }
        }
        Ok(Self {
            store,
            run: run.id.clone(),
            rubric,
            seed,
            items,
        })
    }

    /// Returns how many conversations there are to label.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Tells whether there is none; never so.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the conversations in this rater's order.
    pub fn items(&self, rater: &Rater) -> Vec<&Item> {
        self.items_of(rater.as_str())
    }

    /// Returns the conversations in the order of whoever has this name.
    pub(super) fn items_of(&self, rater: &str) -> Vec<&Item> {
        let mut items: Vec<&Item> = self.items.iter().collect();
        let seed = seed_of(&[&self.seed.to_string(), rater]);
        shuffle(&mut items, &mut Random::new(seed));
        items
    }

    /// Returns what this rater said so far, by the items' keys.
    pub fn given(&self, rater: &Rater) -> Result<BTreeMap<String, HumanLabel>, LabellingError> {
        let labels = self.store.labels(&self.run)?;
        let own = labels.into_iter().filter(|label| label.rater == rater.0);
        let with_key = own.filter_map(|label| {
            let mut items = self.items.iter();
            let item = items.find(|item| item.conversation.id == label.conversation)?;
            Some((item.key.clone(), label))
        });
        Ok(with_key.collect())
    }

    /// Returns who said something of one of the conversations, in name order.
    pub(super) fn raters(&self) -> Result<BTreeSet<Rater>, LabellingError> {
        let labels = self.store.labels(&self.run)?.into_iter();
        let is_ours = |label: &HumanLabel| {
            let mut items = self.items.iter();
            items.any(|item| item.conversation.id == label.conversation)
        };
        Ok(labels
            .filter(is_ours)
            .map(|label| Rater(label.rater))
            .collect())
    }

    /// Returns how many of the conversations this rater has labelled in full.
    pub fn done(&self, rater: &Rater) -> Result<usize, LabellingError> {
        let given = self.given(rater)?;
        let is_done = |item: &&Item| {
            let label = given.get(&item.key);
            label.is_some_and(|label| label.grades.len() == item.questions.len())
        };
        Ok(self.items.iter().filter(is_done).count())
    }

    /// Commits what `rater` says of the item `key`, in place of what was said before; criteria may
    /// be missing.
    pub async fn put(
        &self,
        rater: &Rater,
        key: &str,
        answers: &BTreeMap<String, HumanAnswer>,
        note: &str,
    ) -> Result<(), LabellingError> {
        let item = self.item(key).ok_or(LabellingError::UnknownItem)?;
        let label = self.label(rater, item, answers, note)?;
        self.put_all(vec![label]).await
    }

    /// Commits all of `labels` or none.
    pub(super) async fn put_all(&self, labels: Vec<HumanLabel>) -> Result<(), LabellingError> {
        Ok(self.store.put_labels(&self.run, labels).await?)
    }

    pub(super) fn item(&self, key: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }

    /// Returns the criteria that people are asked about, in the rubric's order.
    pub(super) fn criteria(&self) -> Vec<&Question> {
        let asked = || self.items.iter().flat_map(|item| &item.questions);
        let criteria = self.rubric.criteria();
        let question = |id: &str| asked().find(|question| question.criterion == id);
        criteria
            .filter_map(|(_, c)| question(c.id().as_str()))
            .collect()
    }

    /// Returns what `rater` says of `item` if that may be said.
    pub(super) fn label(
        &self,
        rater: &Rater,
        item: &Item,
        answers: &BTreeMap<String, HumanAnswer>,
        note: &str,
    ) -> Result<HumanLabel, LabellingError> {
        if note.len() > LONGEST_NOTE {
            return Err(LabellingError::LongNote {
                limit: LONGEST_NOTE,
                got: note.len(),
            });
        }
        for (criterion, answer) in answers {
            let mut questions = item.questions.iter();
            let question = questions.find(|question| question.criterion == *criterion);
            let is_option = |q: &Question| q.options.iter().any(|(option, _)| option == answer);
            if !question.is_some_and(is_option) {
                return Err(LabellingError::NotOfScale {
                    criterion: criterion.chars().take(60).collect(),
                    answer: answer.to_string(),
                });
            }
        }
        let asked = item.questions.iter();
        let grades = asked.filter_map(|question| {
            let answer = *answers.get(&question.criterion)?;
            let mut criteria = self.rubric.criteria();
            let (_, criterion) = criteria.find(|(_, c)| c.id().as_str() == question.criterion)?;
            Some(HumanGrade {
                criterion: question.criterion.clone(),
                answer,
                value: judgement(answer).and_then(|judgement| criterion.value(judgement)),
            })
        });
        Ok(HumanLabel {
            rater: rater.0.clone(),
            conversation: item.conversation.id.clone(),
            grades: grades.collect(),
            note: note.to_owned(),
        })
    }
}

impl Item {
    fn new(conversation: &Conversation, criteria: &[&Criterion], blind: &str) -> Self {
        let named = format!("{blind}\n{}", conversation.id);
        let turns = conversation.turns.iter();
        Self {
            // A letter first: a spreadsheet takes `12345678e123` for a number.
            key: format!("c{}", Digest::of(named.as_bytes()).short()),
            turns: turns
                .map(|turn| (turn.role, turn.content.clone()))
                .collect(),
            questions: criteria.iter().map(|c| Question::new(c)).collect(),
            conversation: conversation.clone(),
        }
    }
}

impl Question {
    fn new(criterion: &Criterion) -> Self {
        let mut options: Vec<(HumanAnswer, String)> = match criterion.scale() {
            Scale::Met | Scale::Points(_) => vec![
                (
                    HumanAnswer::Met(false),
                    "Not true of the assistant".to_owned(),
                ),
                (HumanAnswer::Met(true), "True of the assistant".to_owned()),
            ],
            Scale::Levels(levels) => levels
                .iter()
                .map(|(level, text)| (HumanAnswer::Level(level), text.to_owned()))
                .collect(),
        };
        options.push((HumanAnswer::CannotTell, "I cannot tell".to_owned()));
        Self {
            criterion: criterion.id().to_string(),
            text: criterion.text().to_owned(),
            options,
        }
    }
}

fn judgement(answer: HumanAnswer) -> Option<Judgement> {
    match answer {
        HumanAnswer::Met(met) => Some(Judgement::Met(met)),
        HumanAnswer::Level(level) => Some(Judgement::Level(level)),
        HumanAnswer::CannotTell => None,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::Rater;

    #[test_case("Ada", true)]
    #[test_case("  Ada Lovelace ", true; "space around it")]
    #[test_case("Ümit 李", true; "other scripts")]
    #[test_case("", false; "empty")]
    #[test_case(" \n", false; "space alone")]
    #[test_case("a\u{1b}[31m", false; "escape sequence")]
    #[test_case("a\u{202e}b", false; "turned around")]
    fn names_are_visible(name: &str, is_valid: bool) {
        assert_eq!(Rater::new(name).is_ok(), is_valid);
        assert!(Rater::new(&"a".repeat(61)).is_err());
    }
}
