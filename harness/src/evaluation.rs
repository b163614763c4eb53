//! Simulate, score, compare, decide.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shipworthy_schema::{Digest, Evaluation, ModelName, ModelSource, Plan, ServedIdentity};
use thiserror::Error;

use crate::asking::{Asking, Listener, StopError};
use crate::comparison::ComparisonError;
use crate::conclusion::{Record, Step, first_look};
use crate::config::Count;
use crate::engine::Engine;
use crate::halt::{Halt, HaltReason};
use crate::preflight::{RefusedError, preflight};
use crate::preparation::{Prepared, personas_of_run};
use crate::store::{NewRun, Run, RunState, Store, StoreError};

/// Says why there is no verdict.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// The run cannot go on; what was answered so far is stored.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// The scores allow no comparison.
    #[error("run {run} has no verdict: {source}")]
    Invalid {
        /// The run; its transcripts are in the store.
        run: String,
        /// Why.
        source: Box<ComparisonError>,
    },
    /// A model is no longer the one planned.
    #[error(
        "`{model}` changed while run {run} went on, so its conversations are no one model's: \
         planned {planned}, now {found}"
    )]
    ModelChanged {
        /// The run.
        run: String,
        /// The model.
        model: ModelName,
        /// What was planned.
        planned: String,
        /// What is there now.
        found: String,
    },
    /// There is no unfinished run of this plan, but there is one of another plan.
    #[error(
        "run {run} has no verdict yet and was planned with another {}; nothing was resumed",
        .fields.join(", ")
    )]
    PlanChanged {
        /// The unfinished run.
        run: String,
        /// The plan's fields that differ.
        fields: Vec<String>,
        /// Whether nothing differs but what servers serve.
        is_served: bool,
    },
    /// A model cannot be used.
    #[error(transparent)]
    Refused(#[from] RefusedError),
    /// The people of a stored run cannot be read.
    #[error(transparent)]
    Personas(#[from] shipworthy_personas::PoolError),
    /// The store holds less of a finished run than its plan asks for.
    #[error("run {run} is finished, but the store holds only a part of it")]
    Incomplete {
        /// The run.
        run: String,
    },
    /// Another process is at it.
    #[error("run {run} is being evaluated by another process")]
    Busy {
        /// The run.
        run: String,
    },
    /// There is nothing to resume.
    #[error("there is no run of this plan to resume")]
    NothingToResume,
}

impl From<StoreError> for EvaluationError {
    fn from(error: StoreError) -> Self {
        Self::Stop(StopError::Store(error))
    }
}

/// Whether to begin anew or to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A new run, whatever the store has.
    New,
    /// The latest run of the same plan; a finished one is only reported again.
    Resume,
}

/// Evaluates what was prepared; returns the run's id and what came out.
///
/// When `halt` asks for it, or the deadline of the run's limits is over, calls under way are
/// finished and stored, and the run ends with [`StopError::Halted`].
pub async fn evaluate(
    prepared: Prepared,
    store: Arc<Store>,
    start: Start,
    halt: Halt,
    listener: Listener,
) -> Result<(String, Evaluation), EvaluationError> {
    let deadline = prepared.limits.deadline_s.map(Count::get);
    let at_deadline = {
        let halt = halt.clone();
        async move {
            if let Some(seconds) = deadline {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                halt.request(HaltReason::Deadline { seconds });
            }
            std::future::pending().await
        }
    };
    tokio::select! {
        biased;
        done = evaluate_until(prepared, store, start, halt, listener) => done,
        never = at_deadline => never,
    }
}

async fn evaluate_until(
    prepared: Prepared,
    store: Arc<Store>,
    start: Start,
    halt: Halt,
    listener: Listener,
) -> Result<(String, Evaluation), EvaluationError> {
    let Prepared {
        plan,
        personas,
        personas_text,
        rubric,
        rubric_text,
        models,
        limits,
        // They run until this returns.
        servers: _servers,
    } = prepared;
    let new = NewRun {
        plan: &plan,
        personas: &personas_text,
        rubric: &rubric_text,
    };
    let (run, found) = match start {
        Start::New => {
            let found = preflight(&plan, &models).await?;
            let run = store.begin_run(&new)?;
            store.put_preflight(&run, &found)?;
            (run, found)
        }
        Start::Resume => {
            let run = run_to_resume(&store, &plan)?;
            if matches!(run.state, RunState::Finished { .. }) {
                let evaluation = recall(&store, &run)?;
                return Ok((run.id, evaluation));
            }
            let found = if let Some(found) = store.preflight(&run.id)? {
                found.apply(&models);
                found
            } else {
                let found = preflight(&plan, &models).await?;
                store.put_preflight(&run.id, &found)?;
                found
            };
            (run.id, found)
        }
    };
    let Some(_lock) = store.lock_run(&run)? else {
        return Err(EvaluationError::Busy { run });
    };
    let timeout_s = plan.call_timeout_s;
    let asking = Asking::new(
        store.clone(),
        run.clone(),
        timeout_s,
        limits,
        halt,
        listener,
    )?;
    let engine = Engine::new(&asking, &plan, &rubric, &models);
    let mut ordinals = None;
    let mut held = first_look(&plan);
    loop {
        let changed = |stop| model_changed(&run, stop);
        let people = &personas[..held.min(personas.len())];
        let (conversations, scores) = engine.run(people).await.map_err(changed)?;
        engine.confirm_models().await.map_err(changed)?;
        let ordinals = match &mut ordinals {
            Some(ordinals) => ordinals,
            None => ordinals.insert(record_looks(&store, &run, &plan)?),
        };
        let record = Record {
            plan: &plan,
            personas: &personas,
            conversations,
            scores,
        };
        match record.conclude(ordinals) {
            Ok(Step::GoOn { personas }) => held = personas,
            Ok(Step::Done(mut evaluation)) => {
                evaluation.preflight = found.findings();
                evaluation.warnings.extend(found.warnings());
                store.finish_run(&run, evaluation.verdict()).await?;
                return Ok((run, *evaluation));
            }
            Err(source) => {
                store.put_invalid(&run, &source.to_string()).await?;
                return Err(EvaluationError::Invalid {
                    run,
                    source: source.into(),
                });
            }
        }
    }
}

