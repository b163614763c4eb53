use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shipworthy_schema::Digest;

use super::answer::text_of;
use super::error::HubError;
use super::large_file::{LargeFile, MAX_FILES};
use super::listing::HubFile;
use super::repository::RepositoryId;
use super::transport::{Hub, Repeat};

/// Bytes of a file that the Hub decides by.
const SAMPLE: u64 = 512;

/// Largest file that goes inside a commit; the Hub sends larger ones elsewhere long before.
const MAX_INLINE: u64 = 64 << 20;

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where it lies here.
    pub local: PathBuf,
    /// Its path in the repository.
    pub path: String,
}

impl Upload {
    /// Returns a file, or all files in a directory but hidden ones, by path.
    pub fn all_in(path: &Path) -> Result<Vec<Self>, HubError> {
        let mut found = Vec::new();
        if path.is_dir() {
            collect(path, "", &mut found)?;
        } else {
            let name = path.file_name().unwrap_or_default();
            found.push(Self {
                local: path.to_owned(),
                path: name.to_string_lossy().into_owned(),
            });
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }
}

fn collect(directory: &Path, prefix: &str, found: &mut Vec<Upload>) -> Result<(), HubError> {
    let failed = |source| HubError::File {
        what: "read",
        path: directory.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let local = entry.map_err(failed)?.path();
        let name = local.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if local.is_dir() {
            collect(&local, &format!("{path}/"), found)?;
        } else {
            found.push(Upload { local, path });
        }
    }
    Ok(())
}

/// What an upload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The commit that has the files; the one that was there if nothing changed.
    pub commit: String,
    /// The paths of the files that it brings.
    pub files: Vec<String>,
    /// Those that were there already with the same content.
    pub unchanged: Vec<String>,
    /// Files that the repository's own rules leave out.
    pub ignored: Vec<String>,
    /// Bytes that went to the store of large files; what it had already was not sent.
    pub large_bytes: u64,
}

impl Hub {
    /// Uploads files in one commit with this title; the repository must be there.
    ///
    /// What it has already, by size and digest, is not sent again, and without a change there is no commit. It is made
    /// once, also where its answer was lost. Errors if others changed the repository meanwhile.
    pub async fn upload(
        &self,
        repository: &RepositoryId,
        files: &[Upload],
        title: &str,
    ) -> Result<Uploaded, HubError> {
        let what = format!("upload to `{repository}`");
        self.token(&what)?;
        let parent = self.head(repository).await?;
        let parent = parent.ok_or_else(|| HubError::Refused {
            what: what.clone(),
            status: 404,
            code: None,
            detail: "there is no such repository".to_owned(),
            request: None,
        })?;
        let there = self.files(repository, &parent).await?;
        let (files, unchanged) = divided(files, &there)?;
        let mut lines = vec![json!({
            "key": "header",
            "value": {"summary": title, "description": "", "parentCommit": parent},
        })];
        let mut large = Vec::new();
        let mut ignored = Vec::new();
        let mut sent = Vec::new();
        for files in files.chunks(MAX_FILES) {
            let modes = self.modes(&what, repository, files).await?;
            for (file, mode) in files.iter().zip(modes) {
                if matches!(mode, Mode::Ignored) {
                    ignored.push(file.path.clone());
                    continue;
                }
                sent.push(file.path.clone());
                match mode {
                    Mode::Ignored => {}
                    Mode::Regular => lines.push(inline(file)?),
                    Mode::Large => {
                        let it = large_file(file)?;
                        let (oid, size) = (it.digest.as_str(), it.size);
                        let value =
                            json!({"path": file.path, "algo": "sha256", "oid": oid, "size": size});
                        lines.push(json!({"key": "lfsFile", "value": value}));
                        large.push(it);
                    }
                }
            }
        }
        let large_bytes = self.put_large(repository, &large).await?;
        let commit = if sent.is_empty() {
            parent
        } else {
            self.commit(&what, repository, &parent, title, &lines)
                .await?
        };
        Ok(Uploaded {
            commit,
            files: sent,
            unchanged,
            ignored,
            large_bytes,
        })
    }

