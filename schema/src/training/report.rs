use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Artefact, BaseModel, BestStep, MemoryReport, TrainerVersion, TrainingDataReport,
    TrainingEnding, TrainingLogEntry, TrainingMetrics, TrainingWarning,
};
use crate::DatasetRef;

/// A training run that is over: everything a report on it is rendered from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// Version of this format.
    pub format: u32,
    /// Who trained.
    pub trainer: TrainerVersion,
    /// The output directory as the configuration wrote it.
    pub output_dir: String,
    /// The configuration as resolved, under the names of `finetune_config.yaml`.
    pub config: Map<String, Value>,
    /// The model that was tuned.
    pub base: BaseModel,
    /// What was learnt from.
    pub dataset: DatasetRef,
    /// What was held out.
    pub eval_dataset: Option<DatasetRef>,
    /// What the data came to as tokens.
    pub data: TrainingDataReport,
    /// What the held-out data came to.
    pub eval_data: Option<TrainingDataReport>,
    /// Values that were trained.
    pub trainable_parameters: u64,
    /// Values of the whole model, the trained ones among them.
    pub total_parameters: u64,
    /// How it ended.
    pub ending: TrainingEnding,
    /// What it came to.
    pub metrics: TrainingMetrics,
    /// The step with the lowest evaluation loss, if there was an evaluation.
    pub best: Option<BestStep>,
    /// The curves, in the order they were logged.
    pub log: Vec<TrainingLogEntry>,
    /// Memory, predicted and measured.
    pub memory: MemoryReport,
    /// What a reader must know first.
    pub warnings: Vec<TrainingWarning>,
    /// What the run left behind, by path.
    pub artefacts: Vec<Artefact>,
}

impl TrainingReport {
    /// Version of the format that this describes.
    pub const FORMAT: u32 = 1;
}
