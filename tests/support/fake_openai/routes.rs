use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde_json::{Value, json};
use shipworthy_schema::Digest;
use tokio::sync::watch;

use super::answer::Answer;
use super::recorded::Recorded;
use super::{Options, replies};
use crate::support::connection::{Connection, Request};

/// What the server's connections share.
pub(super) struct State {
    options: Options,
    start: Instant,
    stopped: watch::Sender<bool>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    requests: Vec<Recorded>,
    preflight: Vec<Value>,
    script: VecDeque<Answer>,
    judge_script: VecDeque<Answer>,
    attempts: BTreeMap<String, usize>,
    probes: usize,
    in_flight: usize,
    most_in_flight: usize,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        let inner = Inner {
            script: options.script.iter().cloned().collect(),
            judge_script: options.judge_script.iter().cloned().collect(),
            ..Inner::default()
        };
        Self {
            options,
            start: Instant::now(),
            stopped: watch::Sender::new(false),
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.lock().requests.clone()
    }

    pub(super) fn preflight(&self) -> Vec<Value> {
        self.lock().preflight.clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.lock().requests.len()
    }

    pub(super) fn most_in_flight(&self) -> usize {
        self.lock().most_in_flight
    }

    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no connection panics")
    }
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

async fn converse(mut connection: Connection, state: &State) -> io::Result<()> {
    while let Some(request) = connection.read().await? {
        let path = request.path.split('?').next().unwrap_or_default();
        let is_chat = (request.method.as_str(), path) == ("POST", "/v1/chat/completions");
        if is_chat && is_authorized(&request, &state.options) {
            match chat(connection, state, &request).await? {
                Some(kept) => connection = kept,
                None => return Ok(()),
            }
        } else {
            let (status, body) = probe(state, &request, path);
            connection.write(status, &[], &body.to_string()).await?;
        }
    }
    Ok(())
}

fn is_authorized(request: &Request, options: &Options) -> bool {
    options
        .api_key
        .as_ref()
        .is_none_or(|key| request.header("authorization") == Some(format!("Bearer {key}").as_str()))
}

fn error(status: u16, kind: &str, message: &str) -> (u16, Value) {
    let body = json!({"error": {"code": status, "message": message, "type": kind}});
    (status, body)
}

/// Answers what is not an authorized chat call.
fn probe(state: &State, request: &Request, path: &str) -> (u16, Value) {
    let options = &state.options;
    if path == "/health" {
        let mut inner = state.lock();
        inner.probes += 1;
        return if inner.probes <= options.loading_probes {
            error(503, "unavailable_error", "Loading model")
        } else {
            (200, json!({"status": "ok"}))
        };
    }
    if !is_authorized(request, options) {
        return error(401, "authentication_error", "Invalid API Key");
    }
    match (request.method.as_str(), path) {
        ("GET", "/v1/models") => {
            let mut served = json!({"id": options.model, "object": "model"});
            if let Some(n_params) = options.n_params {
                served["meta"] = json!({"n_params": n_params});
            }
            let others = options.other_models.iter();
            let others = others.map(|id| json!({"id": id, "object": "model"}));
            let data: Vec<_> = std::iter::once(served).chain(others).collect();
            (200, json!({"object": "list", "data": data}))
        }
        ("GET", "/props") => match &options.props {
            Some(props) => (200, props.clone()),
            None => error(404, "not_found_error", "File Not Found"),
        },
        ("GET", "/lora-adapters") => match &options.adapters {
            Some(adapters) => (200, adapters.clone()),
            None => error(404, "not_found_error", "File Not Found"),
        },
        _ => error(404, "not_found_error", "File Not Found"),
    }
}

/// Answers a question that is asked before a run, without faults and apart from the record.
async fn preflight(connection: &mut Connection, state: &State, body: &Value) -> io::Result<()> {
    state.lock().preflight.push(body.clone());
    let answer = match &state.options.preflight {
        Some(answer) => answer(body),
        None => Answer::Text(replies::built_in(
            body,
            &Digest::of(body.to_string().as_bytes()).to_string(),
        )),
    };
    let is_cut = body["max_tokens"] == 1;
    let finish = if is_cut { "length" } else { "stop" };
    let (status, text) = match answer {
        Answer::Status { status, body, .. } => (status, body),
        Answer::Json(json) => (200, json.to_string()),
        Answer::Message(message) => (200, completion(body, 0, &message, finish)),
        Answer::Text(text) => {
            let text = match text.split(' ').next() {
                Some(word) if is_cut => word.to_owned(),
                _ => text,
            };
            let message = json!({"role": "assistant", "content": text});
            (200, completion(body, 0, &message, finish))
        }
        other => panic!("no answer before a run: {other:?}"),
    };
    connection.write(status, &[], &text).await
}

