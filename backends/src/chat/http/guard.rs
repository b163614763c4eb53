use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use shipworthy_schema::ModelSource;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ChatError;

/// How long an answer to the question what is served is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// Sees to it that nobody takes the replies of another model for the planned one's: what is served
/// is asked again once a minute, before the first call after an outage, and before a reply is used
/// that came over a new connection or while the server was out of reach for others.
#[derive(Debug)]
pub(super) struct Guard {
    planned: ModelSource,
    believed_for: Duration,
    start: Instant,
    /// The server was out of reach since it was last asked, or a connection to it was made.
    is_suspect: Arc<AtomicBool>,
    /// Milliseconds from `start` to the last answer.
    asked_at: AtomicU64,
    question: Mutex<Question>,
}

/// What came of the last question; held while it is asked, so that many calls ask once.
#[derive(Debug, Default)]
struct Question {
    /// Another model answered: nothing mends that.
    changed: Option<ChatError>,
    /// Nobody answered.
    failed: Option<(Instant, ChatError)>,
}

impl Guard {
    /// Returns a guard of the model that was just found to be `planned`; `is_suspect` is set where
    /// a connection is made.
    pub(super) fn new(planned: ModelSource, is_suspect: Arc<AtomicBool>) -> Self {
        Self {
            planned,
            believed_for: BELIEVED_FOR,
            start: Instant::now(),
            is_suspect,
            asked_at: AtomicU64::new(0),
            question: Mutex::default(),
        }
    }

    /// Says that the server was out of reach.
    pub(super) fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Release);
    }

    /// Lets a call pass if the planned model still answers; `identify` asks what is served, where
    /// that is due. `model`: how errors call it.
    pub(super) async fn pass(
        &self,
        model: &str,
        identify: impl AsyncFnOnce() -> Result<ModelSource, ChatError>,
    ) -> Result<(), ChatError> {
        if !self.is_due() {
            return Ok(());
        }
        let came = Instant::now();
        let mut question = self.question.lock().await;
        if let Some(changed) = &question.changed {
            return Err(changed.clone());
        }
        if !self.is_due() {
            return Ok(());
        }
        if let Some((at, error)) = &question.failed
            && *at >= came
        {
            // Somebody asked in vain while this call waited for its turn to ask.
            return Err(error.clone());
        }
        // Cleared first: an outage while the answer is on its way counts.
        self.is_suspect.store(false, Ordering::Release);
        let found = match identify().await {
            Ok(found) => found,
            Err(error) => {
                self.suspect();
                question.failed = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        };
        if found == self.planned {
            self.asked_at.store(self.now(), Ordering::Release);
            return Ok(());
        }
        self.suspect();
        let words = |source| serde_json::to_string(source).expect("a source is plain data");
        let changed = ChatError::IdentityChanged {
            model: model.to_owned(),
            planned: words(&self.planned),
            found: words(&found),
        };
        question.changed = Some(changed.clone());
        Err(changed)
    }

    fn is_due(&self) -> bool {
        let believed_for = u64::try_from(self.believed_for.as_millis()).unwrap_or(u64::MAX);
        self.is_suspect.load(Ordering::Acquire)
            || self
                .now()
                .saturating_sub(self.asked_at.load(Ordering::Acquire))
                > believed_for
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use shipworthy_schema::{ModelSource, ServedIdentity};

    use super::Guard;
    use crate::ChatError;

    fn source(model: &str) -> ModelSource {
        ModelSource::Http {
            url: "http://h/v1".to_owned(),
            model: model.to_owned(),
            served: ServedIdentity::default(),
        }
    }

    fn gone() -> ChatError {
        ChatError::Unavailable {
            model: "m".to_owned(),
            detail: "refused".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_is_served_is_asked_after_an_outage_and_once_in_a_while() {
        let mut guard = Guard::new(source("m"), Arc::default());
        guard.believed_for = Duration::from_millis(500);
        let asked = std::cell::Cell::new(0);
        let pass = async |answer: Result<ModelSource, ChatError>| {
            let ask = async || {
                asked.set(asked.get() + 1);
                answer
            };
            guard.pass("m", ask).await
        };
        pass(Err(gone())).await.unwrap();
        assert_eq!(asked.get(), 0, "it was just looked at");

        guard.suspect();
        assert_eq!(pass(Err(gone())).await, Err(gone()));
        assert_eq!(pass(Err(gone())).await, Err(gone()), "still not known");
        pass(Ok(source("m"))).await.unwrap();
        assert_eq!(asked.get(), 3);
        pass(Err(gone())).await.unwrap();

        tokio::time::sleep(guard.believed_for * 2).await;
        pass(Ok(source("m"))).await.unwrap();
        assert_eq!(asked.get(), 4);

        guard.suspect();
        for _ in 0..2 {
            let error = pass(Ok(source("other"))).await.unwrap_err();
            let ChatError::IdentityChanged { planned, found, .. } = &error else {
                panic!("{error}");
            };
            assert!(planned.contains("\"m\"") && found.contains("\"other\""));
        }
        assert_eq!(asked.get(), 5, "nothing mends a changed model");
        assert!(pass(Ok(source("m"))).await.is_err());
    }
}
