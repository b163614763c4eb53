use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::faults::{Faults, Misbehaviour};
use super::jobs::{self, Job, Step};
use super::repositories::{File, Repository};
use super::{Options, Seen, Token, catalogue, transfers};
use crate::support::connection::{Connection, Request};

/// What the server's connections and jobs share.
pub(super) struct State {
    pub(super) options: Options,
    pub(super) port: u16,
    stopped: watch::Sender<bool>,
    inner: Mutex<Inner>,
}

/// What changes.
pub(super) struct Inner {
    pub(super) seen: Vec<Seen>,
    faults: Faults,
    pub(super) repositories: BTreeMap<String, Repository>,
    /// LFS objects by digest.
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    pub(super) parts: BTreeMap<(String, u64), Vec<u8>>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) scripts: VecDeque<Vec<Step>>,
}

impl Inner {
    /// Returns the repository by its whole name, e.g. `datasets/ada/letters`.
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        let found = self.repositories.get_mut(name);
        found.unwrap_or_else(|| panic!("no repository {name}"))
    }
}

impl State {
    pub(super) fn new(options: Options, port: u16) -> Self {
        let inner = Inner {
            seen: Vec::new(),
            faults: Faults::new(&options.faults),
            repositories: BTreeMap::new(),
            objects: BTreeMap::new(),
            parts: BTreeMap::new(),
            jobs: BTreeMap::new(),
            scripts: options.scripts.iter().cloned().collect(),
        };
        Self {
            options,
            port,
            stopped: watch::Sender::new(false),
            inner: inner.into(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
        for job in self.lock().jobs.values_mut() {
            job.cancel();
        }
    }

    pub(super) fn push(&self, repository: &str, title: &str, files: &[(&str, &[u8])]) {
        let mut inner = self.lock();
        let repository = inner
            .repositories
            .entry(repository.to_owned())
            .or_insert_with(|| Repository::new(true));
        let mut all = repository.head().files.clone();
        for (path, content) in files {
            let is_lfs = content.len() >= self.options.lfs_from || path.ends_with(".safetensors");
            all.insert((*path).to_owned(), File::new(content.to_vec(), is_lfs));
        }
        repository.commit(title, all);
    }
}

/// An answer.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What a body with a range is a part of.
    pub(super) whole: Option<Vec<u8>>,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![(
            "Content-Type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        )];
        Self {
            status,
            headers,
            body: body.to_string().into_bytes(),
            whole: None,
        }
    }

    pub(super) fn bytes(status: u16, body: Vec<u8>) -> Self {
        let kind = "application/octet-stream".to_owned();
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), kind)],
            body,
            whole: None,
        }
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({"error": message}))
            .with("X-Error-Code", code)
            .with("X-Error-Message", message)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Returns a value's text, or none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Serves until stopped.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a bound listener");
    let mut stopped = state.stopped.subscribe();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    // A client that goes away is none of the server's business.
                    let _ = converse(Connection::new(stream), &state).await;
                });
            }
        }
    }
}

async fn converse(mut connection: Connection, state: &Arc<State>) -> io::Result<()> {
    while let Some(request) = connection.read().await? {
        let fault = {
            let mut inner = state.lock();
            let header = |name: &str| request.header(name).map(str::to_owned);
            let seen = Seen {
                line: format!("{} {}", request.method, request.path),
                authorization: header("authorization"),
                range: header("range"),
                host: header("host").unwrap_or_default(),
                body: serde_json::from_slice(&request.body).unwrap_or_default(),
            };
            inner.seen.push(seen);
            inner.faults.draw(&request)
        };
        let logs = jobs::logs_of(state, &request);
        let reply = match (&fault, logs) {
            (Some(Misbehaviour::Hangup), _) => return Ok(()),
            (Some(Misbehaviour::Status(status, headers, body)), _) => {
                let reply = Reply::bytes(*status, body.as_bytes().to_vec());
                let with = |reply: Reply, (name, value): &(&str, &str)| reply.with(name, value);
                headers.iter().fold(reply, with)
            }
            (_, Some(Ok(id))) => {
                let most = match fault {
                    Some(Misbehaviour::EndEvents(most)) => Some((most, true)),
                    Some(Misbehaviour::CutEvents(most)) => Some((most, false)),
                    _ => None,
                };
                if tell(&mut connection, state, &id, most).await? {
                    continue;
                }
                return Ok(());
            }
            (_, Some(Err(refused))) => refused,
            (_, None) => answer(state, &request),
        };
        let Reply {
            status,
            headers,
            mut body,
            whole,
        } = reply;
        match fault {
            Some(Misbehaviour::LostAnswer) => return Ok(()),
            Some(Misbehaviour::Cut(sent)) => {
                return connection.write_part(status, &headers, body, sent).await;
            }
            Some(Misbehaviour::Corrupt) => body[0] ^= 1,
            Some(Misbehaviour::WholeBody) if whole.is_some() => {
                let body = whole.unwrap_or_default();
                connection.write(200, &[], body).await?;
                continue;
            }
            _ => {}
        }
        if request.method == "HEAD" {
            connection.write_head(status, &headers, body.len()).await?;
        } else {
            connection.write(status, &headers, body).await?;
        }
    }
    Ok(())
}

/// Tells a job's log from its beginning; returns whether the connection is still good.
async fn tell(
    connection: &mut Connection,
    state: &State,
    id: &str,
    most: Option<(usize, bool)>,
) -> io::Result<bool> {
    connection.begin_events().await?;
    connection.write_event(": keep-alive\n\n").await?;
    let mut sent = 0;
    loop {
        let (events, is_over) = {
            let inner = state.lock();
            let job = &inner.jobs[id];
            (job.log[sent..].to_vec(), job.is_log_over)
        };
        for event in events {
            if let Some((most, is_clean)) = most
                && sent >= most
            {
                if is_clean {
                    connection.end_events().await?;
                }
                return Ok(is_clean);
            }
            connection
                .write_event(&format!("data: {event}\n\n"))
                .await?;
            sent += 1;
        }
        if is_over {
            connection.end_events().await?;
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns whose token came with the request.
pub(super) fn bearer(state: &State, request: &Request) -> Result<Token, Reply> {
    let sent = request.header("authorization");
    let found = state.options.tokens.iter().find(|token| {
        sent.and_then(|sent| sent.strip_prefix("Bearer ")) == Some(token.value.as_str())
    });
    found.cloned().ok_or_else(|| {
        let message = match sent {
            None => "Invalid username or password.",
            Some(_) => "Invalid credentials in Authorization header",
        };
        Reply::error(401, "Unauthorized", message)
    })
}

fn answer(state: &Arc<State>, request: &Request) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let parts: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["cdn", oid] => return transfers::download(&state.lock(), request, oid),
        ["lfs", rest @ ..] if rest != ["verify"] => {
            return transfers::store(&mut state.lock(), request, rest);
        }
        _ => {}
    }
    let token = match bearer(state, request) {
        Ok(token) => token,
        Err(refused) => return refused,
    };
    if let ["lfs", rest @ ..] = parts.as_slice() {
        return transfers::store(&mut state.lock(), request, rest);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let ["api", "jobs", rest @ ..] = parts.as_slice() {
        return jobs::answer(state, &token, &request.method, rest, query, &body);
    }
    catalogue::answer(state, &token, request, &parts, query, &body)
}
