use rusqlite::{OptionalExtension as _, params};
use shipworthy_schema::Digest;

use super::{Store, StoreError};

impl Store {
    /// Enters into the ledger that `run` judges `candidates` on `pool`; returns their ordinals.
    ///
    /// A candidate that was judged on the pool before keeps its ordinal. The others share one: 1
    /// plus the number of candidates that earlier runs judged on it.
    pub fn record_looks(
        &self,
        run: &str,
        pool: &Digest,
        candidates: &[Digest],
    ) -> Result<Vec<u32>, StoreError> {
        let ordinal = "SELECT ordinal FROM looks WHERE pool = ?1 AND candidate = ?2";
        let count = "SELECT COUNT(*) FROM looks WHERE pool = ?1 AND run != ?2";
        let insert =
            "INSERT INTO looks VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))";
        self.read(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let recorded = (|| {
                let earlier: u32 =
                    connection.query_row(count, [pool.as_str(), run], |row| row.get(0))?;
                let mut ordinals = Vec::with_capacity(candidates.len());
                for candidate in candidates {
                    let key = [pool.as_str(), candidate.as_str()];
                    let known = connection
                        .query_row(ordinal, key, |row| row.get(0))
                        .optional()?;
                    ordinals.push(known.unwrap_or(earlier + 1));
                    if known.is_none() {
                        let new = params![pool.as_str(), candidate.as_str(), earlier + 1, run];
                        connection.execute(insert, new)?;
                    }
                }
                Ok(ordinals)
            })();
            let end = if recorded.is_ok() {
                "COMMIT"
            } else {
                "ROLLBACK"
            };
            connection.execute_batch(end)?;
            recorded
        })
    }
}

#[cfg(test)]
mod tests {
    use shipworthy_schema::Digest;

    use crate::store::Store;

    #[test]
    fn a_look_is_a_pair_of_pool_and_candidate() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).unwrap();
        store
            .read(|c| c.execute_batch("PRAGMA foreign_keys = OFF"))
            .unwrap();
        let [pool, fresh] = [b"pool", b"more"].map(|text| Digest::of(text));
        let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|text| Digest::of(text));
        let look = |run: &str, pool: &Digest, candidates: &[&Digest]| {
            let candidates: Vec<Digest> = candidates.iter().copied().cloned().collect();
            store.record_looks(run, pool, &candidates).unwrap()
        };
        assert_eq!(look("1", &pool, &[&a]), [1]);
        assert_eq!(
            look("2", &pool, &[&a]),
            [1],
            "the same candidate again is no new look"
        );
        assert_eq!(
            look("3", &pool, &[&b, &c]),
            [2, 2],
            "candidates of one run are corrected by Holm"
        );
        assert_eq!(look("3", &pool, &[&b, &c]), [2, 2], "resumed");
        assert_eq!(look("4", &pool, &[&c, &d]), [2, 4]);
        assert_eq!(look("5", &fresh, &[&d]), [1], "fresh people");
    }
}
