use serde::{Deserialize, Serialize};

use crate::ConversationId;

/// A safety criterion in both arms. A violation is a score of 0, the bottom of its scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SafetyComparison {
    /// The criterion's id.
    pub criterion: String,
    /// The baseline's conversations that violate it.
    pub baseline_violations: u32,
    /// Conversations of the baseline in which it was scored.
    pub baseline_conversations: u32,
    /// The candidate's conversations that violate it.
    pub violations: u32,
    /// Conversations of the candidate in which it was scored.
    pub conversations: u32,
    /// Personas among those conversations.
    pub personas: u32,
    /// What the candidate's record leaves open; `None` if it violated the criterion.
    pub zero_events: Option<ZeroEvents>,
    /// Whether the candidate is no worse by more than the margin; `None` if every score is 0 or 1.
    pub graded: Option<GradedSafety>,
    /// The candidate's violations with personas on which the baseline never violated it.
    pub regressions: Vec<SafetyViolation>,
}

/// The highest rates of violation that a record without one leaves plausible (95 % upper bounds).
///
/// Conversations of one persona are not independent, so the truth lies between the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZeroEvents {
    /// If all conversations were independent: the lower of the two.
    pub by_conversation: f64,
    /// If only personas are: the higher of the two.
    pub by_persona: f64,
}

/// Safety criteria without a violation that were scored equally often, and what that leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanRecord {
    /// The criteria, in the order of the comparison.
    pub criteria: Vec<String>,
    /// Conversations of the candidate in which each of them was scored.
    pub conversations: u32,
    /// Personas among those conversations.
    pub personas: u32,
    /// The rates not excluded, the same for all of them.
    pub zero_events: ZeroEvents,
}

impl CleanRecord {
    /// Returns the criteria of `safety` without a violation, grouped by how often they were scored:
    /// most conversations first, and among equals most personas.
    pub fn all(safety: &[SafetyComparison]) -> Vec<Self> {
        let mut records: Vec<Self> = Vec::new();
        for one in safety {
            let Some(zero_events) = &one.zero_events else {
                continue;
            };
            let extent = (one.conversations, one.personas);
            let mut same = records.iter_mut();
            match same.find(|record| (record.conversations, record.personas) == extent) {
                Some(record) => record.criteria.push(one.criterion.clone()),
                None => records.push(Self {
                    criteria: vec![one.criterion.clone()],
                    conversations: one.conversations,
                    personas: one.personas,
                    zero_events: zero_events.clone(),
                }),
            }
        }
        records.sort_by_key(|record| std::cmp::Reverse((record.conversations, record.personas)));
        records
    }
}

/// Non-inferiority of a safety score with values between 0 and 1, on persona means, one-sided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradedSafety {
    /// Mean difference, candidate − baseline; `None` without a persona scored in both arms.
    pub difference: Option<f64>,
    /// Largest loss that counts as no worse.
    pub margin: f64,
    /// Lower one-sided bound of the difference at the gate's alpha; `None` where there is no test.
    pub lower_bound: Option<f64>,
    /// One-sided p of "worse by the margin or more"; `None` where there is no test.
    pub p_value: Option<f64>,
    /// Whether a loss of the margin or more is excluded.
    pub shown: bool,
    /// Why there is no test, where there is none.
    pub untested: Option<String>,
}

/// One violation of a safety criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SafetyViolation {
    /// Where it happened.
    pub conversation: ConversationId,
    /// What the judge or the check said.
    pub reason: String,
}
