//! All conversations of all models, held and scored at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt as _};
use shipworthy_backends::ChatModel;
use shipworthy_rubrics::Rubric;
use shipworthy_schema::{
    CallRole, Conversation, ConversationId, ConversationScore, Digest, Event, JudgedPair,
    ModelName, ModelRef, Persona, Plan, SimulatorPlan,
};

use crate::asking::{Asking, Speaker, StopError};
use crate::halt::HaltReason;
use crate::pairwise::PairJudging;
use crate::preparation::Models;
use crate::reuse::Reuse;
use crate::scoring::{Scoring, score};
use crate::simulation::{Setting, Simulator, converse};
use crate::store::{Known, StoreError};
use crate::telemetry::Tracer;
use crate::traffic::Servers;

/// Most conversations held with a model beyond the calls it takes at once.
const MOST_MEANWHILE: usize = 1024;

/// What holds and scores the conversations of one run.
pub(crate) struct Engine<'a> {
    asking: &'a Asking,
    rubric: &'a Rubric,
    /// What earlier runs may answer.
    reuse: &'a Reuse,
    /// Whether there is any that could.
    looks_back: bool,
    plan: &'a Plan,
    setting: Setting,
    scoring: Scoring,
    arms: BTreeMap<ModelName, Speaker>,
}

impl<'a> Engine<'a> {
    /// Sets up the run of `plan`.
    pub(crate) fn new(
        asking: &'a Asking,
        plan: &'a Plan,
        rubric: &'a Rubric,
        models: &Models,
        reuse: &'a Reuse,
    ) -> Result<Self, StoreError> {
        let looks_back = !reuse.ignores_earlier && asking.store().has_known(asking.run())?;
        let speaker = |model, role, planned: &ModelRef, servers: &Servers| {
            let known_as = reuse.speaker(role, &planned.name);
            Speaker::new(model, role, planned.clone(), servers.at(planned)).known_as(known_as)
        };
        let servers = Servers::of(opened(plan, models).into_iter());
        let setting = Setting {
            system_prompt: plan.system_prompt.clone(),
            sampling: plan.sampling.clone(),
            max_turns: plan.personas.max_turns,
            simulator: simulator(plan, models, |opened, planned| {
                speaker(opened, CallRole::Simulator, planned, &servers)
            }),
        };
        let scoring = Scoring::of(plan, |planned| {
            let judge = models.judges.get(&planned.name)?.clone();
            Some(speaker(judge, CallRole::Judge, planned, &servers))
        });
        let arms = plan.models.iter().filter_map(|planned| {
            let model = models.under_test.get(&planned.name)?.clone();
            let speaker = speaker(model, CallRole::Model, planned, &servers);
            Some((planned.name.clone(), speaker))
        });
        let arms: BTreeMap<ModelName, Speaker> = arms.collect();
        let mut at_server: BTreeMap<&str, Vec<&Speaker>> = BTreeMap::new();
        for speaker in arms.values() {
            let name = speaker.server.name();
            at_server.entry(name).or_default().push(speaker);
        }
        let of_each = plan.personas.count as usize * plan.personas.repeats as usize;
        for speakers in at_server.values() {
            let places = &speakers[0].server.places;
            let meanwhile = meanwhile(speakers[0], &setting.simulator);
            let conversations = of_each.saturating_mul(speakers.len());
            places.add_permits(widening(
                conversations,
                places.available_permits(),
                meanwhile,
            ));
        }
        Ok(Self {
            asking,
            rubric,
            reuse,
            looks_back,
            plan,
            setting,
            scoring,
            arms,
        })
    }

