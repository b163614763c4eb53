use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{LeaveOneOut, ModelName, PersonaId, Ranking, SafetyComparison, Termination};

/// Every candidate against the baseline, and how each model's conversations went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The model the others are compared with.
    pub baseline: ModelName,
    /// One entry per model, the baseline first.
    pub models: Vec<ModelSummary>,
    /// One entry per candidate, in name order.
    pub candidates: Vec<CandidateComparison>,
    /// All models, best first, with those that are not shown to differ.
    pub ranking: Ranking,
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
    /// Conversations planned that have no overall score.
    pub missing: u32,
    /// Mean over personas of the persona's mean overall score.
    pub mean: f64,
    /// Share of scored conversations that pass.
    pub pass_rate: f64,
    /// How often each termination came up.
    pub terminations: BTreeMap<Termination, u32>,
    /// Mean number of the person's turns in a conversation; `None` without transcripts.
    pub mean_turns: Option<f64>,
    /// Mean number of words in a reply; `None` without a reply.
    pub mean_reply_words: Option<f64>,
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
    /// Two-sided p of the paired t-test: the primary test.
    pub p_value: f64,
    /// `p_value` adjusted for all candidates by Holm; equal to it with one candidate.
    pub p_adjusted: f64,
    /// Two-sided p of the sign-flip test: a multiple of 2^−(n−1) up to 20 personas, sampled beyond.
    pub sign_flip_p: f64,
    /// `sign_flip_p` adjusted for all candidates by Holm.
    pub sign_flip_p_adjusted: f64,
    /// Monte-Carlo standard error of `sign_flip_p`; `None` where it is exact.
    pub sign_flip_error: Option<f64>,
    /// Two-sided p of Wilcoxon's signed-rank test, zeros dropped; exact up to 200 personas, the
    /// normal approximation beyond. `None` where only what decides was computed.
    pub wilcoxon_p: Option<f64>,
    /// 95 % interval of the mean difference from resampling personas 10 000 times.
    /// `None` where only what decides was computed.
    pub bootstrap_ci95: Option<[f64; 2]>,
    /// How `bootstrap_ci95` was read off the resamples.
    pub bootstrap_method: Option<BootstrapMethod>,
    /// Mean difference in standard deviations of the differences.
    pub cohens_dz: f64,
    /// `cohens_dz` corrected for small samples; `None` below three personas.
    pub hedges_gz: Option<f64>,
    /// Intraclass correlation of a persona's differences, conversations matched by repeat; `None`
    /// with one repeat or where it is undefined.
    pub icc: Option<f64>,
    /// Smallest true difference that the t-test finds with 80 % power at this spread, at the gate's
    /// alpha; `None` where so few personas find none of practical size.
    pub mde80: Option<f64>,
    /// Personas with which the t-test finds the gate's least gain with 80 % power at this spread, at
    /// the gate's alpha; `None` if that least gain is 0 or too small for any number.
    pub personas80: Option<u32>,
    /// Power of the t-test at this spread and the gate's alpha, for true gains from 0 up; empty where
    /// only what decides was computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub power: Vec<PowerPoint>,
    /// The wrong test, for contrast; `None` where it cannot be made.
    pub naive: Option<NaiveTest>,
    /// The difference that is left when replies are equally long; `None` without transcripts, or where
    /// it cannot be told.
    pub length_adjusted: Option<LengthAdjusted>,
    /// Each category's difference.
    pub categories: Vec<CategoryComparison>,
    /// Each criterion's difference, safety criteria included.
    pub criteria: Vec<CriterionComparison>,
    /// Each safety criterion.
    pub safety: Vec<SafetyComparison>,
    /// The difference without each persona in turn, in persona order.
    pub leave_one_out: Vec<LeaveOneOut>,
    /// Each persona's pair of means, in persona order.
    pub pairs: Vec<PersonaPair>,
}

/// How likely the t-test finds a true gain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerPoint {
    /// The true gain, in score points.
    pub gain: f64,
    /// The chance of finding it, in [0, 1].
    pub power: f64,
}

/// How a bootstrap interval is read off the resamples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootstrapMethod {
    /// Bias-corrected and accelerated.
    Bca,
    /// Plain quantiles, where the correction is undefined.
    Percentile,
}

/// The paired t-test on single conversations, as if a persona's were independent: it finds what is
/// not there. Shown beside the right one and never used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NaiveTest {
    /// Conversations matched by repeat.
    pub n: u32,
    /// Its t statistic.
    pub t: f64,
    /// Its two-sided p.
    pub p_value: f64,
}

/// The difference to be expected of replies as long as the baseline's: it informs and does not decide.
///
/// From a straight line through the personas' differences of scores against their differences of log
/// words per reply, read where the latter is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LengthAdjusted {
    /// Personas with a score and words in both arms.
    pub personas: u32,
    /// How many times as long the candidate's replies are (geometric mean over personas).
    pub length_ratio: f64,
    /// The adjusted difference, candidate − baseline.
    pub difference: f64,
    /// Its 95 % interval by t with `personas` − 2 degrees of freedom.
    pub ci95: [f64; 2],
    /// Two-sided p of the adjusted difference.
    pub p_value: f64,
    /// Change of the difference for each unit of log length, i.e. for replies 2.7 times as long.
    pub slope: f64,
    /// Two-sided p of the slope.
    pub slope_p: f64,
    /// Whether the candidate's replies are longer with all personas, or shorter with all: the line is
    /// then read where no persona is.
    pub is_extrapolated: bool,
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

/// A criterion's mean scores (personas weighted equally): secondary, it informs and does not decide.
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
    /// 95 % interval of the difference by t, not adjusted for the number of criteria; `None` where there
    /// is no test.
    #[serde(default)]
    pub ci95: Option<[f64; 2]>,
    /// Two-sided p of the paired t-test; `None` where it cannot be made.
    pub p_value: Option<f64>,
    /// `p_value` adjusted for all tested criteria of the candidate by Holm.
    pub p_adjusted: Option<f64>,
    /// Why there is no test, where there is none.
    pub untested: Option<String>,
}
