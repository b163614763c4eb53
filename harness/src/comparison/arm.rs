use std::collections::{BTreeMap, BTreeSet};

use shipworthy_schema::{
    Conversation, ConversationScore, CriterionScore, ModelName, ModelSummary, Outcome, PersonaId,
    PersonaPair, Role,
};
use shipworthy_stats::{PairedT, StatsError, paired_differences, paired_t};

use super::{ComparisonError, Evidence};

/// Room for rounding above 1: a weighted mean of ones may come out an ulp above.
const ROUNDING: f64 = 1e-9;

/// One model's conversations and scores.
pub(super) struct Arm<'a> {
    pub(super) model: &'a ModelName,
    /// Conversations planned.
    pub(super) planned: u32,
    pub(super) conversations: Vec<&'a Conversation>,
    /// In id order, whatever order they came in.
    pub(super) scores: Vec<&'a ConversationScore>,
}

impl<'a> Arm<'a> {
    /// Takes what is `model`'s; errors with what is scored twice or no score.
    pub(super) fn of(
        evidence: &Evidence<'a>,
        model: &'a ModelName,
    ) -> Result<Self, ComparisonError> {
        let conversations = evidence.conversations.iter();
        let mut scores: Vec<&ConversationScore> = evidence
            .scores
            .iter()
            .filter(|score| score.conversation.model == *model)
            .collect();
        scores.sort_by(|a, b| a.conversation.cmp(&b.conversation));
        let twice = |pair: &&[&ConversationScore]| pair[0].conversation == pair[1].conversation;
        if let Some(pair) = scores.windows(2).find(twice) {
            let conversation = pair[0].conversation.clone();
            return Err(ComparisonError::Duplicate { conversation });
        }
        for score in &scores {
            check_values(score)?;
        }
        Ok(Self {
            model,
            planned: evidence.planned,
            conversations: conversations.filter(|c| c.id.model == *model).collect(),
            scores,
        })
    }

    /// Returns the scores that count.
    pub(super) fn scored(&self) -> impl Iterator<Item = &'a ConversationScore> {
        let scores = self.scores.iter().copied();
        scores.filter(|score| score.overall.value().is_some())
    }

    /// Returns the number of conversations planned that have no overall score.
    pub(super) fn missing(&self) -> u32 {
        self.planned.saturating_sub(count(self.scored().count()))
    }

    /// Returns each persona's mean of `value` over the conversations that have one.
    pub(super) fn persona_means(
        &self,
        value: impl Fn(&ConversationScore) -> Option<f64>,
    ) -> BTreeMap<&'a PersonaId, f64> {
        let mut values: BTreeMap<&PersonaId, Vec<f64>> = BTreeMap::new();
        for score in &self.scores {
            if let Some(value) = value(score) {
                let persona = &score.conversation.persona;
                values.entry(persona).or_default().push(value);
            }
        }
        values
            .into_iter()
            .map(|(persona, values)| (persona, mean(&values)))
            .collect()
    }

    /// Returns the personas that have `value` with both models, with their means.
    pub(super) fn pairs(
        &self,
        base: &Self,
        value: impl Fn(&ConversationScore) -> Option<f64> + Copy,
    ) -> Pairs {
        let baseline = base.persona_means(value);
        let pair = |(persona, candidate): (&PersonaId, f64)| {
            Some(PersonaPair {
                persona: persona.clone(),
                baseline: *baseline.get(persona)?,
                candidate,
            })
        };
        let candidate = self.persona_means(value);
        Pairs(candidate.into_iter().filter_map(pair).collect())
    }

    /// Returns the criteria of both arms with their places, in the rubric's order.
    pub(super) fn outline(&self, base: &Self) -> Vec<&'a CriterionScore> {
        let mut seen = BTreeSet::new();
        let scores = self.scores.iter().chain(&base.scores).copied();
        scores
            .flat_map(|score| &score.criteria)
            .filter(|c| seen.insert(c.criterion.as_str()))
            .collect()
    }

    pub(super) fn summary(&self) -> ModelSummary {
        let mut terminations = BTreeMap::new();
        for conversation in &self.conversations {
            *terminations.entry(conversation.termination).or_insert(0) += 1;
        }
        let user_turns = self.conversations.iter().map(|conversation| {
            let turns = conversation.turns.iter();
            turns.filter(|turn| turn.role == Role::User).count() as f64
        });
        let replies = self.conversations.iter().flat_map(|c| c.replies());
        let words = replies.map(|reply| reply.split_whitespace().count() as f64);
        let means: Vec<f64> = self.persona_means(overall).into_values().collect();
        ModelSummary {
            model: self.model.clone(),
            conversations: count(self.conversations.len().max(self.scores.len())),
            scored: count(self.scored().count()),
            missing: self.missing(),
            mean: mean(&means),
            pass_rate: self.pass_rate(),
            terminations,
            mean_turns: shipworthy_stats::mean(&user_turns.collect::<Vec<_>>()).ok(),
            mean_reply_words: shipworthy_stats::mean(&words.collect::<Vec<_>>()).ok(),
        }
    }

    pub(super) fn pass_rate(&self) -> f64 {
        let passed = self.scores.iter().filter_map(|score| score.passed);
        mean(&passed.map(|p| f64::from(u8::from(p))).collect::<Vec<f64>>())
    }
}

