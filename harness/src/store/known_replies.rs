use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use shipworthy_schema::{
    CallRole, ChatReply, Conversation, Digest, FinishReason, Role, Turn, Usage,
};

use super::call::role_of;
use super::{Store, StoreError};

/// Most runs that one is answered from: the latest ones.
const MOST_RUNS: u32 = 32;

/// A reply to a call of another run.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownReply {
    /// Digest of the request it answers.
    pub request: Digest,
    /// Who answered.
    pub speaker: String,
    /// The run that asked.
    pub run: String,
    /// The reply.
    pub reply: ChatReply,
    /// How long it took then.
    pub latency: Duration,
}

/// A call as it is stored.
struct Row {
    role: String,
    turn: u32,
    request: String,
    reply: Option<String>,
    usage: [Option<i64>; 4],
    latency_ms: i64,
    speaker: String,
    run: String,
}

impl Store {
    /// Enters who answers calls of `run`, for other runs to find it by.
    pub fn put_speakers(&self, run: &str, speakers: &[String]) -> Result<(), StoreError> {
        let insert = "INSERT OR IGNORE INTO speakers VALUES (?1, ?2)";
        self.read(|connection| {
            for speaker in speakers {
                connection.execute(insert, [run, speaker])?;
            }
            Ok(())
        })
    }

    /// Returns the runs other than `run` in which one of `speakers` answered, the latest first.
    pub fn runs_with(&self, run: &str, speakers: &[String]) -> Result<Vec<String>, StoreError> {
        let wanted = serde_json::to_string(speakers).expect("texts are plain data");
        let select = "SELECT id FROM runs WHERE id != ?1 AND EXISTS (\
                SELECT 1 FROM speakers, json_each(?2) AS wanted \
                WHERE speakers.run = runs.id AND speaker = wanted.value) \
            ORDER BY rowid DESC LIMIT ?3";
        self.read(|connection| {
            let mut statement = connection.prepare(select)?;
            let runs = statement.query_map(params![run, wanted, MOST_RUNS], |row| row.get(0))?;
            runs.collect()
        })
    }

    /// Returns what is known of one conversation's calls in `run`: replies that still stand by
    /// themselves, and those of the model under test that stand in the conversation.
    pub fn known_replies(&self, run: &str, thread: &str) -> Result<Vec<KnownReply>, StoreError> {
        let select = "SELECT role, turn, request, reply, prompt_tokens, cached_tokens, \
                completion_tokens, reasoning_tokens, latency_ms, speaker, COALESCE(source, run) \
            FROM calls LEFT JOIN replies USING (run, thread, role, turn, attempt) \
            WHERE run = ?1 AND thread = ?2 AND speaker IS NOT NULL";
        let rows = self.read(|connection| {
            let mut statement = connection.prepare_cached(select)?;
            let rows = statement.query_map([run, thread], |row| {
                Ok(Row {
                    role: row.get(0)?,
                    turn: row.get(1)?,
                    request: row.get(2)?,
                    reply: row.get(3)?,
                    usage: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?],
                    latency_ms: row.get(8)?,
                    speaker: row.get(9)?,
                    run: row.get(10)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<Row>>>()
        })?;
        let has_moved = |row: &Row| row.reply.is_none() && is_model(row);
        let said = if rows.iter().any(has_moved) {
            self.said_by_model(run, thread)?
        } else {
            Vec::new()
        };
        let what = || format!("a call of conversation {thread} of run {run}");
        let mut known = Vec::with_capacity(rows.len());
        for row in rows {
            let reply = match &row.reply {
                Some(json) => self.parse(&what(), json)?,
                None if is_model(&row) => match said.get(row.turn.saturating_sub(1) as usize) {
                    Some(turn) => reply_of(turn, row.usage),
                    None => continue,
                },
                None => continue,
            };
            let request = Digest::try_from(row.request).map_err(|detail| StoreError::Damaged {
                path: self.path.clone(),
                what: what(),
                detail,
            })?;
            known.push(KnownReply {
                request,
                speaker: row.speaker,
                run: row.run,
                reply,
                latency: Duration::from_millis(u64::try_from(row.latency_ms).unwrap_or_default()),
            });
        }
        Ok(known)
    }

    /// Returns what the model said in a conversation, in order of turns.
    fn said_by_model(&self, run: &str, thread: &str) -> Result<Vec<Turn>, StoreError> {
        let select = "SELECT conversation FROM conversations WHERE run = ?1 AND thread = ?2";
        let json: Option<String> = self.read(|connection| {
            connection
                .prepare_cached(select)?
                .query_row([run, thread], |row| row.get(0))
                .optional()
        })?;
        let Some(json) = json else {
            return Ok(Vec::new());
        };
        let what = format!("conversation {thread} of run {run}");
        let mut turns = self.parse::<Conversation>(&what, &json)?.turns;
        turns.retain(|turn| turn.role == Role::Assistant);
        Ok(turns)
    }
}

fn is_model(row: &Row) -> bool {
    role_of(&row.role) == Some(CallRole::Model)
}

/// Returns the reply that `turn` was made of.
fn reply_of(turn: &Turn, usage: [Option<i64>; 4]) -> ChatReply {
    let [
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        reasoning_tokens,
    ] = usage.map(|tokens| tokens.and_then(|n| u64::try_from(n).ok()));
    ChatReply {
        content: turn.content.clone(),
        reasoning: turn.reasoning.clone(),
        finish_reason: turn.finish_reason.clone().unwrap_or(FinishReason::Stop),
        usage: Usage {
            prompt_tokens,
            cached_tokens,
            completion_tokens,
            reasoning_tokens,
        },
    }
}
