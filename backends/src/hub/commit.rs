use std::fmt::Write as _;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::answer::text_of;
use super::error::HubError;
use super::repository::RepositoryId;
use super::transport::{Hub, Repeat};

impl Hub {
    /// Makes a commit on top of `parent`, once; returns its id.
    ///
    /// Where its answer is lost, the repository is asked whether it was made: sent again as it is, it
    /// might be there twice.
    pub(super) async fn commit(
        &self,
        what: &str,
        repository: &RepositoryId,
        parent: &str,
        title: &str,
        lines: &[Value],
    ) -> Result<String, HubError> {
        let body = lines.iter().fold(String::new(), |mut body, line| {
            let _ = writeln!(body, "{line}");
            body
        });
        let url = self
            .endpoint()
            .join(&format!("{}/commit/main", repository.api()));
        let request = || {
            self.request(Method::POST, &url)
                .header(CONTENT_TYPE, "application/x-ndjson")
                .body(body.clone())
        };
        let mut done = 0;
        loop {
            done += 1;
            let lost = match self.send(what, Repeat::IfNotDone, request).await {
                Ok(response) => match self.json(what, response).await {
                    Ok(answer) => return text_of(what, &answer, "commitOid"),
                    Err(lost) => lost,
                },
                Err(HubError::Refused { status: 412, .. }) => {
                    return Err(HubError::Changed {
                        what: what.to_owned(),
                        repository: repository.to_string(),
                    });
                }
                Err(
                    lost @ (HubError::Unreachable { .. } | HubError::Refused { status: 500.., .. }),
                ) => lost,
                Err(refused) => return Err(refused),
            };
            let since = self.commits(repository, Some(parent)).await?;
            if let Some(made) = since.iter().find(|commit| commit.title == title) {
                return Ok(made.id.clone());
            }
            if done >= self.patience.tries {
                return Err(lost);
            }
            tokio::time::sleep(self.patience.pause_after(done)).await;
        }
    }
}
