//! How far a run is, counted from its events; it compares nothing.

use std::collections::BTreeSet;

use shipworthy_schema::{CallRole, Event, ModelName, ModelRef, Outcome, Plan, ServerPlaces};

use crate::accounting::PriceList;

/// What one model in one role did so far.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerProgress {
    /// The model.
    pub model: ModelName,
    /// Its role.
    pub role: CallRole,
    /// Conversations that ended; of a model under test only, as the next four.
    pub held: u32,
    /// Of these, the ones that ended by a fault.
    pub failed: u32,
    /// Conversations with scores.
    pub scored: u32,
    /// Of these, the ones that have an overall score.
    pub rated: u32,
    /// The sum of their overall scores.
    sum: f64,
    /// Replies of the model in this process; what earlier ones were answered does not count here and
    /// below.
    pub calls: u64,
    /// Calls made again.
    pub retries: u64,
    /// Tokens written.
    pub tokens: u64,
    /// The calls under way at its server, and the most it is given.
    pub places: Option<ServerPlaces>,
}

impl SpeakerProgress {
    fn new(model: ModelName, role: CallRole) -> Self {
        Self {
            model,
            role,
            held: 0,
            failed: 0,
            scored: 0,
            rated: 0,
            sum: 0.0,
            calls: 0,
            retries: 0,
            tokens: 0,
            places: None,
        }
    }

    /// Returns the mean of the overall scores there are so far.
    pub fn mean(&self) -> Option<f64> {
        (self.rated > 0).then(|| self.sum / f64::from(self.rated))
    }
}

/// How far a run is.
#[derive(Clone, Debug)]
pub struct RunProgress {
    /// The run, once it has a name.
    pub run: Option<String>,
    /// Conversations planned for each model, up to the next look.
    pub planned: u32,
    /// Pairs of conversations to judge, and those judged.
    pub pairs: (u32, u32),
    /// The models under test in the plan's order, the simulator, the judges.
    pub speakers: Vec<SpeakerProgress>,
    /// Servers that are waited for.
    pub away: BTreeSet<String>,
    /// What this process's calls cost, where tokens have prices.
    pub money: Option<f64>,
    /// What tokens cost.
    pub prices: PriceList,
    /// Conversations scored and pairs judged by this process.
    fresh: u32,
}

impl RunProgress {
    /// Returns the progress of a run of `plan` that did not begin.
    pub fn of(plan: &Plan, prices: PriceList) -> Self {
        let arms = plan.models.iter().map(|model| (model, CallRole::Model));
        let simulator = plan.simulator.model().into_iter();
        let judges = plan
            .judges
            .iter()
            .map(|judge| (&judge.model, CallRole::Judge));
        let speakers = arms
            .chain(simulator.map(|model| (model, CallRole::Simulator)))
            .chain(judges)
            .map(|(model, role): (&ModelRef, _)| (model.name.clone(), role));
        Self::new(speakers, prices)
    }

    /// Returns the progress of a run in which nobody of `speakers` spoke.
    pub fn new(
        speakers: impl IntoIterator<Item = (ModelName, CallRole)>,
        prices: PriceList,
    ) -> Self {
        let speakers = speakers.into_iter();
        let speakers = speakers.map(|(model, role)| SpeakerProgress::new(model, role));
        Self {
            run: None,
            planned: 0,
            pairs: (0, 0),
            speakers: speakers.collect(),
            away: BTreeSet::new(),
            money: (!prices.prices.is_empty()).then_some(0.0),
            prices,
            fresh: 0,
        }
    }

