//! Replies that earlier runs had, found by request and speaker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shipworthy_schema::Digest;

use crate::store::{KnownReply, Store, StoreError};

/// The replies of one conversation, by the digest of the request and who answered.
type Thread = HashMap<(Digest, String), KnownReply>;

/// What earlier runs were answered in the conversations that are under way.
pub(crate) struct KnownReplies {
    store: Arc<Store>,
    /// The latest run first.
    runs: Vec<String>,
    threads: Mutex<HashMap<String, Thread>>,
}

impl KnownReplies {
    /// Returns the replies of runs other than `run` that have a speaker in common with it; `None`
    /// where there is no such run, so that nothing is looked up for nothing.
    pub(crate) fn of(
        store: &Arc<Store>,
        run: &str,
        speakers: &[String],
    ) -> Result<Option<Self>, StoreError> {
        let runs = store.runs_with(run, speakers)?;
        Ok((!runs.is_empty()).then(|| Self {
            store: Arc::clone(store),
            runs,
            threads: Mutex::default(),
        }))
    }

    /// Returns what `speaker` answered to `request` in an earlier run; reads all that is known of a
    /// conversation when it is first asked for.
    pub(crate) fn find(
        &self,
        thread: &str,
        request: &Digest,
        speaker: &str,
    ) -> Result<Option<KnownReply>, StoreError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if !threads.contains_key(thread) {
            let mut replies = Thread::new();
            for run in &self.runs {
                for known in self.store.known_replies(run, thread)? {
                    let key = (known.request.clone(), known.speaker.clone());
                    replies.entry(key).or_insert(known);
                }
            }
            threads.insert(thread.to_owned(), replies);
        }
        let key = (request.clone(), speaker.to_owned());
        Ok(threads
            .get(thread)
            .and_then(|replies| replies.get(&key))
            .cloned())
    }

    /// Forgets a conversation that is over.
    pub(crate) fn leave(&self, thread: &str) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.remove(thread);
    }
}
