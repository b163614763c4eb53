use rusqlite::params;
use shipworthy_schema::HumanLabel;

use super::{Store, StoreError};

impl Store {
    /// Commits what people said of conversations, in place of what the same people said of the same
    /// before: all of it or nothing.
    pub async fn put_labels(&self, run: &str, labels: Vec<HumanLabel>) -> Result<(), StoreError> {
        let run = run.to_owned();
        self.writer
            .write(move |connection| {
                let insert = "INSERT OR REPLACE INTO labels VALUES (?1, ?2, ?3, ?4)";
                let mut insert = connection.prepare_cached(insert)?;
                for label in labels {
                    let json = serde_json::to_string(&label).expect("a label is plain data");
                    let thread = label.conversation.to_string();
                    insert.execute(params![run, thread, label.rater, json])?;
                }
                Ok(())
            })
            .await
    }

    /// Returns what people said of the conversations of `run`, by conversation and name.
    pub fn labels(&self, run: &str) -> Result<Vec<HumanLabel>, StoreError> {
        let mut labels: Vec<HumanLabel> = self.column(run, "label")?;
        labels.sort_by(|a, b| (&a.conversation, &a.rater).cmp(&(&b.conversation, &b.rater)));
        Ok(labels)
    }
}
