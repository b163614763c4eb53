use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use shipworthy_reports::visible;
use shipworthy_schema::{ConversationId, Event, Outcome, Termination};

use crate::progress::RunProgress;
use crate::store::{Store, StoreError};

/// Most faults that are shown, the latest ones.
const MOST_FAULTS: usize = 100;

/// Most pages that are waited for in the end.
const MOST_VIEWERS: usize = 64;

/// Seconds after which a page that asks for nothing is taken for closed; it asks every second.
const VIEWER_PATIENCE: f64 = 5.0;

/// How a run that was watched ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With a report: the page's whole text.
    Report(String),
    /// Without one, and this is why.
    Said(String),
}

/// What is known of a run that goes on.
pub struct Watch {
    progress: Arc<Mutex<RunProgress>>,
    store: Arc<Store>,
    elapsed: Box<dyn Fn() -> f64 + Send + Sync>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    conversations: Vec<Ended>,
    places: BTreeMap<ConversationId, usize>,
    /// Counts changes, so that a page asks for what it has not seen yet.
    revision: u64,
    faults: VecDeque<Value>,
    n_faults: u64,
    end: Option<End>,
    /// Pages that are open, and when each asked last.
    viewers: BTreeMap<String, f64>,
}

/// A conversation that ended.
struct Ended {
    id: ConversationId,
    termination: Option<Termination>,
    overall: Option<Outcome>,
    revision: u64,
}

