//! Asking a model and keeping its reply: a stored reply is used instead of a call, a new one is
//! stored before it is used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shipworthy_backends::ChatError;
use shipworthy_schema::{CallRole, ChatReply, ChatRequest, Digest, Event, ModelName};
use thiserror::Error;

use crate::budget::Purse;
use crate::config::Limits;
use crate::halt::{Halt, HaltReason};
use crate::known_replies::KnownReplies;
pub use crate::speaker::Speaker;
use crate::speaker::Unconfirmed;
use crate::store::{CallKey, Origin, Store, StoreError, StoredCall};
use crate::telemetry::{CallSpan, Tracer};
use crate::traffic::{Admission, Ending, Settled, backoff};

/// Takes the events of a run.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// Says why there is no reply.
#[derive(Debug, Error)]
pub enum AskError {
    /// The model failed on this request.
    #[error(transparent)]
    Model(ChatError),
    /// The call took longer than the plan allows.
    #[error("no reply within {seconds} s")]
    Timeout {
        /// The plan's bound.
        seconds: u32,
    },
    /// The run cannot go on.
    #[error(transparent)]
    Stop(#[from] StopError),
}

/// Says why a whole run cannot go on; what was answered so far is stored.
#[derive(Debug, Error)]
pub enum StopError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model cannot be reached any more, or refuses the key.
    #[error(transparent)]
    Unreachable(ChatError),
    /// Another model answers than the one planned.
    #[error("`{model}` is another model than planned: planned {planned}, now {found}")]
    ModelChanged {
        /// The model's name in the project.
        model: ModelName,
        /// What was planned.
        planned: String,
        /// What is there now.
        found: String,
    },
    /// Somebody or something asked for the end.
    #[error("the run was stopped before its end{}", .reason.words())]
    Halted {
        /// Who or what.
        reason: HaltReason,
    },
    /// A stored reply answers another request than the one now made.
    #[error(
        "the stored reply to {role:?} call {turn}.{attempt} of conversation {thread} answers \
         another request than the one this version makes"
    )]
    RequestChanged {
        /// The conversation.
        thread: String,
        /// Whose call.
        role: CallRole,
        /// Which turn.
        turn: u32,
        /// Which time of asking.
        attempt: u32,
    },
}

impl From<HaltReason> for StopError {
    fn from(reason: HaltReason) -> Self {
        Self::Halted { reason }
    }
}

impl From<HaltReason> for AskError {
    fn from(reason: HaltReason) -> Self {
        Self::Stop(reason.into())
    }
}

/// Asks models on behalf of one run.
pub struct Asking {
    store: Arc<Store>,
    run: String,
    stored: HashMap<CallKey, StoredCall>,
    /// Replies of earlier runs, if there are any to be had.
    known: Option<KnownReplies>,
    timeout_s: u32,
    limits: Limits,
    oversight: Oversight,
    /// How often calls of a conversation were repeated.
    retries: Mutex<HashMap<String, u32>>,
    halt: Halt,
    listener: Listener,
}

/// What looks at every call besides.
#[derive(Default)]
pub(crate) struct Oversight {
    /// What the run may take, where that is bounded.
    pub(crate) purse: Option<Purse>,
    /// What makes spans, where somebody wants them.
    pub(crate) tracer: Option<Tracer>,
}

/// One call's failures so far.
struct Failures {
    /// Tries, without those that the server turned away.
    tries: u32,
    /// Tries that the server turned away.
    turned_away: u32,
    first: Option<Instant>,
}

impl Asking {
    /// Returns an asker for `run`; replies that the store already has are never asked for again.
    pub(crate) fn new(
        store: Arc<Store>,
        run: String,
        timeout_s: u32,
        limits: Limits,
        oversight: Oversight,
        halt: Halt,
        listener: Listener,
    ) -> Result<Self, StoreError> {
        let stored = store.calls(&run)?;
        Ok(Self {
            store,
            run,
            stored,
            known: None,
            timeout_s,
            limits,
            oversight,
            retries: Mutex::default(),
            halt,
            listener,
        })
    }

    /// Lets replies of earlier runs answer calls.
    pub(crate) fn knowing(self, known: Option<KnownReplies>) -> Self {
        Self { known, ..self }
    }

    /// Says that no more calls of a conversation will be made.
    pub(crate) fn leave(&self, thread: &str) {
        if let Some(known) = &self.known {
            known.leave(thread);
        }
    }

