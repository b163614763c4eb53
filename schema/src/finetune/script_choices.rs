//! What can be chosen where a script trains, not this process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the model learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The assistant's replies.
    #[default]
    Sft,
    /// To prefer the chosen of two replies to the rejected one (direct preference optimisation).
    Dpo,
}

/// How several processes share a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distributed {
    /// Each has everything, and they share the examples.
    #[default]
    Ddp,
    /// Each has a part of weights, gradients and optimiser states (PyTorch's FSDP2).
    Fsdp,
    /// Each has a part of gradients and optimiser states (`DeepSpeed`).
    Zero2,
    /// Each has a part of the weights too (`DeepSpeed`).
    Zero3,
}

impl Distributed {
    /// Returns its name as the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddp => "ddp",
            Self::Fsdp => "fsdp",
            Self::Zero2 => "zero2",
            Self::Zero3 => "zero3",
        }
    }
}

/// Where metrics are sent while training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportTo {
    /// Nowhere.
    #[default]
    None,
    /// To Trackio: a dashboard of this machine's, or a Space.
    Trackio,
}

/// What is pushed to the Hub, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HubStrategy {
    /// The result, at the end.
    End,
    /// The model of every checkpoint.
    #[default]
    EverySave,
    /// That, and the latest checkpoint, from which training can go on.
    Checkpoint,
    /// That, and all checkpoints.
    AllCheckpoints,
}
