//! Accounts, repositories, and what is in them.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::Token;
use super::repositories::{Commit, Repository};
use super::routes::{Inner, Reply, State, text};
use super::transfers;
use crate::support::connection::Request;

pub(super) fn answer(
    state: &Arc<State>,
    token: &Token,
    request: &Request,
    parts: &[&str],
    query: &str,
    body: &Value,
) -> Reply {
    let mut inner = state.lock();
    let inner = &mut *inner;
    let is_post = request.method == "POST";
    match parts {
        ["api", "whoami-v2"] => {
            let role = if token.may_write { "write" } else { "read" };
            let access = json!({"displayName": "test", "role": role});
            return Reply::json(
                200,
                &json!({
                    "type": "user", "id": "1", "name": token.user, "fullname": token.user,
                    "isPro": false, "orgs": [],
                    "auth": {"type": "access_token", "accessToken": access},
                }),
            );
        }
        ["api", "validate-yaml"] => {
            return Reply::json(200, &json!({"errors": [], "warnings": []}));
        }
        ["api", "repos", "create"] if is_post => return create(state, inner, token, body),
        _ => {}
    }
    // `/api/KIND/NAMESPACE/NAME/WHAT/REVISION…`, or without `/api` as git and browsers know them.
    let (kind, namespace, rest) = match parts {
        ["api", kind @ ("models" | "datasets"), namespace, rest @ ..] => (*kind, *namespace, rest),
        ["datasets", namespace, rest @ ..] => ("datasets", *namespace, rest),
        [namespace, rest @ ..] => ("models", *namespace, rest),
        [] => return Reply::error(404, "NotFound", "no such page"),
    };
    let Some((name, rest)) = rest.split_first() else {
        return Reply::error(404, "NotFound", "no such page");
    };
    let full = format!("{kind}/{namespace}/{}", name.trim_end_matches(".git"));
    let is_own = namespace == token.user;
    match inner.repositories.get(&full) {
        Some(repository) if is_own || !repository.is_private => {}
        _ => return Reply::error(404, "RepoNotFound", "Repository not found"),
    }
    let is_change = is_post && matches!(rest.first(), Some(&("preupload" | "commit" | "info")));
    if is_change && !(token.may_write && is_own) {
        let message = "Forbidden: you must use a write token to upload to a repository.";
        return Reply::error(403, "Forbidden", message);
    }
    match (request.method.as_str(), rest) {
        ("POST", ["preupload", _]) => transfers::preupload(state, inner, &full, body),
        ("POST", ["info", "lfs", "objects", "batch"]) => transfers::batch(state, inner, body),
        ("POST", ["commit", _]) => {
            let objects = std::mem::take(&mut inner.objects);
            let done = inner.repository(&full).carry_out(&request.body, &objects);
            inner.objects = objects;
            match done {
                Ok(id) => {
                    let url = format!("http://127.0.0.1:{}/{full}/commit/{id}", state.port);
                    Reply::json(
                        200,
                        &json!({"success": true, "commitOid": id, "commitUrl": url,
                            "pullRequestUrl": null, "hookOutput": ""}),
                    )
                }
                Err((status, message)) => Reply::error(status, "BadRequest", &message),
            }
        }
        ("GET" | "HEAD", ["resolve", revision, path @ ..]) => {
            transfers::resolve(state, inner, request, &full, revision, &path.join("/"))
        }
        ("GET", []) => info(inner.repository(&full), &full, "main"),
        ("GET", ["revision", revision]) => info(inner.repository(&full), &full, revision),
        ("GET", ["refs"]) => {
            let head = inner.repository(&full).head().id.clone();
            let main = json!({"name": "main", "ref": "refs/heads/main", "targetCommit": head});
            Reply::json(
                200,
                &json!({"branches": [main], "tags": [], "converts": []}),
            )
        }
        ("GET", ["commits", _]) => {
            let commits = inner.repository(&full).commits.iter().rev();
            let value = |commit: &Commit| {
                json!({"id": commit.id, "title": commit.title, "message": "", "date": commit.date,
                    "authors": [{"user": token.user}]})
            };
            page(
                state,
                request,
                query,
                &commits.map(value).collect::<Vec<_>>(),
            )
        }
        ("GET", ["tree", revision, folder @ ..]) => {
            let Some(commit) = inner.repository(&full).at(revision) else {
                return Reply::error(404, "RevisionNotFound", "Invalid rev id");
            };
            let is_recursive = query.to_ascii_lowercase().contains("recursive=true")
                || query.contains("recursive=1");
            let items = Repository::tree(commit, &folder.join("/"), is_recursive);
            page(state, request, query, &items)
        }
        ("POST", ["paths-info", revision]) => {
            let Some(commit) = inner.repository(&full).at(revision) else {
                return Reply::error(404, "RevisionNotFound", "Invalid rev id");
            };
            let wanted = wanted_paths(request, body);
            let mut items = Repository::tree(commit, "", true);
            items.retain(|item| wanted.contains(&text(&item["path"])));
            Reply::json(200, &json!(items))
        }
        _ => Reply::error(404, "NotFound", "no such page"),
    }
}

