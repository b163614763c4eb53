use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use shipworthy_schema::{
    CandidateResult, CandidateState, CandidateStep, ModelName, Plan, TrainingEvent,
};
use tokio::runtime::Runtime;

use super::at_hub::HubAccess;
use super::error::{LoopError, Setback};
use super::recipe::Recipe;
use super::time::Stopwatch;
use crate::accounting::PriceList;
use crate::asking::Listener;
use crate::config::{CandidatesConfig, Config};
use crate::halt::Halt;
use crate::preparation::directory_of;
use crate::store::Store;
use crate::tuning::at_hub::HubEvent;

/// A project with a loop, and what its steps need.
pub struct Project<'a> {
    /// What the user wrote.
    pub config: &'a Config,
    /// Where it is written; paths in it are relative to the file's directory.
    pub file: &'a Path,
    /// What was done so far.
    pub store: Arc<Store>,
    /// Evaluations run on it, all of them on the same.
    pub runtime: &'a Runtime,
    /// API keys come from it.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Tells the time in seconds since 1970.
    pub wall_time: &'a dyn Fn() -> f64,
    /// Asks everything to end.
    pub halt: Halt,
    /// True once `halt` asks: what training looks at.
    pub stop: &'a AtomicBool,
    /// Whether a step that failed is taken again.
    pub retry: bool,
    /// The Hub; needed if a candidate has `trainer: hf_jobs`.
    pub hub: Option<HubAccess>,
}

impl Project<'_> {
    /// Returns the project's directory.
    pub fn directory(&self) -> &Path {
        directory_of(self.file)
    }

    /// Returns what the loop is to do.
    pub fn wanted(&self) -> Result<&CandidatesConfig, LoopError> {
        let written = self.config.candidates.as_ref();
        Ok(&written.ok_or(LoopError::NoLoop)?.value)
    }
}

/// Something that happened in a loop.
pub enum LoopEvent<'a> {
    /// A step of a candidate begins that the store does not have.
    Begun {
        /// The candidate.
        name: &'a ModelName,
        /// The step.
        step: CandidateStep,
    },
    /// It is known how many steps a training has.
    Planned {
        /// The steps.
        steps: u64,
    },
    /// Something happened beside a training at the Hub.
    AtHub {
        /// What.
        event: &'a HubEvent<'a>,
    },
    /// Training told something.
    Training {
        /// What.
        event: &'a TrainingEvent,
    },
    /// It is known what a candidate came to.
    Concluded {
        /// What it came to.
        result: &'a CandidateResult,
    },
    /// A candidate meets people nobody has met.
    Confirming {
        /// The candidate.
        name: &'a ModelName,
    },
}

/// Looks on while candidates are made.
pub trait Observer {
    /// Is told what happens.
    fn tell(&self, event: &LoopEvent<'_>);

    /// Returns who listens to an evaluation that begins; it is told by name.
    fn listen(&self, name: &ModelName, plan: &Plan, prices: PriceList) -> Listener;

    /// Is told that the evaluation is over.
    fn unlisten(&self);
}

/// One candidate being made.
pub struct Making<'a> {
    pub(super) project: &'a Project<'a>,
    pub(super) observer: &'a dyn Observer,
    /// The candidate.
    pub recipe: &'a Recipe,
    pub(super) stopwatch: Stopwatch<'a>,
    /// Money that is left for calls, where it is bounded.
    pub(super) money_left: Option<f64>,
    /// What the calls of its runs cost, as far as that is known.
    pub(super) money: f64,
    /// Why no step is begun, where only what the store has is wanted.
    not_begun: Option<String>,
}

impl<'a> Making<'a> {
    /// Begins to make a candidate, or goes on with it.
    ///
    /// `others`: seconds that other candidates took; `money_left`: what calls may still cost.
    pub fn begin(
        project: &'a Project<'a>,
        observer: &'a dyn Observer,
        recipe: &'a Recipe,
        others: f64,
        money_left: Option<f64>,
    ) -> Result<Self, LoopError> {
        let store = &project.store;
        store.put_candidate(&recipe.key, &recipe.ingredients)?;
        Self::recalled(project, observer, recipe, others, money_left)
    }

    /// Returns a candidate of which nothing is entered.
    fn recalled(
        project: &'a Project<'a>,
        observer: &'a dyn Observer,
        recipe: &'a Recipe,
        others: f64,
        money_left: Option<f64>,
    ) -> Result<Self, LoopError> {
        let store = &project.store;
        let budget = project.wanted()?.budget.value;
        let stopwatch = Stopwatch::start(store, project.wall_time, &recipe.key, budget, others)?;
        Ok(Self {
            project,
            observer,
            recipe,
            stopwatch,
            money_left,
            money: 0.0,
            not_begun: None,
        })
    }

    /// Looks at what the store has of a candidate, of which no step is begun, for the reason `why`.
    pub(super) fn recall(
        project: &'a Project<'a>,
        observer: &'a dyn Observer,
        recipe: &'a Recipe,
        why: String,
    ) -> Result<Self, LoopError> {
        let mut making = Self::recalled(project, observer, recipe, 0.0, None)?;
        making.not_begun = Some(why);
        Ok(making)
    }

    /// Returns the candidate's directory.
    pub fn directory(&self) -> PathBuf {
        self.project.directory().join(self.recipe.directory())
    }

    /// Returns where its adapter is, or its checkpoint where all weights are trained.
    pub fn trained_directory(&self) -> PathBuf {
        self.directory().join(TRAINED)
    }

    /// Errors if no step is to be begun.
    pub(super) fn check_begin(&self) -> Result<(), Setback> {
        match &self.not_begun {
            Some(why) => Err(Setback::OfCandidate(CandidateState::NotTried {
                why: why.clone(),
            })),
            None => Ok(()),
        }
    }

    /// Tells whether a step that failed is taken again.
    pub(super) fn is_retried(&self) -> bool {
        self.project.retry && self.not_begun.is_none()
    }

    pub(super) fn check_halt(&self) -> Result<(), Setback> {
        if self.project.halt.reason().is_some() {
            return Err(LoopError::Interrupted.into());
        }
        Ok(())
    }

    pub(super) fn begun(&self, step: CandidateStep) {
        let name = &self.recipe.name;
        self.observer.tell(&LoopEvent::Begun { name, step });
    }
}

/// Name of the directory that a candidate is trained into.
pub(super) const TRAINED: &str = "trained";
