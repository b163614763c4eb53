use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, TrainerVersion, TrainingWarning, Verdict};

/// What became of all candidates of a loop: everything its report is rendered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateTable {
    /// Version of this format.
    pub format: u32,
    /// The project's name.
    pub project: String,
    /// The model that candidates are compared with.
    pub baseline: String,
    /// The people that candidates were compared on.
    pub development: CandidatePool,
    /// The people that the best of them met, or would have.
    pub confirmation: CandidatePool,
    /// What the GGUF files' weights are stored as, e.g. `q8_0`.
    pub file_type: String,
    /// All of them, in the order they were to be tried.
    pub candidates: Vec<CandidateResult>,
    /// What other people than those of `confirmation` came to, who were to confirm a candidate before.
    #[serde(default)]
    pub earlier_confirmations: Vec<EarlierConfirmation>,
    /// Pools of people that met a candidate to confirm it, this loop's among them once they have.
    #[serde(default)]
    pub confirmation_pools: usize,
    /// The best by the development pool, by name; `None` where none has a verdict.
    pub recommended: Option<String>,
    /// Why there is no confirmation, where there is none.
    pub unconfirmed: Option<Unconfirmed>,
    /// What to do; `ship` only if the confirmation says so. `None` where no candidate has a verdict.
    pub verdict: Option<Verdict>,
}

impl CandidateTable {
    /// Version of the format that this describes.
    pub const FORMAT: u32 = 1;

    /// Returns the recommended candidate.
    pub fn best(&self) -> Option<&CandidateResult> {
        let name = self.recommended.as_deref()?;
        self.candidates.iter().find(|it| it.name == name)
    }

    /// Returns what people came to who were to confirm this candidate before.
    pub fn earlier(&self, candidate: &CandidateResult) -> Vec<&EarlierConfirmation> {
        let all = self.earlier_confirmations.iter();
        all.filter(|it| it.key == candidate.key).collect()
    }

    /// Returns what people came to who were to confirm this candidate before, and did not.
    pub fn refutation(&self, candidate: &CandidateResult) -> Option<&EarlierConfirmation> {
        let earlier = self.earlier(candidate);
        earlier.into_iter().find(|it| it.refutes())
    }
}

/// What people came to who were to confirm a candidate, before others were named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlierConfirmation {
    /// What the candidate was called.
    pub name: String,
    /// Digest of all that its weights follow from.
    pub key: Digest,
    /// The spec that the people are drawn from.
    pub spec: String,
    /// First seed.
    pub seed_start: u32,
    /// Number of people.
    pub count: u32,
    /// What they came to; `None` where that is no verdict.
    pub evaluation: Option<CandidateEvaluation>,
}

impl EarlierConfirmation {
    /// Tells whether these people did not confirm the candidate.
    pub fn refutes(&self) -> bool {
        let evaluation = self.evaluation.as_ref();
        evaluation.is_none_or(|it| it.verdict != Verdict::Ship)
    }
}

/// People by their seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidatePool {
    /// The spec they are drawn from.
    pub spec: String,
    /// First seed.
    pub seed_start: u32,
    /// Number of people.
    pub count: u32,
    /// Conversations of each with each model.
    pub repeats: u32,
}

/// Why the best candidate was not confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Unconfirmed {
    /// No candidate passes on the development pool.
    NonePassed,
    /// Other people met every candidate that has a verdict before, and did not confirm it.
    Refuted,
    /// A budget was used up.
    OutOfBudget {
        /// Which, in words.
        what: String,
    },
    /// The evaluation came to no verdict.
    Failed {
        /// Why.
        error: String,
    },
}

/// One candidate: what it is, how far it came, and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateResult {
    /// Its name, from its configuration.
    pub name: String,
    /// Digest of all that its weights follow from.
    pub key: Digest,
    /// The keys of its configuration that are not every candidate's, with their values.
    pub differences: BTreeMap<String, Value>,
    /// Why it was proposed, where it was.
    pub proposed: Option<String>,
    /// How far it came.
    pub state: CandidateState,
    /// How training went, once it ended.
    pub training: Option<CandidateTraining>,
    /// What the sanity checks came to, where they were made and none failed.
    #[serde(default)]
    pub sanity: Option<CandidateSanity>,
    /// What it came to on the development pool.
    pub development: Option<CandidateEvaluation>,
    /// What it came to on people nobody had met.
    pub confirmation: Option<CandidateEvaluation>,
    /// Where it comes from and what it is.
    pub lineage: CandidateLineage,
}

/// How far a candidate came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CandidateState {
    /// It was evaluated.
    Evaluated,
    /// Its loss or gradient became no number, or ended far above where it began.
    Diverged {
        /// Where.
        error: String,
    },
    /// A step failed.
    Failed {
        /// Which.
        step: CandidateStep,
        /// Why.
        error: String,
    },
    /// A budget was used up under way.
    OutOfBudget {
        /// In which step.
        step: CandidateStep,
        /// Which budget, in words.
        what: String,
    },
    /// It was not begun, or is not gone on with; what the store has of it is told.
    NotTried {
        /// Why, in words.
        why: String,
    },
}

/// A step of a candidate, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateStep {
    /// From base and data to an adapter, or weights.
    Training,
    /// From those to a GGUF file.
    Conversion,
    /// Whether that is fit to be talked with.
    Sanity,
    /// From that to a verdict on the development pool.
    Evaluation,
}

impl CandidateStep {
    /// Returns the words for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Conversion => "conversion",
            Self::Sanity => "sanity checks",
            Self::Evaluation => "evaluation",
        }
    }
}

/// How a candidate's training went, without what depends on the machine's speed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateTraining {
    /// Steps taken.
    pub steps: u64,
    /// Passes over the data.
    pub epochs: f64,
    /// The loss logged last; `None` where none was.
    pub loss: Option<f64>,
    /// The lowest loss on held-out conversations; `None` without any.
    pub eval_loss: Option<f64>,
    /// The step with that loss.
    pub best_step: Option<u64>,
    /// What looked wrong.
    pub warnings: Vec<TrainingWarning>,
}

/// What the sanity checks of a candidate came to; the whole report is in its directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateSanity {
    /// Checks that passed.
    pub passed: usize,
    /// What somebody should look at, in words.
    pub warned: Vec<String>,
    /// What is wrong, in words; `None` where nothing is.
    pub failed: Option<String>,
    /// Whether that is that training diverged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diverged: bool,
}

/// What a candidate came to on a pool of people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateEvaluation {
    /// The run.
    pub run: String,
    /// Mean difference from the baseline.
    pub gain: f64,
    /// 95 % interval of the mean difference.
    pub ci95: [f64; 2],
    /// What the rule says.
    pub verdict: Verdict,
}

/// Where a candidate comes from and what it is, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateLineage {
    /// Digest of the base's files.
    pub base: Digest,
    /// Digest of the training data.
    pub dataset: Digest,
    /// Who trains.
    pub trainer: TrainerVersion,
    /// Digest of the adapter's weights, or of all weights where all are trained.
    pub adapter: Option<Digest>,
    /// Digest of the GGUF file.
    pub gguf: Option<Digest>,
    /// Its directory, relative to the project's.
    pub directory: String,
}