/// Returns the paths of a form or of JSON.
fn wanted_paths(request: &Request, body: &Value) -> Vec<String> {
    if let Some(paths) = body["paths"].as_array() {
        return paths.iter().map(text).collect();
    }
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let fields = form
        .split('&')
        .filter_map(|field| field.strip_prefix("paths="));
    let decode = |field: &str| {
        percent_decode_str(&field.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    fields.map(decode).collect()
}

fn create(state: &State, inner: &mut Inner, token: &Token, body: &Value) -> Reply {
    if !token.may_write {
        return Reply::error(
            403,
            "Forbidden",
            "You don't have the rights to create a repository",
        );
    }
    let namespace = body["organization"].as_str().unwrap_or(&token.user);
    if namespace != token.user {
        let message = format!(
            "You don't have the rights to create a model under the namespace \"{namespace}\""
        );
        return Reply::error(403, "Forbidden", &message);
    }
    let kind = match body["type"].as_str() {
        Some("dataset") => "datasets",
        Some("space") => "spaces",
        _ => "models",
    };
    let full = format!("{kind}/{namespace}/{}", text(&body["name"]));
    let prefix = if kind == "models" { "" } else { "datasets/" };
    let page = format!("{prefix}{namespace}/{}", text(&body["name"]));
    let url = format!("http://127.0.0.1:{}/{page}", state.port);
    let answer =
        json!({"url": url, "name": format!("{namespace}/{}", text(&body["name"])), "id": "1"});
    if inner.repositories.contains_key(&full) {
        let mut answer = answer;
        answer["error"] = json!("You already created this repo");
        return Reply::json(409, &answer);
    }
    let is_private = body["visibility"] == "private" || body["private"] == true;
    inner.repositories.insert(full, Repository::new(is_private));
    Reply::json(200, &answer)
}

fn info(repository: &mut Repository, full: &str, revision: &str) -> Reply {
    let Some(commit) = repository.at(revision) else {
        return Reply::error(404, "RevisionNotFound", "Invalid rev id");
    };
    let siblings = commit.files.keys().map(|path| json!({"rfilename": path}));
    let siblings: Vec<Value> = siblings.collect();
    let id = full.split_once('/').unwrap().1;
    Reply::json(
        200,
        &json!({"_id": "1", "id": id, "modelId": id, "sha": commit.id, "private": repository.is_private,
            "gated": false, "disabled": false, "downloads": 0, "likes": 0, "tags": [],
            "author": id.split('/').next(), "lastModified": commit.date,
            "createdAt": repository.commits[0].date, "siblings": siblings}),
    )
}

/// Returns a page of `items`, with the address of the next one.
fn page(state: &State, request: &Request, query: &str, items: &[Value]) -> Reply {
    let cursor = query
        .split('&')
        .find_map(|field| field.strip_prefix("cursor="));
    let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
    let to = (from + state.options.page).min(items.len());
    let reply = Reply::json(200, &json!(items[from.min(to)..to]));
    if to == items.len() {
        return reply;
    }
    let path = request.path.split('?').next().unwrap();
    let others = query
        .split('&')
        .filter(|field| !field.is_empty() && !field.starts_with("cursor="));
    let fields: Vec<String> = others
        .map(str::to_owned)
        .chain([format!("cursor={to}")])
        .collect();
    let next = format!("http://127.0.0.1:{}{path}?{}", state.port, fields.join("&"));
    reply.with("Link", &format!("<{next}>; rel=\"next\""))
}
