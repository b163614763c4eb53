use super::job::{Job, Stage};
use crate::diagnosis::Diagnosis;
use crate::hub::{Hub, HubCommit, HubError, HubFile, RepositoryId};

/// Titles of the commits that transformers makes when training is over.
const FINAL_TITLES: [&str; 2] = ["End of training", "Model save"];

/// How titles of the commits begin that it makes at checkpoints.
const STEP_TITLE: &str = "Training in progress, step ";

/// How the title of the last commit of a script of ours begins; `N of M` follows.
const LAST_TITLE: &str = "Step ";

/// What a job is to leave in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The repository.
    pub repository: RepositoryId,
    /// Its latest commit before the job; `None` if there was no repository.
    pub since: Option<String>,
    /// The files, by path.
    pub files: Vec<String>,
    /// The last step of the training, where that is known.
    pub last_step: Option<u64>,
}

/// What a file is in view of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileProof {
    /// It came, or changed, since the job was started.
    New,
    /// It is the same as before the job.
    Unchanged,
    /// It is not there.
    Absent,
}

/// What a job has left, by the repository itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The latest commit; `None` if there is no repository.
    pub commit: Option<String>,
    /// The expected files.
    pub files: Vec<(String, FileProof)>,
    /// The last step that a commit since then tells of.
    pub last_step: Option<u64>,
    /// The last step that is expected.
    pub expected_step: Option<u64>,
    /// Whether a commit since then says that training is over.
    pub is_final: bool,
    /// Whether a script of ours says so: its last commit has all that it left, the same as before or not.
    pub is_attested: bool,
}

impl Proof {
    /// Tells whether all is there that was expected.
    pub fn is_complete(&self) -> bool {
        let files = self.files.iter().all(|(_, proof)| self.suffices(*proof));
        files && self.commit.is_some() && self.is_at_end()
    }

    /// Tells whether a file counts as left by the job.
    fn suffices(&self, proof: FileProof) -> bool {
        match proof {
            FileProof::New => true,
            // The same training twice comes to the same weights.
            FileProof::Unchanged => self.is_attested,
            FileProof::Absent => false,
        }
    }

    /// Says what is missing, for people; empty if nothing is.
    pub fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for (path, proof) in &self.files {
            match proof {
                proof if self.suffices(*proof) => {}
                FileProof::New => {}
                FileProof::Unchanged => {
                    missing.push(format!("`{path}` is the one from before the job"));
                }
                FileProof::Absent => missing.push(format!("`{path}` is not there")),
            }
        }
        if !self.is_at_end() {
            let expected = self.expected_step.unwrap_or(0);
            missing.push(match self.last_step {
                Some(step) => format!("the last step pushed is {step} of {expected}"),
                None => format!("no commit tells of step {expected}, or of the end of training"),
            });
        }
        missing
    }

    fn is_at_end(&self) -> bool {
        match self.expected_step {
            None => true,
            Some(expected) => self.is_final || self.last_step >= Some(expected),
        }
    }
}

impl Hub {
    /// Looks what a job has left of what is expected of it.
    pub async fn prove(&self, expected: &Expectation) -> Result<Proof, HubError> {
        let repository = &expected.repository;
        let Some(head) = self.head(repository).await? else {
            return Ok(proof(expected, None, &[], &[], &[]));
        };
        let commits = self.commits(repository, expected.since.as_deref()).await?;
        let now = self.files(repository, &head).await?;
        let before = match &expected.since {
            Some(since) => self.files(repository, since).await?,
            None => Vec::new(),
        };
        Ok(proof(expected, Some(head), &commits, &now, &before))
    }
}

fn proof(
    expected: &Expectation,
    commit: Option<String>,
    commits: &[HubCommit],
    now: &[HubFile],
    before: &[HubFile],
) -> Proof {
    let find = |files: &[HubFile], path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.map(|file| file.oid.clone())
    };
    let judge = |path: &String| {
        let proof = match (find(now, path), find(before, path)) {
            (None, _) => FileProof::Absent,
            (now, before) if now == before => FileProof::Unchanged,
            _ => FileProof::New,
        };
        (path.clone(), proof)
    };
    let titles = || commits.iter().map(|commit| commit.title.as_str());
    let is_attested = titles().any(|title| last_step(title).is_some());
    Proof {
        commit,
        files: expected.files.iter().map(judge).collect(),
        last_step: titles().filter_map(step).max(),
        expected_step: expected.last_step,
        is_final: is_attested || titles().any(|title| FINAL_TITLES.contains(&title)),
        is_attested,
    }
}

/// Returns the step that a commit's title tells of.
fn step(title: &str) -> Option<u64> {
    let Some(rest) = title.strip_prefix(STEP_TITLE) else {
        return last_step(title);
    };
    rest.split([',', ' ']).next()?.parse().ok()
}

/// Returns the step that a script of ours ended at, by its last commit's title.
fn last_step(title: &str) -> Option<u64> {
    let (step, of) = title.strip_prefix(LAST_TITLE)?.split_once(" of ")?;
    of.parse::<u64>().ok()?;
    step.parse().ok()
}

