use std::collections::BTreeMap;

use shipworthy_datasets::distinct;
use shipworthy_personas::leak::LeakError;
use shipworthy_schema::{Conversation, ConversationScore, Digest, Persona, PersonaId, Plan};

use super::filter::Rejection;
use super::preparation::Generation;
use super::row::TrainingRow;

/// Which conversations of a run become training data.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// What is learnt from, by seed and repeat.
    pub training: Vec<TrainingRow>,
    /// What is kept for validation: other people's.
    pub validation: Vec<TrainingRow>,
    /// Conversations that were held, failed ones included.
    pub conversations: usize,
    /// How many are no training data, and why.
    pub rejected: BTreeMap<Rejection, usize>,
    /// How many conversations were wanted.
    pub wanted: Option<usize>,
}

impl Selection {
    /// Returns how many rows there are.
    pub fn kept(&self) -> usize {
        self.training.len() + self.validation.len()
    }

    /// Tells whether there are as many as were wanted, and any at all.
    pub fn is_enough(&self) -> bool {
        self.kept() >= self.wanted.unwrap_or(1)
    }
}

/// Conversations that pass the filter, and what became of the others.
pub(crate) struct Passed {
    rows: Vec<TrainingRow>,
    conversations: usize,
    rejected: BTreeMap<Rejection, usize>,
}

impl Passed {
    /// Returns how many pass.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    fn reject(&mut self, why: Rejection, count: usize) {
        if count > 0 {
            *self.rejected.entry(why).or_default() += count;
        }
    }
}

impl Generation {
    /// Returns the conversations that pass the filter and repeat no earlier one, by seed and repeat.
    pub(crate) fn filter(
        &self,
        plan: &Plan,
        personas: &[Persona],
        spoken: &[(Conversation, ConversationScore)],
    ) -> Passed {
        let people: BTreeMap<&PersonaId, &Persona> =
            personas.iter().map(|person| (&person.id, person)).collect();
        let mut in_order: Vec<_> = spoken
            .iter()
            .filter_map(|(said, score)| Some((*people.get(&said.id.persona)?, said, score)))
            .collect();
        in_order.sort_by_key(|(persona, said, _)| (persona.seed, said.id.repeat));
        let mut passed = Passed {
            rows: Vec::new(),
            conversations: in_order.len(),
            rejected: BTreeMap::new(),
        };
        let system_prompt = self.system_prompt.as_deref();
        for (persona, said, score) in in_order {
            match self.filter.score(said, score) {
                Ok(score) => {
                    let row = TrainingRow::of(plan, system_prompt, persona, said, score);
                    passed.rows.push(row);
                }
                Err(why) => passed.reject(why, 1),
            }
        }
        let before = passed.rows.len();
        let stays = distinct(passed.rows.iter().map(TrainingRow::fields));
        let mut stays = stays.into_iter();
        passed.rows.retain(|_| stays.next().unwrap_or(true));
        passed.reject(Rejection::Duplicate, before - passed.rows.len());
        passed
    }

    /// Makes training data of what passed, none of which shows anybody who is held out.
    pub(crate) fn select(&self, mut passed: Passed) -> Result<Selection, LeakError> {
        let expelled = self.held_out.expel(&mut passed.rows)?;
        passed.reject(Rejection::HeldOut, expelled);
        if let Some(wanted) = self.wanted {
            let more = passed.rows.len().saturating_sub(wanted);
            passed.rows.truncate(wanted);
            passed.reject(Rejection::NotNeeded, more);
        }
        let (training, validation) = divide(passed.rows, self.validation);
        Ok(Selection {
            training,
            validation,
            conversations: passed.conversations,
            rejected: passed.rejected,
            wanted: self.wanted,
        })
    }
}

/// Divides rows so that nobody is in both parts; who is in which follows from their ids alone.
fn divide(rows: Vec<TrainingRow>, share: f64) -> (Vec<TrainingRow>, Vec<TrainingRow>) {
    let mut of_each: BTreeMap<&PersonaId, usize> = BTreeMap::new();
    for row in &rows {
        *of_each.entry(&row.persona).or_default() += 1;
    }
    let mut people: Vec<(Digest, &PersonaId, usize)> = of_each
        .into_iter()
        .map(|(persona, count)| (Digest::of(persona.as_str().as_bytes()), persona, count))
        .collect();
    people.sort();
    let wanted = rows.len() as f64 * share;
    let mut taken = 0;
    let mut validation: Vec<PersonaId> = Vec::new();
    for (_, persona, count) in &people {
        if taken as f64 + *count as f64 / 2.0 > wanted {
            break;
        }
        taken += count;
        validation.push((*persona).clone());
    }
    validation.sort();
    rows.into_iter()
        .partition(|row| validation.binary_search(&row.persona).is_err())
}
