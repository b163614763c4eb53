use rusqlite::{Connection, OptionalExtension as _, Row, params};
use shipworthy_schema::{Conversation, ConversationId, ConversationScore, Digest, Plan, Verdict};

use super::{Store, StoreError};

/// A run about to begin.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The persona file's content.
    pub personas: &'a str,
    /// The rubric's YAML.
    pub rubric: &'a str,
}

/// A run as the store knows it.
#[derive(Clone, Debug)]
pub struct Run {
    /// First digits of the plan's digest, and an ordinal.
    pub id: String,
    /// The plan's digest.
    pub plan_digest: String,
    /// The plan.
    pub plan: Plan,
    /// The persona file's content.
    pub personas: String,
    /// The rubric's YAML.
    pub rubric: String,
    /// When it began (UTC).
    pub created_at: String,
    /// How far it is.
    pub state: RunState,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Not finished: `--resume` goes on with it.
    Unfinished,
    /// All was tried, and the scores allow no verdict: `--resume` tries again what failed.
    Invalid {
        /// Why there is no verdict.
        reason: String,
    },
    /// A teacher's conversations became training data.
    Generated {
        /// When (UTC).
        at: String,
        /// Rows of training data.
        rows: u32,
        /// Conversations they were chosen from.
        conversations: u32,
    },
    /// Finished.
    Finished {
        /// When (UTC).
        at: String,
        /// What came out.
        verdict: Verdict,
    },
}

const COLUMNS: &str = "id, plan_digest, plan, personas, rubric, created_at, finished_at, \
    verdict, invalid, \
    (SELECT finished_at FROM generations WHERE run = runs.id), \
    (SELECT rows FROM generations WHERE run = runs.id), \
    (SELECT conversations FROM generations WHERE run = runs.id)";

struct RawRun {
    id: String,
    plan_digest: String,
    plan: String,
    personas: String,
    rubric: String,
    created_at: String,
    finished_at: Option<String>,
    verdict: Option<String>,
    invalid: Option<String>,
    generated: Option<(String, u32, u32)>,
}

impl RawRun {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            plan_digest: row.get(1)?,
            plan: row.get(2)?,
            personas: row.get(3)?,
            rubric: row.get(4)?,
            created_at: row.get(5)?,
            finished_at: row.get(6)?,
            verdict: row.get(7)?,
            invalid: row.get(8)?,
            generated: match row.get::<_, Option<String>>(9)? {
                Some(at) => Some((at, row.get(10)?, row.get(11)?)),
                None => None,
            },
        })
    }
}

/// Inserts a conversation; unless `keep_calls`, its replies stand nowhere else.
pub(super) fn insert_conversation(
    connection: &Connection,
    run: &str,
    thread: &str,
    json: &str,
    key: Option<&str>,
    keep_calls: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO conversations VALUES (?1, ?2, ?3)")?
        .execute([run, thread, json])?;
    if keep_calls {
        return Ok(());
    }
    insert_key(connection, key, run, thread)?;
    let moved = "DELETE FROM replies WHERE run = ?1 AND thread = ?2 AND role != 'judge'";
    connection
        .prepare_cached(moved)?
        .execute([run, thread])
        .map(drop)
}

/// Inserts scores; unless `keep_calls`, what the judges said stands nowhere else.
pub(super) fn insert_score(
    connection: &Connection,
    run: &str,
    thread: &str,
    json: &str,
    key: Option<&str>,
    keep_calls: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO scores VALUES (?1, ?2, ?3)")?
        .execute([run, thread, json])?;
    if keep_calls {
        return Ok(());
    }
    insert_key(connection, key, run, thread)?;
    let moved = "DELETE FROM replies WHERE run = ?1 AND thread = ?2 AND role = 'judge' \
                 AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.run = ?1 AND calls.thread = ?2 \
                 AND calls.role = 'judge' AND calls.turn = replies.turn \
                 AND calls.attempt = replies.attempt AND calls.speaker IS NOT NULL)";
    connection
        .prepare_cached(moved)?
        .execute([run, thread])
        .map(drop)
}

/// Enters under which key other runs find a conversation, or its scores.
fn insert_key(
    connection: &Connection,
    key: Option<&str>,
    run: &str,
    thread: &str,
) -> rusqlite::Result<()> {
    let Some(key) = key else {
        return Ok(());
    };
    connection
        .prepare_cached("INSERT OR IGNORE INTO known VALUES (?1, ?2, ?3)")?
        .execute([key, run, thread])
        .map(drop)
}

