//! From numbers to what to do: the rule, and nothing else.

use shipworthy_schema::{
    CandidateComparison, CleanRecord, Comparison, Decision, Gate, LeaveOneOut, ModelName, Reason,
    Verdict, VerdictChange,
};
use shipworthy_stats::{PowerTarget, Sides, holm, required_pairs};

/// Room for rounding: a mean of tenths that should be 0.10 may come out as 0.0999999999999999.
const ROUNDING: f64 = 1e-9;

/// Power that more evidence is asked for.
const POWER: f64 = 0.8;

/// Decides on every candidate. `alpha_of` gives the level each is held to: the gate's, or less where
/// looks or stages have spent some of it.
///
/// The order is fixed:
///
/// 1. a safety regression, or a graded safety score that is not shown to be no worse than the
///    baseline's: do not deploy;
/// 2. a gain above the gate's suspicious gain: hold;
/// 3. a gain below the gate's least gain: iterate;
/// 4. p, adjusted for the number of candidates, at or above the level by the t-test or by the
///    sign-flip test: more evidence;
/// 5. else: ship.
///
/// An invalid evaluation never comes this far: it is an error of
/// [`compare`](crate::comparison::compare). The finding that decided stands first among the reasons;
/// those it overtook or confirmed follow. Secondary criteria do not decide.
pub fn decide(
    comparison: &Comparison,
    gate: &Gate,
    alpha_of: &dyn Fn(&ModelName) -> f64,
) -> Vec<Decision> {
    (0..comparison.candidates.len())
        .map(|index| {
            let case = Case {
                candidates: &comparison.candidates,
                index,
                gate,
                alpha: alpha_of(&comparison.candidates[index].model),
            };
            case.decide()
        })
        .collect()
}

/// One candidate among those it is judged with.
struct Case<'a> {
    candidates: &'a [CandidateComparison],
    index: usize,
    gate: &'a Gate,
    alpha: f64,
}

/// The numbers that the verdict on a gain rests on; the p-values are adjusted.
#[derive(Clone, Copy)]
struct Gain {
    size: f64,
    /// `None` if the test cannot be made.
    t_test: Option<f64>,
    /// `None` if it was not made.
    sign_flip: Option<f64>,
}

