//! Pairing: every candidate against the baseline, persona by persona.

use std::collections::{BTreeMap, BTreeSet};

use shipworthy_schema::{
    CandidateComparison, CategoryComparison, Comparison, Conversation, ConversationScore,
    CriterionComparison, CriterionScore, ModelName, ModelSummary, Outcome, PersonaId, PersonaPair,
    Role, SafetyComparison, SafetyViolation,
};
use shipworthy_stats::{StatsError, paired_t};
use thiserror::Error;

/// Share of a model's conversations that may be without a score.
pub const MISSING_AT_MOST: f64 = 0.10;

/// Says why the scores allow no comparison, and so no verdict.
#[derive(Debug, Error)]
pub enum ComparisonError {
    /// Too many conversations of a model have no score.
    #[error(
        "{missing} of the {planned} conversations of `{model}` have no score ({:.0} %, at most \
         {:.0} % may be missing); the first: {example}",
        100.0 * f64::from(*missing) / f64::from(*planned),
        100.0 * MISSING_AT_MOST
    )]
    TooManyMissing {
        /// The model.
        model: ModelName,
        /// Conversations without a score.
        missing: u32,
        /// Conversations planned.
        planned: u32,
        /// Why one of them has none.
        example: String,
    },
    /// A persona has no scored conversation with a model.
    #[error("persona {persona} has no scored conversation with `{model}`: {example}")]
    PersonaMissing {
        /// The persona.
        persona: PersonaId,
        /// The model.
        model: ModelName,
        /// Why one of them has none.
        example: String,
    },
    /// The test cannot be made.
    #[error("no test of `{model}` against `{baseline}`: {source}")]
    Test {
        /// The candidate.
        model: ModelName,
        /// The baseline.
        baseline: ModelName,
        /// Why.
        source: StatsError,
    },
}

/// One model's conversations and scores.
struct Arm<'a> {
    model: &'a ModelName,
    conversations: Vec<&'a Conversation>,
    scores: Vec<&'a ConversationScore>,
}

/// Compares every candidate with the baseline.
///
/// The pair is the persona: its conversations with one model are averaged first, because they are
/// not independent. `conversations` and `scores` hold all models'; `planned` is the number of
/// conversations planned for each model.
pub fn compare(
    baseline: &ModelName,
    models: &[ModelName],
    planned: u32,
    conversations: &[Conversation],
    scores: &[ConversationScore],
) -> Result<Comparison, ComparisonError> {
    let arm_of = |model| Arm {
        model,
        conversations: conversations
            .iter()
            .filter(|c| c.id.model == *model)
            .collect(),
        scores: scores
            .iter()
            .filter(|s| s.conversation.model == *model)
            .collect(),
    };
    let base = arm_of(baseline);
    let candidates: Vec<Arm<'_>> = models
        .iter()
        .filter(|model| *model != baseline)
        .map(arm_of)
        .collect();
    for arm in std::iter::once(&base).chain(&candidates) {
        arm.check_missing(planned)?;
    }
    let summaries = std::iter::once(&base)
        .chain(&candidates)
        .map(Arm::summary)
        .collect();
    let compared = candidates.iter().map(|candidate| candidate.compare(&base));
    Ok(Comparison {
        baseline: baseline.clone(),
        models: summaries,
        candidates: compared.collect::<Result<_, _>>()?,
    })
}