impl Store {
    /// Begins a run and returns its id: the n-th run of a plan is `<plan digits>-n`.
    pub fn begin_run(&self, new: &NewRun<'_>) -> Result<String, StoreError> {
        let digest = new.plan.digest();
        let plan = serde_json::to_string(new.plan).expect("a plan is plain data");
        let insert = "INSERT INTO runs \
            (id, plan_digest, ordinal, plan, personas, rubric, created_at) \
            SELECT ?1 || '-' || (COALESCE(MAX(ordinal), 0) + 1), ?2, \
                COALESCE(MAX(ordinal), 0) + 1, ?3, ?4, ?5, \
                strftime('%Y-%m-%dT%H:%M:%SZ', 'now') \
            FROM runs WHERE plan_digest = ?2 RETURNING id";
        self.read(|connection| {
            let values = params![
                digest.short(),
                digest.as_str(),
                plan,
                new.personas,
                new.rubric
            ];
            connection.query_row(insert, values, |row| row.get(0))
        })
    }

    /// Returns all runs, the latest first.
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM runs ORDER BY created_at DESC, rowid DESC");
        let raw = self.read(|connection| {
            let mut statement = connection.prepare(&select)?;
            let rows = statement.query_map([], RawRun::read)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        raw.into_iter().map(|raw| self.run_of(raw)).collect()
    }

    /// Returns the run `id`, if there is one.
    pub fn run(&self, id: &str) -> Result<Option<Run>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
        let raw =
            self.read(|connection| connection.query_row(&select, [id], RawRun::read).optional())?;
        raw.map(|raw| self.run_of(raw)).transpose()
    }

    /// Returns the latest run of the plan with `digest` for all its people, if there is one.
    pub fn latest_run_of(&self, digest: &Digest) -> Result<Option<Run>, StoreError> {
        let select = format!(
            "SELECT {COLUMNS} FROM runs WHERE plan_digest = ?1 \
             AND NOT EXISTS (SELECT 1 FROM shards WHERE shards.run = runs.id) \
             ORDER BY ordinal DESC LIMIT 1"
        );
        let raw = self.read(|connection| {
            connection
                .query_row(&select, [digest.as_str()], RawRun::read)
                .optional()
        })?;
        raw.map(|raw| self.run_of(raw)).transpose()
    }

    fn run_of(&self, raw: RawRun) -> Result<Run, StoreError> {
        let what = format!("run {}", raw.id);
        let generated = raw
            .generated
            .map(|(at, rows, conversations)| RunState::Generated {
                at,
                rows,
                conversations,
            });
        let state = match (raw.finished_at, raw.verdict, raw.invalid) {
            (Some(at), Some(verdict), _) => {
                let verdict = self.parse(&what, &format!("\"{verdict}\""))?;
                RunState::Finished { at, verdict }
            }
            (_, _, Some(reason)) => RunState::Invalid { reason },
            _ => generated.unwrap_or(RunState::Unfinished),
        };
        Ok(Run {
            plan: self.parse(&what, &raw.plan)?,
            id: raw.id,
            plan_digest: raw.plan_digest,
            personas: raw.personas,
            rubric: raw.rubric,
            created_at: raw.created_at,
            state,
        })
    }

    /// Marks `run` as finished.
    pub async fn finish_run(&self, run: &str, verdict: Verdict) -> Result<(), StoreError> {
        let verdict = serde_json::to_string(&verdict).expect("a verdict is a word");
        let (run, verdict) = (run.to_owned(), verdict.trim_matches('"').to_owned());
        let update = "UPDATE runs SET verdict = ?2, \
            finished_at = COALESCE(finished_at, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')) \
            WHERE id = ?1";
        self.writer
            .write(move |connection| connection.execute(update, [run, verdict]).map(drop))
            .await
    }

    /// Marks `run` as one whose conversations became `rows` of training data.
    pub async fn finish_generation(
        &self,
        run: &str,
        rows: u32,
        conversations: u32,
    ) -> Result<(), StoreError> {
        let run = run.to_owned();
        let insert = "INSERT OR REPLACE INTO generations VALUES \
            (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))";
        self.writer
            .write(move |connection| {
                let values = params![run, rows, conversations];
                connection.execute(insert, values).map(drop)
            })
            .await
    }

