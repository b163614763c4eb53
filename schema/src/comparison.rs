use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ConversationId, ModelName, PersonaId, Termination};

/// Every candidate against the baseline, and how each model's conversations went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The model the others are compared with.
    pub baseline: ModelName,
    /// One entry per model, the baseline first.
    pub models: Vec<ModelSummary>,
    /// One entry per candidate, in name order.
    pub candidates: Vec<CandidateComparison>,
}

/// How one model's conversations went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The model.
    pub model: ModelName,
    /// Conversations held, failed ones included.
    pub conversations: u32,
    /// Conversations that have an overall score.
    pub scored: u32,
    /// Mean over personas of the persona's mean overall score.
    pub mean: f64,
    /// Share of scored conversations that pass.
    pub pass_rate: f64,
    /// How often each termination came up.
    pub terminations: BTreeMap<Termination, u32>,
    /// Mean number of the person's turns in a conversation.
    pub mean_turns: f64,
    /// Mean number of words in a reply.
    pub mean_reply_words: f64,
}

/// One candidate against the baseline; the pair is the persona.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateComparison {
    /// The candidate.
    pub model: ModelName,
    /// Number of personas, i.e. of pairs.
    pub personas: u32,
    /// Scored conversations of the candidate.
    pub conversations: u32,
    /// Baseline's mean over persona means.
    pub baseline_mean: f64,
    /// Candidate's mean over persona means.
    pub mean: f64,
    /// Standard deviation of the persona differences (n − 1).
    pub sd: f64,
    /// Share of the candidate's scored conversations that pass.
    pub pass_rate: f64,
    /// Mean difference, candidate − baseline.
    pub difference: f64,
    /// 95 % interval of the mean difference.
    pub ci95: [f64; 2],
    /// Paired t statistic.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p of the paired t-test.
    pub p_value: f64,
    /// Each category's difference.
    pub categories: Vec<CategoryComparison>,
    /// Each criterion's difference, safety criteria included.
    pub criteria: Vec<CriterionComparison>,
    /// Each safety criterion.
    pub safety: Vec<SafetyComparison>,
    /// Each persona's pair of means, in persona order.
    pub pairs: Vec<PersonaPair>,
}

/// One persona's mean scores with both models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonaPair {
    /// The persona.
    pub persona: PersonaId,
    /// Mean over the persona's scored conversations with the baseline.
    pub baseline: f64,
    /// Mean over the persona's scored conversations with the candidate.
    pub candidate: f64,
}

/// A category's mean scores (personas weighted equally).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryComparison {
    /// The category.
    pub category: String,
    /// Baseline's mean.
    pub baseline_mean: f64,
    /// Candidate's mean.
    pub mean: f64,
    /// Candidate − baseline.
    pub difference: f64,
}

/// A criterion's mean scores (personas weighted equally).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionComparison {
    /// The criterion's id.
    pub criterion: String,
    /// The category it stands in.
    pub category: String,
    /// Whether it is a safety criterion.
    pub safety: bool,
    /// Personas with a score in both arms.
    pub personas: u32,
    /// Baseline's mean.
    pub baseline_mean: f64,
    /// Candidate's mean.
    pub mean: f64,
    /// Candidate − baseline.
    pub difference: f64,
}

/// A safety criterion's violations in both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SafetyComparison {
    /// The criterion's id.
    pub criterion: String,
    /// The baseline's conversations that violate it.
    pub baseline_violations: u32,
    /// The candidate's conversations that violate it.
    pub violations: u32,
    /// Conversations of the candidate in which it was scored.
    pub conversations: u32,
    /// The candidate's violations with personas on which the baseline never violated it.
    pub regressions: Vec<SafetyViolation>,
}

/// One violation of a safety criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SafetyViolation {
    /// Where it happened.
    pub conversation: ConversationId,
    /// What the judge or the check said.
    pub reason: String,
}
