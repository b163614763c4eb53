//! Tables and columns that came after the first stores of this format.

use rusqlite::Connection;

const TABLES: &str = include_str!("additions.sql");

/// Table, column, type. `calls.model`: the model's name in the project; `calls.speaker`: who
/// answered, where that can be proved to another run; `calls.source`: the run that asked, where it
/// was another one.
const COLUMNS: [(&str, &str, &str); 4] = [
    ("calls", "model", "TEXT"),
    ("calls", "reasoning_tokens", "INTEGER"),
    ("calls", "speaker", "TEXT"),
    ("calls", "source", "TEXT"),
];

/// Adds what the store lacks.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    if !is_missing(connection)? {
        return Ok(());
    }
    // Two processes may start at once: the second waits for the lock and then finds all there.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let added = (|| {
        connection.execute_batch(TABLES)?;
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
    Ok(!columns.iter().any(|column| column == last_column))
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

    use crate::store::Store;

    #[test]
    fn a_store_of_the_first_version_gets_what_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("schema.sql")).unwrap();
        old.execute_batch(
            "INSERT INTO runs VALUES ('a-1', 'a', 1, '{}', '', '', '', NULL, NULL, NULL);
             INSERT INTO calls VALUES ('a-1', 'm/p/1', 'model', 1, 0, 'd', NULL, 5, 0, 7, 9);
             PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(old);
        for _ in 0..2 {
            let store = Store::open(&path).unwrap();
            assert_eq!(store.usage("a-1").unwrap()[0].calls, 1);
            let reused = store.reused("a-1").unwrap();
            assert_eq!((reused.calls, reused.reused), (1, 0));
        }
    }
}
