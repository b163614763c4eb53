use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use shipworthy_schema::Digest;

use super::clock;

/// A file of a commit.
#[derive(Clone)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    pub(super) is_lfs: bool,
    pub(super) sha256: String,
    /// What git calls it: the digest of the file, or of the pointer to it.
    pub(super) oid: String,
}

impl File {
    pub(super) fn new(content: Vec<u8>, is_lfs: bool) -> Self {
        let sha256 = Digest::of(&content).to_string();
        let oid = if is_lfs {
            git_oid(pointer(&sha256, content.len()).as_bytes())
        } else {
            git_oid(&content)
        };
        Self {
            content,
            is_lfs,
            sha256,
            oid,
        }
    }

    pub(super) fn etag(&self) -> &str {
        if self.is_lfs { &self.sha256 } else { &self.oid }
    }

    fn value(&self, path: &str) -> Value {
        let size = self.content.len();
        let mut value = json!({"type": "file", "path": path, "size": size, "oid": self.oid});
        if self.is_lfs {
            let pointer = pointer(&self.sha256, size).len();
            value["lfs"] = json!({"oid": self.sha256, "size": size, "pointerSize": pointer});
        }
        value
    }
}

fn pointer(sha256: &str, size: usize) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

fn git_oid(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    let digits = hasher.finalize();
    digits.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A state of a repository.
#[derive(Clone)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) date: String,
    pub(super) files: BTreeMap<String, File>,
}

/// A repository.
pub(super) struct Repository {
    pub(super) is_private: bool,
    /// The first one is the earliest.
    pub(super) commits: Vec<Commit>,
}

impl Repository {
    pub(super) fn new(is_private: bool) -> Self {
        let mut new = Self {
            is_private,
            commits: Vec::new(),
        };
        new.commit("initial commit", BTreeMap::new());
        new
    }

    pub(super) fn head(&self) -> &Commit {
        self.commits.last().expect("every repository has one")
    }

    /// Returns the commit that `revision` names.
    pub(super) fn at(&self, revision: &str) -> Option<&Commit> {
        match revision {
            "main" | "HEAD" => Some(self.head()),
            id => self.commits.iter().find(|commit| commit.id == id),
        }
    }

    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.head().files.iter();
        files
            .map(|(path, file)| (path.clone(), file.content.clone()))
            .collect()
    }

    pub(super) fn commit(&mut self, title: &str, files: BTreeMap<String, File>) -> String {
        let number = self.commits.len();
        let listing: String =
            files
                .iter()
                .fold(format!("{number} {title}\n"), |mut text, (path, file)| {
                    let _ = writeln!(text, "{} {path}", file.oid);
                    text
                });
        let id = Digest::of(listing.as_bytes()).as_str()[..40].to_owned();
        self.commits.push(Commit {
            id: id.clone(),
            title: title.to_owned(),
            date: clock::iso(clock::now()),
            files,
        });
        id
    }

    /// Carries out the lines of a commit; `stored` has the LFS objects by digest.
    pub(super) fn carry_out(
        &mut self,
        lines: &[u8],
        stored: &BTreeMap<String, Vec<u8>>,
    ) -> Result<String, (u16, String)> {
        let mut files = self.head().files.clone();
        let mut title = None;
        let wrong = |what: String| (400, what);
        for line in lines.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
            let line: Value =
                serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
            let value = &line["value"];
            let path = value["path"].as_str().unwrap_or_default().to_owned();
            match line["key"].as_str() {
                Some("header") => {
                    let parent = value["parentCommit"].as_str();
                    if parent.is_some_and(|parent| parent != self.head().id) {
                        let what = "A commit has happened since. Please refresh and try again.";
                        return Err((412, what.to_owned()));
                    }
                    title = value["summary"].as_str().map(str::to_owned);
                }
                Some("file") => {
                    let content = value["content"].as_str().unwrap_or_default();
                    let content = BASE64_STANDARD
                        .decode(content)
                        .map_err(|error| wrong(error.to_string()))?;
                    files.insert(path, File::new(content, false));
                }
                Some("lfsFile") => {
                    let oid = value["oid"].as_str().unwrap_or_default();
                    let content = stored.get(oid).ok_or_else(|| {
                        wrong(format!(
                            "LFS pointer pointed to a file that does not exist: {oid}"
                        ))
                    })?;
                    if value["size"].as_u64() != Some(content.len() as u64) {
                        return Err(wrong(format!("the size of {oid} is another one")));
                    }
                    files.insert(path, File::new(content.clone(), true));
                }
                Some("deletedFile") => {
                    files.remove(&path);
                }
                Some("deletedFolder") => files.retain(|name, _| !name.starts_with(&path)),
                other => return Err(wrong(format!("unknown key {other:?}"))),
            }
        }
        let title = title.ok_or_else(|| wrong("the header is missing".to_owned()))?;
        Ok(self.commit(&title, files))
    }

    /// Returns what lies in `folder` at a commit, all of it or the first level.
    pub(super) fn tree(commit: &Commit, folder: &str, is_recursive: bool) -> Vec<Value> {
        let mut items = BTreeMap::new();
        for (path, file) in &commit.files {
            let inside = if folder.is_empty() {
                Some(path.as_str())
            } else {
                path.strip_prefix(folder).and_then(|p| p.strip_prefix('/'))
            };
            let Some(inside) = inside else { continue };
            let start = path.len() - inside.len();
            for (at, _) in inside.match_indices('/') {
                let directory = &path[..start + at];
                if is_recursive || !inside[..at].contains('/') {
                    let oid = git_oid(directory.as_bytes());
                    let value =
                        json!({"type": "directory", "path": directory, "size": 0, "oid": oid});
                    items.insert(directory.to_owned(), value);
                }
            }
            if is_recursive || !inside.contains('/') {
                items.insert(path.clone(), file.value(path));
            }
        }
        items.into_values().collect()
    }
}
