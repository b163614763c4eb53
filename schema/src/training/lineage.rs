use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Artefact, BaseModel, BestStep, TrainerVersion, TrainingEnding, TrainingMetrics};
use crate::DatasetRef;

/// Where tuned weights come from: with the same of all this they can be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingLineage {
    /// Version of this format.
    pub format: u32,
    /// The model that was tuned.
    pub base: BaseModel,
    /// The adapter that training began with, by its weights; `None`: a fresh one, or none.
    pub init_adapter: Option<DatasetRef>,
    /// What was learnt from.
    pub dataset: DatasetRef,
    /// What was held out.
    pub eval_dataset: Option<DatasetRef>,
    /// The configuration as resolved, under the names of `finetune_config.yaml`.
    pub config: Map<String, Value>,
    /// Who trained.
    pub trainer: TrainerVersion,
    /// How it ended.
    pub ending: TrainingEnding,
    /// What it came to.
    pub metrics: TrainingMetrics,
    /// The step whose weights were kept, where it was chosen by its evaluation.
    pub best: Option<BestStep>,
    /// The weights that came out and what belongs to them, by path.
    pub artefacts: Vec<Artefact>,
}

impl TrainingLineage {
    /// Version of the format that this describes.
    pub const FORMAT: u32 = 1;
}