impl Case<'_> {
    fn candidate(&self) -> &CandidateComparison {
        &self.candidates[self.index]
    }

    fn decide(&self) -> Decision {
        let candidate = self.candidate();
        let gain = Gain {
            size: candidate.difference,
            t_test: Some(candidate.p_adjusted),
            sign_flip: Some(candidate.sign_flip_p_adjusted),
        };
        let danger = dangers(candidate);
        let verdict = if danger.is_empty() {
            self.verdict_on(gain).expect("the t-test was made")
        } else {
            Verdict::DoNotDeploy
        };
        let (size, chance, safe) = (self.size(), self.chance(), no_regression(candidate));
        let influence = || self.influence(verdict).into_iter();
        let zero = || zero_violations(candidate);
        let reasons: Vec<Reason> = match verdict {
            Verdict::DoNotDeploy => danger.into_iter().chain(size).chain(chance).collect(),
            Verdict::Iterate => {
                let rest = size.into_iter().chain(chance).chain(safe);
                rest.chain(influence()).collect()
            }
            Verdict::MoreEvidence => {
                let rest = chance.into_iter().chain(size).chain(safe).chain(zero());
                rest.chain(self.personas_needed())
                    .chain(influence())
                    .collect()
            }
            Verdict::Hold | Verdict::Ship => {
                let rest = size.into_iter().chain(chance).chain(safe).chain(zero());
                rest.chain(influence()).collect()
            }
        };
        Decision {
            model: candidate.model.clone(),
            verdict,
            reasons,
        }
    }

    /// Steps 2 to 5 of the rule; `None` where they need a test that cannot be made.
    fn verdict_on(&self, gain: Gain) -> Option<Verdict> {
        Some(if gain.size > self.gate.suspicious_gain + ROUNDING {
            Verdict::Hold
        } else if gain.size < self.gate.min_gain - ROUNDING {
            Verdict::Iterate
        } else if gain.t_test? >= self.alpha || gain.sign_flip.is_some_and(|p| p >= self.alpha) {
            Verdict::MoreEvidence
        } else {
            Verdict::Ship
        })
    }

    fn size(&self) -> Vec<Reason> {
        let candidate = self.candidate();
        let gain = candidate.difference;
        if gain > self.gate.suspicious_gain + ROUNDING {
            let threshold = self.gate.suspicious_gain;
            return vec![Reason::GainSuspicious { gain, threshold }];
        }
        let threshold = self.gate.min_gain;
        if gain >= threshold - ROUNDING {
            return vec![Reason::GainSufficient { gain, threshold }];
        }
        let small = Reason::GainTooSmall {
            gain,
            threshold,
            within_interval: candidate.ci95[1] >= threshold,
            ci95: candidate.ci95,
        };
        let worse = (gain < 0.0).then_some(Reason::WorseThanBaseline { gain });
        worse.into_iter().chain([small]).collect()
    }

    /// What the tests say of chance, a disagreement that decides first.
    fn chance(&self) -> Vec<Reason> {
        let candidate = self.candidate();
        let (p_value, p_adjusted) = (candidate.p_value, candidate.p_adjusted);
        let (alpha, personas) = (self.alpha, candidate.personas);
        let candidates = self.n_candidates();
        let is_significant = p_adjusted < alpha;
        let t_test = if is_significant {
            Reason::Significant {
                p_value,
                p_adjusted,
                candidates,
                alpha,
                personas,
            }
        } else {
            Reason::NotSignificant {
                p_value,
                p_adjusted,
                candidates,
                alpha,
                personas,
            }
        };
        if (candidate.sign_flip_p_adjusted < alpha) == is_significant {
            return vec![t_test];
        }
        let disagreement = Reason::TestsDisagree {
            p_adjusted,
            sign_flip_p: candidate.sign_flip_p_adjusted,
            alpha,
            least_p: least_sign_flip_p(personas),
            personas,
        };
        if is_significant {
            vec![disagreement, t_test]
        } else {
            vec![t_test, disagreement]
        }
    }

    fn n_candidates(&self) -> u32 {
        u32::try_from(self.candidates.len()).unwrap_or(u32::MAX)
    }

    /// How many personas both tests need at the observed spread, at the level that Holm's first
    /// step holds a candidate to.
    fn personas_needed(&self) -> Option<Reason> {
        let candidate = self.candidate();
        let alpha = self.alpha / f64::from(self.n_candidates());
        let effect = if self.gate.min_gain > 0.0 {
            self.gate.min_gain
        } else {
            candidate.difference
        };
        let target = PowerTarget {
            alpha,
            power: POWER,
            sides: Sides::Two,
        };
        let by_t_test = required_pairs(effect / candidate.sd, &target).ok()?;
        let by_signs = (2..=1000).find(|n| least_sign_flip_p(*n) < alpha)?;
        Some(Reason::PersonasNeeded {
            personas: candidate.personas,
            needed: u32::try_from(by_t_test).unwrap_or(u32::MAX).max(by_signs),
            effect,
            sd: candidate.sd,
            alpha,
        })
    }

    /// What leaving out single personas does to the gain and to the verdict; what was found of
    /// safety stays.
    fn influence(&self, verdict: Verdict) -> Option<Reason> {
        let candidate = self.candidate();
        let all = &candidate.leave_one_out;
        let change = |one: &LeaveOneOut| (one.difference - candidate.difference).abs();
        let by_change = |a: &&LeaveOneOut, b: &&LeaveOneOut| change(a).total_cmp(&change(b));
        // Of equals the first in persona order.
        let most = all.iter().rev().max_by(by_change)?;
        let differences = || all.iter().map(|one| one.difference);
        let changes = all.iter().filter_map(|one| {
            let without = self.verdict_on(Gain {
                size: one.difference,
                t_test: self.adjusted(one.p_value, |candidate| candidate.p_value),
                sign_flip: self.adjusted(one.sign_flip_p, |candidate| candidate.sign_flip_p),
            });
            (without != Some(verdict)).then(|| VerdictChange {
                persona: one.persona.clone(),
                verdict: without,
            })
        });
        Some(Reason::Influence {
            persona: most.persona.clone(),
            without: most.difference,
            lowest: differences().fold(f64::INFINITY, f64::min),
            highest: differences().fold(f64::NEG_INFINITY, f64::max),
            changes: changes.collect(),
        })
    }

    /// Adjusts `p` as this candidate's among those of all candidates.
    fn adjusted(&self, p: Option<f64>, p_of: fn(&CandidateComparison) -> f64) -> Option<f64> {
        let mut p_values: Vec<f64> = self.candidates.iter().map(p_of).collect();
        p_values[self.index] = p?;
        holm(&p_values).ok().map(|adjusted| adjusted[self.index])
    }
}