    /// Returns the reply to `request`, from the store or from the model.
    pub async fn ask(
        &self,
        speaker: &Speaker,
        turn: u32,
        attempt: u32,
        request: &ChatRequest,
    ) -> Result<ChatReply, AskError> {
        let thread = request.thread.clone();
        let key = CallKey {
            thread,
            role: speaker.role,
            turn,
            attempt,
        };
        let digest = request.digest();
        if let Some(stored) = self.stored.get(&key) {
            if stored.request != digest {
                let CallKey {
                    thread,
                    role,
                    turn,
                    attempt,
                } = key;
                return Err(StopError::RequestChanged {
                    thread,
                    role,
                    turn,
                    attempt,
                }
                .into());
            }
            self.tell(speaker, &stored.reply, true);
            return Ok(stored.reply.clone());
        }
        let known = match (&self.known, &speaker.known_as) {
            (Some(known), Some(speaker)) => known.find(&key.thread, &digest, speaker),
            _ => Ok(None),
        };
        let model = &speaker.planned.name;
        let (reply, latency, source, held) = if let Some(known) = known.map_err(StopError::Store)? {
            (known.reply, known.latency, Some(known.run), None)
        } else {
            let held = match &self.oversight.purse {
                Some(purse) => Some(purse.hold(speaker.role, model, request, &self.halt).await?),
                None => None,
            };
            let span = self.tracer().map(CallSpan::begin);
            let called = self.call(speaker, request, &digest).await;
            if let Some(span) = span {
                let reply = called.as_ref().map(|(reply, _)| reply);
                span.end(speaker.role, &speaker.planned, request, reply);
            }
            let (reply, latency) = called?;
            (reply, latency, None, held)
        };
        let origin = Origin {
            model,
            speaker: speaker.known_as.as_deref(),
            source: source.as_deref(),
        };
        let put = self
            .store
            .put_call(&self.run, &key, &digest, &reply, latency, origin);
        put.await.map_err(StopError::Store)?;
        if let Some(held) = held {
            held.pay(reply.usage);
        }
        self.tell(speaker, &reply, source.is_some());
        Ok(reply)
    }

    /// Makes a call until it is answered or nothing more can be done for it.
    async fn call(
        &self,
        speaker: &Speaker,
        request: &ChatRequest,
        digest: &Digest,
    ) -> Result<(ChatReply, Duration), AskError> {
        let mut failures = Failures {
            tries: 0,
            turned_away: 0,
            first: None,
        };
        loop {
            let (error, settled) = match self.attempt(speaker, request).await? {
                Attempt::Answered(reply, latency) => return Ok((reply, latency)),
                Attempt::Failed(error, settled) => (error, settled),
            };
            let wait = self.wait(speaker, request, digest, &mut failures, error, settled)?;
            self.halt.or(tokio::time::sleep(wait)).await?;
        }
    }

    /// Makes a call once, as soon as its server takes one.
    async fn attempt(&self, speaker: &Speaker, request: &ChatRequest) -> Result<Attempt, AskError> {
        let (_place, admission) = self.admit(speaker).await?;
        if !speaker.is_confirmed() {
            match speaker.confirm().await {
                Ok(()) => {}
                Err(Unconfirmed::Changed { found }) => return Err(changed(speaker, found).into()),
                Err(Unconfirmed::Unknown(error)) => return Ok(self.settle(admission, error.into())),
            }
        }
        let bound = Duration::from_secs(u64::from(self.timeout_s));
        let started = Instant::now();
        let error = match tokio::time::timeout(bound, speaker.model.chat(request)).await {
            Ok(Ok(reply)) => {
                self.end(admission, Ending::Answered, None);
                return Ok(Attempt::Answered(reply, started.elapsed()));
            }
            Ok(Err(error)) => error.into(),
            Err(_) => AskError::Timeout {
                seconds: self.timeout_s,
            },
        };
        Ok(self.settle(admission, error))
    }

