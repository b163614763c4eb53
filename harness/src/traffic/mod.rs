//! Calls on their way to servers: how many at once, when again after a failure, and what becomes of
//! a server that is away.

mod backoff;
mod congestion;
mod outage;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shipworthy_backends::{ChatError, ChatModel};
use shipworthy_schema::{Digest, ModelRef, ModelSource, ServerPlaces};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use self::backoff::backoff;
use self::congestion::{Congestion, Load};
use self::outage::Outage;
use crate::halt::{Halt, HaltReason};

/// The servers of a run; models at one base URL share one, every other model has its own.
pub(crate) struct Servers(BTreeMap<String, Arc<Server>>);

impl Servers {
    /// Finds the servers of `models`.
    pub(crate) fn of<'a>(
        models: impl Iterator<Item = (&'a ModelRef, &'a Arc<dyn ChatModel>)>,
    ) -> Self {
        let mut most = BTreeMap::<String, (usize, bool)>::new();
        for (planned, model) in models {
            let (name, is_remote) = name(planned);
            let entry = most.entry(name).or_insert((1, is_remote));
            entry.0 = entry.0.max(model.concurrency());
        }
        let servers = most.into_iter().map(|(name, (most, is_remote))| {
            let server = Server::new(name.clone(), most, is_remote);
            (name, Arc::new(server))
        });
        Self(servers.collect())
    }

    /// Returns the server of a model.
    pub(crate) fn at(&self, planned: &ModelRef) -> Arc<Server> {
        Arc::clone(&self.0[&name(planned).0])
    }
}

/// Names the place whose limits a model shares, and tells whether it is another process.
fn name(planned: &ModelRef) -> (String, bool) {
    match &planned.source {
        ModelSource::Http { url, .. } => (url.clone(), true),
        ModelSource::Gguf { .. } | ModelSource::Scripted { .. } => {
            (planned.name.to_string(), false)
        }
    }
}

/// A server as its calls see it: so many at once, fewer where that was too much, one where it is
/// away.
pub(crate) struct Server {
    name: String,
    is_remote: bool,
    /// Conversations held at once: as many as calls, for a model that keeps a conversation's prompt cache
    /// between its turns has only so many places.
    pub(crate) places: Semaphore,
    slots: Semaphore,
    state: Mutex<State>,
    /// How often something happened after which another model may answer.
    incidents: AtomicU64,
}

struct State {
    /// Permits that exist, taken or not.
    permits: usize,
    congestion: Congestion,
    outage: Outage,
    failures: u32,
}

/// How a call ended, as far as the server is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a reply, or with an answer that no repetition changes.
    Answered,
    /// Without a reply for a reason of its own.
    Failed,
    /// Within the time allowed there was no answer.
    TimedOut,
    /// The server takes no calls now.
    TurnedAway,
    /// Nobody listens.
    Refused,
}

impl Ending {
    /// Tells what `error` means for the server.
    pub(crate) fn of(error: &ChatError) -> Self {
        match error {
            ChatError::Unreachable { .. } => Self::Refused,
            ChatError::RateLimited { .. } | ChatError::NotReady { .. } => Self::TurnedAway,
            error if error.is_retryable() => Self::Failed,
            _ => Self::Answered,
        }
    }

    /// Tells whether the call is not to blame.
    pub(crate) fn is_the_servers(self) -> bool {
        matches!(self, Self::TurnedAway | Self::Refused)
    }
}

/// What the end of a call changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// For how long the server has answered no call, where this one was not.
    pub(crate) silent: Duration,
    /// Whether the server counts as away.
    pub(crate) is_away: bool,
    /// Whether it did not before.
    pub(crate) went_away: bool,
    /// Whether the server counts as back from now on.
    pub(crate) came_back: bool,
}

