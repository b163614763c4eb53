//! Uploads and downloads of files.

use serde_json::{Value, json};
use shipworthy_schema::Digest;

use super::routes::{Inner, Reply, State, text};
use crate::support::connection::Request;

/// Kinds of files that are always LFS objects.
const LFS: [&str; 5] = [".bin", ".gguf", ".parquet", ".pt", ".safetensors"];

/// Says how each file is to be uploaded.
pub(super) fn preupload(state: &State, inner: &mut Inner, repository: &str, body: &Value) -> Reply {
    let head = inner.repository(repository).head().clone();
    let files = body["files"].as_array().cloned().unwrap_or_default();
    if files.len() > 256 {
        return Reply::error(400, "BadRequest", "at most 256 files at a time");
    }
    let mode = |file: &Value| {
        let (path, size) = (text(&file["path"]), file["size"].as_u64().unwrap_or(0));
        let is_lfs = LFS.iter().any(|end| path.ends_with(end))
            || usize::try_from(size).unwrap() >= state.options.lfs_from;
        let mode = if is_lfs && size > 0 { "lfs" } else { "regular" };
        let oid = head.files.get(&path).map(|file| file.oid.clone());
        json!({
            "path": path,
            "uploadMode": mode,
            "shouldIgnore": path.ends_with(".ignored"),
            "oid": oid,
        })
    };
    Reply::json(
        200,
        &json!({"files": files.iter().map(mode).collect::<Vec<_>>()}),
    )
}

/// Says where LFS objects are to be put.
pub(super) fn batch(state: &State, inner: &mut Inner, body: &Value) -> Reply {
    let base = format!("http://127.0.0.1:{}/lfs", state.port);
    let objects = body["objects"].as_array().cloned().unwrap_or_default();
    let answer = |object: &Value| {
        let (oid, size) = (text(&object["oid"]), object["size"].as_u64().unwrap());
        if inner.objects.contains_key(&oid) {
            return json!({"oid": oid, "size": size});
        }
        let part = state.options.part as u64;
        let upload = if size > part {
            let mut header = json!({"chunk_size": part.to_string()});
            for number in 1..=size.div_ceil(part) {
                header[number.to_string()] = json!(format!("{base}/part/{oid}/{number}"));
            }
            json!({"href": format!("{base}/complete/{oid}"), "header": header})
        } else {
            json!({"href": format!("{base}/{oid}")})
        };
        let verify = json!({"href": format!("{base}/verify")});
        json!({"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}})
    };
    let objects: Vec<Value> = objects.iter().map(answer).collect();
    Reply::json(200, &json!({"transfer": "basic", "objects": objects}))
        .with("Content-Type", "application/vnd.git-lfs+json")
}

/// Takes an LFS object or a part of one; neither bears a token, as at a bucket with signed addresses.
pub(super) fn store(inner: &mut Inner, request: &Request, path: &[&str]) -> Reply {
    let stored = |inner: &mut Inner, oid: &str, content: Vec<u8>| {
        if Digest::of(&content).as_str() != oid {
            return Reply::error(400, "BadDigest", "the content is not what its name says");
        }
        inner.objects.insert(oid.to_owned(), content);
        Reply::json(200, &json!({}))
    };
    if request.method == "PUT" && request.header("authorization").is_some() {
        return Reply::error(400, "BadRequest", "two ways to authenticate");
    }
    match (request.method.as_str(), path) {
        ("PUT", ["part", oid, number]) => {
            let key = ((*oid).to_owned(), number.parse::<u64>().unwrap());
            inner.parts.insert(key, request.body.clone());
            Reply::json(200, &json!({})).with("ETag", &format!("\"part-{number}\""))
        }
        ("POST", ["complete", oid]) => {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let mut content = Vec::new();
            for part in body["parts"].as_array().into_iter().flatten() {
                let number = part["partNumber"].as_u64().unwrap_or(0);
                let etag = text(&part["etag"]);
                let Some(bytes) = inner.parts.get(&((*oid).to_owned(), number)) else {
                    return Reply::error(400, "InvalidPart", "a part is missing");
                };
                if etag.trim_matches('"') != format!("part-{number}") {
                    return Reply::error(400, "InvalidPart", "a part has another tag");
                }
                content.extend_from_slice(bytes);
            }
            stored(inner, oid, content)
        }
        ("POST", ["verify"]) => {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let found = inner.objects.get(&text(&body["oid"]));
            match found {
                Some(content) if body["size"] == content.len() => Reply::json(200, &json!({})),
                _ => Reply::error(404, "EntryNotFound", "no such object"),
            }
        }
        ("PUT", [oid]) => stored(inner, oid, request.body.clone()),
        _ => Reply::error(404, "EntryNotFound", "no such object"),
    }
}

/// Answers for a file: small ones at once, LFS objects from another host.
pub(super) fn resolve(
    state: &State,
    inner: &mut Inner,
    request: &Request,
    repository: &str,
    revision: &str,
    path: &str,
) -> Reply {
    let Some(commit) = inner.repository(repository).at(revision) else {
        return Reply::error(404, "RevisionNotFound", "Invalid rev id");
    };
    let id = commit.id.clone();
    let Some(file) = commit.files.get(path).cloned() else {
        return Reply::error(404, "EntryNotFound", "Entry not found").with("X-Repo-Commit", &id);
    };
    let size = file.content.len().to_string();
    let reply = if file.is_lfs {
        inner
            .objects
            .insert(file.sha256.clone(), file.content.clone());
        // The same server by another name, as a content network would be.
        let place = format!("http://localhost:{}/cdn/{}", state.port, file.sha256);
        Reply::json(302, &json!({}))
            .with("Location", &place)
            .with("X-Linked-Etag", &format!("\"{}\"", file.etag()))
            .with("X-Linked-Size", &size)
    } else {
        ranged(request, file.content.clone()).with("ETag", &format!("\"{}\"", file.etag()))
    };
    reply
        .with("X-Repo-Commit", &id)
        .with("Accept-Ranges", "bytes")
}

/// Answers for an LFS object at the other host.
pub(super) fn download(inner: &Inner, request: &Request, oid: &str) -> Reply {
    if request.header("authorization").is_some() {
        return Reply::error(400, "BadRequest", "two ways to authenticate");
    }
    match inner.objects.get(oid) {
        Some(content) => ranged(request, content.clone()).with("ETag", &format!("\"{oid}\"")),
        None => Reply::error(404, "EntryNotFound", "no such object"),
    }
}

/// Returns the part of `content` that the request asks for.
fn ranged(request: &Request, content: Vec<u8>) -> Reply {
    let wanted = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'));
    let Some((first, last)) = wanted else {
        return Reply::bytes(200, content);
    };
    let first: usize = first.parse().unwrap();
    if first >= content.len() {
        return Reply::bytes(416, Vec::new())
            .with("Content-Range", &format!("bytes */{}", content.len()));
    }
    let last = last.parse().unwrap_or(usize::MAX).min(content.len() - 1);
    let range = format!("bytes {first}-{last}/{}", content.len());
    let mut reply = Reply::bytes(206, content[first..=last].to_vec()).with("Content-Range", &range);
    reply.whole = Some(content);
    reply
}