/// Answers one chat call; gives the connection back if it is still good.
async fn chat(
    mut connection: Connection,
    state: &State,
    request: &Request,
) -> io::Result<Option<Connection>> {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        let (status, body) = error(400, "invalid_request_error", "the body is not JSON");
        connection.write(status, &[], &body.to_string()).await?;
        return Ok(Some(connection));
    };
    if is_preflight(&body) {
        preflight(&mut connection, state, &body).await?;
        return Ok(Some(connection));
    }
    let sha256 = Digest::of(&request.body).to_string();
    let received = state.start.elapsed();
    let (number, answer) = {
        let mut inner = state.lock();
        let number = inner.requests.len();
        inner.requests.push(Recorded {
            received,
            answered: None,
            status: None,
            is_reply: false,
            sha256: sha256.clone(),
            body: body.clone(),
            authorization: request.header("authorization").map(str::to_owned),
        });
        if state.options.die_after.is_some_and(|most| number >= most) {
            state.stop();
            return Ok(None);
        }
        (number, choose(&mut inner, &state.options, &body, &sha256))
    };
    let is_reply = answer.is_reply();
    let in_flight = InFlight::begin(state);
    if !state.options.latency.is_zero() {
        tokio::time::sleep(state.options.latency).await;
    }
    drop(in_flight);
    let finish = state.options.finish_reason.as_str();
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let (status, headers, text) = match answer {
        Answer::Text(text) => (
            200,
            vec![],
            completion(&body, number, &assistant(&text), finish),
        ),
        Answer::Cut(text) => (
            200,
            vec![],
            completion(&body, number, &assistant(&text), "length"),
        ),
        Answer::Finished(text, why) => (
            200,
            vec![],
            completion(&body, number, &assistant(&text), &why),
        ),
        Answer::Message(message) => (200, vec![], completion(&body, number, &message, finish)),
        Answer::Json(json) => (200, vec![], json.to_string()),
        Answer::Status {
            status,
            headers,
            body,
        } => (status, headers, body),
        Answer::Garbage => {
            let whole = completion(&body, number, &assistant("cut"), finish);
            (200, vec![], whole[..whole.len() / 2].to_owned())
        }
        Answer::Html => {
            let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
            (
                200,
                headers,
                "<html><body>Welcome to the proxy</body></html>".to_owned(),
            )
        }
        Answer::Disconnect => {
            let whole = completion(&body, number, &assistant("a reply that is cut"), finish);
            connection.write_half(&whole).await?;
            return Ok(None);
        }
        Answer::Hangup => return Ok(None),
        Answer::Stall => {
            // Ends when the client closes the connection.
            connection.read().await?;
            return Ok(None);
        }
    };
    // Marked before the bytes leave: whoever has the reply finds it marked.
    {
        let mut inner = state.lock();
        let answered = state.start.elapsed();
        let recorded = &mut inner.requests[number];
        recorded.status = Some(status);
        recorded.is_reply = is_reply;
        recorded.answered = Some(answered);
    }
    let written = connection.write(status, &headers, &text).await;
    if written.is_err() {
        state.lock().requests[number].answered = None;
    }
    written.map(|()| Some(connection))
}

/// Counts calls under way, also when the client gives one up.
struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn begin(state: &'a State) -> Self {
        let mut inner = state.lock();
        inner.in_flight += 1;
        inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

/// Tells a question that is asked before a run by how all of them begin.
fn is_preflight(body: &Value) -> bool {
    let messages = body["messages"].as_array();
    let last = messages.and_then(|messages| messages.last()?["content"].as_str());
    last.is_some_and(|text| text.contains("Preflight check:"))
}

fn choose(inner: &mut Inner, options: &Options, body: &Value, sha256: &str) -> Answer {
    let attempt = inner.attempts.entry(sha256.to_owned()).or_default();
    *attempt += 1;
    if let Some(fault) = options.faults.draw(sha256, *attempt) {
        return fault;
    }
    let scripted = if body.get("response_format").is_some() {
        inner.judge_script.pop_front()
    } else {
        None
    };
    if let Some(answer) = scripted.or_else(|| inner.script.pop_front()) {
        return answer;
    }
    let messages = body.get("messages").and_then(Value::as_array);
    let last = messages.and_then(|messages| messages.last()?["content"].as_str());
    if last.is_some() && last == options.poison.as_deref() {
        return Answer::error(500, "server_error", "this request always fails");
    }
    let says = |needle: &str| {
        messages.into_iter().flatten().any(|message| {
            message["content"]
                .as_str()
                .is_some_and(|text| text.contains(needle))
        })
    };
    if let Some((_, reply)) = options.canned.iter().find(|(needle, _)| says(needle)) {
        return Answer::Text(reply.clone());
    }
    Answer::Text(match &options.reply {
        Some(reply) => reply(body),
        None => replies::built_in(body, sha256),
    })
}

fn completion(request: &Value, number: usize, message: &Value, finish_reason: &str) -> String {
    let n_words = |value: &Value| {
        value
            .as_str()
            .map_or(0, |text| text.split_whitespace().count())
    };
    let messages = request.get("messages").and_then(Value::as_array);
    let prompt_tokens: usize = messages
        .into_iter()
        .flatten()
        .map(|m| n_words(&m["content"]))
        .sum();
    let completion_tokens = n_words(&message["content"]);
    json!({
        "id": format!("chatcmpl-{number}"),
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": prompt_tokens / 2},
        },
    })
    .to_string()
}