    /// Waits for a place among the speaker's own calls and its server's.
    async fn admit<'a>(
        &self,
        speaker: &'a Speaker,
    ) -> Result<(tokio::sync::SemaphorePermit<'a>, Admission<'a>), HaltReason> {
        let place = match speaker.calls.try_acquire() {
            Ok(place) => place,
            Err(_) => self
                .halt
                .or(speaker.calls.acquire())
                .await?
                .expect("the semaphore is never closed"),
        };
        let admission = speaker.server.admit(&self.halt).await?;
        match self.halt.reason() {
            Some(reason) => Err(reason),
            None => Ok((place, admission)),
        }
    }

    fn settle(&self, admission: Admission<'_>, error: AskError) -> Attempt {
        let ending = match &error {
            AskError::Model(error) => Ending::of(error),
            AskError::Timeout { .. } => Ending::TimedOut,
            AskError::Stop(_) => Ending::Answered,
        };
        let settled = self.end(admission, ending, Some(&error));
        Attempt::Failed(error, settled)
    }

    /// Tells the server how a call ended, and the listener what that says of the server.
    fn end(&self, admission: Admission<'_>, ending: Ending, error: Option<&AskError>) -> Settled {
        let server = admission.server();
        let settled = admission.settle(ending);
        let server = || server.name().to_owned();
        if settled.came_back {
            self.emit(Event::ServerBack { server: server() });
        }
        if let (true, Some(error)) = (settled.went_away, error) {
            self.emit(Event::ServerAway {
                server: server(),
                error: error.to_string(),
            });
        }
        settled
    }

    /// Returns how long to wait before a failed call is repeated, or why it is not.
    fn wait(
        &self,
        speaker: &Speaker,
        request: &ChatRequest,
        digest: &Digest,
        failures: &mut Failures,
        error: AskError,
        settled: Settled,
    ) -> Result<Duration, AskError> {
        let (ending, asked) = match &error {
            // Whatever else is asked would be in vain.
            AskError::Model(
                ChatError::Auth { .. }
                | ChatError::Unpaid { .. }
                | ChatError::IdentityChanged { .. },
            ) => {
                let AskError::Model(error) = error else {
                    unreachable!("it was just matched")
                };
                return Err(StopError::Unreachable(error).into());
            }
            AskError::Model(error) if error.is_retryable() => {
                (Ending::of(error), error.retry_after())
            }
            AskError::Timeout { .. } => (Ending::TimedOut, None),
            AskError::Model(_) | AskError::Stop(_) => return Err(error),
        };
        let patience = self.limits.patience();
        let is_gone = settled.is_away && settled.silent >= patience;
        if is_gone || !speaker.server.is_remote() {
            return Err(gone(speaker, error).into());
        }
        let first = *failures.first.get_or_insert_with(Instant::now);
        if ending.is_the_servers() {
            failures.turned_away += 1;
            let was_enough = failures.turned_away > self.limits.tries.get();
            if was_enough && first.elapsed() > patience {
                return Err(error);
            }
        } else {
            failures.tries += 1;
            if failures.tries >= self.limits.tries.get() || !self.may_retry(&request.thread) {
                return Err(error);
            }
        }
        let wait = if settled.is_away {
            // The server's own pause comes first for all of its calls.
            Duration::ZERO
        } else {
            let wait = backoff(digest, failures.tries + failures.turned_away);
            asked.map_or(wait, |asked| asked.max(wait)).min(patience)
        };
        self.emit(Event::CallRetried {
            role: speaker.role,
            model: speaker.planned.name.clone(),
            error: error.to_string(),
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(wait)
    }

    /// Counts one more repetition for a conversation; tells whether it may have it.
    fn may_retry(&self, thread: &str) -> bool {
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let made = retries.entry(thread.to_owned()).or_default();
        *made += 1;
        *made <= self.limits.conversation_retries.get()
    }

    /// Looks whether `speaker` is still the planned model, waiting for its server if need be.
    pub(crate) async fn confirm(&self, speaker: &Speaker) -> Result<(), StopError> {
        loop {
            let (place, admission) = self.admit(speaker).await?;
            let error = match speaker.confirm().await {
                Ok(()) => {
                    self.end(admission, Ending::Answered, None);
                    return Ok(());
                }
                Err(Unconfirmed::Changed { found }) => return Err(changed(speaker, found)),
                Err(Unconfirmed::Unknown(error)) => error,
            };
            drop(place);
            let is_final = !error.is_retryable() || !speaker.server.is_remote();
            let Attempt::Failed(error, settled) = self.settle(admission, error.into()) else {
                unreachable!("a failure is settled as one")
            };
            if is_final || settled.silent >= self.limits.patience() {
                return Err(gone(speaker, error));
            }
            let pause = tokio::time::sleep(Duration::from_millis(250));
            self.halt.or(pause).await?;
        }
    }

    fn tell(&self, speaker: &Speaker, reply: &ChatReply, stored: bool) {
        (self.listener)(Event::CallFinished {
            role: speaker.role,
            model: speaker.planned.name.clone(),
            usage: reply.usage,
            places: (!stored).then(|| speaker.server.used()),
            stored,
        });
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns what makes spans, where somebody wants them.
    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.oversight.tracer.as_ref()
    }

    /// Returns the run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Returns what asks the run to end early.
    pub(crate) fn halt(&self) -> &Halt {
        &self.halt
    }

    /// Passes `event` on.
    pub fn emit(&self, event: Event) {
        (self.listener)(event);
    }
}

/// How one try ended.
enum Attempt {
    Answered(ChatReply, Duration),
    Failed(AskError, Settled),
}

impl From<ChatError> for AskError {
    fn from(error: ChatError) -> Self {
        Self::Model(error)
    }
}

/// Returns why the run stops where a server does not come back.
fn gone(speaker: &Speaker, error: AskError) -> StopError {
    StopError::Unreachable(match error {
        AskError::Model(error) => error,
        error => ChatError::Unavailable {
            model: speaker.planned.name.to_string(),
            detail: error.to_string(),
        },
    })
}

fn changed(speaker: &Speaker, found: String) -> StopError {
    let planned = &speaker.planned;
    StopError::ModelChanged {
        model: planned.name.clone(),
        planned: serde_json::to_string(&planned.source).expect("a source is plain data"),
        found,
    }
}
