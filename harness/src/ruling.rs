//! Scores in, verdicts out: comparison and decision for scores that need not be an evaluation's.

use shipworthy_schema::{Comparison, ConversationScore, Decision, Gate, ModelName, Verdict};

use crate::comparison::{ComparisonError, compare};
use crate::decision::{decide, recommend};

/// What the whole rule says about some scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// Candidates against the baseline.
    pub comparison: Comparison,
    /// One decision per candidate, in name order.
    pub decisions: Vec<Decision>,
    /// The candidate to go on with.
    pub recommended: ModelName,
}

impl Ruling {
    /// Compares and decides. `models` holds the baseline and at least one more; `planned` is the number of conversations each model should have.
    pub fn on(
        baseline: &ModelName,
        models: &[ModelName],
        planned: u32,
        scores: &[ConversationScore],
        gate: &Gate,
    ) -> Result<Self, ComparisonError> {
        let comparison = compare(baseline, models, planned, &[], scores)?;
        let decisions = decide(&comparison, gate);
        let recommended =
            recommend(&comparison, &decisions).expect("callers give at least one candidate");
        Ok(Self {
            comparison,
            decisions,
            recommended,
        })
    }

    /// Does the same with no more than the numbers that decide, for simulations that rule thousands
    /// of times.
    // MERGE: skip in here the bootstrap and whatever else `decide` does not read; today `compare`
    // computes nothing of the kind.
    pub fn primary(
        baseline: &ModelName,
        models: &[ModelName],
        planned: u32,
        scores: &[ConversationScore],
        gate: &Gate,
    ) -> Result<Self, ComparisonError> {
        Self::on(baseline, models, planned, scores, gate)
    }

    /// Returns the verdict on the recommended candidate.
    pub fn verdict(&self) -> Verdict {
        self.decisions
            .iter()
            .find(|decision| decision.model == self.recommended)
            .map(|decision| decision.verdict)
            .expect("the recommended candidate has a decision")
    }
}
