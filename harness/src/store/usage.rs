use shipworthy_schema::{CallRole, ModelName, Tally};

use super::call::role_of;
use super::{Store, StoreError};

/// What the calls of one model in one role in a run added up to.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleUsage {
    /// Whose calls.
    pub role: CallRole,
    /// The model's name; earlier versions did not keep a judge's.
    pub model: Option<ModelName>,
    /// Number of calls, repairs included.
    pub calls: u64,
    /// Tokens read.
    pub prompt_tokens: Tally,
    /// Of these, the ones from a cache.
    pub cached_tokens: Tally,
    /// Tokens written.
    pub completion_tokens: Tally,
    /// Of these, the ones of reasoning.
    pub reasoning_tokens: Tally,
    /// The calls that count both what was read and what was written.
    pub counted: CountedCalls,
    /// Seconds from asking to the whole reply, added up over calls.
    pub seconds: f64,
}

impl RoleUsage {
    /// Returns both together, as the first one's.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        let (a, b) = (self.counted, other.counted);
        Self {
            calls: self.calls + other.calls,
            prompt_tokens: self.prompt_tokens.plus(other.prompt_tokens),
            cached_tokens: self.cached_tokens.plus(other.cached_tokens),
            completion_tokens: self.completion_tokens.plus(other.completion_tokens),
            reasoning_tokens: self.reasoning_tokens.plus(other.reasoning_tokens),
            counted: CountedCalls {
                calls: a.calls + b.calls,
                prompt: a.prompt + b.prompt,
                cached: a.cached + b.cached,
                completion: a.completion + b.completion,
            },
            seconds: self.seconds + other.seconds,
            ..self
        }
    }
}

/// Calls that count both what was read and what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedCalls {
    /// How many.
    pub calls: u64,
    /// Tokens they read.
    pub prompt: u64,
    /// Of these, the ones from a cache, as far as they say.
    pub cached: u64,
    /// Tokens they wrote.
    pub completion: u64,
}

/// The model of a call: kept, or for a model under test the thread without persona and repeat.
const MODEL: &str = "COALESCE(model, CASE role \
    WHEN 'simulator' THEN 'simulator' \
    WHEN 'model' THEN rtrim(rtrim(rtrim(rtrim(thread, '0123456789'), '/'), \
        replace(rtrim(rtrim(thread, '0123456789'), '/'), '/', '')), '/') END)";

impl Store {
    /// Returns what the calls of `run` added up to, by role, then model.
    ///
    /// Every stored reply counts, so that what a run took follows from its replies alone.
    pub fn usage(&self, run: &str) -> Result<Vec<RoleUsage>, StoreError> {
        self.usage_where(run, "TRUE")
    }

    /// Returns the same of the calls that `run` made itself, without those of earlier runs.
    pub fn own_usage(&self, run: &str) -> Result<Vec<RoleUsage>, StoreError> {
        self.usage_where(run, "source IS NULL")
    }

    fn usage_where(&self, run: &str, which: &str) -> Result<Vec<RoleUsage>, StoreError> {
        let both = "prompt_tokens IS NOT NULL AND completion_tokens IS NOT NULL";
        let select = format!(
            "SELECT role, {MODEL}, COUNT(*), \
                SUM(prompt_tokens), COUNT(prompt_tokens), \
                SUM(cached_tokens), COUNT(cached_tokens), \
                SUM(completion_tokens), COUNT(completion_tokens), \
                SUM(reasoning_tokens), COUNT(reasoning_tokens), \
                COUNT(*) FILTER (WHERE {both}), \
                SUM(prompt_tokens) FILTER (WHERE {both}), \
                SUM(MIN(COALESCE(cached_tokens, 0), prompt_tokens)) FILTER (WHERE {both}), \
                SUM(completion_tokens) FILTER (WHERE {both}), \
                SUM(latency_ms) \
            FROM calls WHERE run = ?1 AND {which} GROUP BY 1, 2 \
            ORDER BY CASE role WHEN 'model' THEN 1 WHEN 'simulator' THEN 2 ELSE 3 END, 2"
        );
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(&select)?;
            let rows = statement.query_map([run], |row| {
                let mut sums = [None; 14];
                for (idx, sum) in sums.iter_mut().enumerate() {
                    *sum = row.get::<_, Option<i64>>(idx + 2)?;
                }
                Ok((row.get(0)?, row.get(1)?, sums))
            })?;
            rows.collect::<rusqlite::Result<Vec<(String, Option<String>, Sums)>>>()
        })?;
        rows.into_iter()
            .map(|(role, model, sums)| self.role_usage(run, &role, model, sums))
            .collect()
    }

    fn role_usage(
        &self,
        run: &str,
        role: &str,
        model: Option<String>,
        sums: Sums,
    ) -> Result<RoleUsage, StoreError> {
        let damaged = |detail: String| StoreError::Damaged {
            path: self.path.clone(),
            what: format!("a call of run {run}"),
            detail,
        };
        let model = model.map(ModelName::new).transpose();
        let number = |idx: usize| sums[idx].and_then(|n| u64::try_from(n).ok());
        let count = |idx: usize| number(idx).unwrap_or_default();
        let calls = count(0);
        let tally = |idx: usize| Tally {
            sum: number(idx),
            uncounted: calls.saturating_sub(count(idx + 1)),
        };
        Ok(RoleUsage {
            role: role_of(role).ok_or_else(|| damaged(format!("unknown role `{role}`")))?,
            model: model.map_err(|error| damaged(error.to_string()))?,
            calls,
            prompt_tokens: tally(1),
            cached_tokens: tally(3),
            completion_tokens: tally(5),
            reasoning_tokens: tally(7),
            counted: CountedCalls {
                calls: count(9),
                prompt: count(10),
                cached: count(11),
                completion: count(12),
            },
            seconds: count(13) as f64 / 1000.0,
        })
    }
}