impl Server {
    fn new(name: String, most: usize, is_remote: bool) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            name,
            is_remote,
            places: Semaphore::new(most),
            slots: Semaphore::new(most),
            state: Mutex::new(State {
                permits: most,
                congestion: Congestion::new(most),
                outage: Outage::new(most),
                failures: 0,
            }),
            incidents: AtomicU64::new(0),
        }
    }

    /// Returns its base URL, or the name of the model that is its own.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many calls are under way, and the most that may be.
    pub(crate) fn used(&self) -> ServerPlaces {
        let limit = self.lock().permits;
        let in_use = limit.saturating_sub(self.slots.available_permits());
        let [in_use, limit] = [in_use, limit].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        ServerPlaces { in_use, limit }
    }

    /// Tells whether it is another process, which may come back.
    pub(crate) fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// Returns a number that is another one after anything that could have changed what is served.
    pub(crate) fn incidents(&self) -> u64 {
        self.incidents.load(Ordering::Acquire)
    }

    /// Waits until a call may be made; first come, first served.
    pub(crate) async fn admit(&self, halt: &Halt) -> Result<Admission<'_>, HaltReason> {
        let permit = match self.slots.try_acquire() {
            Ok(permit) => permit,
            Err(_) => halt
                .or(self.slots.acquire())
                .await?
                .expect("the semaphore is never closed"),
        };
        let (decreases, pause) = {
            let state = self.lock();
            let pause = if state.outage.is_away() {
                state.outage.pause(Instant::now())
            } else {
                Duration::ZERO
            };
            (state.congestion.decreases(), pause)
        };
        let admission = Admission {
            server: self,
            permit: Some(permit),
            decreases,
        };
        if !pause.is_zero() {
            halt.or(tokio::time::sleep(pause)).await?;
        }
        Ok(admission)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a permit back, or takes it away where there are too many.
    fn give_back(&self, state: &mut State, permit: SemaphorePermit<'_>) {
        let wanted = if state.outage.is_away() {
            1
        } else {
            state.congestion.limit()
        };
        if state.permits > wanted {
            state.permits -= 1;
            permit.forget();
            let more = state.permits - wanted;
            state.permits -= self.slots.forget_permits(more);
        } else {
            drop(permit);
            self.slots.add_permits(wanted - state.permits);
            state.permits = wanted;
        }
    }
}

/// The right to make one call.
pub(crate) struct Admission<'a> {
    server: &'a Server,
    permit: Option<SemaphorePermit<'a>>,
    decreases: u64,
}

impl<'a> Admission<'a> {
    /// Returns the server.
    pub(crate) fn server(&self) -> &'a Server {
        self.server
    }

    /// Says how the call ended.
    pub(crate) fn settle(mut self, ending: Ending) -> Settled {
        let server = self.server;
        let mut state = server.lock();
        let was_away = state.outage.is_away();
        let load = match ending {
            Ending::TurnedAway => Load::TooMuch,
            Ending::TimedOut => Load::Slow,
            Ending::Answered | Ending::Failed | Ending::Refused => Load::Bearable,
        };
        let mut settled = Settled::default();
        if ending == Ending::Answered {
            settled.came_back = state.outage.answered();
        } else {
            state.failures = state.failures.wrapping_add(1);
            let share = backoff::share(&Digest::of(server.name.as_bytes()), state.failures);
            let is_refused = ending == Ending::Refused;
            settled.silent = state.outage.failed(Instant::now(), is_refused, share);
            settled.is_away = state.outage.is_away();
            settled.went_away = !was_away && settled.is_away;
        }
        // While the server is away, what its calls meet is not its load.
        if !was_away && !state.outage.is_away() {
            state.congestion.settle(self.decreases, load);
        }
        if matches!(ending, Ending::Failed | Ending::Refused) || settled.came_back {
            server.incidents.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(permit) = self.permit.take() {
            server.give_back(&mut state, permit);
        }
        settled
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.server.give_back(&mut self.server.lock(), permit);
        }
    }
}
