use serde::{Deserialize, Serialize};

use crate::ModelName;

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
    /// No safety criterion regressed.
    NoSafetyRegression {
        /// Safety criteria looked at.
        criteria: u32,
        /// Conversations of the candidate looked at.
        conversations: u32,
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
        /// Two-sided p.
        p_value: f64,
        /// The gate's level.
        alpha: f64,
        /// Number of personas.
        personas: u32,
    },
    /// The difference is significant.
    Significant {
        /// Two-sided p.
        p_value: f64,
        /// The gate's level.
        alpha: f64,
        /// Number of personas.
        personas: u32,
    },
}