    /// Keeps why a run has no verdict.
    pub async fn put_invalid(&self, run: &str, reason: &str) -> Result<(), StoreError> {
        let (run, reason) = (run.to_owned(), reason.to_owned());
        let update = "UPDATE runs SET invalid = ?2 WHERE id = ?1";
        self.writer
            .write(move |connection| connection.execute(update, [run, reason]).map(drop))
            .await
    }

    /// Commits a conversation that ended; what was said now stands there and no longer in its
    /// calls. Other runs find a complete one by `key`, the digest of all that it follows from.
    pub async fn put_conversation(
        &self,
        run: &str,
        conversation: &Conversation,
        key: Option<&Digest>,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(conversation).expect("a conversation is plain data");
        let (run, thread) = (run.to_owned(), conversation.id.to_string());
        // A conversation that failed is held again on resume: its calls keep their replies.
        let keep_calls = !conversation.termination.is_complete();
        let key = key.map(|key| key.as_str().to_owned());
        self.writer
            .write(move |connection| {
                let key = key.as_deref();
                insert_conversation(connection, &run, &thread, &json, key, keep_calls)
            })
            .await
    }

    /// Commits a conversation's scores. Other runs find them by `key`, the digest of all that they
    /// follow from.
    ///
    /// The judge's words now stand there. Replies of a judge that another run may ask the same stay
    /// in their calls besides: that run may put them together otherwise.
    pub async fn put_score(
        &self,
        run: &str,
        score: &ConversationScore,
        key: Option<&Digest>,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(score).expect("a score is plain data");
        let (run, thread) = (run.to_owned(), score.conversation.to_string());
        let keep_calls = score.overall.value().is_none();
        let key = key.map(|key| key.as_str().to_owned());
        self.writer
            .write(move |connection| {
                let key = key.as_deref();
                insert_score(connection, &run, &thread, &json, key, keep_calls)
            })
            .await
    }

    /// Returns the conversations of `run` that ended, failed ones included, in id order.
    pub fn conversations(&self, run: &str) -> Result<Vec<Conversation>, StoreError> {
        let mut conversations: Vec<Conversation> = self.column(run, "conversation")?;
        conversations.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(conversations)
    }

    /// Returns the scores of `run`, in conversation order.
    pub fn scores(&self, run: &str) -> Result<Vec<ConversationScore>, StoreError> {
        let mut scores: Vec<ConversationScore> = self.column(run, "score")?;
        scores.sort_by(|a, b| a.conversation.cmp(&b.conversation));
        Ok(scores)
    }

    /// Returns a conversation of `run`, if it ended.
    pub fn conversation(
        &self,
        run: &str,
        id: &ConversationId,
    ) -> Result<Option<Conversation>, StoreError> {
        self.one(run, id, "conversation")
    }

    /// Returns the scores of a conversation of `run`, if it has any.
    pub fn score(
        &self,
        run: &str,
        id: &ConversationId,
    ) -> Result<Option<ConversationScore>, StoreError> {
        self.one(run, id, "score")
    }

    fn one<T: serde::de::DeserializeOwned>(
        &self,
        run: &str,
        id: &ConversationId,
        noun: &str,
    ) -> Result<Option<T>, StoreError> {
        let thread = id.to_string();
        let select = format!("SELECT {noun} FROM {noun}s WHERE run = ?1 AND thread = ?2");
        let json: Option<String> = self.read(|connection| {
            let mut statement = connection.prepare(&select)?;
            statement
                .query_row([run, &thread], |row| row.get(0))
                .optional()
        })?;
        json.map(|json| self.parse(&format!("{noun} {thread} of run {run}"), &json))
            .transpose()
    }

    pub(super) fn column<T: serde::de::DeserializeOwned>(
        &self,
        run: &str,
        noun: &str,
    ) -> Result<Vec<T>, StoreError> {
        let select = format!("SELECT thread, {noun} FROM {noun}s WHERE run = ?1");
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(&select)?;
            let rows = statement.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String)>>>()
        })?;
        rows.into_iter()
            .map(|(thread, json)| self.parse(&format!("{noun} {thread} of run {run}"), &json))
            .collect()
    }
}
