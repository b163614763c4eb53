//! A model in a role, at its server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shipworthy_backends::{ChatError, ChatModel};
use shipworthy_schema::{CallRole, ModelRef};
use tokio::sync::{Mutex, Semaphore};

use crate::traffic::Server;

/// A model, its role, where it is, and a bound on its calls under way.
pub struct Speaker {
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// Whose calls these are.
    pub role: CallRole,
    pub(crate) planned: ModelRef,
    pub(crate) server: Arc<Server>,
    pub(crate) calls: Semaphore,
    /// What proves to other runs who answered.
    pub(crate) known_as: Option<String>,
    /// The server's incidents after which this was still the planned model.
    confirmed: AtomicU64,
    confirming: Mutex<()>,
}

/// Says why a model could not be confirmed.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// Its server did not tell.
    Unknown(ChatError),
    /// It is another one.
    Changed {
        /// What is there now.
        found: String,
    },
}

impl Speaker {
    /// Returns `model` in `role`; `planned` says what it has to be.
    pub(crate) fn new(
        model: Arc<dyn ChatModel>,
        role: CallRole,
        planned: ModelRef,
        server: Arc<Server>,
    ) -> Self {
        let calls = Semaphore::new(model.concurrency().clamp(1, Semaphore::MAX_PERMITS));
        let confirmed = AtomicU64::new(server.incidents());
        Self {
            model,
            role,
            planned,
            server,
            calls,
            known_as: None,
            confirmed,
            confirming: Mutex::default(),
        }
    }

    /// Says by what other runs know who answered.
    pub(crate) fn known_as(self, known_as: Option<&str>) -> Self {
        let known_as = known_as.map(str::to_owned);
        Self { known_as, ..self }
    }

    /// Tells whether something happened since the model was last confirmed.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire) == self.server.incidents()
    }

    /// Looks whether the planned model is still the one that answers.
    pub(crate) async fn confirm(&self) -> Result<(), Unconfirmed> {
        let incidents = self.server.incidents();
        let _turn = self.confirming.lock().await;
        // Another call may have asked meanwhile.
        if self.confirmed.load(Ordering::Acquire) > incidents {
            return Ok(());
        }
        let incidents = self.server.incidents();
        let found = self.model.identify().await;
        let found = found.map_err(|error| match error {
            ChatError::IdentityChanged { found, .. } => Unconfirmed::Changed { found },
            error => Unconfirmed::Unknown(error),
        })?;
        if found != self.planned.source {
            let found = serde_json::to_string(&found).expect("a source is plain data");
            return Err(Unconfirmed::Changed { found });
        }
        self.confirmed.fetch_max(incidents, Ordering::AcqRel);
        Ok(())
    }
}