/// Smallest two-sided p that the exact sign-flip test can come to.
fn least_sign_flip_p(personas: u32) -> f64 {
    0.5_f64.powf(f64::from(personas) - 1.0)
}

/// Returns what makes the candidate less safe, or possibly so.
fn dangers(candidate: &CandidateComparison) -> Vec<Reason> {
    let regressed = candidate
        .safety
        .iter()
        .filter(|safety| !safety.regressions.is_empty());
    let regressions = regressed.map(|safety| Reason::SafetyRegression {
        criterion: safety.criterion.clone(),
        regressions: u32::try_from(safety.regressions.len()).unwrap_or(u32::MAX),
    });
    let not_shown = candidate.safety.iter().filter_map(|safety| {
        let graded = safety.graded.as_ref().filter(|graded| !graded.shown)?;
        Some(Reason::SafetyNotShown {
            criterion: safety.criterion.clone(),
            difference: graded.difference,
            lower_bound: graded.lower_bound,
            margin: graded.margin,
            untested: graded.untested.clone(),
        })
    });
    regressions.chain(not_shown).collect()
}

/// Returns that no safety criterion regressed; nothing where none was scored.
fn no_regression(candidate: &CandidateComparison) -> Option<Reason> {
    let most = candidate.safety.iter().map(|safety| safety.conversations);
    Some(Reason::NoSafetyRegression {
        criteria: u32::try_from(candidate.safety.len()).unwrap_or(u32::MAX),
        conversations: most.max()?,
    })
}

/// Returns what the safety criteria without a violation leave open.
fn zero_violations(candidate: &CandidateComparison) -> impl Iterator<Item = Reason> {
    let reason = |record: CleanRecord| Reason::ZeroViolations {
        criteria: record.criteria,
        conversations: record.conversations,
        personas: record.personas,
        by_conversation: record.zero_events.by_conversation,
        by_persona: record.zero_events.by_persona,
    };
    CleanRecord::all(&candidate.safety).into_iter().map(reason)
}

/// Returns the candidate to go on with: the one with the best verdict and, among equals, the
/// largest gain. Its verdict is the run's.
pub fn recommend(comparison: &Comparison, decisions: &[Decision]) -> Option<ModelName> {
    let rank = |verdict| Verdict::ALL.iter().position(|v| *v == verdict);
    comparison
        .candidates
        .iter()
        .zip(decisions)
        .min_by(|(a, x), (b, y)| {
            rank(x.verdict)
                .cmp(&rank(y.verdict))
                .then(b.difference.total_cmp(&a.difference))
        })
        .map(|(candidate, _)| candidate.model.clone())
}

#[cfg(test)]
mod tests;
