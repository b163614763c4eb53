use serde::{Deserialize, Serialize};

use crate::{LookOutcome, ModelName, PersonaId, VerdictChange};

/// What to do with a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better, by enough, significantly, and no less safe.
    Ship,
    /// Not better by enough: change the training or the data.
    Iterate,
    /// Better by enough, but it could be chance: evaluate more personas.
    MoreEvidence,
    /// Too good to be believed before the evaluation itself is checked.
    Hold,
    /// Less safe than the baseline.
    DoNotDeploy,
}

impl Verdict {
    /// All of them, best first.
    pub const ALL: [Self; 5] = [
        Self::Ship,
        Self::MoreEvidence,
        Self::Iterate,
        Self::Hold,
        Self::DoNotDeploy,
    ];

    /// Returns the words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ship => "ship",
            Self::Iterate => "iterate",
            Self::MoreEvidence => "more evidence",
            Self::Hold => "hold",
            Self::DoNotDeploy => "do not deploy",
        }
    }

    /// Returns the process exit code that stands for this verdict.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ship => 0,
            Self::Iterate => 10,
            Self::MoreEvidence => 11,
            Self::Hold => 12,
            Self::DoNotDeploy => 13,
        }
    }
}

/// A verdict on one candidate with the findings it follows from, the deciding one first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The candidate.
    pub model: ModelName,
    /// What to do.
    pub verdict: Verdict,
    /// Why, as values; reports put them into words.
    pub reasons: Vec<Reason>,
}

/// One finding a verdict rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// The candidate violated a safety criterion with personas on which the baseline did not.
    SafetyRegression {
        /// The criterion.
        criterion: String,
        /// Conversations of the candidate that regressed.
        regressions: u32,
    },
    /// A graded safety score may be worse than the baseline's by more than the margin.
    SafetyNotShown {
        /// The criterion.
        criterion: String,
        /// Mean difference; `None` without a persona scored in both arms.
        difference: Option<f64>,
        /// Lower one-sided bound of the difference; `None` where there is no test.
        lower_bound: Option<f64>,
        /// The gate's margin.
        margin: f64,
        /// Why there is no test, where there is none.
        untested: Option<String>,
    },
    /// No safety criterion regressed.
    NoSafetyRegression {
        /// Safety criteria looked at.
        criteria: u32,
        /// Most conversations of the candidate in which one of them was scored.
        conversations: u32,
    },
    /// What conversations without a violation can never show; one for each number of conversations
    /// and personas.
    ZeroViolations {
        /// Safety criteria that the candidate never violated, scored equally often.
        criteria: Vec<String>,
        /// Conversations of the candidate in which each of them was scored.
        conversations: u32,
        /// Personas among those conversations.
        personas: u32,
        /// 95 % upper bound of the rate if all conversations were independent.
        by_conversation: f64,
        /// 95 % upper bound of the rate if only personas are.
        by_persona: f64,
    },
    /// The gain is above what is believable without a check.
    GainSuspicious {
        /// Mean difference.
        gain: f64,
        /// The gate's bound.
        threshold: f64,
    },
    /// The gain is below the gate's least gain.
    GainTooSmall {
        /// Mean difference.
        gain: f64,
        /// The gate's bound.
        threshold: f64,
        /// Whether the bound is still inside the 95 % interval.
        within_interval: bool,
        /// That interval.
        ci95: [f64; 2],
    },
    /// The candidate is worse than the baseline.
    WorseThanBaseline {
        /// Mean difference, negative.
        gain: f64,
    },
    /// The gain reaches the gate's least gain.
    GainSufficient {
        /// Mean difference.
        gain: f64,
        /// The gate's bound.
        threshold: f64,
    },
    /// The difference is not significant.
    NotSignificant {
        /// Two-sided p of the paired t-test.
        p_value: f64,
        /// That p adjusted for all candidates by Holm: the one that counts.
        p_adjusted: f64,
        /// Candidates it is adjusted for.
        candidates: u32,
        /// The level held to.
        alpha: f64,
        /// Number of personas.
        personas: u32,
    },
    /// The difference is significant.
    Significant {
        /// Two-sided p of the paired t-test.
        p_value: f64,
        /// That p adjusted for all candidates by Holm: the one that counts.
        p_adjusted: f64,
        /// Candidates it is adjusted for.
        candidates: u32,
        /// The level held to.
        alpha: f64,
        /// Number of personas.
        personas: u32,
    },
    /// The t-test and the sign-flip test fall on different sides of the level.
    TestsDisagree {
        /// Adjusted p of the t-test.
        p_adjusted: f64,
        /// Adjusted p of the sign-flip test.
        sign_flip_p: f64,
        /// The level held to.
        alpha: f64,
        /// Smallest p the sign-flip test can come to with so many personas, 2^−(n−1).
        least_p: f64,
        /// Number of personas.
        personas: u32,
    },
    /// How many personas would be enough, at the observed spread.
    PersonasNeeded {
        /// Personas there are.
        personas: u32,
        /// Personas with which both tests can find the effect, the t-test with 80 % power.
        needed: u32,
        /// True gain to be found: the gate's least gain, or the observed one if that is 0.
        effect: f64,
        /// Standard deviation of the persona differences.
        sd: f64,
        /// Level of the test, divided by the number of candidates.
        alpha: f64,
    },
    /// Some of these people were looked at before, so the level is lower.
    PoolReused {
        /// Which look this is.
        ordinal: u32,
        /// The gate's level.
        gate_alpha: f64,
        /// The level held to.
        alpha: f64,
    },
    /// A planned look ended the run before all personas had spoken.
    StoppedEarly {
        /// Personas that had spoken.
        personas: u32,
        /// Personas planned.
        planned: u32,
        /// Which look, from 1.
        look: u32,
        /// Looks planned.
        looks: u32,
        /// Why it ended.
        outcome: LookOutcome,
        /// The look's level.
        alpha: f64,
        /// Chance of significance in the end that futility was judged by.
        conditional_power: Option<f64>,
    },
    /// How much hangs on single personas.
    Influence {
        /// The persona without whom the mean difference changes most.
        persona: PersonaId,
        /// Mean difference without that persona.
        without: f64,
        /// Lowest mean difference without one persona.
        lowest: f64,
        /// Highest mean difference without one persona.
        highest: f64,
        /// Personas without whom the verdict would be another, in persona order.
        changes: Vec<VerdictChange>,
    },
}
