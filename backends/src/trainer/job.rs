use std::path::PathBuf;

use shipworthy_datasets::TokenisedExample;
use shipworthy_schema::finetune::FinetuneConfig;
use shipworthy_schema::{Digest, TrainingDataReport};

/// What training goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It begins anew.
    Anew,
    /// The latest whole checkpoint of the output directory.
    Latest,
    /// A checkpoint.
    Checkpoint(PathBuf),
}

/// What is to be trained: a configuration with everything it names read and checked.
#[derive(Clone, Debug)]
pub struct TrainingJob {
    /// The configuration, its paths such as can be opened from here.
    pub config: FinetuneConfig,
    /// What the base is called in what is written: its path as the user wrote it.
    pub base_name: String,
    /// Digest of the base's files; needed for training, not for planning it.
    pub base_digest: Option<Digest>,
    /// The examples to learn from.
    pub data: Vec<TokenisedExample>,
    /// What they come to.
    pub data_report: TrainingDataReport,
    /// The examples held out; none if nothing is evaluated.
    pub eval_data: Vec<TokenisedExample>,
    /// What those come to.
    pub eval_data_report: Option<TrainingDataReport>,
    /// What to go on from.
    pub resume: Resume,
}
