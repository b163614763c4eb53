//! Planned looks at the personas that have spoken so far, and when they end a run.

use shipworthy_schema::{
    CandidateComparison, Decision, EarlyStopping, Gate, InterimNumbers, LookOutcome, Reason,
    Verdict,
};
use shipworthy_stats::{Look, StatsError, conditional_power, group_sequential_boundaries};

/// The looks of a run, each with its share of alpha.
pub(crate) struct Schedule<'a> {
    plan: &'a EarlyStopping,
    boundaries: Vec<Look>,
}

impl<'a> Schedule<'a> {
    /// Spreads `alpha` over the looks of `plan`.
    pub(crate) fn new(plan: &'a EarlyStopping, alpha: f64) -> Result<Self, StatsError> {
        let all = plan.looks.last().copied().unwrap_or(1);
        let shares: Vec<f64> = plan
            .looks
            .iter()
            .map(|n| f64::from(*n) / f64::from(all))
            .collect();
        Ok(Self {
            plan,
            boundaries: group_sequential_boundaries(&shares, alpha)?,
        })
    }

    /// Returns each look's personas and two-sided level.
    pub(crate) fn looks(&self) -> impl Iterator<Item = (u32, f64)> {
        self.plan
            .looks
            .iter()
            .zip(&self.boundaries)
            .map(|(n, look)| (*n, look.nominal_p))
    }

    /// Returns what look `index` saw and what follows from it; `decision` was made at its level.
    ///
    /// A stop for efficacy needs both tests below the look's level and the gate's least gain. The
    /// last look ends the run whatever it sees.
    pub(crate) fn judge(
        &self,
        index: usize,
        candidate: &CandidateComparison,
        decision: &Decision,
        gate: &Gate,
    ) -> (InterimNumbers, LookOutcome) {
        let is_last = index + 1 == self.boundaries.len();
        let power = if is_last {
            None
        } else {
            self.conditional_power(index, candidate, gate)
        };
        let seen = InterimNumbers {
            difference: candidate.difference,
            p_value: candidate.p_value,
            sign_flip_p: candidate.sign_flip_p,
            conditional_power: power,
        };
        let level = self.boundaries[index].nominal_p;
        let is_significant = candidate.p_value < level && candidate.sign_flip_p < level;
        let violated = matches!(
            decision.reasons.first(),
            Some(Reason::SafetyRegression { .. })
        );
        let outcome = if is_last {
            LookOutcome::Last
        } else if violated {
            LookOutcome::Safety
        } else if is_significant && matches!(decision.verdict, Verdict::Ship | Verdict::Hold) {
            LookOutcome::Efficacy
        } else if power.is_some_and(|power| power < self.plan.futility) {
            LookOutcome::Futility
        } else {
            LookOutcome::WentOn
        };
        (seen, outcome)
    }

    /// Returns the chance of significance in the end if the true gain were the gate's least gain.
    /// The t statistic stands for the score statistic: with few personas it is a little larger.
    fn conditional_power(
        &self,
        index: usize,
        candidate: &CandidateComparison,
        gate: &Gate,
    ) -> Option<f64> {
        let all = f64::from(self.plan.looks.last().copied()?);
        let drift = gate.min_gain * all.sqrt() / candidate.sd;
        let last = self.boundaries.last()?;
        let now = self.boundaries[index].information;
        conditional_power(candidate.t, now, drift, last.z).ok()
    }
}
