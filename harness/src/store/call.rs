use std::collections::HashMap;
use std::time::Duration;

use rusqlite::params;
use shipworthy_schema::{CallRole, ChatReply, Digest, ModelName};

use super::{Store, StoreError};

/// Names a call by its content, never by its order: which conversation, whose call, which turn,
/// and which time of asking.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// The conversation.
    pub thread: String,
    /// Whose call.
    pub role: CallRole,
    /// Turn of the conversation, or number of the judgement, from 1.
    pub turn: u32,
    /// 0, or how often the model was asked again for a usable reply.
    pub attempt: u32,
}

/// Where a reply comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The model's name in the project.
    pub model: &'a ModelName,
    /// Who answered, where that can be proved to another run.
    pub speaker: Option<&'a str>,
    /// The run that asked, where it was another one.
    pub source: Option<&'a str>,
}

/// A reply kept from an earlier process.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCall {
    /// Digest of the request it answers.
    pub request: Digest,
    /// The reply.
    pub reply: ChatReply,
}

type Row = (String, String, u32, u32, String, String);

fn role_name(role: CallRole) -> &'static str {
    match role {
        CallRole::Model => "model",
        CallRole::Simulator => "simulator",
        CallRole::Judge => "judge",
    }
}

pub(super) fn role_of(name: &str) -> Option<CallRole> {
    [CallRole::Model, CallRole::Simulator, CallRole::Judge]
        .into_iter()
        .find(|role| role_name(*role) == name)
}

impl Store {
    /// Commits a reply.
    pub async fn put_call(
        &self,
        run: &str,
        key: &CallKey,
        request: &Digest,
        reply: &ChatReply,
        latency: Duration,
        origin: Origin<'_>,
    ) -> Result<(), StoreError> {
        let (run, key, request) = (run.to_owned(), key.clone(), request.clone());
        let model = origin.model.clone();
        let json = serde_json::to_string(reply).expect("a reply is plain data");
        let usage = reply.usage;
        let latency_ms = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
        let (speaker, source) = (
            origin.speaker.map(str::to_owned),
            origin.source.map(str::to_owned),
        );
        let insert = "INSERT INTO calls (run, thread, role, turn, attempt, request, \
            prompt_tokens, cached_tokens, completion_tokens, latency_ms, model, reasoning_tokens, \
            speaker, source) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        let insert_reply = "INSERT INTO replies (run, thread, role, turn, attempt, reply) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.writer
            .write(move |connection| {
                connection.prepare_cached(insert)?.execute(params![
                    run,
                    key.thread,
                    role_name(key.role),
                    key.turn,
                    key.attempt,
                    request.as_str(),
                    count(usage.prompt_tokens),
                    count(usage.cached_tokens),
                    count(usage.completion_tokens),
                    latency_ms,
                    model.as_str(),
                    count(usage.reasoning_tokens),
                    speaker,
                    source,
                ])?;
                let reply = params![
                    run,
                    key.thread,
                    role_name(key.role),
                    key.turn,
                    key.attempt,
                    json
                ];
                connection.prepare_cached(insert_reply)?.execute(reply)?;
                Ok(())
            })
            .await
    }

    /// Returns the replies of `run` that are still needed: those of unfinished conversations and
    /// of unscored ones.
    pub fn calls(&self, run: &str) -> Result<HashMap<CallKey, StoredCall>, StoreError> {
        // A judge's replies may be kept for other runs beyond that.
        let select = "SELECT thread, role, turn, attempt, request, reply \
            FROM calls JOIN replies USING (run, thread, role, turn, attempt) \
            WHERE run = ?1 AND NOT (role = 'judge' AND EXISTS (\
                SELECT 1 FROM scores WHERE scores.run = ?1 AND scores.thread = calls.thread \
                AND json_extract(score, '$.overall.status') = 'scored'))";
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(select)?;
            let rows = statement.query_map([run], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            })?;
            rows.collect::<rusqlite::Result<Vec<Row>>>()
        })?;
        let mut calls = HashMap::with_capacity(rows.len());
        for (thread, role, turn, attempt, request, reply) in rows {
            let what = format!("call {thread} {role} {turn}.{attempt} of run {run}");
            let damaged = |detail: String| StoreError::Damaged {
                path: self.path.clone(),
                what: what.clone(),
                detail,
            };
            let role = role_of(&role).ok_or_else(|| damaged(format!("unknown role `{role}`")))?;
            let request = Digest::try_from(request).map_err(damaged)?;
            let reply = self.parse(&what, &reply)?;
            calls.insert(
                CallKey {
                    thread,
                    role,
                    turn,
                    attempt,
                },
                StoredCall { request, reply },
            );
        }
        Ok(calls)
    }
}

fn count(tokens: Option<u64>) -> Option<i64> {
    tokens.map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}
