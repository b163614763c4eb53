use rusqlite::params;

use super::{Store, StoreError};
use crate::remote_job::RemoteJob;

impl Store {
    /// Commits what is known of a job elsewhere, in place of what was known of it before.
    pub async fn put_job(&self, job: &RemoteJob) -> Result<(), StoreError> {
        let json = serde_json::to_string(job).expect("a job is plain data");
        let id = job.id.clone();
        self.writer
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO jobs (id, job, created_at) \
                         VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')) \
                         ON CONFLICT (id) DO UPDATE SET job = excluded.job",
                    )?
                    .execute(params![id, json])
                    .map(drop)
            })
            .await
    }

    /// Returns the jobs that were started from here, the latest first.
    pub fn jobs(&self) -> Result<Vec<RemoteJob>, StoreError> {
        let rows = self.read(|connection| {
            let select = "SELECT id, job FROM jobs ORDER BY created_at DESC, rowid DESC";
            let mut statement = connection.prepare_cached(select)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let parse = |(id, json): (String, String)| self.parse(&format!("job {id}"), &json);
        rows.into_iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote_job::ExpectedOutput;

    #[tokio::test]
    async fn a_job_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store.db")).unwrap();
        let mut job = RemoteJob {
            id: "ada/1".to_owned(),
            endpoint: "https://hub.example".to_owned(),
            name: "letters".to_owned(),
            flavour: "l4x1".to_owned(),
            usd_per_minute: Some(0.0125),
            timeout_s: 3600,
            output: Some(ExpectedOutput {
                repository: "ada/tuned".to_owned(),
                since: None,
                files: vec!["adapter_model.safetensors".to_owned()],
                last_step: Some(12),
            }),
            directory: Some("out".into()),
            conclusion: None,
            cost_usd: None,
        };
        store.put_job(&job).await.unwrap();
        job.conclusion = Some("done".to_owned());
        store.put_job(&job).await.unwrap();
        assert_eq!(store.jobs().unwrap(), [job]);
    }
}