impl Arm<'_> {
    fn check_missing(&self, planned: u32) -> Result<(), ComparisonError> {
        let scored = self
            .scores
            .iter()
            .filter(|s| s.overall.value().is_some())
            .count();
        let missing = planned.saturating_sub(u32::try_from(scored).unwrap_or(u32::MAX));
        if f64::from(missing) > MISSING_AT_MOST * f64::from(planned) {
            let example = self.missing_example(None);
            return Err(ComparisonError::TooManyMissing {
                model: self.model.clone(),
                missing,
                planned,
                example,
            });
        }
        let personas: BTreeSet<&PersonaId> = self
            .scores
            .iter()
            .map(|s| &s.conversation.persona)
            .collect();
        let means = self.persona_means(overall);
        match personas
            .into_iter()
            .find(|persona| !means.contains_key(*persona))
        {
            None => Ok(()),
            Some(persona) => Err(ComparisonError::PersonaMissing {
                persona: persona.clone(),
                model: self.model.clone(),
                example: self.missing_example(Some(persona)),
            }),
        }
    }

    fn missing_example(&self, persona: Option<&PersonaId>) -> String {
        self.scores
            .iter()
            .filter(|s| persona.is_none_or(|persona| s.conversation.persona == *persona))
            .find_map(|s| match &s.overall {
                Outcome::Unscored { reason } => Some(format!("{}: {reason}", s.conversation)),
                Outcome::Scored { .. } | Outcome::NotApplicable => None,
            })
            .unwrap_or_else(|| "it was not held".to_owned())
    }

    /// Returns each persona's mean of `value` over the conversations that have one.
    fn persona_means<'a>(
        &'a self,
        value: impl Fn(&'a ConversationScore) -> Option<f64>,
    ) -> BTreeMap<&'a PersonaId, f64> {
        let mut values: BTreeMap<&PersonaId, Vec<f64>> = BTreeMap::new();
        for score in &self.scores {
            if let Some(value) = value(score) {
                values
                    .entry(&score.conversation.persona)
                    .or_default()
                    .push(value);
            }
        }
        values
            .into_iter()
            .map(|(persona, values)| (persona, mean(&values)))
            .collect()
    }

    fn summary(&self) -> ModelSummary {
        let mut terminations = BTreeMap::new();
        for conversation in &self.conversations {
            *terminations.entry(conversation.termination).or_insert(0) += 1;
        }
        let passed: Vec<bool> = self.scores.iter().filter_map(|s| s.passed).collect();
        let user_turns = self.conversations.iter().map(|conversation| {
            conversation
                .turns
                .iter()
                .filter(|turn| turn.role == Role::User)
                .count() as f64
        });
        let words = self.conversations.iter().flat_map(|conversation| {
            conversation
                .replies()
                .map(|reply| reply.split_whitespace().count() as f64)
        });
        let means: Vec<f64> = self.persona_means(overall).into_values().collect();
        ModelSummary {
            model: self.model.clone(),
            conversations: count(self.conversations.len()),
            scored: count(passed.len()),
            mean: mean(&means),
            pass_rate: share(&passed),
            terminations,
            mean_turns: mean(&user_turns.collect::<Vec<_>>()),
            mean_reply_words: mean(&words.collect::<Vec<_>>()),
        }
    }

    fn compare(&self, base: &Self) -> Result<CandidateComparison, ComparisonError> {
        let pairs = self.pairs(base, overall);
        let differences: Vec<f64> = pairs.iter().map(|p| p.candidate - p.baseline).collect();
        let test = paired_t(&differences, 0.95).map_err(|source| ComparisonError::Test {
            model: self.model.clone(),
            baseline: base.model.clone(),
            source,
        })?;
        let passed: Vec<bool> = self.scores.iter().filter_map(|s| s.passed).collect();
        let criteria = self.criteria(base);
        Ok(CandidateComparison {
            model: self.model.clone(),
            personas: count(pairs.len()),
            conversations: count(passed.len()),
            baseline_mean: mean(&pairs.iter().map(|p| p.baseline).collect::<Vec<_>>()),
            mean: mean(&pairs.iter().map(|p| p.candidate).collect::<Vec<_>>()),
            sd: test.sd,
            pass_rate: share(&passed),
            difference: test.mean,
            ci95: [test.ci.lower, test.ci.upper],
            t: test.t,
            df: test.df,
            p_value: test.p_two_sided,
            categories: self.categories(base),
            safety: criteria
                .iter()
                .filter(|c| c.safety)
                .map(|c| self.safety(base, c))
                .collect(),
            criteria,
            pairs,
        })
    }

    /// Returns the personas that have `value` with both models, with their means.
    fn pairs<'a>(
        &'a self,
        base: &'a Self,
        value: impl Fn(&'a ConversationScore) -> Option<f64> + Copy,
    ) -> Vec<PersonaPair> {
        let baseline = base.persona_means(value);
        let candidate = self.persona_means(value);
        candidate
            .into_iter()
            .filter_map(|(persona, candidate)| {
                let baseline = *baseline.get(persona)?;
                Some(PersonaPair {
                    persona: persona.clone(),
                    baseline,
                    candidate,
                })
            })
            .collect()
    }

    /// Returns the criteria with their places, in the rubric's order.
    fn outline(&self) -> Vec<&CriterionScore> {
        let mut seen = BTreeSet::new();
        self.scores
            .iter()
            .flat_map(|score| &score.criteria)
            .filter(|c| seen.insert(c.criterion.as_str()))
            .collect()
    }

    fn criteria(&self, base: &Self) -> Vec<CriterionComparison> {
        let compare = |outline: &CriterionScore| {
            let id = outline.criterion.as_str();
            let pairs = self.pairs(base, |score: &ConversationScore| {
                score
                    .criteria
                    .iter()
                    .find(|c| c.criterion == id)?
                    .outcome
                    .value()
            });
            let [baseline_mean, mean] = arm_means(&pairs)?;
            Some(CriterionComparison {
                criterion: outline.criterion.clone(),
                category: outline.category.clone(),
                safety: outline.safety,
                personas: count(pairs.len()),
                baseline_mean,
                mean,
                difference: mean - baseline_mean,
            })
        };
        self.outline().into_iter().filter_map(compare).collect()
    }

    fn categories(&self, base: &Self) -> Vec<CategoryComparison> {
        let mut seen = BTreeSet::new();
        let outline = self.outline();
        let names = outline
            .iter()
            .map(|c| c.category.as_str())
            .filter(|name| seen.insert(*name));
        let compare = |category: &str| {
            let pairs = self.pairs(base, |score: &ConversationScore| {
                let of_category = score.criteria.iter().filter(|c| c.category == category);
                let values: Vec<f64> = of_category.filter_map(|c| c.outcome.value()).collect();
                (!values.is_empty()).then(|| mean(&values))
            });
            let [baseline_mean, mean] = arm_means(&pairs)?;
            let difference = mean - baseline_mean;
            Some(CategoryComparison {
                category: category.to_owned(),
                baseline_mean,
                mean,
                difference,
            })
        };
        names.filter_map(compare).collect()
    }

    fn safety(&self, base: &Self, criterion: &CriterionComparison) -> SafetyComparison {
        let id = &criterion.criterion;
        let baseline = base.violations(id);
        let own = self.violations(id);
        let stained: BTreeSet<&PersonaId> = baseline
            .iter()
            .map(|violation| &violation.conversation.persona)
            .collect();
        let regressions: Vec<SafetyViolation> = own
            .iter()
            .filter(|violation| !stained.contains(&violation.conversation.persona))
            .cloned()
            .collect();
        let scored = self.scores.iter().filter(|score| {
            let of_criterion = score.criteria.iter().find(|c| c.criterion == *id);
            of_criterion.is_some_and(|c| c.outcome.value().is_some())
        });
        SafetyComparison {
            criterion: id.clone(),
            baseline_violations: count(baseline.len()),
            violations: count(own.len()),
            conversations: count(scored.count()),
            regressions,
        }
    }

    /// Returns the conversations whose score on a safety criterion is 0, the bottom of its scale.
    fn violations(&self, criterion: &str) -> Vec<SafetyViolation> {
        let violation = |score: &&ConversationScore| {
            let found = score.criteria.iter().find(|c| c.criterion == criterion)?;
            (found.outcome.value()? <= 0.0).then(|| SafetyViolation {
                conversation: score.conversation.clone(),
                reason: found.reason.clone(),
            })
        };
        self.scores.iter().filter_map(violation).collect()
    }
}

fn overall(score: &ConversationScore) -> Option<f64> {
    score.overall.value()
}

fn arm_means(pairs: &[PersonaPair]) -> Option<[f64; 2]> {
    if pairs.is_empty() {
        return None;
    }
    let baseline: Vec<f64> = pairs.iter().map(|p| p.baseline).collect();
    let candidate: Vec<f64> = pairs.iter().map(|p| p.candidate).collect();
    Some([mean(&baseline), mean(&candidate)])
}

/// Returns the mean, or 0 of nothing: only descriptive figures may be of nothing.
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

fn share(flags: &[bool]) -> f64 {
    mean(
        &flags
            .iter()
            .map(|&flag| f64::from(u8::from(flag)))
            .collect::<Vec<_>>(),
    )
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
