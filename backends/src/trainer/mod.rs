//! Trainers behind one trait.

mod error;
#[cfg_attr(not(feature = "native"), path = "forecast_disabled.rs")]
mod forecast;
mod forecast_input;
mod job;
#[cfg_attr(not(feature = "native"), path = "native_disabled.rs")]
mod native;
mod trl;

use std::sync::atomic::AtomicBool;

use shipworthy_schema::finetune::TrainerKind;
use shipworthy_schema::{TrainerVersion, TrainingEvent, TrainingPlan};

pub use error::TrainError;
pub use forecast::{forecast_memory, forecast_values};
pub use forecast_input::{ForecastBatch, ForecastModel};
pub use job::{Resume, TrainingJob};
pub use native::share_one_heap;
pub use trl::{
    LogitsHeld, ScriptData, ScriptListener, ScriptPlace, ScriptResume, TRL_CHUNK,
    forecast_trl_memory, plan_script, refuse_other_run, script_requirements, script_version,
    training_script, trl_values, write_script_data,
};

/// Something that fine-tunes models.
pub trait Trainer: Send + Sync {
    /// Returns what trains, and its version.
    fn version(&self) -> TrainerVersion;

    /// Returns what training would do and take; nothing is computed or written.
    fn plan(&self, job: &TrainingJob) -> Result<TrainingPlan, TrainError>;

    /// Trains, and writes model and checkpoints into the job's output directory.
    ///
    /// The last event is [`TrainingEvent::Ended`], unless there is an error. It computes for as long as it
    /// takes, on this thread, which must have a stack of some megabytes.
    fn train(&self, job: &TrainingJob, watch: &mut TrainingWatch<'_>) -> Result<(), TrainError>;
}

/// Those who look on while a model is trained.
pub struct TrainingWatch<'a> {
    /// Is told what happens.
    pub observe: &'a mut dyn FnMut(TrainingEvent),
    /// Once true, training ends at the next opportunity, with a checkpoint.
    pub stop: &'a AtomicBool,
}

/// Returns a trainer of this machine's; errors if this build does not have it.
///
/// `hf_jobs` is none: [`plan_script`] plans it, [`training_script`] is what it runs, and [`ScriptListener`]
/// makes events of its log.
pub fn open_trainer(kind: TrainerKind) -> Result<Box<dyn Trainer>, TrainError> {
    match kind {
        TrainerKind::Native => native::open(),
        TrainerKind::Trl => Ok(trl::open()),
        TrainerKind::HfJobs => Err(TrainError::Setting {
            key: "trainer",
            detail: "`hf_jobs` trains at the Hub, not here".to_owned(),
        }),
    }
}
