use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Component, Path, PathBuf};

use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Method, StatusCode};
use sha1::{Digest as _, Sha1};
use shipworthy_schema::Digest;

use super::error::HubError;
use super::listing::HubFile;
use super::repository::{RepositoryId, encoded};
use super::transport::Hub;

/// What was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// How many of them came over the network now; the rest lay here already.
    pub fetched: u64,
}

/// What the Hub says of a file before sending it.
pub(super) struct Announced {
    pub(super) size: u64,
    /// A digest: 64 digits of SHA-256, or 40 by which git names it.
    pub(super) etag: String,
}

impl Hub {
    /// Downloads files of a repository at a commit into a directory, with their paths.
    ///
    /// What was interrupted goes on where it ended, also in another process; what is there already and
    /// has the right digest stays. `told` is called with the bytes of each file that are here by now.
    pub async fn download(
        &self,
        repository: &RepositoryId,
        revision: &str,
        files: &[HubFile],
        directory: &Path,
        told: &mut dyn FnMut(&HubFile, u64),
    ) -> Result<Vec<Downloaded>, HubError> {
        let mut downloaded = Vec::new();
        for file in files {
            let target = file.local_in(directory)?;
            let mut told = |bytes| told(file, bytes);
            downloaded.push(
                self.download_file(repository, revision, &file.path, &target, &mut told)
                    .await?,
            );
        }
        Ok(downloaded)
    }

    async fn download_file(
        &self,
        repository: &RepositoryId,
        revision: &str,
        path: &str,
        target: &Path,
        told: &mut dyn FnMut(u64),
    ) -> Result<Downloaded, HubError> {
        let what = format!("download `{path}` of `{repository}`");
        let page = format!(
            "{}/resolve/{}/{}",
            repository.page(),
            encoded(revision),
            encoded(path)
        );
        let url = self.endpoint().join(&page);
        let announced = self.announced(&what, &url).await?;
        if target.is_file() && check(path, target, &announced).is_ok() {
            told(announced.size);
            return Ok(Downloaded {
                path: target.to_owned(),
                size: announced.size,
                fetched: 0,
            });
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed("make", parent))?;
        }
        let part = part_of(target, &announced.etag);
        let fetched = self.fetch(&what, &url, &part, announced.size, told).await?;
        if let Err(error) = check(path, &part, &announced) {
            // Nothing of it can be relied on.
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
        std::fs::rename(&part, target).map_err(failed("write", target))?;
        Ok(Downloaded {
            path: target.to_owned(),
            size: announced.size,
            fetched,
        })
    }

    async fn announced(&self, what: &str, url: &str) -> Result<Announced, HubError> {
        let request = |url: &str| {
            let request = self.request(Method::HEAD, url);
            request.header(ACCEPT_ENCODING, "identity")
        };
        let (headers, _) = self.resolve(what, url, false, request).await?;
        let text = |name: &str| {
            let value: &HeaderMap = &headers;
            value.get(name)?.to_str().ok().map(str::to_owned)
        };
        let malformed = |detail: &str| HubError::Malformed {
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        let etag = text("x-linked-etag").or_else(|| text("etag"));
        let etag = etag.ok_or_else(|| malformed("it has no digest of the file"))?;
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        let size = text("x-linked-size").or_else(|| text(CONTENT_LENGTH.as_str()));
        let size = size.and_then(|size| size.parse().ok());
        if !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) || !matches!(etag.len(), 40 | 64) {
            return Err(malformed(&format!("`{etag}` is no digest")));
        }
        Ok(Announced {
            size: size.ok_or_else(|| malformed("it does not say how long the file is"))?,
            etag,
        })
    }