/// Rebuilds the evaluation of a finished run from what the store has.
pub fn recall(store: &Store, run: &Run) -> Result<Evaluation, EvaluationError> {
    let personas = personas_of_run(run)?;
    let record = Record {
        plan: &run.plan,
        personas: &personas,
        conversations: store.conversations(&run.id)?,
        scores: store.scores(&run.id)?,
    };
    let concluded = record.conclude(&record_looks(store, &run.id, &run.plan)?);
    match concluded {
        Ok(Step::Done(mut evaluation)) => {
            let found = store.preflight(&run.id)?.unwrap_or_default();
            evaluation.preflight = found.findings();
            evaluation.warnings.extend(found.warnings());
            Ok(*evaluation)
        }
        Ok(Step::GoOn { .. }) => Err(EvaluationError::Incomplete {
            run: run.id.clone(),
        }),
        Err(source) => Err(EvaluationError::Invalid {
            run: run.id.clone(),
            source: source.into(),
        }),
    }
}

/// Enters into the ledger that the run looks at its candidates; returns each one's ordinal.
fn record_looks(
    store: &Store,
    run: &str,
    plan: &Plan,
) -> Result<BTreeMap<ModelName, u32>, StoreError> {
    let candidates = plan
        .models
        .iter()
        .filter(|model| model.name != plan.baseline);
    let (names, digests): (Vec<ModelName>, Vec<Digest>) = candidates
        .map(|model| (model.name.clone(), model.source.identity()))
        .unzip();
    let ordinals = store.record_looks(run, &plan.personas, &digests)?;
    Ok(names.into_iter().zip(ordinals).collect())
}

/// Names the run in which a model was swapped for another one.
fn model_changed(run: &str, stop: StopError) -> EvaluationError {
    match stop {
        StopError::ModelChanged {
            model,
            planned,
            found,
        } => EvaluationError::ModelChanged {
            run: run.to_owned(),
            model,
            planned,
            found,
        },
        stop => stop.into(),
    }
}

fn run_to_resume(store: &Store, plan: &Plan) -> Result<Run, EvaluationError> {
    if let Some(run) = store.latest_run_of(&plan.digest())? {
        return Ok(run);
    }
    let unfinished = store
        .runs()?
        .into_iter()
        .find(|run| !matches!(run.state, RunState::Finished { .. }));
    Err(match unfinished {
        Some(run) => EvaluationError::PlanChanged {
            fields: changed_fields(&run.plan, plan),
            is_served: differ_in_what_is_served(&run.plan, plan),
            run: run.id,
        },
        None => EvaluationError::NothingToResume,
    })
}

/// Tells whether two plans differ in nothing but what servers say that they serve.
fn differ_in_what_is_served(old: &Plan, new: &Plan) -> bool {
    let without_identities = |plan: &Plan| {
        let mut plan = plan.clone();
        for model in &mut plan.models {
            if let ModelSource::Http { served, .. } = &mut model.source {
                *served = ServedIdentity::default();
            }
        }
        plan
    };
    without_identities(old) == without_identities(new)
}

/// Returns the paths at which two plans differ, e.g. `models.tuned`.
fn changed_fields(old: &Plan, new: &Plan) -> Vec<String> {
    let value = |plan: &Plan| serde_json::to_value(plan).expect("a plan is plain data");
    let (old_value, new_value) = (value(old), value(new));
    let mut fields = Vec::new();
    let keys = new_value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys);
    for key in keys.filter(|key| old_value.get(key) != new_value.get(key)) {
        if key == "models" {
            let changed = new
                .models
                .iter()
                .filter(|model| !old.models.contains(model));
            fields.extend(changed.map(|model| format!("models.{}", model.name)));
        } else {
            fields.push(key.clone());
        }
    }
    fields
}
