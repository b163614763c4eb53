use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::data::TrainingData;
use super::event::TrainingEvent;
use super::options::TrainingOptions;
use crate::adapter::TrainedModel;

/// What is to be trained, on what, and where it is written.
#[derive(Clone, Copy, Debug)]
pub struct TrainingJob<'a> {
    /// The examples.
    pub data: &'a TrainingData,
    /// How it is trained.
    pub options: &'a TrainingOptions,
    /// What is trained, and how it is saved.
    pub model: &'a TrainedModel,
    /// The directory for the model and its checkpoints.
    pub output: &'a Path,
    /// The checkpoint to go on from; see [`latest_checkpoint`](super::latest_checkpoint).
    pub resume: Option<&'a Path>,
}

/// Those who look on while a model is trained.
pub struct Watch<'a> {
    /// Is told what happens.
    pub observe: &'a mut dyn FnMut(TrainingEvent),
    /// Once true, training ends after the batch under way, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Tells the time since any fixed moment.
    pub clock: &'a dyn Fn() -> Duration,
}
