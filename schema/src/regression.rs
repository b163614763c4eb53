use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ModelName, PersonaPair, SafetyComparison, Verdict};

/// What a candidate is held to where it need not be better than a shipped model, only no worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionRule {
    /// Largest loss of the overall score that still counts as no worse, in score points.
    pub margin: f64,
    /// Criteria that must be no worse, too, each by its own margin.
    pub criteria: BTreeMap<String, f64>,
    /// Largest loss on a graded safety score that still counts as no worse.
    pub safety_margin: f64,
    /// A gain above this is suspicious.
    pub suspicious_gain: f64,
}

/// Candidates held against a shipped model: the words, the JSON and the exit code of the gate all
/// come from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// The shipped model.
    pub baseline: ModelName,
    /// What the candidates were held to.
    pub rule: RegressionRule,
    /// One entry per candidate, in name order; at least one.
    pub candidates: Vec<CandidateRegression>,
    /// The candidate whose verdict counts: the best verdict and, among equals, the largest gain.
    pub recommended: ModelName,
}

impl Regression {
    /// Returns what was found of the recommended candidate.
    pub fn recommended(&self) -> &CandidateRegression {
        self.candidates
            .iter()
            .find(|candidate| candidate.model == self.recommended)
            .expect("the recommended candidate is one of them")
    }

    /// Returns the verdict on the recommended candidate.
    pub fn verdict(&self) -> Verdict {
        self.recommended().verdict
    }
}

/// One candidate against a shipped model; the pair is the persona.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateRegression {
    /// The candidate.
    pub model: ModelName,
    /// What to do.
    pub verdict: Verdict,
    /// One-sided level of every test, divided by the looks already taken at these people.
    pub alpha: f64,
    /// The overall score.
    pub overall: NoWorse,
    /// The rule's criteria, by id.
    pub criteria: Vec<NoWorse>,
    /// Each safety criterion.
    pub safety: Vec<SafetyComparison>,
    /// Each persona's pair of means of the overall score, in persona order.
    pub pairs: Vec<PersonaPair>,
}

/// Whether one score is no worse by a margin, on persona means, one-sided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoWorse {
    /// The criterion's id; `None` for the overall score.
    pub criterion: Option<String>,
    /// Largest loss that counts as no worse.
    pub margin: f64,
    /// Personas with a score in both arms.
    pub personas: u32,
    /// The shipped model's mean; `None` without a persona scored in both arms.
    pub baseline_mean: Option<f64>,
    /// The candidate's mean.
    pub mean: Option<f64>,
    /// Candidate − shipped model.
    pub difference: Option<f64>,
    /// Lower one-sided bound of the difference; `None` where there is no test.
    pub lower_bound: Option<f64>,
    /// One-sided p of "worse by the margin or more"; `None` where there is no test.
    pub p_value: Option<f64>,
    /// Whether a loss of the margin or more is excluded.
    pub shown: bool,
    /// Why there is no test, where there is none.
    pub untested: Option<String>,
}
