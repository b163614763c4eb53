use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};
use shipworthy_schema::Digest;

use super::answer::text_of;
use super::error::HubError;
use super::repository::RepositoryId;
use super::transport::{Hub, Repeat};

/// Most files of one question.
pub(super) const MAX_FILES: usize = 256;

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// A file that goes to the store of large files.
pub(super) struct LargeFile {
    pub(super) local: PathBuf,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Hub {
    /// Uploads those of the files that the Hub does not have yet; returns the bytes sent.
    pub(super) async fn put_large(
        &self,
        repository: &RepositoryId,
        files: &[LargeFile],
    ) -> Result<u64, HubError> {
        let mut sent = 0;
        for files in files.chunks(MAX_FILES) {
            let what = &format!("upload to `{repository}`");
            let objects: Vec<Value> = files
                .iter()
                .map(|file| json!({"oid": file.digest.as_str(), "size": file.size}))
                .collect();
            let body = json!({
                "operation": "upload",
                "transfers": ["basic", "multipart"],
                "objects": objects,
                "hash_algo": "sha256",
                "ref": {"name": "main"},
            });
            let url = self
                .endpoint()
                .join(&format!("{}.git/info/lfs/objects/batch", repository.page()));
            let request = || {
                let request = self.request(Method::POST, &url).json(&body);
                request
                    .header(ACCEPT, MEDIA_TYPE)
                    .header(CONTENT_TYPE, MEDIA_TYPE)
            };
            let response = self.send(what, Repeat::Safely, request).await?;
            let answer = self.json(what, response).await?;
            for object in answer["objects"].as_array().into_iter().flatten() {
                let oid = text_of(what, object, "oid")?;
                let asked = files.iter().find(|file| file.digest.as_str() == oid);
                let file = asked.ok_or_else(|| HubError::Malformed {
                    what: what.clone(),
                    detail: format!("nobody asked for `{oid}`"),
                })?;
                if let Some(message) = object["error"]["message"].as_str() {
                    return Err(HubError::Malformed {
                        what: format!("upload `{}`", file.local.display()),
                        detail: self.redact(message),
                    });
                }
                if object["actions"]["upload"].is_object() {
                    self.put(file, &object["actions"]).await?;
                    sent += file.size;
                }
            }
        }
        Ok(sent)
    }

    async fn put(&self, file: &LargeFile, actions: &Value) -> Result<(), HubError> {
        let what = &format!("upload `{}`", file.local.display());
        let upload = &actions["upload"];
        let href = text_of(what, upload, "href")?;
        let header = &upload["header"];
        if header["chunk_size"].is_null() {
            self.put_range(what, &href, file, 0, file.size).await?;
        } else {
            let parts = self.put_parts(what, header, file).await?;
            let done = json!({"oid": file.digest.as_str(), "parts": parts});
            let request = || {
                let request = self.request_signed(Method::POST, &href).json(&done);
                request
                    .header(ACCEPT, MEDIA_TYPE)
                    .header(CONTENT_TYPE, MEDIA_TYPE)
            };
            self.send(what, Repeat::Safely, request).await?;
        }
        if actions["verify"].is_object() {
            let href = text_of(what, &actions["verify"], "href")?;
            let body = json!({"oid": file.digest.as_str(), "size": file.size});
            let request = || self.request(Method::POST, &href).json(&body);
            self.send(what, Repeat::Safely, request).await?;
        }
        Ok(())
    }

    /// Sends every part to its address; returns what the Hub wants to know of each.
    async fn put_parts(
        &self,
        what: &str,
        header: &Value,
        file: &LargeFile,
    ) -> Result<Vec<Value>, HubError> {
        let malformed = |detail: String| HubError::Malformed {
            what: what.to_owned(),
            detail,
        };
        let size = match &header["chunk_size"] {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let size: u64 = size
            .filter(|size| *size > 0)
            .ok_or_else(|| malformed("`chunk_size` is no size".to_owned()))?;
        let mut parts = Vec::new();
        for number in 1..=file.size.div_ceil(size) {
            let href = text_of(what, header, &number.to_string())?;
            let from = (number - 1) * size;
            let length = size.min(file.size - from);
            let etag = self.put_range(what, &href, file, from, length).await?;
            let etag = etag.ok_or_else(|| malformed(format!("part {number} has no `ETag`")))?;
            parts.push(json!({"partNumber": number, "etag": etag}));
        }
        Ok(parts)
    }

    /// Sends a part of a file to a signed address; returns the tag it got there.
    async fn put_range(
        &self,
        what: &str,
        href: &str,
        file: &LargeFile,
        from: u64,
        length: u64,
    ) -> Result<Option<String>, HubError> {
        // Opened before anything is sent, and anew for every try.
        let open = || FilePart::open(&file.local, from, length);
        open()?;
        let request = || -> RequestBuilder {
            let request = self.request_signed(Method::PUT, href);
            match open() {
                Ok(part) => request.body(Body::wrap(part)),
                Err(error) => request.body(Body::wrap(FilePart::broken(error))),
            }
        };
        let response = self.send(what, Repeat::Safely, request).await?;
        let etag = response.headers().get(ETAG);
        Ok(etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned))
    }
}

/// A part of a file as a request's body, of a length that is told.
struct FilePart {
    file: std::io::Result<File>,
    left: u64,
}

impl FilePart {
    fn open(path: &Path, from: u64, length: u64) -> Result<Self, HubError> {
        let failed = |source| HubError::File {
            what: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        Ok(Self {
            file: Ok(file),
            left: length,
        })
    }

    fn broken(error: HubError) -> Self {
        Self {
            file: Err(std::io::Error::other(error)),
            left: 1,
        }
    }

    fn next(&mut self) -> std::io::Result<Bytes> {
        let broken = || Err(std::io::Error::other("it was read to its end"));
        let mut file = std::mem::replace(&mut self.file, broken())?;
        let wanted = self.left.min(1 << 16);
        let mut piece = vec![0; usize::try_from(wanted).unwrap_or(1 << 16)];
        // A file that was cut meanwhile ends the request with an error.
        file.read_exact(&mut piece)?;
        self.left -= wanted;
        self.file = Ok(file);
        Ok(Bytes::from(piece))
    }
}

impl HttpBody for FilePart {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let next = self.next();
        if next.is_err() {
            self.left = 0;
        }
        Poll::Ready(Some(next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