    /// Asks how each file is to be uploaded.
    async fn modes(
        &self,
        what: &str,
        repository: &RepositoryId,
        files: &[Upload],
    ) -> Result<Vec<Mode>, HubError> {
        let asked = files.iter().map(question).collect::<Result<Vec<_>, _>>()?;
        let body = json!({"files": asked});
        let path = format!("{}/preupload/main", repository.api());
        let answer = self.post(what, Repeat::Safely, &path, &body).await?;
        let answers = answer["files"].as_array().into_iter().flatten();
        let answers: Vec<&Value> = answers.collect();
        let mut modes = Vec::new();
        for (file, asked) in files.iter().zip(&asked) {
            let found = answers
                .iter()
                .find(|answer| answer["path"] == file.path.as_str());
            let found = found.ok_or_else(|| HubError::Malformed {
                what: what.to_owned(),
                detail: format!("it does not say how `{}` is to be uploaded", file.path),
            })?;
            let mode = text_of(what, found, "uploadMode")?;
            modes.push(if found["shouldIgnore"] == true {
                Mode::Ignored
            } else if mode == "lfs" && asked["size"] != 0 {
                Mode::Large
            } else {
                Mode::Regular
            });
        }
        Ok(modes)
    }
}

/// Divides files into those that a repository has not, and the paths of those that it has.
fn divided(files: &[Upload], there: &[HubFile]) -> Result<(Vec<Upload>, Vec<String>), HubError> {
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    for file in files {
        let found = there.iter().find(|found| found.path == file.path);
        if let Some(found) = found
            && found.is_same_as(&file.local)?
        {
            unchanged.push(file.path.clone());
        } else {
            changed.push(file.clone());
        }
    }
    Ok((changed, unchanged))
}

/// How a file is uploaded.
enum Mode {
    Regular,
    Large,
    Ignored,
}

fn failed(file: &Upload) -> impl Fn(std::io::Error) -> HubError + '_ {
    |source| HubError::File {
        what: "read",
        path: file.local.clone(),
        source,
    }
}

fn question(file: &Upload) -> Result<Value, HubError> {
    let opened = File::open(&file.local).map_err(failed(file))?;
    let size = opened.metadata().map_err(failed(file))?.len();
    let mut sample = Vec::new();
    opened
        .take(SAMPLE)
        .read_to_end(&mut sample)
        .map_err(failed(file))?;
    let sample = BASE64_STANDARD.encode(sample);
    Ok(json!({"path": file.path, "sample": sample, "size": size}))
}

fn inline(file: &Upload) -> Result<Value, HubError> {
    let opened = File::open(&file.local).map_err(failed(file))?;
    let size = opened.metadata().map_err(failed(file))?.len();
    if size > MAX_INLINE {
        return Err(HubError::Malformed {
            what: format!("upload `{}`", file.local.display()),
            detail: format!("it wants {size} bytes inside a commit, at most {MAX_INLINE} go there"),
        });
    }
    let mut content = Vec::new();
    opened
        .take(MAX_INLINE)
        .read_to_end(&mut content)
        .map_err(failed(file))?;
    let content = BASE64_STANDARD.encode(content);
    let value = json!({"path": file.path, "content": content, "encoding": "base64"});
    Ok(json!({"key": "file", "value": value}))
}

fn large_file(file: &Upload) -> Result<LargeFile, HubError> {
    let opened = File::open(&file.local).map_err(failed(file))?;
    let size = opened.metadata().map_err(failed(file))?.len();
    Ok(LargeFile {
        local: file.local.clone(),
        digest: Digest::of_reader(opened).map_err(failed(file))?,
        size,
    })
}
