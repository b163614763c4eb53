use rusqlite::{OptionalExtension as _, params};
use shipworthy_schema::{Digest, PersonaPlan};

use super::{Store, StoreError};

impl Store {
    /// Enters into the ledger that `run` judges `candidates` on the people of `pool`; returns their
    /// ordinals.
    ///
    /// A look is a pair of pool and candidate. One that is known keeps its ordinal. The others of a
    /// run share one: 1 plus the number of looks that earlier runs took at any of these people, so
    /// that a pool with a few people more is no fresh one.
    pub fn record_looks(
        &self,
        run: &str,
        pool: &PersonaPlan,
        candidates: &[Digest],
    ) -> Result<Vec<u32>, StoreError> {
        let ordinal = "SELECT ordinal FROM looks \
            WHERE spec = ?1 AND seed_start = ?2 AND count = ?3 AND candidate = ?4";
        let earlier = "SELECT COUNT(*) FROM looks WHERE spec = ?1 AND run != ?4 \
            AND seed_start < ?2 + ?3 AND ?2 < seed_start + count";
        let insert = "INSERT INTO looks VALUES \
            (?1, ?2, ?3, ?4, ?5, ?6, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))";
        let (spec, start, count) = (pool.spec.digest.as_str(), pool.seed_start, pool.count);
        self.read(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let recorded = (|| {
                let new: u32 =
                    1 + connection.query_row(earlier, params![spec, start, count, run], |row| {
                        row.get::<_, u32>(0)
                    })?;
                let mut ordinals = Vec::with_capacity(candidates.len());
                for candidate in candidates.iter().map(Digest::as_str) {
                    let look = params![spec, start, count, candidate];
                    let known = connection
                        .query_row(ordinal, look, |row| row.get(0))
                        .optional()?;
                    if known.is_none() {
                        let look = params![spec, start, count, candidate, new, run];
                        connection.execute(insert, look)?;
                    }
                    ordinals.push(known.unwrap_or(new));
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
    use shipworthy_schema::{Digest, PersonaPlan, SpecRef};

    use crate::store::Store;

    #[test]
    fn a_look_is_a_pair_of_pool_and_candidate() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).unwrap();
        store
            .read(|c| c.execute_batch("PRAGMA foreign_keys = OFF"))
            .unwrap();
        let look = |run: &str, spec: &str, seed_start: u32, count: u32, candidates: &[&str]| {
            let digest = Digest::of(spec.as_bytes());
            let pool = PersonaPlan {
                spec: SpecRef {
                    name: spec.to_owned(),
                    version: 1,
                    digest: digest.clone(),
                },
                seed_start,
                count,
                repeats: 3,
                max_turns: 6,
                pool: digest,
            };
            let digests: Vec<Digest> = candidates
                .iter()
                .map(|name| Digest::of(name.as_bytes()))
                .collect();
            store.record_looks(run, &pool, &digests).unwrap()
        };
        assert_eq!(look("1", "s", 9000, 15, &["a"]), [1]);
        assert_eq!(
            look("2", "s", 9000, 15, &["a"]),
            [1],
            "the same look again is no new one"
        );
        assert_eq!(
            look("3", "s", 9000, 15, &["b", "c"]),
            [2, 2],
            "one run's share an ordinal"
        );
        assert_eq!(look("3", "s", 9000, 15, &["b", "c"]), [2, 2], "resumed");
        assert_eq!(look("4", "s", 9000, 15, &["c", "d"]), [2, 4]);
        assert_eq!(
            look("5", "s", 9000, 16, &["a"]),
            [5],
            "a few people more are no fresh ones"
        );
        assert_eq!(look("6", "s", 9014, 5, &["e"]), [6], "nor are some of them");
        assert_eq!(look("7", "s", 9020, 15, &["a"]), [1], "fresh people");
        assert_eq!(
            look("8", "other", 9000, 15, &["a"]),
            [1],
            "another spec's are other people"
        );
    }
}