/// What a job that is over has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// All is there that was expected; `despite` is what the Hub says where it says otherwise.
    Done {
        /// E.g. `error: Job failed with exit code: 1`.
        despite: Option<String>,
    },
    /// The command ended well, and nobody said what it was to leave.
    Unproven,
    /// The command ended well, and not all is there.
    Incomplete {
        /// What is missing.
        missing: Vec<String>,
    },
    /// Somebody stopped it.
    Cancelled,
    /// It failed.
    Failed {
        /// What is missing of what was expected.
        missing: Vec<String>,
        /// Why, and how to mend it, where that is known.
        diagnosis: Option<Diagnosis>,
    },
}

impl Conclusion {
    /// Concludes from what the Hub says, what the job left, and the end of its log.
    pub fn of(job: &Job, proof: Option<&Proof>, log: &[String]) -> Self {
        let is_complete = proof.is_some_and(Proof::is_complete);
        let missing = proof.map(Proof::missing).unwrap_or_default();
        match job.stage {
            Stage::Completed => match proof {
                None => Self::Unproven,
                Some(_) if is_complete => Self::Done { despite: None },
                Some(_) => Self::Incomplete { missing },
            },
            _ if is_complete => {
                let message = job.message.as_ref();
                let said = message.map_or_else(String::new, |message| format!(": {message}"));
                Self::Done {
                    despite: Some(format!("{}{said}", job.stage.name())),
                }
            }
            Stage::Canceled | Stage::Deleted => Self::Cancelled,
            _ => Self::Failed {
                missing,
                diagnosis: Diagnosis::of(job.message.as_deref(), log),
            },
        }
    }

    /// Returns its name for JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Unproven => "unproven",
            Self::Incomplete { .. } => "incomplete",
            Self::Cancelled => "cancelled",
            Self::Failed { .. } => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::RepositoryKind;
    use crate::jobs::JobId;

    fn file(path: &str, oid: &str) -> HubFile {
        HubFile {
            path: path.to_owned(),
            size: 1,
            oid: oid.to_owned(),
            digest: None,
        }
    }

    fn commit(title: &str) -> HubCommit {
        HubCommit {
            id: "c".to_owned(),
            title: title.to_owned(),
            date: String::new(),
        }
    }

    fn expected() -> Expectation {
        Expectation {
            repository: RepositoryId::parse(RepositoryKind::Model, "ada/tuned").unwrap(),
            since: Some("a".to_owned()),
            files: vec!["adapter.bin".to_owned()],
            last_step: Some(12),
        }
    }

    fn job(stage: Stage) -> Job {
        Job {
            id: JobId::parse("ada/1", None).unwrap(),
            stage,
            message: Some("exit code 1".to_owned()),
            created_at: None,
            flavour: None,
            image: None,
            name: None,
            running_s: None,
            total_s: None,
        }
    }

    #[test]
    fn a_job_is_believed_by_what_it_left() {
        let now = [file("adapter.bin", "2")];
        let old = [file("adapter.bin", "1")];
        let at = |titles: &[&str], now: &[HubFile], before: &[HubFile]| {
            let commits: Vec<HubCommit> = titles.iter().map(|title| commit(title)).collect();
            proof(&expected(), Some("h".to_owned()), &commits, now, before)
        };
        assert!(at(&["Training in progress, step 12"], &now, &old).is_complete());
        assert!(
            at(
                &["End of training", "Training in progress, step 9"],
                &now,
                &[]
            )
            .is_complete()
        );
        let early = at(&["Training in progress, step 9, checkpoint"], &now, &old);
        assert_eq!(early.missing(), ["the last step pushed is 9 of 12"]);
        let stale = at(&["End of training"], &old, &old);
        assert_eq!(
            stale.missing(),
            ["`adapter.bin` is the one from before the job"]
        );
        let none = at(&[], &[], &[]);
        assert_eq!(none.missing().len(), 2);
        // Ours ends early where the evaluation loss rises, and comes to the same weights twice.
        let own = at(&["Step 9 of 12"], &old, &old);
        assert!(own.is_complete() && own.missing().is_empty());
        assert!(!at(&["Step 9 of all"], &now, &old).is_complete());
        assert!(!proof(&expected(), None, &[], &[], &[]).is_complete());
    }

    #[test]
    fn stage_and_proof_make_a_conclusion() {
        let titles = [commit("Training in progress, step 12")];
        let whole = proof(
            &expected(),
            Some("h".into()),
            &titles,
            &[file("adapter.bin", "2")],
            &[],
        );
        let empty = proof(&expected(), Some("h".into()), &[], &[], &[]);
        let of = |stage, proof| Conclusion::of(&job(stage), proof, &[]);
        assert_eq!(
            of(Stage::Completed, Some(&whole)),
            Conclusion::Done { despite: None }
        );
        let despite = Some("error: exit code 1".to_owned());
        assert_eq!(of(Stage::Error, Some(&whole)), Conclusion::Done { despite });
        assert_eq!(of(Stage::Completed, Some(&empty)).name(), "incomplete");
        assert_eq!(of(Stage::Completed, None), Conclusion::Unproven);
        assert_eq!(of(Stage::Canceled, Some(&empty)), Conclusion::Cancelled);
        assert_eq!(of(Stage::Error, None).name(), "failed");
    }
}
