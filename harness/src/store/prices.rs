use rusqlite::OptionalExtension as _;

use super::{Store, StoreError};
use crate::accounting::PriceList;

impl Store {
    /// Keeps what the calls of `run` cost; the latest word counts.
    pub fn put_prices(&self, run: &str, prices: &PriceList) -> Result<(), StoreError> {
        if prices.prices.is_empty() && self.prices(run)?.is_none() {
            return Ok(());
        }
        let json = serde_json::to_string(prices).expect("prices are plain data");
        self.read(|connection| {
            let insert = "INSERT OR REPLACE INTO prices VALUES (?1, ?2)";
            connection.execute(insert, [run, &json]).map(drop)
        })
    }

    /// Returns what the calls of `run` cost, if it is known.
    pub fn prices(&self, run: &str) -> Result<Option<PriceList>, StoreError> {
        let select = "SELECT prices FROM prices WHERE run = ?1";
        let json: Option<String> = self.read(|connection| {
            connection
                .query_row(select, [run], |row| row.get(0))
                .optional()
        })?;
        json.map(|json| self.parse(&format!("prices of run {run}"), &json))
            .transpose()
    }
}
