use serde::{Deserialize, Serialize};

use crate::{ConversationId, JudgeCalls, JudgeGrade, SimulatorFlag};

/// What scoring came to. "Could not score" is a variant with a reason, never a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Outcome {
    /// A finite value in [0, 1]; 1 is best.
    Scored {
        /// The value.
        value: f64,
    },
    /// The criterion does not concern this persona; it carries no weight.
    NotApplicable,
    /// No score could be had.
    Unscored {
        /// Why not.
        reason: String,
    },
}

impl Outcome {
    /// Returns the value, if there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Scored { value } => Some(*value),
            Self::NotApplicable | Self::Unscored { .. } => None,
        }
    }
}

/// One criterion's score in one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionScore {
    /// The criterion's id in the rubric.
    pub criterion: String,
    /// The category it stands in.
    pub category: String,
    /// Whether it is a safety criterion.
    pub safety: bool,
    /// What scoring came to.
    pub outcome: Outcome,
    /// The judge's words, or what the check found.
    pub reason: String,
    /// What each judge said in each repeat; empty without a judge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<JudgeGrade>,
}

/// One conversation's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationScore {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The weighted score over all criteria.
    pub overall: Outcome,
    /// Whether the overall score reaches the pass threshold; `None` if unscored.
    pub passed: Option<bool>,
    /// Each criterion, in the rubric's order.
    pub criteria: Vec<CriterionScore>,
    /// What asking the judges took; empty without a judge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judge_calls: Vec<JudgeCalls>,
    /// What went wrong with the simulated person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub simulator_flags: Vec<SimulatorFlag>,
}
