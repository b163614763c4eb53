use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shipworthy_schema::{CandidateStep, Digest};

use super::{Store, StoreError};
use crate::candidates::Confirmation;

/// Seconds that were spent on a candidate, over all processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// In training.
    pub training: f64,
    /// In all steps.
    pub all: f64,
}

/// A look at some people: by which run, at which of them, at which candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The run.
    pub run: String,
    /// First seed.
    pub seed_start: u32,
    /// Number of people.
    pub count: u32,
    /// Identity of the candidate.
    pub candidate: String,
}

impl Store {
    /// Enters a candidate, if it is not there.
    pub fn put_candidate(&self, key: &Digest, recipe: &impl Serialize) -> Result<(), StoreError> {
        let recipe = serde_json::to_string(recipe).expect("a recipe is plain data");
        let insert = "INSERT OR IGNORE INTO candidates (key, recipe, created_at) \
                      VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))";
        self.read(|connection| connection.execute(insert, [key.as_str(), &recipe]))?;
        Ok(())
    }

    /// Keeps what a step of a candidate came to, in place of what it had come to before.
    ///
    /// `begun_with`: digest of what it began with.
    pub fn put_step(
        &self,
        candidate: &Digest,
        step: CandidateStep,
        begun_with: &Digest,
        result: &impl Serialize,
    ) -> Result<(), StoreError> {
        let result = serde_json::to_string(result).expect("a step's result is plain data");
        let values = params![
            candidate.as_str(),
            step.label(),
            begun_with.as_str(),
            result
        ];
        let insert = "INSERT OR REPLACE INTO steps VALUES (?1, ?2, ?3, ?4)";
        self.read(|connection| connection.execute(insert, values))?;
        Ok(())
    }

    /// Returns what a step of a candidate came to that began with this, if it was taken.
    pub fn step<T: DeserializeOwned>(
        &self,
        candidate: &Digest,
        step: CandidateStep,
        begun_with: &Digest,
    ) -> Result<Option<T>, StoreError> {
        let select = "SELECT result FROM steps WHERE candidate = ?1 AND kind = ?2 AND key = ?3";
        let values = [candidate.as_str(), step.label(), begun_with.as_str()];
        let json: Option<String> = self.read(|connection| {
            connection
                .query_row(select, values, |row| row.get(0))
                .optional()
        })?;
        let what = format!("{} of candidate {}", step.label(), candidate.short());
        json.map(|json| self.parse(&what, &json)).transpose()
    }

    /// Returns the candidate that a GGUF file was made for, if a loop made it.
    pub(crate) fn candidate_of_file(&self, gguf: &Digest) -> Result<Option<Digest>, StoreError> {
        let select = "SELECT candidate FROM steps WHERE kind = ?1 \
                      AND json_extract(result, '$.gguf') = ?2 ORDER BY candidate LIMIT 1";
        let values = [CandidateStep::Conversion.label(), gguf.as_str()];
        let key: Option<String> = self.read(|connection| {
            connection
                .query_row(select, values, |row| row.get(0))
                .optional()
        })?;
        key.map(|key| self.parse("a candidate", &format!("\"{key}\"")))
            .transpose()
    }

    /// Adds to the seconds spent on a candidate.
    pub fn add_time(&self, candidate: &Digest, spent: Spent) -> Result<(), StoreError> {
        let update = "UPDATE candidates SET training_seconds = training_seconds + ?2, \
                      seconds = seconds + ?3 WHERE key = ?1";
        let values = params![candidate.as_str(), spent.training, spent.all];
        self.read(|connection| connection.execute(update, values))?;
        Ok(())
    }

    /// Returns the seconds spent on a candidate.
    pub fn time_of(&self, candidate: &Digest) -> Result<Spent, StoreError> {
        let select = "SELECT training_seconds, seconds FROM candidates WHERE key = ?1";
        let spent = self.read(|connection| {
            connection
                .query_row(select, [candidate.as_str()], |row| {
                    Ok(Spent {
                        training: row.get(0)?,
                        all: row.get(1)?,
                    })
                })
                .optional()
        })?;
        Ok(spent.unwrap_or_default())
    }

    /// Enters which candidate meets the people of a confirmation pool; what is entered stays.
    pub(crate) fn put_confirmation(&self, entry: &Confirmation) -> Result<(), StoreError> {
        let json = serde_json::to_string(entry).expect("a confirmation is plain data");
        let insert = "INSERT OR IGNORE INTO confirmations \
                      VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))";
        let values = params![entry.spec.as_str(), entry.seed_start, entry.count, json];
        self.read(|connection| connection.execute(insert, values))?;
        Ok(())
    }

    /// Returns all confirmations, by pool.
    pub(crate) fn confirmations(&self) -> Result<Vec<Confirmation>, StoreError> {
        let select = "SELECT confirmation FROM confirmations ORDER BY spec, seed_start, count";
        let rows = self.read(|connection| {
            let mut statement = connection.prepare(select)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        })?;
        let parse = |json: String| self.parse("a confirmation", &json);
        rows.into_iter().map(parse).collect()
    }

    /// Returns the looks that were taken at some of these people, in the ledger's order.
    pub fn looks_at(
        &self,
        spec: &Digest,
        seed_start: u32,
        count: u32,
    ) -> Result<Vec<Look>, StoreError> {
        let select = "SELECT run, seed_start, count, candidate FROM looks WHERE spec = ?1 \
                      AND seed_start < ?2 + ?3 AND ?2 < seed_start + count ORDER BY at, run";
        self.read(|connection| {
            let mut statement = connection.prepare(select)?;
            let rows = statement.query_map(params![spec.as_str(), seed_start, count], |row| {
                Ok(Look {
                    run: row.get(0)?,
                    seed_start: row.get(1)?,
                    count: row.get(2)?,
                    candidate: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }
}
