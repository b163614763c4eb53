//! Simulate, score, compare, decide.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shipworthy_personas::leak::LeakError;
use shipworthy_rubrics::Rubric;
use shipworthy_schema::yaml::YamlError;
use shipworthy_schema::{
    Conversation, ConversationScore, Digest, Evaluation, Event, JudgedPair, ModelName, Persona,
    Plan, Regression,
};
use thiserror::Error;

use crate::accounting::cost_of_run;
use crate::asking::{Asking, Listener, Oversight, StopError};
use crate::budget::Purse;
use crate::comparison::ComparisonError;
use crate::conclusion::{Record, Step, first_look};
use crate::config::Count;
use crate::engine::Engine;
use crate::generation::{Generated, hold_and_select};
use crate::halt::{Halt, HaltReason};
use crate::human_check::{human_check, human_warnings};
use crate::known_replies::KnownReplies;
use crate::preflight::{Preflight, RefusedError, preflight, recognise};
use crate::preparation::{Prepared, personas_of_run};
use crate::regression::{BaselineError, hold_against, hold_and_finish, rule_of};
use crate::resumption::run_to_resume;
use crate::reuse::Reuse;
use crate::shard::Shard;
use crate::store::{NewRun, Run, RunState, Store, StoreError};
use crate::telemetry::Tracer;

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
    /// The rubric of a stored run cannot be read.
    #[error(transparent)]
    Rubric(#[from] YamlError),
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
    /// The people cannot be divided so.
    #[error("shard {shard} cannot be held: {reason}")]
    NoShard {
        /// The share.
        shard: Shard,
        /// Why not.
        reason: String,
    },
    /// No candidate can be held against the shipped model.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// Generated rows cannot be searched for people of the evaluation.
    #[error(transparent)]
    Leak(#[from] LeakError),
    /// A file of a run cannot be written.
    #[error(transparent)]
    Write(#[from] crate::run_directory::WriteError),
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

/// What became of a run.
#[derive(Debug)]
pub enum Done {
    /// It has a verdict.
    Decided {
        /// The run.
        run: String,
        /// What came out.
        evaluation: Box<Evaluation>,
    },
    /// Its share of the people have spoken and were scored.
    Shard {
        /// The run.
        run: String,
        /// Its share.
        shard: Shard,
        /// The people in it.
        personas: usize,
    },
    /// A teacher's conversations became training data.
    Generated(Box<Generated>),
    /// Its candidates were held against a shipped model.
    Held {
        /// The run.
        run: String,
        /// What came out.
        regression: Box<Regression>,
    },
}

/// Evaluates what was prepared.
///
/// When `halt` asks for it, or the deadline of the run's limits is over, calls under way are
/// finished and stored, and the run ends with [`StopError::Halted`].
pub async fn evaluate(
    prepared: Prepared,
    store: Arc<Store>,
    start: Start,
    halt: Halt,
    listener: Listener,
) -> Result<Done, EvaluationError> {
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
) -> Result<Done, EvaluationError> {
    let Prepared {
        plan,
        personas,
        personas_text,
        rubric,
        rubric_text,
        models,
        limits,
        reuse,
        shard,
        generation,
        bar,
        budget,
        prices,
        tracer,
        // They run until this returns.
        servers: _servers,
    } = prepared;
    if let Some(shard) = shard {
        check_shard(shard, &plan)?;
    }
    if let Some(bar) = &bar {
        bar.baseline.check(&plan, None)?;
        let criteria: Vec<&str> = rubric.criteria().map(|(_, c)| c.id().as_str()).collect();
        rule_of(&bar.margins, &plan, &criteria)?;
    }
    let new = NewRun {
        plan: &plan,
        personas: &personas_text,
        rubric: &rubric_text,
    };
    let (run, found) = match start {
        Start::New => {
            // Nothing of it is stored, so nothing is lost by leaving it.
            let looked_at = async {
                let mut found = preflight(&plan, &models).await?;
                recognise(&mut found, &plan, &models, &reuse, &store).await?;
                Ok::<_, EvaluationError>(found)
            };
            let found = halt.or(looked_at).await.map_err(StopError::from)??;
            let run = store.begin_run(&new)?;
            if let Some(shard) = shard {
                store.put_shard(&run, shard)?;
            }
            store.put_preflight(&run, &found)?;
            store.put_prices(&run, &prices)?;
            (run, found)
        }
        Start::Resume => {
            let run = run_to_resume(&store, &plan, shard)?;
            store.put_prices(&run.id, &prices)?;
            if let Some((shard, true)) = store.shard_of(&run.id)? {
                let personas = shard.share(&personas).len();
                let run = run.id;
                return Ok(Done::Shard {
                    run,
                    shard,
                    personas,
                });
            }
            if let (RunState::Finished { .. }, Some(bar)) = (&run.state, &bar) {
                let regression = hold_against(&store, &run, &bar.margins, Some(&bar.baseline))?;
                return Ok(Done::Held {
                    run: run.id,
                    regression: regression.into(),
                });
            }
            if matches!(run.state, RunState::Finished { .. }) {
                let evaluation = recall(&store, &run)?.into();
                let run = run.id;
                return Ok(Done::Decided { run, evaluation });
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
    listener(Event::RunStarted { run: run.clone() });
    let reuse = Reuse::new(&plan, &reuse, &found);
    let speakers = reuse.speakers();
    store.put_speakers(&run, &speakers)?;
    let known = if reuse.ignores_earlier {
        None
    } else {
        KnownReplies::of(&store, &run, &speakers)?
    };
    let timeout_s = plan.call_timeout_s;
    let purse = if budget.is_unbounded() {
        None
    } else {
        Some(Purse::new(budget, prices, &plan, &store.own_usage(&run)?))
    };
    let asking = Asking::new(
        store.clone(),
        run.clone(),
        timeout_s,
        limits,
        Oversight { purse, tracer },
        halt,
        listener,
    )?
    .knowing(known);
    let start = asking.tracer().map(Tracer::now);
    let engine = Engine::new(&asking, &plan, &rubric, &models, &reuse)?;
    let done = async {
        if let Some(shard) = shard {
            let people = shard.share(&personas);
            speak(&engine, &store, &run, &people).await?;
            store.finish_shard(&run).await?;
            return Ok(Done::Shard {
                run: run.clone(),
                shard,
                personas: people.len(),
            });
        }
        if let Some(generation) = generation {
            let selection =
                hold_and_select(&engine, &asking, &plan, &personas, &generation).await?;
            let cost = cost_of_run(&store, &run, &plan)?;
            return Ok(Done::Generated(Box::new(Generated {
                run: run.clone(),
                plan: plan.clone(),
                generation,
                selection,
                cost,
            })));
        }
        if let Some(bar) = &bar {
            speak(&engine, &store, &run, &personas).await?;
            let regression = hold_and_finish(&store, &run, bar).await?.into();
            let run = run.clone();
            return Ok(Done::Held { run, regression });
        }
        let evaluation = hold_and_conclude(&engine, &asking, &plan, &personas, &found).await?;
        Ok(Done::Decided {
            run: run.clone(),
            evaluation: evaluation.into(),
        })
    };
    let done = done.await;
    if let (Some(tracer), Some(start)) = (asking.tracer(), start) {
        let failed = done.as_ref().err().map(error_type);
        tracer.run(&run, &plan.digest(), start, failed);
    }
    done
}

/// Returns what kind of error it is, in few words that quote nobody.
fn error_type(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::Stop(StopError::Halted { .. }) => "halted",
        EvaluationError::Stop(_) => "stopped",
        EvaluationError::ModelChanged { .. } => "model_changed",
        _ => "no_verdict",
    }
}

/// Holds conversations and looks at them until there is a verdict.
async fn hold_and_conclude(
    engine: &Engine<'_>,
    asking: &Asking,
    plan: &Plan,
    personas: &[Persona],
    found: &Preflight,
) -> Result<Evaluation, EvaluationError> {
    let (store, run) = (asking.store(), asking.run());
    let mut ordinals = None;
    let mut held = first_look(plan);
    loop {
        let people = &personas[..held.min(personas.len())];
        let (conversations, scores, pairs) = speak(engine, store, run, people).await?;
        let ordinals = match &mut ordinals {
            Some(ordinals) => ordinals,
            None => ordinals.insert(record_looks(store, run, plan)?),
        };
        let record = Record {
            plan,
            personas,
            conversations,
            scores,
            pairs,
        };
        store.rest();
        let (concluded, cost) = rayon::join(
            || record.conclude(ordinals),
            || cost_of_run(store, run, plan),
        );
        match concluded {
            Ok(Step::GoOn { personas }) => held = personas,
            Ok(Step::Done(mut evaluation)) => {
                evaluation.preflight = found.findings();
                evaluation.warnings.extend(found.warnings());
                evaluation.cost = cost?;
                store.finish_run(run, evaluation.verdict()).await?;
                return Ok(*evaluation);
            }
            Err(source) => {
                store.put_invalid(run, &source.to_string()).await?;
                return Err(EvaluationError::Invalid {
                    run: run.to_owned(),
                    source: source.into(),
                });
            }
        }
    }
}

/// What was said, how it was scored, and what judges prefer.
pub(crate) type Spoken = (Vec<Conversation>, Vec<ConversationScore>, Vec<JudgedPair>);

/// Lets `people` speak with all models; what was said stands only if the models are still the planned
/// ones.
pub(crate) async fn speak(
    engine: &Engine<'_>,
    store: &Store,
    run: &str,
    people: &[Persona],
) -> Result<Spoken, EvaluationError> {
    let spoken = async {
        let (conversations, scores) = engine.run(people).await?;
        let pairs = engine.prefer(people, &conversations, &scores).await?;
        engine.confirm_models().await?;
        Ok((conversations, scores, pairs))
    };
    match spoken.await {
        Ok(spoken) => Ok(spoken),
        Err(stop) => {
            if matches!(stop, StopError::ModelChanged { .. }) {
                store.forget(run).await?;
            }
            Err(model_changed(run, stop))
        }
    }
}

/// Looks whether the people of `plan` can be divided so.
fn check_shard(shard: Shard, plan: &Plan) -> Result<(), EvaluationError> {
    let people = plan.personas.count;
    let reason = if plan.early_stopping.is_some() {
        "`early_stopping` looks at people in turn, whom a shard does not have".to_owned()
    } else if shard.of() > people {
        format!("there are {people} people for {} shards", shard.of())
    } else {
        return Ok(());
    };
    Err(EvaluationError::NoShard { shard, reason })
}

/// Compares and decides on a run that the store holds in full, and marks it as finished.
pub(crate) async fn conclude_stored(
    store: &Store,
    run: &Run,
) -> Result<Evaluation, EvaluationError> {
    let concluded = recall(store, run);
    match &concluded {
        Ok(evaluation) => store.finish_run(&run.id, evaluation.verdict()).await?,
        Err(EvaluationError::Invalid { source, .. }) => {
            store.put_invalid(&run.id, &source.to_string()).await?;
        }
        Err(_) => {}
    }
    concluded
}

/// Rebuilds the evaluation of a finished run from what the store has.
pub fn recall(store: &Store, run: &Run) -> Result<Evaluation, EvaluationError> {
    let personas = personas_of_run(run)?;
    let record = Record {
        plan: &run.plan,
        personas: &personas,
        conversations: store.conversations(&run.id)?,
        scores: store.scores(&run.id)?,
        pairs: store.pairs(&run.id)?,
    };
    let concluded = record.conclude(&record_looks(store, &run.id, &run.plan)?);
    match concluded {
        Ok(Step::Done(mut evaluation)) => {
            let found = store.preflight(&run.id)?.unwrap_or_default();
            evaluation.preflight = found.findings();
            evaluation.warnings.extend(found.warnings());
            evaluation.cost = cost_of_run(store, &run.id, &run.plan)?;
            let labels = store.labels(&run.id)?;
            if !labels.is_empty() {
                let rubric = Rubric::parse(&run.rubric, "the run's rubric")?;
                evaluation.human = human_check(&evaluation, &rubric, &labels);
                let check = evaluation.human.as_ref();
                let warnings = check.map(human_warnings).unwrap_or_default();
                evaluation.warnings.extend(warnings);
            }
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
pub(crate) fn record_looks(
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
