use rusqlite::Connection;

/// Columns of `calls` that stores of earlier versions lack.
const ADDED: [(&str, &str); 2] = [("model", "TEXT"), ("reasoning_tokens", "INTEGER")];

/// Adds the columns that later versions brought.
pub(super) fn add_missing(connection: &Connection) -> rusqlite::Result<()> {
    let is_missing = |column: &str| {
        let known = "SELECT COUNT(*) FROM pragma_table_info('calls') WHERE name = ?1";
        connection.query_row(known, [column], |row| row.get::<_, i64>(0).map(|n| n == 0))
    };
    let mut missing = Vec::new();
    for (column, kind) in ADDED {
        if is_missing(column)? {
            missing.push((column, kind));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // Two processes may start at once: the second waits for the lock and then finds the columns.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for (column, kind) in missing {
        if is_missing(column)? {
            connection.execute_batch(&format!("ALTER TABLE calls ADD COLUMN {column} {kind}"))?;
        }
    }
    connection.execute_batch("COMMIT")
}

#[cfg(test)]
mod tests {
    use crate::store::{Store, connect, migrate};

    #[test]
    fn a_store_of_an_earlier_version_gets_its_columns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let connection = connect(&path, rusqlite::OpenFlags::default()).unwrap();
        migrate(&path, &connection).unwrap();
        let older = "ALTER TABLE calls DROP COLUMN model; \
                     ALTER TABLE calls DROP COLUMN reasoning_tokens;";
        connection.execute_batch(older).unwrap();
        drop(connection);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.usage("none").unwrap(), []);
    }
}
