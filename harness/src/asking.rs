//! Asking a model and keeping its reply: a stored reply is used instead of a call, a new one is
//! stored before it is used.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shipworthy_backends::{ChatError, ChatModel};
use shipworthy_schema::{CallRole, ChatReply, ChatRequest, Digest, Event};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::store::{CallKey, Store, StoreError, StoredCall};

/// How often a call that may succeed later is made, the first time included.
const TRIES: u32 = 5;

/// The wait before the second try; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Takes the events of a run.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// A model, its role, and a bound on its calls under way.
pub struct Speaker {
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// Whose calls these are.
    pub role: CallRole,
    calls: Semaphore,
}

impl Speaker {
    /// Returns `model` in `role`.
    pub fn new(model: Arc<dyn ChatModel>, role: CallRole) -> Self {
        let calls = Semaphore::new(model.concurrency().max(1));
        Self { model, role, calls }
    }
}

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

/// Asks models on behalf of one run.
pub struct Asking {
    store: Arc<Store>,
    run: String,
    stored: HashMap<CallKey, StoredCall>,
    timeout_s: u32,
    listener: Listener,
}

impl Asking {
    /// Returns an asker for `run`; replies that the store already has are never asked for again.
    pub fn new(
        store: Arc<Store>,
        run: String,
        timeout_s: u32,
        listener: Listener,
    ) -> Result<Self, StoreError> {
        let stored = store.calls(&run)?;
        Ok(Self {
            store,
            run,
            stored,
            timeout_s,
            listener,
        })
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
        let json = serde_json::to_vec(request).expect("a request is plain data");
        let digest = Digest::of(&json);
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
            self.tell(speaker.role, &stored.reply, true);
            return Ok(stored.reply.clone());
        }
        let permit = speaker
            .calls
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let started = Instant::now();
        let reply = self.call(speaker, request).await?;
        drop(permit);
        let latency = started.elapsed();
        let put = self
            .store
            .put_call(&self.run, &key, &digest, &reply, latency);
        put.await.map_err(StopError::Store)?;
        self.tell(speaker.role, &reply, false);
        Ok(reply)
    }

    async fn call(&self, speaker: &Speaker, request: &ChatRequest) -> Result<ChatReply, AskError> {
        let bound = Duration::from_secs(u64::from(self.timeout_s));
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let Ok(answer) = tokio::time::timeout(bound, speaker.model.chat(request)).await else {
                return Err(AskError::Timeout {
                    seconds: self.timeout_s,
                });
            };
            let error = match answer {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if !error.is_retryable() || attempt == TRIES {
                return Err(match error {
                    ChatError::Unavailable { .. }
                    | ChatError::RateLimited { .. }
                    | ChatError::Auth { .. }
                    | ChatError::IdentityChanged { .. } => StopError::Unreachable(error).into(),
                    _ => AskError::Model(error),
                });
            }
            (self.listener)(Event::CallRetried {
                role: speaker.role,
                error: error.to_string(),
            });
            let asked = match error {
                ChatError::RateLimited { retry_after, .. } => retry_after,
                _ => None,
            };
            tokio::time::sleep(asked.unwrap_or(wait).min(LONGEST_WAIT)).await;
            wait *= 2;
        }
        unreachable!("the last try returns")
    }

    fn tell(&self, role: CallRole, reply: &ChatReply, stored: bool) {
        (self.listener)(Event::CallFinished {
            role,
            usage: reply.usage,
            stored,
        });
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Passes `event` on.
    pub fn emit(&self, event: Event) {
        (self.listener)(event);
    }
}