    /// Counts an event.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run } => self.run = Some(run.clone()),
            Event::SimulationStarted { conversations } => {
                let arms = self.models().count();
                self.planned = conversations / u32::try_from(arms.max(1)).unwrap_or(u32::MAX);
                for speaker in &mut self.speakers {
                    (speaker.held, speaker.failed) = (0, 0);
                    (speaker.scored, speaker.rated, speaker.sum) = (0, 0, 0.0);
                }
            }
            Event::CallFinished { stored: true, .. } => {}
            Event::CallFinished {
                role,
                model,
                usage,
                places,
                stored: false,
            } => {
                let price = self.prices.price(*role, model);
                let [prompt, cached, completion] = [
                    usage.prompt_tokens,
                    usage.cached_tokens,
                    usage.completion_tokens,
                ]
                .map(Option::unwrap_or_default);
                if let (Some(money), Some(price)) = (&mut self.money, price) {
                    *money += price.of(prompt, cached, completion);
                }
                if let Some(speaker) = self.speaker(*role, model) {
                    speaker.calls += 1;
                    speaker.tokens += completion;
                    speaker.places = *places;
                }
            }
            Event::CallRetried { role, model, .. } => {
                if let Some(speaker) = self.speaker(*role, model) {
                    speaker.retries += 1;
                }
            }
            Event::ServerAway { server, .. } => drop(self.away.insert(server.clone())),
            Event::ServerBack { server } => drop(self.away.remove(server)),
            Event::ConversationFinished {
                id, termination, ..
            } => {
                if let Some(speaker) = self.speaker(CallRole::Model, &id.model) {
                    speaker.held += 1;
                    speaker.failed += u32::from(!termination.is_complete());
                }
            }
            Event::ConversationScored {
                id,
                overall,
                stored,
            } => {
                self.fresh += u32::from(!stored);
                if let Some(speaker) = self.speaker(CallRole::Model, &id.model) {
                    speaker.scored += 1;
                    if let Outcome::Scored { value } = overall {
                        speaker.rated += 1;
                        speaker.sum += value;
                    }
                }
            }
            Event::PairsStarted { pairs } => self.pairs = (*pairs, 0),
            Event::PairJudged { .. } => {
                self.pairs.1 += 1;
                self.fresh += 1;
            }
        }
    }

    fn speaker(&mut self, role: CallRole, model: &ModelName) -> Option<&mut SpeakerProgress> {
        let mut speakers = self.speakers.iter_mut();
        speakers.find(|speaker| speaker.role == role && speaker.model == *model)
    }

    /// Returns the models under test.
    pub fn models(&self) -> impl Iterator<Item = &SpeakerProgress> {
        let speakers = self.speakers.iter();
        speakers.filter(|speaker| speaker.role == CallRole::Model)
    }

    /// Returns how many conversations are scored and pairs judged, and how many will be, up to the next
    /// look.
    pub fn steps(&self) -> (u32, u32) {
        let scored: u32 = self.models().map(|model| model.scored).sum();
        let arms = u32::try_from(self.models().count()).unwrap_or(u32::MAX);
        let planned = self.planned.saturating_mul(arms);
        (scored + self.pairs.1, planned.saturating_add(self.pairs.0))
    }

    /// Returns how many seconds are left if all goes on as it did for the `elapsed` ones of this
    /// process; `None` before the first conversation was scored.
    pub fn seconds_left(&self, elapsed: f64) -> Option<f64> {
        let (done, all) = self.steps();
        let left = f64::from(all.saturating_sub(done));
        (self.fresh > 0).then(|| elapsed * left / f64::from(self.fresh))
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::{
        CallRole, ConversationId, Event, ModelName, Outcome, PersonaId, Termination, Usage,
    };

    use super::RunProgress;
    use crate::accounting::{ModelPrice, PriceList};
    use crate::config::Price;

    fn progress() -> RunProgress {
        let [a, b] = ["a", "b"].map(|name| ModelName::new(name).unwrap());
        let price = Price {
            prompt: 1.0,
            cached: None,
            completion: 2.0,
        };
        let prices = PriceList {
            prices: vec![ModelPrice {
                role: CallRole::Model,
                model: a.clone(),
                price: Some(price),
            }],
            ..PriceList::default()
        };
        RunProgress::new([a, b].map(|name| (name, CallRole::Model)), prices)
    }

    fn scored(model: &str, persona: &str, overall: Outcome, stored: bool) -> [Event; 2] {
        let id = ConversationId {
            model: ModelName::new(model).unwrap(),
            persona: PersonaId::new(persona).unwrap(),
            repeat: 1,
        };
        let termination = match overall {
            Outcome::Scored { .. } => Termination::TurnLimit,
            _ => Termination::ModelError,
        };
        let held = Event::ConversationFinished {
            id: id.clone(),
            termination,
            stored,
        };
        let scored = Event::ConversationScored {
            id,
            overall,
            stored,
        };
        [held, scored]
    }

    #[test]
    fn a_run_that_goes_on_counts_every_conversation_once_and_its_own_for_the_time_left() {
        let mut progress = progress();
        let value = |value| Outcome::Scored { value };
        progress.take(&Event::SimulationStarted { conversations: 8 });
        for event in [
            scored("a", "p1", value(0.5), true),
            scored("b", "p1", value(0.25), true),
            scored("a", "p2", value(1.0), false),
        ]
        .iter()
        .flatten()
        {
            progress.take(event);
        }
        assert_eq!(progress.steps(), (3, 8));
        assert_eq!(progress.seconds_left(2.0), Some(10.0));
        let failed = Outcome::Unscored {
            reason: "x".to_owned(),
        };
        for event in scored("b", "p2", failed, false) {
            progress.take(&event);
        }
        let [a, b] = &progress.speakers[..] else {
            panic!()
        };
        assert_eq!((a.mean(), b.mean()), (Some(0.75), Some(0.25)));
        assert_eq!((b.held, b.failed, b.scored, b.rated), (2, 1, 2, 1));
        // After a look more people speak, and those who did are told again.
        progress.take(&Event::SimulationStarted { conversations: 12 });
        assert_eq!(progress.steps(), (0, 12));
        assert_eq!(progress.speakers[0].mean(), None, "never 0");
    }

    #[test]
    fn calls_cost_what_their_tokens_do_but_for_stored_ones() {
        let mut progress = progress();
        for (model, stored) in [("a", false), ("a", true), ("b", false)] {
            progress.take(&Event::CallFinished {
                role: CallRole::Model,
                model: ModelName::new(model).unwrap(),
                usage: Usage {
                    prompt_tokens: Some(1_000_000),
                    completion_tokens: Some(500_000),
                    ..Usage::default()
                },
                places: None,
                stored,
            });
        }
        assert_eq!(progress.money, Some(2.0));
        assert_eq!(progress.speakers[0].calls, 1);
        assert_eq!(progress.speakers[1].tokens, 500_000);
    }
}
