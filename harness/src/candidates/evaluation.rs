use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shipworthy_schema::{CandidateEvaluation, CandidateState, CandidateStep, Evaluation};

use super::error::{LoopError, Setback};
use super::making::Making;
use crate::accounting::money_of_run;
use crate::asking::StopError;
use crate::config::{Config, PoolConfig, Quantisation};
use crate::evaluation::{Done, EvaluationError, Start, evaluate, recall};
use crate::halt::{Halt, HaltReason};
use crate::preparation::{PreparationError, Prepared, prepare};
use crate::run_directory::{self, REPORT};
use crate::store::{Run, RunState};

const STEP: CandidateStep = CandidateStep::Evaluation;

/// How often it is looked whether time is over.
const TICK: Duration = Duration::from_secs(1);

/// A candidate's evaluation, planned and ready.
pub(super) struct Planned {
    pub(super) prepared: Prepared,
    /// The latest run of the same plan.
    pub(super) latest: Option<Run>,
}

impl Making<'_> {
    /// Lets the people of `pool` talk with baseline and candidate and decides, or goes on with that, or
    /// returns what it came to.
    pub fn evaluate(
        &mut self,
        to: Quantisation,
        pool: PoolConfig,
    ) -> Result<CandidateEvaluation, Setback> {
        let planned = self.plan(to, pool)?;
        self.hold(planned)
    }

    /// Plans the evaluation; no model is asked anything.
    pub(super) fn plan(&self, to: Quantisation, pool: PoolConfig) -> Result<Planned, Setback> {
        let project = self.project;
        self.check_halt()?;
        let config = self.config(to, pool);
        let prepared = project.runtime.block_on(async {
            let prepared = prepare(&config, project.file, project.environment);
            tokio::select! {
                prepared = prepared => Some(prepared),
                _ = project.halt.requested() => None,
            }
        });
        let mut prepared = match prepared.ok_or(LoopError::Interrupted)? {
            Ok(prepared) => prepared,
            Err(error) => return Err(self.unprepared(error)),
        };
        if let Some(left) = self.money_left {
            let own = prepared.budget.money;
            prepared.budget.money = Some(own.map_or(left, |own| own.min(left)));
        }
        let latest = project.store.latest_run_of(&prepared.plan.digest())?;
        Ok(Planned { prepared, latest })
    }

    /// Returns what the user wrote, with this candidate and these people.
    pub(super) fn config(&self, to: Quantisation, pool: PoolConfig) -> Config {
        let Self {
            project, recipe, ..
        } = self;
        let dataset = recipe.dataset_from(project.directory());
        let gguf = self.gguf(to);
        project
            .config
            .of_candidate(pool, &recipe.name, &gguf, dataset)
    }

    fn unprepared(&self, error: PreparationError) -> Setback {
        let own = format!("models.{}", self.recipe.name);
        let is_own = match &error {
            PreparationError::Open { place, .. } => place.field == own,
            PreparationError::SameModel { .. } => true,
            _ => false,
        };
        if is_own {
            failure(error.to_string())
        } else {
            LoopError::from(Box::new(error)).into()
        }
    }

    /// Holds it, or returns what it came to, and counts what its calls cost.
    pub(super) fn hold(&mut self, planned: Planned) -> Result<CandidateEvaluation, Setback> {
        let plan = planned.prepared.plan.clone();
        let held = self.hold_planned(planned);
        let store = &self.project.store;
        if let Some(run) = store.latest_run_of(&plan.digest())? {
            self.money += money_of_run(store, &run.id, &plan)?.unwrap_or_default();
        }
        held
    }

    fn hold_planned(&mut self, planned: Planned) -> Result<CandidateEvaluation, Setback> {
        let Planned { prepared, latest } = planned;
        let start = match &latest {
            None => Start::New,
            Some(run) => match &run.state {
                RunState::Finished { .. } => {
                    let evaluation = recall(&self.project.store, run).map_err(Box::new);
                    let evaluation = evaluation.map_err(LoopError::from)?;
                    return self.judged(&run.id, &evaluation, &prepared.personas_text);
                }
                RunState::Invalid { reason } if !self.is_retried() => {
                    return Err(failure(format!("run {} has no verdict: {reason}", run.id)));
                }
                RunState::Invalid { .. } | RunState::Unfinished | RunState::Generated { .. } => {
                    Start::Resume
                }
            },
        };
        self.check_begin()?;
        if let Some(what) = self.stopwatch.exhausted() {
            return Err(Setback::OfCandidate(CandidateState::OutOfBudget {
                step: STEP,
                what,
            }));
        }
        self.begun(STEP);
        let (plan, personas_text) = (prepared.plan.clone(), prepared.personas_text.clone());
        let (name, prices) = (&self.recipe.name, prepared.prices.clone());
        let listener = self.observer.listen(name, &plan, prices);
        self.stopwatch.count()?;
        let project = self.project;
        let halt = Halt::default();
        let store = Arc::clone(&project.store);
        let held = evaluate(prepared, store, start, halt.clone(), listener);
        let (held, out_of_time) = project.runtime.block_on(async {
            let stopwatch = &mut self.stopwatch;
            let mut out_of_time = None;
            let mut held = std::pin::pin!(held);
            loop {
                tokio::select! {
                    biased;
                    held = &mut held => return (held, out_of_time),
                    reason = project.halt.requested(), if halt.reason().is_none() => {
                        halt.request(reason);
                    }
                    () = tokio::time::sleep(TICK), if halt.reason().is_none() => {
                        // A store that fails ends the run by itself.
                        if let Ok(Some(what)) = stopwatch.tick() {
                            out_of_time = Some(what);
                            halt.request(HaltReason::Deadline { seconds: 0 });
                        }
                    }
                }
            }
        });
        self.observer.unlisten();
        self.stopwatch.count()?;
        match held {
            Ok(Done::Decided { run, evaluation }) => self.judged(&run, &evaluation, &personas_text),
            Ok(Done::Shard { .. } | Done::Held { .. } | Done::Generated(_)) => {
                unreachable!("neither a share, a baseline file nor training data was asked for")
            }
            Err(error) => Err(self.unheld(error, out_of_time)),
        }
    }

    /// Tells a candidate's lack of a verdict from everybody's.
    fn unheld(&self, error: EvaluationError, out_of_time: Option<String>) -> Setback {
        let out_of_budget =
            |what| Setback::OfCandidate(CandidateState::OutOfBudget { step: STEP, what });
        match (&error, out_of_time) {
            (EvaluationError::Stop(StopError::Halted { reason }), out_of_time) => {
                match (reason, out_of_time) {
                    (HaltReason::Interrupted, _) => LoopError::Interrupted.into(),
                    (_, Some(what)) => out_of_budget(what),
                    (HaltReason::Deadline { seconds }, None) => {
                        out_of_budget(format!("`limits.deadline_s`, {seconds} s"))
                    }
                    (HaltReason::Budget(exhausted), None) => out_of_budget(exhausted.words()),
                    (HaltReason::Fault, None) => LoopError::from(Box::new(error)).into(),
                }
            }
            (EvaluationError::Invalid { run, .. }, _) => {
                let directory = self.run_directory(run);
                let written = run_directory::write_without_verdict(
                    &self.project.store,
                    run,
                    &directory,
                    &error.to_string(),
                );
                match written {
                    Ok(()) => failure(error.to_string()),
                    Err(error) => LoopError::from(Box::new(error)).into(),
                }
            }
            _ => LoopError::from(Box::new(error)).into(),
        }
    }

    fn run_directory(&self, run: &str) -> PathBuf {
        self.project.directory().join("runs").join(run)
    }

    /// Writes the artefacts of an evaluation, if they are not there, and returns it in short.
    fn judged(
        &self,
        run: &str,
        evaluation: &Evaluation,
        personas: &str,
    ) -> Result<CandidateEvaluation, Setback> {
        let directory = self.run_directory(run);
        if !directory.join(REPORT).is_file() {
            run_directory::write(&directory, evaluation, personas)?;
        }
        let name = &self.recipe.name;
        let candidates = &evaluation.comparison.candidates;
        let compared = candidates.iter().find(|it| it.model == *name);
        let compared = compared.expect("the plan has this candidate");
        Ok(CandidateEvaluation {
            run: run.to_owned(),
            gain: compared.difference,
            ci95: compared.ci95,
            verdict: evaluation.verdict(),
        })
    }
}

fn failure(error: String) -> Setback {
    Setback::OfCandidate(CandidateState::Failed { step: STEP, error })
}
