use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shipworthy_schema::Digest;

use super::answer::text_of;
use super::download::{Announced, check, inside};
use super::error::HubError;
use super::repository::{RepositoryId, RepositoryKind, encoded};
use super::transport::{Hub, Repeat};

/// Most pages of a listing that are read.
const MAX_PAGES: usize = 10_000;

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// Its path in the repository.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// What git calls it: it changes with the content.
    pub oid: String,
    /// Digest of the content, where it is kept as a large file.
    pub digest: Option<Digest>,
}

impl HubFile {
    /// Returns where it lies in a directory that holds the repository's files; errors if its path leads out of that.
    pub fn local_in(&self, directory: &Path) -> Result<PathBuf, HubError> {
        Ok(directory.join(inside(&self.path)?))
    }

    /// Tells whether a file here has the same content.
    pub fn is_same_as(&self, local: &Path) -> Result<bool, HubError> {
        let announced = Announced {
            size: self.size,
            etag: match &self.digest {
                Some(digest) => digest.to_string(),
                None => self.oid.clone(),
            },
        };
        match check(&self.path, local, &announced) {
            Ok(()) => Ok(true),
            Err(HubError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubCommit {
    /// Its 40 digits.
    pub id: String,
    /// Its first line.
    pub title: String,
    /// When it was made (UTC), as the Hub writes it.
    pub date: String,
}

impl Hub {
    /// Makes a repository; returns whether it was not there.
    pub async fn create(
        &self,
        repository: &RepositoryId,
        is_private: bool,
    ) -> Result<bool, HubError> {
        let what = &format!("make repository `{repository}`");
        self.token(what)?;
        if self.head(repository).await?.is_some() {
            return Ok(false);
        }
        let is_own = self.account().await? == repository.namespace();
        let visibility = if is_private { "private" } else { "public" };
        let mut body = json!({
            "name": repository.name(),
            "organization": (!is_own).then(|| repository.namespace()),
            "visibility": visibility,
        });
        if repository.kind() == RepositoryKind::Dataset {
            body["type"] = json!("dataset");
        }
        match self
            .post(what, Repeat::Safely, "/api/repos/create", &body)
            .await
        {
            Ok(_) => Ok(true),
            // Made by somebody else meanwhile, or by a try whose answer was lost.
            Err(HubError::Refused { status: 409, .. })
                if self.head(repository).await?.is_some() =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the latest commit of a repository; `None` if it is not there.
    pub async fn head(&self, repository: &RepositoryId) -> Result<Option<String>, HubError> {
        self.commit_at(repository, "main").await
    }

    /// Returns the commit that a revision of a repository is now; `None` if there is no such.
    pub async fn commit_at(
        &self,
        repository: &RepositoryId,
        revision: &str,
    ) -> Result<Option<String>, HubError> {
        let what = &format!("look at repository `{repository}`");
        let path = format!("{}/revision/{}", repository.api(), encoded(revision));
        match self.get(what, &path).await {
            Ok(info) => text_of(what, &info, "sha").map(Some),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells whether everybody may see a repository; `None` if it is not there.
    pub async fn is_public(&self, repository: &RepositoryId) -> Result<Option<bool>, HubError> {
        let what = &format!("look at repository `{repository}`");
        match self.get(what, &repository.api()).await {
            Ok(info) => Ok(Some(info["private"] == false)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns all files of a repository at a revision, by path.
    pub async fn files(
        &self,
        repository: &RepositoryId,
        revision: &str,
    ) -> Result<Vec<HubFile>, HubError> {
        let what = &format!("list the files of `{repository}`");
        let path = format!(
            "{}/tree/{}?recursive=true",
            repository.api(),
            encoded(revision)
        );
        let mut files = Vec::new();
        let mut next = Some(self.endpoint().join(&path));
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { break };
            let (page, following) = self.get_page(what, &url).await?;
            for item in items(what, &page)? {
                if item["type"] == "file" {
                    files.push(file(what, item)?);
                }
            }
            next = following;
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// Returns the commits of a repository, the latest first, down to but without `until`; all if it is
    /// `None` or not among them.
    pub async fn commits(
        &self,
        repository: &RepositoryId,
        until: Option<&str>,
    ) -> Result<Vec<HubCommit>, HubError> {
        let what = &format!("list the commits of `{repository}`");
        let path = format!("{}/commits/main", repository.api());
        let mut commits = Vec::new();
        let mut next = Some(self.endpoint().join(&path));
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { break };
            let (page, following) = self.get_page(what, &url).await?;
            for item in items(what, &page)? {
                let commit = HubCommit {
                    id: text_of(what, item, "id")?,
                    title: text_of(what, item, "title")?,
                    date: text_of(what, item, "date").unwrap_or_default(),
                };
                if until == Some(commit.id.as_str()) {
                    return Ok(commits);
                }
                commits.push(commit);
            }
            next = following;
        }
        Ok(commits)
    }
}

fn items<'a>(what: &str, page: &'a Value) -> Result<&'a Vec<Value>, HubError> {
    page.as_array().ok_or_else(|| HubError::Malformed {
        what: what.to_owned(),
        detail: "it is no list".to_owned(),
    })
}

fn file(what: &str, item: &Value) -> Result<HubFile, HubError> {
    let malformed = |detail: &str| HubError::Malformed {
        what: what.to_owned(),
        detail: detail.to_owned(),
    };
    let digest = match &item["lfs"]["oid"] {
        Value::String(digest) => {
            let digest = Digest::try_from(digest.clone());
            Some(digest.map_err(|error| malformed(&error))?)
        }
        _ => None,
    };
    let size = item["size"].as_u64();
    Ok(HubFile {
        path: text_of(what, item, "path")?,
        size: size.ok_or_else(|| malformed("a file has no `size`"))?,
        oid: text_of(what, item, "oid")?,
        digest,
    })
}
