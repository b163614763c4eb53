//! What a training run tells while it goes on, and what it leaves behind, whoever trains.
//!
//! An [event](TrainingEvent) says what happens; the [log](TrainingLogEntry) keeps the numbers under the
//! names that Hugging Face's trainers gave them; the [report](TrainingReport) and the
//! [lineage](TrainingLineage) are what is read afterwards.

mod artefact;
mod data_report;
mod ending;
mod event;
mod forecast;
mod lineage;
mod log_entry;
mod memory;
mod metrics;
mod plan;
mod report;
mod trainer_state;
mod warning;

pub use artefact::{Artefact, BaseModel, TrainerVersion};
pub use data_report::{TokenCounts, TrainingDataReport};
pub use ending::TrainingEnding;
pub use event::TrainingEvent;
pub use forecast::{ForecastDevice, ForecastKnob, ForecastPart, MemoryForecast};
pub use lineage::TrainingLineage;
pub use log_entry::TrainingLogEntry;
pub use memory::{MemoryPart, MemoryReport, MemoryUse};
pub use metrics::{BestStep, TrainingMetrics};
pub use plan::TrainingPlan;
pub use report::TrainingReport;
pub use trainer_state::{
    EarlyStoppingArgs, EarlyStoppingAttributes, EarlyStoppingCallback, StatefulCallbacks,
    TrainerState,
};
pub use warning::TrainingWarning;
