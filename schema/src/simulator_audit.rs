use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ConversationId, ModelName};

/// What can go wrong with a person that is simulated.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SimulatorFlagKind {
    /// The person speaks as the assistant.
    RoleSwap,
    /// The person says words of its own instructions.
    LeakedInstructions,
    /// The person names a number or a name that neither its description nor the assistant gave it.
    InventedFact,
    /// The person ended the conversation, and what would make it do so had not happened.
    StoppedWithoutReason,
    /// The person says again what it has said.
    Repetition,
}

impl SimulatorFlagKind {
    /// All of them, in the order reports list them.
    pub const ALL: [Self; 5] = [
        Self::RoleSwap,
        Self::LeakedInstructions,
        Self::InventedFact,
        Self::StoppedWithoutReason,
        Self::Repetition,
    ];

    /// Returns the words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::RoleSwap => "role swap",
            Self::LeakedInstructions => "leaked instructions",
            Self::InventedFact => "invented fact",
            Self::StoppedWithoutReason => "stopped without reason",
            Self::Repetition => "repetition",
        }
    }
}

/// One thing that went wrong with a simulated person in one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatorFlag {
    /// What.
    pub kind: SimulatorFlagKind,
    /// In which of the person's turns, from 1.
    pub turn: u32,
    /// The words that show it.
    pub found: String,
}

impl fmt::Display for SimulatorFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, turn, found) = (self.kind.label(), self.turn, &self.found);
        write!(f, "{kind} in the person's turn {turn}: {found}")
    }
}

/// Which conversations are left out because the simulated person went wrong; fixed in the plan, the
/// same for every model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatorAuditRule {
    /// Version of the checks; another version may flag others.
    pub version: u32,
    /// A conversation with one of these flags has no score and counts as missing; in order, each
    /// once.
    pub exclude: Vec<SimulatorFlagKind>,
}

/// How often simulated people went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimulatorAudit {
    /// One entry per model, the baseline first.
    pub models: Vec<AuditedModel>,
    /// For each candidate and kind of flag that came up: whether it came up as often as with the
    /// baseline.
    pub comparisons: Vec<FlagComparison>,
    /// Conversations left out by the plan's rule, in id order.
    pub excluded: Vec<ConversationId>,
}

/// How often people went wrong with one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedModel {
    /// The model.
    pub model: ModelName,
    /// Conversations audited: those that did not fail.
    pub conversations: u32,
    /// Of these, with any flag.
    pub flagged: u32,
    /// Of these, left out by the plan's rule.
    pub excluded: u32,
    /// Of these, with each kind of flag, all kinds among them.
    pub by_kind: BTreeMap<SimulatorFlagKind, u32>,
}

/// How often a flag came up with a candidate and with the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlagComparison {
    /// The candidate.
    pub model: ModelName,
    /// The kind of flag; `None`: any.
    pub kind: Option<SimulatorFlagKind>,
    /// Personas with audited conversations of both models.
    pub personas: u32,
    /// Mean over personas of the baseline's share of conversations flagged.
    pub baseline_rate: f64,
    /// Mean over personas of the candidate's share.
    pub rate: f64,
    /// Candidate − baseline.
    pub difference: f64,
    /// 95 % interval of the difference by t over personas; `None` where all differ by the same.
    pub ci95: Option<[f64; 2]>,
}
