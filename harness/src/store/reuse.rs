//! What earlier runs know: conversations and scores by key, replies by request and speaker.

use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;
use shipworthy_schema::{Conversation, ConversationScore, Digest};

use super::additions::columns;
use super::run::{insert_conversation, insert_score};
use super::{Store, StoreError};

/// How many calls of a run were answered from earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reused {
    /// Calls of the run, those of earlier runs among them.
    pub calls: u64,
    /// Calls that earlier runs had made.
    pub reused: u64,
    /// The runs that had made them, in order of their ids.
    pub runs: Vec<String>,
}

/// Something that another run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Known<T> {
    /// The run.
    pub run: String,
    /// What it came to.
    pub value: T,
}

impl Store {
    /// Tells whether any run but `run` could answer anything.
    pub fn has_known(&self, run: &str) -> Result<bool, StoreError> {
        let select = "SELECT EXISTS (SELECT 1 FROM known WHERE run != ?1)";
        self.read(|connection| connection.query_row(select, [run], |row| row.get(0)))
    }

    /// Returns the conversation that another run than `run` held under `key`, the latest run's.
    pub fn known_conversation(
        &self,
        run: &str,
        key: &Digest,
    ) -> Result<Option<Known<Conversation>>, StoreError> {
        self.known(run, key, "conversation")
    }

    /// Returns the scores that another run than `run` came to under `key`, the latest run's.
    pub fn known_score(
        &self,
        run: &str,
        key: &Digest,
    ) -> Result<Option<Known<ConversationScore>>, StoreError> {
        self.known(run, key, "score")
    }

    fn known<T: serde::de::DeserializeOwned>(
        &self,
        run: &str,
        key: &Digest,
        noun: &str,
    ) -> Result<Option<Known<T>>, StoreError> {
        let select = format!(
            "SELECT known.run, {noun} FROM known \
             JOIN {noun}s ON {noun}s.run = known.run AND {noun}s.thread = known.thread \
             JOIN runs ON runs.id = known.run \
             WHERE key = ?2 AND known.run != ?1 ORDER BY runs.rowid DESC LIMIT 1"
        );
        let row: Option<(String, String)> = self.read(|connection| {
            connection
                .prepare_cached(&select)?
                .query_row([run, key.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        row.map(|(run, json)| {
            let value = self.parse(&format!("a {noun} of run {run}"), &json)?;
            Ok(Known { run, value })
        })
        .transpose()
    }

    /// Commits a conversation that another run held, with the counts of its calls.
    pub async fn adopt_conversation(
        &self,
        run: &str,
        known: &Known<Conversation>,
        key: &Digest,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(&known.value).expect("a conversation is plain data");
        let thread = known.value.id.to_string();
        let (run, source, key) = (run.to_owned(), known.run.clone(), key.to_string());
        self.writer
            .write(move |connection| {
                copy_calls(connection, &run, &source, &thread, "role != 'judge'")?;
                insert_conversation(connection, &run, &thread, &json, Some(&key), false)
            })
            .await
    }

    /// Commits scores that another run came to, with the counts of its judges' calls.
    pub async fn adopt_score(
        &self,
        run: &str,
        known: &Known<ConversationScore>,
        key: &Digest,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(&known.value).expect("a score is plain data");
        let thread = known.value.conversation.to_string();
        let (run, source, key) = (run.to_owned(), known.run.clone(), key.to_string());
        self.writer
            .write(move |connection| {
                copy_calls(connection, &run, &source, &thread, "role = 'judge'")?;
                insert_score(connection, &run, &thread, &json, Some(&key), false)
            })
            .await
    }

    /// Lets no other run be answered from `run`, for its models were not the planned ones all the
    /// time.
    pub async fn forget(&self, run: &str) -> Result<(), StoreError> {
        let run = run.to_owned();
        self.writer
            .write(move |connection| {
                connection.execute("DELETE FROM known WHERE run = ?1", [&run])?;
                connection.execute("UPDATE calls SET speaker = NULL WHERE run = ?1", [&run])?;
                let delete = "DELETE FROM speakers WHERE run = ?1";
                connection.execute(delete, [&run]).map(drop)
            })
            .await
    }

    /// Returns how many calls of `run` were answered from earlier runs.
    pub fn reused(&self, run: &str) -> Result<Reused, StoreError> {
        let count = "SELECT COUNT(*), COUNT(source) FROM calls WHERE run = ?1";
        let sources = "SELECT DISTINCT source FROM calls \
                       WHERE run = ?1 AND source IS NOT NULL ORDER BY source";
        self.read(|connection| {
            let (calls, reused): (i64, i64) =
                connection.query_row(count, [run], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut statement = connection.prepare(sources)?;
            let runs = statement.query_map([run], |row| row.get(0))?;
            let number = |n: i64| u64::try_from(n).unwrap_or_default();
            Ok(Reused {
                calls: number(calls),
                reused: number(reused),
                runs: runs.collect::<rusqlite::Result<_>>()?,
            })
        })
    }
}

/// Copies the counts of another run's calls; the replies stay there. Calls that `run` made itself
/// stay its own.
fn copy_calls(
    connection: &Connection,
    run: &str,
    source: &str,
    thread: &str,
    which: &str,
) -> rusqlite::Result<()> {
    let all = columns(connection, "calls")?;
    let value = |column: &String| match column.as_str() {
        "run" => "?1".to_owned(),
        "source" => "COALESCE(source, run)".to_owned(),
        column => column.to_owned(),
    };
    let copy = format!(
        "INSERT OR IGNORE INTO calls ({}) SELECT {} FROM calls \
         WHERE run = ?2 AND thread = ?3 AND {which}",
        all.join(", "),
        all.iter().map(value).collect::<Vec<_>>().join(", "),
    );
    connection
        .prepare_cached(&copy)?
        .execute([run, source, thread])
        .map(drop)
}