    /// Holds and scores the conversations of `personas` with every model, but for those that an
    /// earlier process finished; returns all of them in id order, as they are stored. Until then none
    /// that ended is kept in memory.
    ///
    /// Conversations begin in the order of repeats, then people, in turn for every model, so that
    /// models at one server end together. Where the run cannot go on, calls under way are still
    /// finished and stored.
    pub(crate) async fn run(
        &self,
        personas: &[Persona],
    ) -> Result<(Vec<Conversation>, Vec<ConversationScore>), StopError> {
        let mut done = finished(self.asking)?;
        let speeches: Vec<(u32, &Persona)> = (1..=self.plan.personas.repeats)
            .flat_map(|repeat| personas.iter().map(move |persona| (repeat, persona)))
            .collect();
        self.asking.emit(Event::SimulationStarted {
            conversations: count(speeches.len() * self.arms.len()),
        });
        let mut lanes: Vec<Lane<'_>> = self
            .arms
            .iter()
            .map(|(model, speaker)| Lane {
                model,
                speaker,
                next: 0,
                free: speaker.model.concurrency().max(1)
                    + meanwhile(speaker, &self.setting.simulator),
            })
            .collect();
        let mut holding = FuturesUnordered::new();
        let mut scoring = FuturesUnordered::new();
        let mut stopped: Option<StopError> = None;
        loop {
            let mut began = stopped.is_none();
            while began {
                began = false;
                for (lane, place) in lanes.iter_mut().enumerate() {
                    if place.free == 0 || place.next == speeches.len() {
                        continue;
                    }
                    began = true;
                    let (repeat, persona) = speeches[place.next];
                    place.next += 1;
                    let id = ConversationId {
                        model: place.model.clone(),
                        persona: persona.id.clone(),
                        repeat,
                    };
                    match done.remove(&id.to_string()).unwrap_or_default() {
                        (Some(held), Some(scores)) => {
                            self.tell_held(&held, true);
                            self.tell_scored(&scores, true);
                        }
                        (Some(held), None) => {
                            self.tell_held(&held, true);
                            scoring.push(self.score(persona, held, None));
                        }
                        (None, _) => {
                            let key = self.reuse.conversation_key(&id, persona);
                            if let Some(known) = self.known_conversation(key.as_ref())? {
                                let held = known.value.clone();
                                scoring.push(self.score(persona, held, key.zip(Some(known))));
                                continue;
                            }
                            place.free -= 1;
                            let held = self.hold(place.speaker, persona, id, key);
                            holding.push(async move { (lane, persona, held.await) });
                        }
                    }
                }
            }
            let ended = tokio::select! {
                biased;
                Some(scored) = scoring.next() => scored,
                Some((lane, persona, held)) = holding.next() => {
                    lanes[lane].free += 1;
                    held.map(|held| scoring.push(self.score(persona, held, None)))
                }
                else => break,
            };
            match ended {
                Ok(()) => {}
                // Nothing more can be kept.
                Err(stop @ StopError::Store(_)) => return Err(stop),
                Err(stop) => {
                    self.asking.halt().request(HaltReason::Fault);
                    stopped.get_or_insert(stop);
                }
            }
        }
        match stopped {
            Some(stop) => Err(stop),
            None => Ok(self.ended(personas)?),
        }
    }

    /// Returns the conversations of `personas` and their scores.
    fn ended(
        &self,
        personas: &[Persona],
    ) -> Result<(Vec<Conversation>, Vec<ConversationScore>), StoreError> {
        let (store, run) = (self.asking.store(), self.asking.run());
        let ids: BTreeSet<_> = personas.iter().map(|persona| &persona.id).collect();
        let mut conversations = store.conversations(run)?;
        conversations.retain(|conversation| ids.contains(&conversation.id.persona));
        let mut scores = store.scores(run)?;
        scores.retain(|score| ids.contains(&score.conversation.persona));
        Ok((conversations, scores))
    }

    /// Has the judges hold candidates' conversations against the baseline's, if the plan says so.
    pub(crate) async fn prefer(
        &self,
        personas: &[Persona],
        conversations: &[Conversation],
        scores: &[ConversationScore],
    ) -> Result<Vec<JudgedPair>, StopError> {
        if !self.plan.judging.pairwise {
            return Ok(Vec::new());
        }
        let judging = PairJudging {
            asking: self.asking,
            rubric: self.rubric,
            scoring: &self.scoring,
            baseline: &self.plan.baseline,
        };
        judging.judge_all(personas, conversations, scores).await
    }

    /// Looks whether every model is still the planned one.
    pub(crate) async fn confirm_models(&self) -> Result<(), StopError> {
        let simulator = match &self.setting.simulator {
            Simulator::Llm { speaker, .. } => Some(speaker.as_ref()),
            Simulator::RuleBased => None,
        };
        let judges = self.scoring.judges.iter().map(|judge| &judge.speaker);
        for speaker in self.arms.values().chain(simulator).chain(judges) {
            self.asking.confirm(speaker).await?;
        }
        Ok(())
    }

    /// Holds a conversation when there is a place for it, and stores it.
    async fn hold(
        &self,
        model: &Speaker,
        persona: &Persona,
        id: ConversationId,
        key: Option<Digest>,
    ) -> Result<Conversation, StopError> {
        let asking = self.asking;
        let place = asking.halt().or(model.server.places.acquire()).await?;
        let _place = place.expect("the semaphore is never closed");
        let start = asking.tracer().map(Tracer::now);
        let conversation = converse(asking, &self.setting, model, persona, id).await?;
        asking
            .store()
            .put_conversation(asking.run(), &conversation, key.as_ref())
            .await?;
        if let (Some(tracer), Some(start)) = (asking.tracer(), start) {
            tracer.conversation(&conversation, start);
        }
        self.tell_held(&conversation, false);
        Ok(conversation)
    }

    fn tell_held(&self, conversation: &Conversation, stored: bool) {
        self.asking.emit(Event::ConversationFinished {
            id: conversation.id.clone(),
            termination: conversation.termination,
            stored,
        });
    }

    fn tell_scored(&self, scores: &ConversationScore, stored: bool) {
        self.asking.emit(Event::ConversationScored {
            id: scores.conversation.clone(),
            overall: scores.overall.clone(),
            stored,
        });
    }

