use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

use serde_json::{Map, Value};
use shipworthy_backends::trainer::{TrainError, TrainingWatch};
use shipworthy_schema::{
    BaseModel, BestStep, DatasetRef, MemoryReport, MemoryUse, TrainerVersion, TrainingEnding,
    TrainingEvent, TrainingMetrics, TrainingPlan, TrainingReport, TrainingWarning,
};

use super::base_model::{file_digest, model_digest};
use super::error::TuningError;
use super::output_files::{self, CONFIG};
use super::preflight::{Preflight, located};
use super::training_records::TrainingRecords;
use super::warnings;
use crate::run_directory::write_file;

/// The thread that trains: its calls go as deep as the model, and libraries keep tiles on the stack.
const STACK_BYTES: usize = 64 << 20;

/// Those who look on while a model is tuned.
pub struct RunWatch<'a> {
    /// Is told what happens.
    pub observe: &'a mut dyn FnMut(&TrainingEvent),
    /// Once true, training ends at the next opportunity, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Tells the time in seconds since 1970.
    pub wall_time: &'a dyn Fn() -> f64,
}

/// Trains, and writes the model and the records of the run into the output directory.
///
/// Returns the report that was written. Of a run that fails after its first step the records are
/// written too.
pub fn run(preflight: Preflight, watch: &mut RunWatch<'_>) -> Result<TrainingReport, TuningError> {
    let mut course = Course::new(preflight)?;
    let (events, inbox) = mpsc::channel();
    let (job, trainer) = (&course.preflight.job.clone(), course.trainer()?);
    let stop = watch.stop;
    let trained = thread::scope(|scope| {
        let training = thread::Builder::new()
            .name("training".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, move || {
                let mut observe = |event| {
                    // Who listens has gone only after a failure of their own.
                    let _ = events.send(event);
                };
                let mut watch = TrainingWatch {
                    observe: &mut observe,
                    stop,
                };
                trainer.train(job, &mut watch)
            })
            .map_err(|source| TrainError::InputOutput {
                detail: "failed to start the training thread".to_owned(),
                source,
            })?;
        let mut recorded = Ok(());
        for event in inbox {
            if recorded.is_ok() {
                recorded = course.record(&event, (watch.wall_time)());
                if recorded.is_err() {
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
            (watch.observe)(&event);
        }
        let trained = training
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, TuningError>((trained, recorded))
    });
    let (trained, recorded) = trained?;
    recorded?;
    course.end(trained)
}
