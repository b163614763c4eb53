//! All conversations of all models, held and scored at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt as _};
use shipworthy_backends::ChatModel;
use shipworthy_rubrics::Rubric;
use shipworthy_schema::{
    CallRole, Conversation, ConversationId, ConversationScore, Event, ModelName, Persona, Plan,
    SimulatorPlan,
};
use tokio::sync::Semaphore;

use crate::asking::{Asking, Speaker, StopError};
use crate::preparation::Models;
use crate::scoring::{Scoring, score};
use crate::simulation::{Setting, Simulator, converse};
use crate::store::StoreError;

/// What holds and scores the conversations of one run.
pub(crate) struct Engine<'a> {
    asking: &'a Asking,
    rubric: &'a Rubric,
    repeats: u32,
    setting: Setting,
    scoring: Scoring,
    arms: BTreeMap<ModelName, Arm>,
}

/// A model under test. The bound is on conversations, not on calls: a model that keeps a
/// conversation's prompt cache between its turns has only so many places.
struct Arm {
    speaker: Speaker,
    places: Semaphore,
}

impl Arm {
    fn new(model: Arc<dyn ChatModel>) -> Self {
        let places = Semaphore::new(model.concurrency().max(1));
        Self {
            speaker: Speaker::new(model, CallRole::Model),
            places,
        }
    }
}

impl<'a> Engine<'a> {
    /// Sets up the run of `plan`.
    pub(crate) fn new(asking: &'a Asking, plan: &Plan, rubric: &'a Rubric, models: Models) -> Self {
        let setting = Setting {
            system_prompt: plan.system_prompt.clone(),
            sampling: plan.sampling.clone(),
            max_turns: plan.personas.max_turns,
            simulator: simulator(plan, &models),
        };
        let scoring = Scoring::of(plan, &models);
        let arms = models
            .under_test
            .into_iter()
            .map(|(name, model)| (name, Arm::new(model)));
        let arms = arms.collect();
        Self {
            asking,
            rubric,
            repeats: plan.personas.repeats,
            setting,
            scoring,
            arms,
        }
    }

    /// Holds and scores the conversations of `personas` with every model, but for those that an
    /// earlier process finished; returns all of them in id order.
    pub(crate) async fn run(
        &self,
        personas: &[Persona],
    ) -> Result<(Vec<Conversation>, Vec<ConversationScore>), StopError> {
        let mut done = finished(self.asking)?;
        let mut places = Vec::new();
        for repeat in 1..=self.repeats {
            for persona in personas {
                places.extend(self.arms.iter().map(|(model, arm)| {
                    let (model, person) = (model.clone(), persona.id.clone());
                    (
                        arm,
                        persona,
                        ConversationId {
                            model,
                            persona: person,
                            repeat,
                        },
                    )
                }));
            }
        }
        self.asking.emit(Event::SimulationStarted {
            conversations: count(places.len()),
            already_done: count(done.len()),
        });
        let mut under_way = FuturesUnordered::new();
        for (arm, persona, id) in places {
            let (held, scored) = done.remove(&id.to_string()).unwrap_or_default();
            under_way.push(async move {
                let conversation = match held {
                    Some(conversation) => conversation,
                    None => self.hold(arm, persona, id).await?,
                };
                let scores = match scored {
                    Some(scores) => scores,
                    None => self.score(persona, &conversation).await?,
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
        &self,
        arm: &Arm,
        persona: &Persona,
        id: ConversationId,
    ) -> Result<Conversation, StopError> {
        let _place = arm
            .places
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let asking = self.asking;
        let conversation = converse(asking, &self.setting, &arm.speaker, persona, id).await?;
        asking
            .store()
            .put_conversation(asking.run(), &conversation)
            .await?;
        let (id, termination) = (conversation.id.clone(), conversation.termination);
        asking.emit(Event::ConversationFinished { id, termination });
        Ok(conversation)
    }

    /// Scores a conversation and stores the scores.
    async fn score(
        &self,
        persona: &Persona,
        conversation: &Conversation,
    ) -> Result<ConversationScore, StopError> {
        let (asking, scoring) = (self.asking, &self.scoring);
        let scores = score(asking, self.rubric, scoring, persona, conversation).await?;
        asking.store().put_score(asking.run(), &scores).await?;
        let (id, overall) = (scores.conversation.clone(), scores.overall.clone());
        asking.emit(Event::ConversationScored { id, overall });
        Ok(scores)
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
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
        (SimulatorPlan::Llm { sampling, .. }, Some(model)) => Simulator::Llm {
            speaker: Speaker::new(model.clone(), CallRole::Simulator),
            sampling: sampling.clone(),
        },
        _ => Simulator::RuleBased,
    }
}
