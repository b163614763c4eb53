//! Scores in, verdicts out: comparison and decision for scores that need not be an evaluation's.

use shipworthy_schema::{Comparison, Decision, Gate, MissingRule, ModelName, Verdict};

use crate::comparison::{ComparisonError, Depth, Evidence, compare_to};
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
    /// Compares and decides.
    pub fn on(depth: Depth, evidence: &Evidence<'_>, gate: &Gate) -> Result<Self, ComparisonError> {
        let comparison = compare_to(depth, evidence, gate, &MissingRule::default())?;
        let decisions = decide(&comparison, gate, &|_| gate.alpha);
        let recommended =
            recommend(&comparison, &decisions).expect("compare wants at least one candidate");
        Ok(Self {
            comparison,
            decisions,
            recommended,
        })
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