impl Watch {
    /// Watches the run that `progress` counts and `store` keeps; `elapsed` tells how many seconds it
    /// goes on.
    pub fn new(
        progress: Arc<Mutex<RunProgress>>,
        store: Arc<Store>,
        elapsed: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            progress,
            store,
            elapsed: Box::new(elapsed),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, RunProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an event.
    pub fn take(&self, event: &Event) {
        match event {
            Event::ConversationFinished {
                id, termination, ..
            } => self.seen().ended(id).termination = Some(*termination),
            Event::ConversationScored { id, overall, .. } => {
                self.seen().ended(id).overall = Some(overall.clone());
            }
            Event::CallRetried { model, error, .. } => {
                self.seen()
                    .fault(json!({ "of": visible(model.as_str()), "error": visible(error) }));
            }
            Event::ServerAway { server, error } => {
                self.seen()
                    .fault(json!({ "of": visible(server), "error": visible(error) }));
            }
            Event::RunStarted { .. }
            | Event::SimulationStarted { .. }
            | Event::CallFinished { .. }
            | Event::ServerBack { .. }
            | Event::PairsStarted { .. }
            | Event::PairJudged { .. } => {}
        }
    }

    /// Takes note of the run's end.
    pub fn end(&self, end: End) {
        self.seen().end = Some(end);
    }

    /// Tells whether a page is open that did not get the end yet.
    pub fn is_awaited(&self) -> bool {
        let now = (self.elapsed)();
        let seen = self.seen();
        let mut viewers = seen.viewers.values();
        viewers.any(|asked| now - asked < VIEWER_PATIENCE)
    }

    /// Returns the report, if the run ended with one; `viewer` has it then.
    pub(super) fn report(&self, viewer: &str) -> Option<String> {
        let mut seen = self.seen();
        seen.viewers.remove(viewer);
        match &seen.end {
            Some(End::Report(page)) => Some(page.clone()),
            Some(End::Said(_)) | None => None,
        }
    }

    /// Returns how far the run is, and the conversations that changed after `revision`.
    pub(super) fn state(&self, viewer: Option<&str>, revision: u64) -> Value {
        let elapsed = (self.elapsed)();
        let mut state = self.counts(elapsed);
        let mut seen = self.seen();
        if let Some(viewer) = viewer {
            let is_told = matches!(seen.end, Some(End::Said(_)));
            if is_told {
                seen.viewers.remove(viewer);
            } else if seen.viewers.len() < MOST_VIEWERS || seen.viewers.contains_key(viewer) {
                seen.viewers.insert(viewer.to_owned(), elapsed);
            }
        }
        let changed = seen.conversations.iter().enumerate();
        let changed = changed.filter(|(_, ended)| ended.revision > revision);
        state["conversations"] = changed.map(|(place, ended)| ended.value(place)).collect();
        state["revision"] = json!(seen.revision);
        state["faults"] = seen.faults.iter().rev().cloned().collect();
        state["n_faults"] = json!(seen.n_faults);
        state["end"] = match &seen.end {
            None => Value::Null,
            Some(End::Report(_)) => json!({ "has_report": true }),
            Some(End::Said(text)) => json!({ "has_report": false, "text": visible(text) }),
        };
        state
    }

    fn counts(&self, elapsed: f64) -> Value {
        let progress = self.progress();
        let speakers = progress.speakers.iter().map(|speaker| {
            json!({
                "model": visible(speaker.model.as_str()),
                "role": speaker.role,
                "held": speaker.held,
                "failed": speaker.failed,
                "scored": speaker.scored,
                "mean": speaker.mean(),
                "calls": speaker.calls,
                "retries": speaker.retries,
                "tokens": speaker.tokens,
                "places": speaker.places,
            })
        });
        let money = progress.money.map(|money| {
            let amount = shipworthy_reports::amount_text(money);
            format!("{} {amount}", progress.prices.currency)
        });
        let (done, all) = progress.steps();
        json!({
            "run": progress.run,
            "planned": progress.planned,
            "steps": [done, all],
            "elapsed": elapsed,
            "left": progress.seconds_left(elapsed),
            "money": money,
            "speakers": speakers.collect::<Vec<_>>(),
            "away": progress.away.iter().map(|server| visible(server)).collect::<Vec<_>>(),
        })
    }

    /// Returns what was said in the conversation with this place in the list, and its scores.
    pub(super) fn conversation(&self, place: usize) -> Result<Option<Value>, StoreError> {
        let id = self.seen().conversations.get(place).map(|it| it.id.clone());
        let run = self.progress().run.clone();
        let (Some(id), Some(run)) = (id, run) else {
            return Ok(None);
        };
        let Some(conversation) = self.store.conversation(&run, &id)? else {
            return Ok(None);
        };
        let score = self.store.score(&run, &id)?;
        let turns = conversation.turns.iter();
        let turns = turns.map(|turn| json!({ "role": turn.role, "text": visible(&turn.content) }));
        let criteria = score.iter().flat_map(|score| &score.criteria);
        let criteria = criteria.map(|criterion| {
            json!({
                "criterion": criterion.criterion,
                "score": criterion.outcome.value(),
                "reason": visible(&criterion.reason),
            })
        });
        Ok(Some(json!({
            "turns": turns.collect::<Vec<_>>(),
            "termination": conversation.termination.label(),
            "detail": conversation.detail.as_deref().map(visible),
            "criteria": criteria.collect::<Vec<_>>(),
        })))
    }
}

impl Seen {
    /// Returns the entry of a conversation, as changed now.
    fn ended(&mut self, id: &ConversationId) -> &mut Ended {
        self.revision += 1;
        let place = *self.places.entry(id.clone()).or_insert_with(|| {
            self.conversations.push(Ended {
                id: id.clone(),
                termination: None,
                overall: None,
                revision: 0,
            });
            self.conversations.len() - 1
        });
        let ended = &mut self.conversations[place];
        ended.revision = self.revision;
        ended
    }

    fn fault(&mut self, fault: Value) {
        self.n_faults += 1;
        if self.faults.len() == MOST_FAULTS {
            self.faults.pop_front();
        }
        self.faults.push_back(fault);
    }
}

impl Ended {
    fn value(&self, place: usize) -> Value {
        json!({
            "place": place,
            "model": visible(self.id.model.as_str()),
            "persona": visible(self.id.persona.as_str()),
            "repeat": self.id.repeat,
            "termination": self.termination.map(Termination::label),
            "failed": self.termination.is_some_and(|it| !it.is_complete()),
            "is_scored": self.overall.is_some(),
            "overall": self.overall.as_ref().and_then(Outcome::value),
        })
    }
}