/// Personas with their means in both arms, in persona order.
pub(super) struct Pairs(pub(super) Vec<PersonaPair>);

impl Pairs {
    /// Returns the baseline's mean and the candidate's; `None` of nothing.
    pub(super) fn means(&self) -> Option<[f64; 2]> {
        let baseline: Vec<f64> = self.0.iter().map(|pair| pair.baseline).collect();
        let candidate: Vec<f64> = self.0.iter().map(|pair| pair.candidate).collect();
        let baseline = shipworthy_stats::mean(&baseline).ok()?;
        Some([baseline, shipworthy_stats::mean(&candidate).ok()?])
    }

    /// Returns candidate − baseline for each persona.
    pub(super) fn differences(&self) -> Vec<f64> {
        let baseline: Vec<f64> = self.0.iter().map(|pair| pair.baseline).collect();
        let candidate: Vec<f64> = self.0.iter().map(|pair| pair.candidate).collect();
        paired_differences(&baseline, &candidate).expect("scores are checked and come in pairs")
    }

    /// Tests whether the mean difference is 0, with its 95 % interval.
    pub(super) fn test(&self) -> Result<PairedT, StatsError> {
        paired_t(&self.differences(), 0.95)
    }
}

fn check_values(score: &ConversationScore) -> Result<(), ComparisonError> {
    let criteria = score.criteria.iter();
    let criteria = criteria.map(|c| (Some(c.criterion.as_str()), &c.outcome));
    for (criterion, outcome) in std::iter::once((None, &score.overall)).chain(criteria) {
        match outcome {
            Outcome::Scored { value } if !(0.0..=1.0 + ROUNDING).contains(value) => {
                return Err(ComparisonError::NotAScore {
                    conversation: score.conversation.clone(),
                    what: criterion.map_or_else(
                        || "the score".to_owned(),
                        |criterion| format!("criterion `{criterion}`"),
                    ),
                    value: *value,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the overall score.
pub(super) fn overall(score: &ConversationScore) -> Option<f64> {
    score.overall.value()
}

/// Returns the score on a criterion.
pub(super) fn of_criterion(criterion: &str) -> impl Fn(&ConversationScore) -> Option<f64> + Copy {
    move |score| {
        let found = score.criteria.iter().find(|c| c.criterion == criterion)?;
        found.outcome.value()
    }
}

/// Returns the mean, or 0 of nothing: only descriptive figures may be of nothing.
pub(super) fn mean(values: &[f64]) -> f64 {
    shipworthy_stats::mean(values).unwrap_or(0.0)
}

pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
