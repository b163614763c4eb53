//! Pairing: every candidate against the baseline, persona by persona.
//!
//! The pair is the persona: its conversations with one model are averaged first, because they are
//! not independent. What is computed with the pairs is `shipworthy_stats`'; what follows from it is
//! [`decision`](crate::decision)'s. The order of conversations and scores never matters.

mod across_runs;
mod arm;
mod error;
mod missingness;

mod candidate;
mod criteria;
mod influence;
mod length;
mod power_curve;
mod ranking;
mod regression;
mod safety;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use rayon::prelude::*;
use shipworthy_schema::{
    CandidateComparison, Comparison, Conversation, ConversationScore, Gate, MissingRule, ModelName,
};
use shipworthy_stats::holm;

pub(crate) use across_runs::{Side, gain, pass_rate, score_differences};
use arm::Arm;
pub use error::ComparisonError;
pub use regression::regress;

/// What there is to compare.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The model the others are compared with.
    pub baseline: &'a ModelName,
    /// All models, the baseline among them.
    pub models: &'a [ModelName],
    /// Conversations planned for each model.
    pub planned: u32,
    /// All models' conversations; none for scores from elsewhere.
    pub conversations: &'a [Conversation],
    /// All models' scores.
    pub scores: &'a [ConversationScore],
}

/// How much of a comparison to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything a report shows.
    Full,
    /// No more than decides, for simulations that compare thousands of times; fewer sign vectors
    /// are drawn where there are too many to count.
    Deciding,
}

/// Compares every candidate with the baseline, and all models with each other.
///
/// The gate gives the level of intervals of power and of safety, the least gain and the safety
/// margin; `missing` says when too much is missing. Where there is no number there is an error, or
/// `None` with its reason where the primary test does not need it.
pub fn compare(
    evidence: &Evidence<'_>,
    gate: &Gate,
    missing: &MissingRule,
) -> Result<Comparison, ComparisonError> {
    compare_to(Depth::Full, evidence, gate, missing)
}

/// Compares to some depth.
pub(crate) fn compare_to(
    depth: Depth,
    evidence: &Evidence<'_>,
    gate: &Gate,
    missing: &MissingRule,
) -> Result<Comparison, ComparisonError> {
    let baseline = evidence.baseline;
    if !evidence.models.contains(baseline) {
        return Err(ComparisonError::UnknownBaseline {
            baseline: baseline.clone(),
            known: evidence.models.iter().map(ToString::to_string).collect(),
        });
    }
    let base = Arm::of(evidence, baseline)?;
    let candidates: Vec<Arm<'_>> = evidence
        .models
        .iter()
        .filter(|model| *model != baseline)
        .map(|model| Arm::of(evidence, model))
        .collect::<Result<_, _>>()?;
    if candidates.is_empty() {
        let baseline = baseline.clone();
        return Err(ComparisonError::NoCandidate { baseline });
    }
    missingness::check(&base, &candidates, missing)?;
    let arms: Vec<&Arm<'_>> = std::iter::once(&base).chain(&candidates).collect();
    let compare = |candidate: &Arm<'_>| candidate.compare(&base, gate, depth);
    let (compared, models) = rayon::join(
        || candidates.par_iter().map(compare).collect::<Vec<_>>(),
        || arms.iter().map(|arm| arm.summary()).collect(),
    );
    let mut compared = compared.into_iter().collect::<Result<Vec<_>, _>>()?;
    adjust(&mut compared);
    Ok(Comparison {
        baseline: baseline.clone(),
        models,
        candidates: compared,
        ranking: ranking::ranking(&arms, gate.alpha),
    })
}

/// Adjusts the candidates' p-values for their number.
fn adjust(candidates: &mut [CandidateComparison]) {
    let adjusted = |p_of: fn(&CandidateComparison) -> f64| {
        let p_values: Vec<f64> = candidates.iter().map(p_of).collect();
        holm(&p_values).expect("tests give p-values from 0 to 1")
    };
    let by_t = adjusted(|candidate| candidate.p_value);
    let by_signs = adjusted(|candidate| candidate.sign_flip_p);
    for (candidate, (t, signs)) in candidates.iter_mut().zip(by_t.into_iter().zip(by_signs)) {
        candidate.p_adjusted = t;
        candidate.sign_flip_p_adjusted = signs;
    }
}
