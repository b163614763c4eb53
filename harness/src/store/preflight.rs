use rusqlite::OptionalExtension as _;

use super::{Store, StoreError};
use crate::preflight::Preflight;

/// Made where it is first needed: stores of every version may lack it.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS preflight (
    run      TEXT PRIMARY KEY REFERENCES runs (id),
    findings TEXT NOT NULL              -- JSON
) STRICT, WITHOUT ROWID;";

impl Store {
    /// Keeps what was found before `run` began.
    pub fn put_preflight(&self, run: &str, found: &Preflight) -> Result<(), StoreError> {
        let json = serde_json::to_string(found).expect("findings are plain data");
        self.read(|connection| {
            connection.execute_batch(TABLE)?;
            let insert = "INSERT OR REPLACE INTO preflight VALUES (?1, ?2)";
            connection.execute(insert, [run, &json]).map(drop)
        })
    }

    /// Returns what was found before `run` began, if it is known.
    pub fn preflight(&self, run: &str) -> Result<Option<Preflight>, StoreError> {
        let select = "SELECT findings FROM preflight WHERE run = ?1";
        let json: Option<String> = self.read(|connection| {
            connection.execute_batch(TABLE)?;
            connection
                .query_row(select, [run], |row| row.get(0))
                .optional()
        })?;
        json.map(|json| self.parse(&format!("preflight of run {run}"), &json))
            .transpose()
    }
}
