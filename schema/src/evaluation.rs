use serde::{Deserialize, Serialize};

use crate::{
    Comparison, Conversation, ConversationScore, Cost, Decision, HumanCheck, InterimLook,
    JudgedPair, JudgingSummary, ModelName, PairwiseSummary, Persona, Plan, PoolLook,
    PreflightFinding, SimulatorAudit, Verdict,
};

/// A finished evaluation: everything a report is rendered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was planned.
    pub plan: Plan,
    /// Who spoke.
    pub personas: Vec<Persona>,
    /// What was said, in id order.
    pub conversations: Vec<Conversation>,
    /// How it was scored, in the same order.
    pub scores: Vec<ConversationScore>,
    /// Candidates against the baseline.
    pub comparison: Comparison,
    /// How the judges did; `None` without one.
    pub judging: Option<JudgingSummary>,
    /// Pairs of whole conversations and what the judges prefer, in the order of the candidates'
    /// conversations; empty unless the plan asks for them.
    #[serde(default)]
    pub pairs: Vec<JudgedPair>,
    /// What those pairs come to; `None` unless the plan asks for them.
    #[serde(default)]
    pub pairwise: Option<PairwiseSummary>,
    /// What people say of the conversations, held against the judges; `None` before anybody labelled
    /// any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<HumanCheck>,
    /// How often simulated people went wrong.
    pub simulator_audit: SimulatorAudit,
    /// One decision per candidate, in name order.
    pub decisions: Vec<Decision>,
    /// The candidate whose verdict is the run's.
    pub recommended: ModelName,
    /// How often each candidate's pool of people had been used; in name order.
    pub pool_looks: Vec<PoolLook>,
    /// The planned looks that were taken, where the plan has any.
    pub interim_looks: Vec<InterimLook>,
    /// What its calls took.
    #[serde(default)]
    pub cost: Cost,
    /// What was found of the models before the run; empty where none is behind a server.
    #[serde(default)]
    pub preflight: Vec<PreflightFinding>,
    /// What a reader must know before trusting the numbers.
    pub warnings: Vec<String>,
}

impl Evaluation {
    /// Returns the verdict on the recommended candidate: the report's headline, the JSON's
    /// `verdict` and the exit code all come from here.
    pub fn verdict(&self) -> Verdict {
        self.decisions
            .iter()
            .find(|d| d.model == self.recommended)
            .map(|d| d.verdict)
            .expect("the recommended candidate has a decision")
    }
}
