//! Simulate, score, compare, decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt as _};
use shipworthy_backends::ChatModel;
use shipworthy_rubrics::Rubric;
use shipworthy_schema::{
    CallRole, Conversation, ConversationId, ConversationScore, Evaluation, Event, ModelName,
    Persona, Plan,
};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::asking::{Asking, Listener, Speaker, StopError};
use crate::comparison::{ComparisonError, Evidence, compare};
use crate::decision::{decide, recommend};
use crate::preparation::{Models, Prepared, personas_of_run};
use crate::scoring::{Judge, score};
use crate::simulation::{Setting, Simulator, converse};
use crate::store::{NewRun, Run, RunState, Store, StoreError};
use crate::warnings::warnings;

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
        "the unfinished run {run} was planned with another {}; nothing was resumed",
        .fields.join(", ")
    )]
    PlanChanged {
        /// The unfinished run.
        run: String,
        /// The plan's fields that differ.
        fields: Vec<String>,
    },
    /// The people of a stored run cannot be read.
    #[error(transparent)]
    Personas(#[from] shipworthy_personas::PoolError),
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
pub async fn evaluate(
    prepared: Prepared,
    store: Arc<Store>,
    start: Start,
    listener: Listener,
) -> Result<(String, Evaluation), EvaluationError> {
    let Prepared {
        plan,
        personas,
        personas_text,
        rubric,
        rubric_text,
        models,
    } = prepared;
    let new = NewRun {
        plan: &plan,
        personas: &personas_text,
        rubric: &rubric_text,
    };
    let run = match start {
        Start::New => store.begin_run(&new)?,
        Start::Resume => {
            let run = run_to_resume(&store, &plan)?;
            if matches!(run.state, RunState::Finished { .. }) {
                let evaluation = recall(&store, &run)?;
                return Ok((run.id, evaluation));
            }
            run.id
        }
    };
    let asking = Asking::new(store.clone(), run.clone(), plan.call_timeout_s, listener)?;
    let under_test = models.under_test.clone();
    let (conversations, scores) = hold_all(&asking, &plan, &personas, &rubric, models).await?;
    check_still_the_same(&run, &plan, &under_test).await?;
    match conclude(plan, personas, conversations, scores) {
        Ok(evaluation) => {
            store.finish_run(&run, evaluation.verdict()).await?;
            Ok((run, evaluation))
        }
        Err(source) => {
            store.put_invalid(&run, &source.to_string()).await?;
            Err(EvaluationError::Invalid {
                run,
                source: source.into(),
            })
        }
    }
}

/// Compares and decides; the same values in give the same evaluation out.
pub fn conclude(
    plan: Plan,
    personas: Vec<Persona>,
    conversations: Vec<Conversation>,
    scores: Vec<ConversationScore>,
) -> Result<Evaluation, ComparisonError> {
    let names: Vec<ModelName> = plan.models.iter().map(|model| model.name.clone()).collect();
    let planned = plan.personas.count * plan.personas.repeats;
    let evidence = Evidence {
        baseline: &plan.baseline,
        models: &names,
        planned,
        conversations: &conversations,
        scores: &scores,
    };
    let comparison = compare(&evidence, &plan.gate, &plan.missing)?;
    let decisions = decide(&comparison, &plan.gate, &|_| plan.gate.alpha);
    let recommended =
        recommend(&comparison, &decisions).expect("a plan has at least one candidate");
    let warnings = warnings(&plan, &conversations, &comparison);
    Ok(Evaluation {
        plan,
        personas,
        conversations,
        scores,
        comparison,
        decisions,
        recommended,
        warnings,
    })
}

/// Rebuilds the evaluation of a finished run from what the store has.
pub fn recall(store: &Store, run: &Run) -> Result<Evaluation, EvaluationError> {
    let personas = personas_of_run(run)?;
    let conversations = store.conversations(&run.id)?;
    let scores = store.scores(&run.id)?;
    conclude(run.plan.clone(), personas, conversations, scores).map_err(|source| {
        EvaluationError::Invalid {
            run: run.id.clone(),
            source: source.into(),
        }
    })
}

/// Refuses a verdict on a model that was swapped for another one under way.
async fn check_still_the_same(
    run: &str,
    plan: &Plan,
    models: &BTreeMap<ModelName, Arc<dyn ChatModel>>,
) -> Result<(), EvaluationError> {
    for planned in &plan.models {
        let Some(model) = models.get(&planned.name) else {
            continue;
        };
        let found = model.identify().await.map_err(StopError::Unreachable)?;
        if found != planned.source {
            let words = |source| serde_json::to_string(source).expect("a source is plain data");
            return Err(EvaluationError::ModelChanged {
                run: run.to_owned(),
                model: planned.name.clone(),
                planned: words(&planned.source),
                found: words(&found),
            });
        }
    }
    Ok(())
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
            run: run.id,
        },
        None => EvaluationError::NothingToResume,
    })
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

