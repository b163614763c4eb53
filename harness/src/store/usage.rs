use shipworthy_schema::CallRole;

use super::call::role_of;
use super::{Store, StoreError};

/// What the calls of one role in a run added up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleUsage {
    /// Whose calls.
    pub role: CallRole,
    /// Number of calls, repairs included.
    pub calls: u64,
    /// Tokens read, if every call counted them.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, if every call counted them.
    pub completion_tokens: Option<u64>,
    /// Seconds from asking to the whole reply, added up over calls.
    pub seconds: f64,
}

/// Role, calls, tokens read, tokens written, milliseconds.
type Sums = (String, i64, Option<i64>, Option<i64>, i64);

impl Store {
    /// Returns what the calls of `run` added up to, by role.
    pub fn usage(&self, run: &str) -> Result<Vec<RoleUsage>, StoreError> {
        // A sum over some calls only would pass for the whole.
        let select = "SELECT role, COUNT(*), \
                CASE WHEN COUNT(prompt_tokens) = COUNT(*) THEN SUM(prompt_tokens) END, \
                CASE WHEN COUNT(completion_tokens) = COUNT(*) THEN SUM(completion_tokens) END, \
                SUM(latency_ms) \
            FROM calls WHERE run = ?1 GROUP BY role ORDER BY role";
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(select)?;
            let rows = statement.query_map([run], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })?;
            rows.collect::<rusqlite::Result<Vec<Sums>>>()
        })?;
        let usage = |(role, calls, prompt, completion, latency_ms): Sums| {
            let count = |n: i64| u64::try_from(n).unwrap_or_default();
            Ok(RoleUsage {
                role: role_of(&role).ok_or_else(|| StoreError::Damaged {
                    path: self.path.clone(),
                    what: format!("a call of run {run}"),
                    detail: format!("unknown role `{role}`"),
                })?,
                calls: count(calls),
                prompt_tokens: prompt.map(count),
                completion_tokens: completion.map(count),
                seconds: latency_ms as f64 / 1000.0,
            })
        };
        rows.into_iter().map(usage).collect()
    }
}
