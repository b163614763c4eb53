use serde_json::Value;

use super::flavour::Flavour;
use super::job::{Job, JobId};
use super::specification::{JobSpec, SpecError};
use crate::hub::{Hub, HubError, Repeat};

/// Most pages of jobs that are read.
const MAX_PAGES: usize = 1000;

impl Hub {
    /// Returns the machines that can be had now, with their prices.
    pub async fn flavours(&self) -> Result<Vec<Flavour>, HubError> {
        let what = "ask for machines and prices";
        let answer = self.get(what, "/api/jobs/hardware").await?;
        let items = answer.as_array().into_iter().flatten();
        items.map(|item| Flavour::read(what, item)).collect()
    }

    /// Gives a job to the Hub.
    ///
    /// Sent once: where the answer is lost, the job may run nevertheless, and the error says so.
    pub async fn submit(&self, namespace: &str, spec: &JobSpec) -> Result<Job, SubmitError> {
        let what = &format!("start a job as `{namespace}`");
        self.token(what)?;
        let mut body = spec.public()?;
        body["secrets"] = spec.secret();
        let path = format!("/api/jobs/{namespace}");
        let sent = self.post(what, Repeat::IfNotDone, &path, &body).await;
        let answer = sent.map_err(|error| self.without_secrets(error, spec))?;
        Ok(Job::read(what, &answer, namespace)?)
    }

    /// Returns a namespace's jobs, the latest first; without those that are over if `is_all` is false.
    pub async fn jobs(&self, namespace: &str, is_all: bool) -> Result<Vec<Job>, HubError> {
        let what = &format!("list the jobs of `{namespace}`");
        self.token(what)?;
        let query = if is_all {
            ""
        } else {
            "?stage=RUNNING&stage=SCHEDULING"
        };
        let mut next = Some(
            self.endpoint()
                .join(&format!("/api/jobs/{namespace}{query}")),
        );
        let mut jobs = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { break };
            let (page, following) = self.get_page(what, &url).await?;
            for item in page.as_array().into_iter().flatten() {
                jobs.push(Job::read(what, item, namespace)?);
            }
            next = following;
        }
        jobs.sort_by(|one, other| other.created_at.cmp(&one.created_at));
        Ok(jobs)
    }

    /// Returns what has become of a job.
    pub async fn job(&self, id: &JobId) -> Result<Job, HubError> {
        let what = &format!("look at job `{id}`");
        self.token(what)?;
        let answer: Value = self.get(what, &id.path()).await?;
        Job::read(what, &answer, &id.namespace)
    }

    /// Stops a job.
    pub async fn cancel(&self, id: &JobId) -> Result<(), HubError> {
        let what = &format!("stop job `{id}`");
        self.token(what)?;
        let path = format!("{}/cancel", id.path());
        let sent = self.post(what, Repeat::Safely, &path, &Value::Null).await;
        sent.map(drop)
    }

    /// Returns an error without the values of a job's secrets in it.
    fn without_secrets(&self, error: HubError, spec: &JobSpec) -> HubError {
        let redact = |text: String| {
            let secrets = spec.secrets.values();
            secrets.fold(self.redact(&text), |text, secret| secret.redact(&text))
        };
        match error {
            HubError::Refused {
                what,
                status,
                code,
                detail,
                request,
            } => HubError::Refused {
                what,
                status,
                code,
                detail: redact(detail),
                request,
            },
            error => error,
        }
    }
}

/// Says why a job was not started.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It cannot be described.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The Hub did not take it.
    #[error(transparent)]
    Hub(#[from] HubError),
}
