//! Asking a run to end early without losing what is paid for.

use std::sync::Arc;

use tokio::sync::watch;

use crate::budget::Exhausted;

/// Why a run is to end early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HaltReason {
    /// Somebody asked for it.
    Interrupted,
    /// The time for it is over.
    Deadline {
        /// The time, in seconds.
        seconds: u32,
    },
    /// A budget does not hold the next call.
    Budget(Exhausted),
    /// Another part of the run cannot go on.
    Fault,
}

impl HaltReason {
    /// Returns the reason as the end of a sentence.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Interrupted => ": interrupted".to_owned(),
            Self::Deadline { seconds } => {
                format!(": `limits.deadline_s`, {seconds} s, is over")
            }
            Self::Budget(exhausted) => format!(": {}", exhausted.words()),
            Self::Fault => String::new(),
        }
    }
}

/// Lets anybody ask a run to end: calls under way are finished and stored, no further one is made.
///
/// Clones are one.
#[derive(Clone, Debug)]
pub struct Halt(Arc<watch::Sender<Option<HaltReason>>>);

impl Default for Halt {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Halt {
    /// Asks for the end; only the first reason counts.
    pub fn request(&self, reason: HaltReason) {
        self.0.send_if_modified(|asked| {
            let is_first = asked.is_none();
            asked.get_or_insert(reason);
            is_first
        });
    }

    /// Returns why the run is to end, if it is.
    pub fn reason(&self) -> Option<HaltReason> {
        *self.0.borrow()
    }

    /// Waits until somebody asks for the end.
    pub async fn requested(&self) -> HaltReason {
        let mut asked = self.0.subscribe();
        let reason = asked.wait_for(Option::is_some).await;
        reason
            .expect("the sender lives as long as self")
            .expect("it was waited for")
    }

    /// Waits for `done`, but not beyond somebody asking for the end.
    pub(crate) async fn or<T>(&self, done: impl Future<Output = T>) -> Result<T, HaltReason> {
        tokio::select! {
            biased;
            done = done => Ok(done),
            reason = self.requested() => Err(reason),
        }
    }
}
