use rusqlite::params;
use shipworthy_schema::Digest;

use super::{Store, StoreError};
use crate::preflight::Behaviour;

impl Store {
    /// Returns the digest of the first known behaviour like `behaviour` of what is served as
    /// `source`; where there is none, this one becomes known.
    pub(crate) fn recognise(
        &self,
        source: &Digest,
        behaviour: &Behaviour,
    ) -> Result<Digest, StoreError> {
        let select = "SELECT prints FROM behaviours WHERE source = ?1 ORDER BY number";
        let known: Vec<String> = self.read(|connection| {
            let mut statement = connection.prepare(select)?;
            let rows = statement.query_map([source.as_str()], |row| row.get(0))?;
            rows.collect()
        })?;
        for json in &known {
            let first: Behaviour = self.parse("what is known of a served model", json)?;
            if first.is_like(behaviour) {
                return Ok(Digest::of(json.as_bytes()));
            }
        }
        let json = serde_json::to_string(behaviour).expect("a behaviour is plain data");
        let insert = "INSERT OR IGNORE INTO behaviours VALUES (?1, ?2, ?3)";
        self.read(|connection| {
            let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
            connection.execute(insert, params![source.as_str(), number, json])
        })?;
        Ok(Digest::of(json.as_bytes()))
    }
}
