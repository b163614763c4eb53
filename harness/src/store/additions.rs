//! Tables and columns that came after the first stores of this format.

use rusqlite::Connection;

const TABLES: &str = include_str!("additions.sql");

/// Table, column, type. `calls.model`: the model's name in the project; `calls.speaker`: who
/// answered, where that can be proved to another run; `calls.source`: the run that asked, where it
/// was another one.
///
/// `calls` held the replies themselves once. Pages that they left stayed nearly empty, and held most of
/// a store; pages of a table of their own are used again.
const COLUMNS: [(&str, &str, &str); 4] = [
    ("calls", "model", "TEXT"),
    ("calls", "reasoning_tokens", "INTEGER"),
    ("calls", "speaker", "TEXT"),
    ("calls", "source", "TEXT"),
];

/// What moves the replies, where `calls` still has them.
const MOVE_REPLIES: &str = "INSERT OR IGNORE INTO replies \
    SELECT run, thread, role, turn, attempt, reply FROM calls WHERE reply IS NOT NULL; \
    ALTER TABLE calls DROP COLUMN reply;";

/// Adds what the store lacks.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    if !is_missing(connection)? {
        return Ok(());
    }
    // Two processes may start at once: the second waits for the lock and then finds all there.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let added = (|| {
        connection.execute_batch(TABLES)?;
        if has_replies_in_calls(connection)? {
            connection.execute_batch(MOVE_REPLIES)?;
        }
        for (table, column, kind) in COLUMNS {
            if !columns(connection, table)?.iter().any(|is| is == column) {
                let add = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
                connection.execute_batch(&add)?;
            }
        }
        Ok(())
    })();
    connection.execute_batch(if added.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    added
}

fn is_missing(connection: &Connection) -> rusqlite::Result<bool> {
    for table in tables() {
        if columns(connection, table)?.is_empty() {
            return Ok(true);
        }
    }
    let (table, last_column, _) = COLUMNS[COLUMNS.len() - 1];
    let columns = columns(connection, table)?;
    let is_new = columns.iter().any(|column| column == last_column);
    Ok(!is_new || has_replies_in_calls(connection)?)
}

fn has_replies_in_calls(connection: &Connection) -> rusqlite::Result<bool> {
    let columns = columns(connection, "calls")?;
    Ok(columns.iter().any(|column| column == "reply"))
}

/// Returns the names of the tables that came later.
fn tables() -> impl Iterator<Item = &'static str> {
    let named = TABLES.split("CREATE TABLE IF NOT EXISTS ").skip(1);
    named.filter_map(|statement| statement.split_whitespace().next())
}

/// Returns the names of a table's columns; none where there is no such table.
pub(super) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use shipworthy_schema::{ChatReply, Digest, FinishReason, Usage};

    use crate::store::Store;

    #[test]
    fn a_store_of_the_first_version_gets_what_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("schema.sql")).unwrap();
        let reply = ChatReply {
            content: "Rest.".to_owned(),
            reasoning: None,
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        };
        let json = serde_json::to_string(&reply).unwrap();
        old.execute_batch(&format!(
            "INSERT INTO runs VALUES ('a-1', 'a', 1, '{{}}', '', '', '', NULL, NULL, NULL);
             INSERT INTO calls VALUES ('a-1', 'm/p/1', 'model', 1, 0, 'd', NULL, 5, 0, 7, 9);
             INSERT INTO calls VALUES ('a-1', 'm/p/1', 'model', 2, 0, '{digest}', '{json}', 5, 0, 7, 9);
             PRAGMA user_version = 1;",
            digest = Digest::of(b""),
        ))
        .unwrap();
        drop(old);
        for _ in 0..2 {
            let store = Store::open(&path).unwrap();
            assert_eq!(store.usage("a-1").unwrap()[0].calls, 2);
            let reused = store.reused("a-1").unwrap();
            assert_eq!((reused.calls, reused.reused), (2, 0));
            let calls = store.calls("a-1").unwrap();
            assert_eq!(calls.len(), 1);
            assert_eq!(calls.values().next().unwrap().reply, reply);
        }
    }
}
