use shipworthy_models::ModelError;
use shipworthy_schema::yaml::Place;
use shipworthy_schema::{CandidateState, ModelName};
use thiserror::Error;

use crate::evaluation::EvaluationError;
use crate::preparation::PreparationError;
use crate::run_directory::WriteError;
use crate::sanity::TaskError;
use crate::store::StoreError;
use crate::tuning::TuningError;

/// Says why a loop cannot go on; what is done so far is kept, and the loop goes on from it.
#[derive(Debug, Error)]
pub enum LoopError {
    /// The configuration has no loop.
    #[error("the configuration has no `loop`: nothing says what is to be trained")]
    NoLoop,
    /// A candidate's configuration cannot be used.
    #[error("{place}: {source}")]
    Recipe {
        /// What names it.
        place: Place,
        /// What is wrong.
        source: Box<TuningError>,
    },
    /// A candidate's configuration says what to go on from.
    #[error("{place}: leave it out: a loop goes on by itself, and from its own checkpoints")]
    Checkpoint {
        /// The key.
        place: Place,
    },
    /// What the checks would ask is no task.
    #[error("{place}: {source}")]
    Task {
        /// What names it.
        place: Place,
        /// What is wrong.
        source: TaskError,
    },
    /// Two candidates have one name.
    #[error("two candidates are named `{name}`; give their files names of their own")]
    SameName {
        /// The name.
        name: ModelName,
    },
    /// Some of the people who are to confirm were met before.
    #[error(
        "{place}: people {seed_start} to {last} are no new ones: {met}; what they say would confirm \
         nothing"
    )]
    PoolUsed {
        /// The field that names them.
        place: Place,
        /// The first seed wanted.
        seed_start: u32,
        /// The last.
        last: u32,
        /// Who met them.
        met: String,
    },
    /// The people who confirm were met under another plan.
    #[error(
        "{place}: these people met `{candidate}` in an evaluation that was planned otherwise; who \
         changes rubric, gate, sampling or models needs new people"
    )]
    OtherPlan {
        /// The field that names them.
        place: Place,
        /// The candidate.
        candidate: String,
    },
    /// Training cannot go on, for a reason that is no candidate's.
    #[error("candidate `{name}`: {source}")]
    Training {
        /// The candidate.
        name: ModelName,
        /// Why.
        source: Box<TuningError>,
    },
    /// Another job pushes to where a candidate's would.
    #[error(
        "candidate `{name}`: job {job} was not brought to its end, and pushes to `{repository}` too"
    )]
    JobUnderWay {
        /// The candidate.
        name: ModelName,
        /// The job.
        job: String,
        /// The repository.
        repository: String,
    },
    /// A model's files cannot be read or written, for a reason that is no candidate's.
    #[error("candidate `{name}`: {source}")]
    Conversion {
        /// The candidate.
        name: ModelName,
        /// Why.
        source: Box<ModelError>,
    },
    /// An evaluation cannot begin.
    #[error(transparent)]
    Preparation(#[from] Box<PreparationError>),
    /// An evaluation cannot go on.
    #[error(transparent)]
    Evaluation(#[from] Box<EvaluationError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Another process is at it.
    #[error("another process is at the loop of this project")]
    Busy,
    /// Somebody asked for the end.
    #[error("the loop was interrupted")]
    Interrupted,
}

/// What keeps a candidate from its next step.
#[derive(Debug)]
pub enum Setback {
    /// It is this candidate's; others go on.
    OfCandidate(CandidateState),
    /// It is everybody's.
    OfLoop(Box<LoopError>),
}

impl<E: Into<LoopError>> From<E> for Setback {
    fn from(error: E) -> Self {
        Self::OfLoop(Box::new(error.into()))
    }
}