/// Calls; sum and number of each count; calls with both counts and their sums; milliseconds.
type Sums = [Option<i64>; 14];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shipworthy_schema::{CallRole, ChatReply, Digest, FinishReason, ModelName, Tally, Usage};

    use crate::store::{CallKey, CountedCalls, Origin, Store};

    #[tokio::test]
    async fn calls_are_counted_by_role_and_model_and_what_is_not_told_is_no_zero() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = Store::open(&path).unwrap();
        let run = "INSERT INTO runs (id, plan_digest, ordinal, plan, personas, rubric, created_at) \
                   VALUES ('run', '', 1, '', '', '', '')";
        store.read(|c| c.execute(run, [])).unwrap();
        let put = async |thread: &str, role, model: &str, turn, usage| {
            let key = CallKey {
                thread: thread.to_owned(),
                role,
                turn,
                attempt: 0,
            };
            let reply = ChatReply {
                content: String::new(),
                reasoning: None,
                finish_reason: FinishReason::Stop,
                usage,
            };
            let (model, second) = (ModelName::new(model).unwrap(), Duration::from_secs(1));
            let request = Digest::of(b"");
            let origin = Origin {
                model: &model,
                speaker: None,
                source: None,
            };
            let put = store.put_call("run", &key, &request, &reply, second, origin);
            put.await.unwrap();
        };
        let told = Usage {
            prompt_tokens: Some(100),
            cached_tokens: Some(40),
            completion_tokens: Some(10),
            reasoning_tokens: None,
        };
        put("org/base/p-1/1", CallRole::Model, "org/base", 1, told).await;
        put(
            "org/base/p-1/1",
            CallRole::Model,
            "org/base",
            2,
            Usage::default(),
        )
        .await;
        put("org/base/p-1/1", CallRole::Judge, "large", 1, told).await;
        put(
            "org/base/p-1/1",
            CallRole::Judge,
            "small",
            2,
            Usage::default(),
        )
        .await;
        // What an earlier version wrote.
        store
            .writer
            .write(|c| c.execute("UPDATE calls SET model = NULL", []).map(drop))
            .await
            .unwrap();
        let old = store.usage("run").unwrap();
        assert_eq!(old[0].model.as_ref().unwrap().as_str(), "org/base");
        assert_eq!(
            (old[1].role, &old[1].model, old[1].calls),
            (CallRole::Judge, &None, 2)
        );
        put("org/base/p-1/2", CallRole::Judge, "large", 1, told).await;
        let usage = store.usage("run").unwrap();
        let names: Vec<_> = usage.iter().map(|u| (u.role, u.model.as_ref())).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(usage[2].model.as_ref().unwrap().as_str(), "large");
        let base = &usage[0];
        let tally = |sum, uncounted| Tally { sum, uncounted };
        assert_eq!((base.calls, base.seconds), (2, 2.0));
        assert_eq!(base.prompt_tokens, tally(Some(100), 1));
        assert_eq!(base.cached_tokens, tally(Some(40), 1));
        assert_eq!(base.reasoning_tokens, tally(None, 2));
        let counted = CountedCalls {
            calls: 1,
            prompt: 100,
            cached: 40,
            completion: 10,
        };
        assert_eq!(base.counted, counted);
    }
}
