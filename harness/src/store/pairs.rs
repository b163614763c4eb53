use rusqlite::params;
use shipworthy_schema::JudgedPair;

use super::{Store, StoreError};
use crate::pairwise::thread;

impl Store {
    /// Commits what judges said of a pair of conversations; their words now stand there.
    pub async fn put_pair(&self, run: &str, pair: &JudgedPair) -> Result<(), StoreError> {
        let json = serde_json::to_string(pair).expect("a pair is plain data");
        let (run, thread) = (run.to_owned(), thread(&pair.conversation));
        // One without a preference is tried again on resume: its calls keep their replies.
        let keep_calls = pair.preference.is_none();
        self.writer
            .write(move |connection| {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO pairs VALUES (?1, ?2, ?3)")?
                    .execute(params![run, thread, json])?;
                if keep_calls {
                    return Ok(());
                }
                let moved = "DELETE FROM replies WHERE run = ?1 AND thread = ?2";
                connection
                    .prepare_cached(moved)?
                    .execute(params![run, thread])
                    .map(drop)
            })
            .await
    }

    /// Returns the pairs of `run` that judges were asked about, in the order of the candidates'
    /// conversations.
    pub fn pairs(&self, run: &str) -> Result<Vec<JudgedPair>, StoreError> {
        let mut pairs: Vec<JudgedPair> = self.column(run, "pair")?;
        pairs.sort_by(|a, b| a.conversation.cmp(&b.conversation));
        Ok(pairs)
    }
}