/// Holds and scores all conversations of all models at once, each model within its own bound.
async fn hold_all(
    asking: &Asking,
    plan: &Plan,
    personas: &[Persona],
    rubric: &Rubric,
    models: Models,
) -> Result<(Vec<Conversation>, Vec<ConversationScore>), EvaluationError> {
    let setting = Setting {
        system_prompt: plan.system_prompt.clone(),
        sampling: plan.sampling.clone(),
        max_turns: plan.personas.max_turns,
        simulator: simulator(plan, &models),
    };
    let judge = judge(plan, &models);
    let mut done = finished(asking)?;
    // The bound is on conversations, not on calls: a model that keeps a conversation's prompt cache
    // between its turns has only so many places.
    let arms: BTreeMap<ModelName, (Speaker, Semaphore)> = models
        .under_test
        .into_iter()
        .map(|(name, model)| {
            let places = Semaphore::new(model.concurrency().max(1));
            (name, (Speaker::new(model, CallRole::Model), places))
        })
        .collect();
    let mut ids = Vec::new();
    for repeat in 1..=plan.personas.repeats {
        for persona in personas {
            for model in arms.keys() {
                let (model, person) = (model.clone(), persona.id.clone());
                ids.push((
                    persona,
                    ConversationId {
                        model,
                        persona: person,
                        repeat,
                    },
                ));
            }
        }
    }
    asking.emit(Event::SimulationStarted {
        conversations: u32::try_from(ids.len()).unwrap_or(u32::MAX),
        already_done: u32::try_from(done.len()).unwrap_or(u32::MAX),
    });
    let mut under_way = FuturesUnordered::new();
    for (persona, id) in ids {
        let (speaker, places) = &arms[&id.model];
        let (held, scored) = done.remove(&id.to_string()).unwrap_or_default();
        let (setting, judge) = (&setting, judge.as_ref());
        under_way.push(async move {
            let conversation = match held {
                Some(conversation) => conversation,
                None => hold(asking, setting, speaker, places, persona, id).await?,
            };
            let scores = match scored {
                Some(scores) => scores,
                None => keep_score(asking, rubric, judge, persona, &conversation).await?,
            };
            Ok::<_, StopError>((conversation, scores))
        });
    }
    let mut pairs = Vec::with_capacity(under_way.len());
    while let Some(pair) = under_way.next().await {
        pairs.push(pair?);
    }
    pairs.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    Ok(pairs.into_iter().unzip())
}

/// Holds a conversation when there is a place for it, and stores it.
async fn hold(
    asking: &Asking,
    setting: &Setting,
    speaker: &Speaker,
    places: &Semaphore,
    persona: &Persona,
    id: ConversationId,
) -> Result<Conversation, StopError> {
    let _place = places
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let conversation = converse(asking, setting, speaker, persona, id).await?;
    asking
        .store()
        .put_conversation(asking.run(), &conversation)
        .await?;
    let (id, termination) = (conversation.id.clone(), conversation.termination);
    asking.emit(Event::ConversationFinished { id, termination });
    Ok(conversation)
}

/// Scores a conversation and stores the scores.
async fn keep_score(
    asking: &Asking,
    rubric: &Rubric,
    judge: Option<&Judge>,
    persona: &Persona,
    conversation: &Conversation,
) -> Result<ConversationScore, StopError> {
    let scores = score(asking, rubric, judge, persona, conversation).await?;
    asking.store().put_score(asking.run(), &scores).await?;
    let (id, overall) = (scores.conversation.clone(), scores.overall.clone());
    asking.emit(Event::ConversationScored { id, overall });
    Ok(scores)
}

type Finished = BTreeMap<String, (Option<Conversation>, Option<ConversationScore>)>;

/// Returns the conversations an earlier process finished, with their scores where it came to that.
/// Those that failed are held again.
fn finished(asking: &Asking) -> Result<Finished, StoreError> {
    let mut finished = Finished::new();
    for conversation in asking.store().conversations(asking.run())? {
        if conversation.termination.is_complete() {
            let id = conversation.id.to_string();
            finished.entry(id).or_default().0 = Some(conversation);
        }
    }
    // What could not be scored is tried again; the judge's stored replies are not asked for again.
    let scores = asking.store().scores(asking.run())?;
    for score in scores
        .into_iter()
        .filter(|score| score.overall.value().is_some())
    {
        if let Some(entry) = finished.get_mut(&score.conversation.to_string()) {
            entry.1 = Some(score);
        }
    }
    Ok(finished)
}

fn simulator(plan: &Plan, models: &Models) -> Simulator {
    match (&plan.simulator, &models.simulator) {
        (shipworthy_schema::SimulatorPlan::Llm { sampling, .. }, Some(model)) => Simulator::Llm {
            speaker: Speaker::new(model.clone(), CallRole::Simulator),
            sampling: sampling.clone(),
        },
        _ => Simulator::RuleBased,
    }
}

fn judge(plan: &Plan, models: &Models) -> Option<Judge> {
    let (plan, model) = (plan.judge.as_ref()?, models.judge.as_ref()?);
    Some(Judge {
        speaker: Speaker::new(model.clone(), CallRole::Judge),
        repeats: plan.repeats,
        sampling: plan.sampling.clone(),
    })
}
