use rusqlite::{Connection, OptionalExtension as _, params};
use shipworthy_schema::Digest;

use super::{Run, Store, StoreError};
use crate::shard::Shard;

/// Tables whose rows are about a run itself rather than about what was said in it.
const NOT_COPIED: [&str; 4] = ["generations", "looks", "preflight", "shards"];

/// A run of one share of its plan's people.
#[derive(Clone, Debug)]
pub struct ShardRun {
    /// The run.
    pub run: Run,
    /// Its share.
    pub shard: Shard,
    /// Whether all of its people have spoken and were scored.
    pub is_done: bool,
}

impl Store {
    /// Says that `run` is for one share only.
    pub fn put_shard(&self, run: &str, shard: Shard) -> Result<(), StoreError> {
        let insert = "INSERT INTO shards (run, part, of) VALUES (?1, ?2, ?3)";
        self.read(|connection| {
            let values = params![run, shard.part(), shard.of()];
            connection.execute(insert, values).map(drop)
        })
    }

    /// Says that all people of the share that `run` is for have spoken and were scored.
    pub async fn finish_shard(&self, run: &str) -> Result<(), StoreError> {
        let run = run.to_owned();
        let update = "UPDATE shards SET done = 1 WHERE run = ?1";
        self.writer
            .write(move |connection| connection.execute(update, [run]).map(drop))
            .await
    }

    /// Returns which share `run` is for, and whether it is done; `None`: it is for all people.
    pub fn shard_of(&self, run: &str) -> Result<Option<(Shard, bool)>, StoreError> {
        let select = "SELECT part, of, done FROM shards WHERE run = ?1";
        let row: Option<(u32, u32, bool)> = self.read(|connection| {
            connection
                .query_row(select, [run], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        })?;
        row.map(|(part, of, is_done)| {
            let shard = Shard::new(part, of).ok_or_else(|| StoreError::Damaged {
                path: self.path.clone(),
                what: format!("the share of run {run}"),
                detail: format!("{part}/{of} is none"),
            })?;
            Ok((shard, is_done))
        })
        .transpose()
    }

    /// Returns the latest run of the plan with `digest` for one share, if there is one.
    pub fn latest_shard_of(
        &self,
        digest: &Digest,
        shard: Shard,
    ) -> Result<Option<Run>, StoreError> {
        let runs = self.shard_runs()?.into_iter();
        let mut runs = runs.filter(|it| it.run.plan_digest == digest.as_str() && it.shard == shard);
        Ok(runs.next().map(|it| it.run))
    }

    /// Returns all runs for one share only, the latest first.
    pub fn shard_runs(&self) -> Result<Vec<ShardRun>, StoreError> {
        let mut found = Vec::new();
        for run in self.runs()? {
            if let Some((shard, is_done)) = self.shard_of(&run.id)? {
                found.push(ShardRun {
                    run,
                    shard,
                    is_done,
                });
            }
        }
        Ok(found)
    }

    /// Copies everything that `source` holds of its run `from` into this store's run `into`.
    pub fn copy_run(&self, source: &Self, from: &str, into: &str) -> Result<(), StoreError> {
        let is_same = self.path == source.path;
        let path = source.path.display().to_string();
        self.read(|connection| {
            if is_same {
                return copy(connection, "main", from, into);
            }
            connection.execute("ATTACH DATABASE ?1 AS shard", [&path])?;
            let copied = copy(connection, "shard", from, into);
            connection.execute_batch("DETACH DATABASE shard")?;
            copied
        })
    }
}

/// Copies the rows of every table with a `run`, but for [`NOT_COPIED`].
fn copy(connection: &Connection, schema: &str, from: &str, into: &str) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let copied = (|| {
        for table in tables_with_runs(connection)? {
            let columns = super::additions::columns(connection, &table)?;
            // What the other store's version did not have yet is empty here.
            let theirs = columns_in(connection, schema, &table)?;
            let shared: Vec<&str> = columns
                .iter()
                .filter(|column| theirs.contains(column))
                .map(String::as_str)
                .collect();
            if shared.is_empty() {
                continue;
            }
            let values: Vec<&str> = shared
                .iter()
                .map(|column| if *column == "run" { "?2" } else { column })
                .collect();
            // Every shard has the same speakers and prices; nothing else is in two of them.
            let or = if matches!(table.as_str(), "speakers" | "prices") {
                "OR IGNORE "
            } else {
                ""
            };
            let insert = format!(
                "INSERT {or}INTO main.{table} ({}) SELECT {} FROM {schema}.{table} WHERE run = ?1",
                shared.join(", "),
                values.join(", ")
            );
            connection.execute(&insert, [from, into])?;
        }
        Ok(())
    })();
    connection.execute_batch(if copied.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    copied
}

fn tables_with_runs(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let select = "SELECT m.name FROM main.sqlite_master AS m \
        WHERE m.type = 'table' AND EXISTS (\
            SELECT 1 FROM pragma_table_info(m.name) AS c WHERE c.name = 'run') \
        ORDER BY m.name";
    let mut statement = connection.prepare(select)?;
    let names = statement.query_map([], |row| row.get(0))?;
    let mut names = names.collect::<rusqlite::Result<Vec<String>>>()?;
    names.retain(|name| !NOT_COPIED.contains(&name.as_str()));
    Ok(names)
}

fn columns_in(connection: &Connection, schema: &str, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1, ?2)")?;
    let names = statement.query_map([table, schema], |row| row.get(0))?;
    names.collect()
}
