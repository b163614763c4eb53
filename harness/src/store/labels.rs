use rusqlite::params;
use shipworthy_schema::HumanLabel;

use super::{Store, StoreError};

impl Store {
    /// Commits what a person said of a conversation, in place of what the same person said before.
    pub async fn put_label(&self, run: &str, label: &HumanLabel) -> Result<(), StoreError> {
        let json = serde_json::to_string(label).expect("a label is plain data");
        let (run, thread) = (run.to_owned(), label.conversation.to_string());
        let rater = label.rater.clone();
        self.writer
            .write(move |connection| {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO labels VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![run, thread, rater, json])
                    .map(drop)
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