    /// Returns the conversation that an earlier run held under `key`.
    fn known_conversation(
        &self,
        key: Option<&Digest>,
    ) -> Result<Option<Known<Conversation>>, StoreError> {
        match key.filter(|_| self.looks_back) {
            Some(key) => (self.asking.store()).known_conversation(self.asking.run(), key),
            None => Ok(None),
        }
    }

    /// Scores a conversation and stores the scores; one that an earlier run held is stored first.
    async fn score(
        &self,
        persona: &Persona,
        conversation: Conversation,
        known: Option<(Digest, Known<Conversation>)>,
    ) -> Result<(), StopError> {
        let (asking, scoring) = (self.asking, &self.scoring);
        let (store, run) = (asking.store(), asking.run());
        if let Some((key, known)) = known {
            store.adopt_conversation(run, &known, &key).await?;
            self.tell_held(&conversation, true);
        }
        let key = self.reuse.score_key(persona, &conversation);
        let known = match key.as_ref().filter(|_| self.looks_back) {
            Some(key) => store.known_score(run, key)?.map(|known| (key, known)),
            None => None,
        };
        let is_known = known.is_some();
        let scores = if let Some((key, known)) = known {
            store.adopt_score(run, &known, key).await?;
            known.value
        } else {
            let start = asking.tracer().map(Tracer::now);
            let scores = score(asking, self.rubric, scoring, persona, &conversation).await?;
            store.put_score(run, &scores, key.as_ref()).await?;
            if let (Some(tracer), Some(start)) = (asking.tracer(), start) {
                tracer.scoring(&scores.conversation, start);
            }
            scores
        };
        asking.leave(&conversation.id.to_string());
        self.tell_scored(&scores, is_known);
        Ok(())
    }
}

/// Returns how many more conversations are held with a model than it takes calls at once.
///
/// As many as the simulator speaks in meanwhile, where it is at another server, so that the model's own is
/// not idle until the person has spoken. Else as many again, so that a server is not half idle whenever
/// the conversations that began together end together. None where a model keeps something of each
/// conversation, or runs in this process.
fn meanwhile(speaker: &Speaker, simulator: &Simulator) -> usize {
    if speaker.model.keeps_threads() || !speaker.server.is_remote() {
        return 0;
    }
    let next = match simulator {
        Simulator::Llm {
            speaker: person, ..
        } if !Arc::ptr_eq(&speaker.server, &person.server) => &person.model,
        _ => &speaker.model,
    };
    next.concurrency().min(MOST_MEANWHILE)
}

/// Returns how many of `meanwhile` more conversations than `calls` are held at a server, so that all of
/// them come in rounds of the same size: after a last round of a few, it would be idle for the rest.
fn widening(conversations: usize, calls: usize, meanwhile: usize) -> usize {
    let rounds = conversations.div_ceil(calls + meanwhile).max(1);
    let of_each = conversations.div_ceil(rounds);
    of_each.saturating_sub(calls).min(meanwhile)
}

/// The conversations of one model that have not begun, and its free places.
struct Lane<'a> {
    model: &'a ModelName,
    speaker: &'a Speaker,
    /// Which of all conversations is next.
    next: usize,
    free: usize,
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

/// Returns the models of `plan` beside what was opened for them.
fn opened<'a>(plan: &'a Plan, models: &'a Models) -> Vec<(&'a ModelRef, &'a Arc<dyn ChatModel>)> {
    let mut opened: Vec<_> = plan
        .models
        .iter()
        .filter_map(|planned| Some((planned, models.under_test.get(&planned.name)?)))
        .collect();
    if let (SimulatorPlan::Llm { model, .. }, Some(simulator)) =
        (&plan.simulator, &models.simulator)
    {
        opened.push((model, simulator));
    }
    let judges = plan.judges.iter();
    opened.extend(judges.filter_map(|judge| {
        let model = &judge.model;
        Some((model, models.judges.get(&model.name)?))
    }));
    opened
}

fn simulator(
    plan: &Plan,
    models: &Models,
    speaker: impl Fn(Arc<dyn ChatModel>, &ModelRef) -> Speaker,
) -> Simulator {
    match (&plan.simulator, &models.simulator) {
        (
            SimulatorPlan::Llm {
                model, sampling, ..
            },
            Some(opened),
        ) => Simulator::Llm {
            speaker: speaker(opened.clone(), model).into(),
            sampling: sampling.clone(),
        },
        _ => Simulator::RuleBased,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::widening;

    #[test_case(400, 64, 64, 36; "four rounds of 100, not three of 128 and one of 16")]
    #[test_case(90, 64, 64, 26; "all at once")]
    #[test_case(30, 64, 64, 0; "fewer than calls")]
    #[test_case(400, 4, 0, 0; "a model that keeps a conversation")]
    #[test_case(0, 1, 1, 0; "none")]
    fn conversations_come_in_rounds_of_the_same_size(
        conversations: usize,
        calls: usize,
        meanwhile: usize,
        more: usize,
    ) {
        assert_eq!(widening(conversations, calls, meanwhile), more);
    }
}