    /// Brings `part` to `size` bytes; returns how many came.
    async fn fetch(
        &self,
        what: &str,
        url: &str,
        part: &Path,
        size: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<u64, HubError> {
        let failed = |source| failed("write", part)(source);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let mut file = options.open(part).map_err(failed)?;
        let mut have = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut fetched = 0;
        if have > size {
            have = 0;
            file.set_len(0).map_err(failed)?;
        }
        let mut vain = 0;
        while have < size {
            let before = have;
            let error = match self
                .fetch_rest(what, url, &mut file, part, &mut have, size, told)
                .await
            {
                Ok(()) => None,
                Err(error @ HubError::Unreachable { .. }) => Some(error),
                Err(error) => return Err(error),
            };
            fetched += have.saturating_sub(before);
            vain = if have > before { 0 } else { vain + 1 };
            if have < size && vain >= self.patience.tries {
                return Err(error.unwrap_or_else(|| HubError::Damaged {
                    path: part.display().to_string(),
                    name: "size",
                    expected: size.to_string(),
                    found: have.to_string(),
                }));
            }
            if have < size {
                tokio::time::sleep(self.patience.pause_after(vain + 1)).await;
            }
        }
        file.sync_all().map_err(failed)?;
        Ok(fetched)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `fetch`, with its state"
    )]
    async fn fetch_rest(
        &self,
        what: &str,
        url: &str,
        file: &mut File,
        part: &Path,
        have: &mut u64,
        size: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        let failed = |source| failed("write", part)(source);
        let from = *have;
        let request = |url: &str| {
            let request = self.request(Method::GET, url);
            let request = request.header(ACCEPT_ENCODING, "identity");
            if from == 0 {
                request
            } else {
                request.header(RANGE, format!("bytes={from}-"))
            }
        };
        let (_, mut response) = self.resolve(what, url, true, request).await?;
        let is_rest = response.status() == StatusCode::PARTIAL_CONTENT
            && first_byte(response.headers()) == Some(from);
        if from > 0 && !is_rest {
            // The whole file came instead of its rest.
            *have = 0;
            file.set_len(0).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(*have)).map_err(failed)?;
        while let Some(piece) = self
            .piece(what, &mut response, self.patience.silence)
            .await?
        {
            let piece = piece.as_ref();
            if *have + piece.len() as u64 > size {
                return Err(HubError::Damaged {
                    path: part.display().to_string(),
                    name: "size",
                    expected: size.to_string(),
                    found: "more".to_owned(),
                });
            }
            file.write_all(piece).map_err(failed)?;
            *have += piece.len() as u64;
            told(*have);
        }
        Ok(())
    }
}

/// Returns the first byte's number in `Content-Range: bytes 5-9/10`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let first = range.strip_prefix("bytes ")?.split('-').next()?;
    first.parse().ok()
}

/// Returns the path of a file while it is not whole; another content has another one.
fn part_of(target: &Path, etag: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{}.incomplete", &etag[..12]))
}

/// Returns a path that stays in its directory; errors if it would leave it.
pub(super) fn inside(path: &str) -> Result<&Path, HubError> {
    let found = Path::new(path);
    let is_plain = |component| matches!(component, Component::Normal(_));
    if path.is_empty() || path.contains(['\\', '\0']) || !found.components().all(is_plain) {
        return Err(HubError::Path {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// Looks whether a file has the announced length and digest; `path` is how errors call it.
pub(super) fn check(path: &str, file: &Path, announced: &Announced) -> Result<(), HubError> {
    let damaged = |name, expected: &str, found: String| HubError::Damaged {
        path: path.to_owned(),
        name,
        expected: expected.to_owned(),
        found,
    };
    let opened = File::open(file).map_err(failed("read", file))?;
    let size = opened.metadata().map_err(failed("read", file))?.len();
    if size != announced.size {
        return Err(damaged(
            "size",
            &announced.size.to_string(),
            size.to_string(),
        ));
    }
    let (name, found) = if announced.etag.len() == 64 {
        let digest = Digest::of_reader(opened).map_err(failed("read", file))?;
        ("SHA-256", digest.to_string())
    } else {
        (
            "git digest",
            git_digest(opened, size).map_err(failed("read", file))?,
        )
    };
    if found != announced.etag {
        return Err(damaged(name, &announced.etag, found));
    }
    Ok(())
}

/// Returns the name that git gives a file: SHA-1 of `blob SIZE`, a zero byte and the content.
fn git_digest(mut file: File, size: u64) -> std::io::Result<String> {
    use std::fmt::Write as _;
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {size}\0"));
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let digits = hasher.finalize();
    Ok(digits.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HubError + use<> {
    let path = path.to_owned();
    move |source| HubError::File { what, path, source }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("a/b.json", true; "a file in a folder")]
    #[test_case("../b.json", false; "a way out")]
    #[test_case("/etc/passwd", false; "from the root")]
    #[test_case("a/../../b", false; "a way out through a folder")]
    #[test_case("a\\b", false; "a backslash")]
    #[test_case("", false; "nothing")]
    fn paths_stay_inside(path: &str, is_inside: bool) {
        assert_eq!(inside(path).is_ok(), is_inside);
    }

    #[test]
    fn git_names_are_git_s() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        let found = git_digest(File::open(&path).unwrap(), 6).unwrap();
        // `echo hello | git hash-object --stdin`
        assert_eq!(found, "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
