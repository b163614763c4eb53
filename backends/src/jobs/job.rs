use std::fmt;

use serde_json::Value;

use crate::hub::{HubError, text_of};

/// Names a job: whose it is, and its number there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId {
    /// The account or organisation.
    pub namespace: String,
    /// What the Hub calls it.
    pub id: String,
}

impl JobId {
    /// Reads `NAMESPACE/ID`, or `ID` alone with a namespace to go by.
    pub fn parse(text: &str, namespace: Option<&str>) -> Option<Self> {
        let (namespace, id) = match text.split_once('/') {
            Some((namespace, id)) => (namespace, id),
            None => (namespace?, text),
        };
        // Neither empty nor a step in a path.
        let is_plain = |part: &str| {
            let mut letters = part.bytes();
            letters.next().is_some_and(|b| b.is_ascii_alphanumeric())
                && letters.all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        (is_plain(namespace) && is_plain(id)).then(|| Self {
            namespace: namespace.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Returns its path in the programming interface.
    pub(super) fn path(&self) -> String {
        format!("/api/jobs/{}/{}", self.namespace, self.id)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.id)
    }
}

/// Where a job is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for a machine.
    Scheduling,
    /// It runs.
    Running,
    /// Its command ended well; that says nothing of what it left.
    Completed,
    /// Somebody stopped it.
    Canceled,
    /// Its command failed, or it took too long.
    Error,
    /// It was removed.
    Deleted,
    /// One that this version does not know; the job may still go on.
    Other(String),
}

impl Stage {
    fn read(text: &str) -> Self {
        match text {
            "SCHEDULING" => Self::Scheduling,
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "CANCELED" => Self::Canceled,
            "ERROR" => Self::Error,
            "DELETED" => Self::Deleted,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Tells whether no job leaves it.
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Canceled | Self::Error | Self::Deleted
        )
    }

    /// Returns its name for people and JSON.
    pub fn name(&self) -> &str {
        match self {
            Self::Scheduling => "scheduling",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Canceled => "cancelled",
            Self::Error => "error",
            Self::Deleted => "deleted",
            Self::Other(other) => other,
        }
    }
}

/// A job as the Hub describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Where it is.
    pub stage: Stage,
    /// Why, where the Hub says so.
    pub message: Option<String>,
    /// When it was made (UTC), as the Hub writes it.
    pub created_at: Option<String>,
    /// The machine it was given.
    pub flavour: Option<String>,
    /// The image it runs in, or the Space.
    pub image: Option<String>,
    /// Its label `name`.
    pub name: Option<String>,
    /// Seconds it ran so far; `None` before it began, or where the Hub does not tell.
    pub running_s: Option<u64>,
    /// Seconds since it was made; `None` where the Hub does not tell.
    pub total_s: Option<u64>,
}

impl Job {
    /// Reads the Hub's description; `namespace` is used where it names no owner.
    pub(super) fn read(what: &str, value: &Value, namespace: &str) -> Result<Self, HubError> {
        let malformed = |detail: &str| HubError::Malformed {
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let owner = value["owner"]["name"].as_str().unwrap_or(namespace);
        let id = text_of(what, value, "id")?;
        Ok(Self {
            id: JobId::parse(&id, Some(owner)).ok_or_else(|| malformed("its `id` is no name"))?,
            stage: Stage::read(&text_of(what, &value["status"], "stage")?),
            message: text(&value["status"]["message"]).filter(|message| !message.is_empty()),
            created_at: text(&value["createdAt"]),
            flavour: text(&value["flavor"]),
            image: text(&value["dockerImage"]).or_else(|| text(&value["spaceId"])),
            name: text(&value["labels"]["name"]),
            running_s: value["durations"]["runningSecs"].as_u64(),
            total_s: value["durations"]["totalSecs"].as_u64(),
        })
    }

    /// Returns the seconds that are paid for: starting counts as running does.
    pub fn billed_s(&self) -> Option<u64> {
        self.total_s.or(self.running_s)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_is_read_leniently() {
        let value = json!({"id": "68", "status": {"stage": "PAUSED"}, "durations": null});
        let job = Job::read("look", &value, "ada").unwrap();
        assert_eq!(job.id.to_string(), "ada/68");
        assert_eq!(job.stage, Stage::Other("PAUSED".to_owned()));
        assert!(!job.stage.is_end() && job.billed_s().is_none());
        let bent = json!({"id": "../x", "status": {"stage": "RUNNING"}});
        assert!(Job::read("look", &bent, "ada").is_err());
        assert!(Job::read("look", &json!({"id": "68"}), "ada").is_err());
    }
}
