use serde::{Deserialize, Serialize};

use crate::{PersonaId, Verdict};

/// What is left of a comparison without one persona.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaveOneOut {
    /// The persona left out.
    pub persona: PersonaId,
    /// Mean difference over the others.
    pub difference: f64,
    /// Two-sided p of the paired t-test over the others; `None` where it cannot be made.
    pub p_value: Option<f64>,
    /// Two-sided p of the exact sign-flip test over the others; `None` above 20 or below 2 of them.
    pub sign_flip_p: Option<f64>,
}

/// A verdict that hangs on one persona.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// The persona.
    pub persona: PersonaId,
    /// The verdict without it; `None` if no test could be made.
    pub verdict: Option<Verdict>,
}
