use serde::{Deserialize, Serialize};

use crate::ModelName;

/// How often held-out people had been looked at when a candidate met them, and what that did to the
/// bar.
///
/// A look is a pair of pool and candidate: judging the same candidate on the same pool again is no
/// new one. Pools that share people count together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolLook {
    /// The candidate.
    pub model: ModelName,
    /// 1 plus the looks that earlier runs took at any of these people.
    pub ordinal: u32,
    /// Two-sided level the candidate is held to: the gate's divided by `ordinal`.
    pub alpha: f64,
}

/// One planned look at the personas that have spoken so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterimLook {
    /// Personas that had spoken.
    pub personas: u32,
    /// Two-sided level of this look.
    pub alpha: f64,
    /// What was seen; `None` where the scores allowed no comparison yet.
    pub seen: Option<InterimNumbers>,
    /// What followed.
    pub outcome: LookOutcome,
}

/// What a look saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterimNumbers {
    /// Mean difference, candidate − baseline.
    pub difference: f64,
    /// Two-sided p of the paired t-test.
    pub p_value: f64,
    /// Two-sided p of the sign-flip test.
    pub sign_flip_p: f64,
    /// Chance of significance in the end if the true gain were the gate's least gain; `None` at the
    /// last look.
    pub conditional_power: Option<f64>,
}

/// What followed from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookOutcome {
    /// The next personas spoke.
    WentOn,
    /// Stopped: significant at this look's level, and by enough.
    Efficacy,
    /// Stopped: too unlikely to become significant.
    Futility,
    /// Stopped: a safety criterion was violated where the baseline did not violate it.
    Safety,
    /// All personas had spoken.
    Last,
}
