//! The page on loopback.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::json;
use shipworthy_schema::HumanAnswer;
use tokio::net::TcpListener;

use super::page;
use super::{Labelling, LabellingError, Rater};

/// Largest body of a request in bytes: answers and a note, many times over.
const LARGEST_BODY: usize = 64 * 1024;

/// How long a browser may take for the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What nobody can guess: it stands in the page's address.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Makes a token of random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(random)))
    }

    /// Returns its 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on where they differ.
    fn is(&self, other: &str) -> bool {
        let bytes = self.0.bytes().zip(other.bytes());
        let differs = bytes.fold(0, |differs, (a, b)| differs | (a ^ b));
        self.0.len() == other.len() && differs == 0
    }
}

/// A page on loopback where people label the conversations of a run.
pub struct Site {
    labelling: Labelling,
    token: Token,
    rater: Option<Rater>,
    listener: TcpListener,
    port: u16,
}

impl Site {
    /// Opens `port` of 127.0.0.1, or any if 0; with a `rater` the page asks nobody for a name.
    pub async fn open(
        labelling: Labelling,
        token: Token,
        rater: Option<Rater>,
        port: u16,
    ) -> Result<Self, LabellingError> {
        let failed = |source| LabellingError::Serve { port, source };
        let address = (Ipv4Addr::LOCALHOST, port);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self {
            labelling,
            token,
            rater,
            listener,
            port,
        })
    }

    /// Returns the page's address, the token in it.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/{}/", self.port, self.token.as_str())
    }

    /// Answers browsers until the future is dropped; a label that was answered with success is
    /// stored by then.
    pub async fn serve(self) -> Infallible {
        let site = Arc::new(self);
        loop {
            let Ok((stream, _)) = site.listener.accept().await else {
                // Out of file handles: some will be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let site = Arc::clone(&site);
                    async move { Ok::<_, Infallible>(site.answer(request).await) }
                });
                // A browser that goes away is no fault of ours.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let refused = |status| text(status, page::PLAIN, status.as_str().to_owned());
        if !self.is_own_host(request.headers()) {
            return refused(StatusCode::FORBIDDEN);
        }
        let path = request.uri().path().to_owned();
        let (token, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        if !self.token.is(token) {
            return refused(StatusCode::FORBIDDEN);
        }
        let is_get = request.method() == Method::GET;
        match (is_get, name) {
            (true, "") => text(StatusCode::OK, page::HTML, page::PAGE.to_owned()),
            (true, "label.css") => text(StatusCode::OK, page::CSS, page::STYLE.to_owned()),
            (true, "label.js") => text(StatusCode::OK, page::JS, page::SCRIPT.to_owned()),
            (true, "items") => answered(self.items(request.uri().query())),
            (false, "labels") if request.method() == Method::POST => {
                answered(self.label(request).await)
            }
            (_, "" | "label.css" | "label.js" | "items" | "labels") => {
                refused(StatusCode::METHOD_NOT_ALLOWED)
            }
            _ => refused(StatusCode::NOT_FOUND),
        }
    }

    /// Tells whether a request was meant for this server: a page of another site that resolves its
    /// own name to this machine, or posts here, is not answered.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let names = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        let is_own = |value: &HeaderValue, scheme: &str| {
            names
                .iter()
                .any(|name| value.as_bytes() == format!("{scheme}{name}").as_bytes())
        };
        let host = headers.get(header::HOST);
        let origin = headers.get(header::ORIGIN);
        host.is_some_and(|host| is_own(host, ""))
            && origin.is_none_or(|origin| is_own(origin, "http://"))
    }

    /// Returns whose page it is: the site's rater, else the one who is named.
    fn rater(&self, named: Option<&str>) -> Result<Option<Rater>, LabellingError> {
        match (&self.rater, named) {
            (Some(rater), _) => Ok(Some(rater.clone())),
            (None, Some(name)) => Rater::new(name).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn items(&self, query: Option<&str>) -> Result<serde_json::Value, Refusal> {
        let address = format!("http://localhost/?{}", query.unwrap_or_default());
        let address = reqwest::Url::parse(&address).map_err(|_| Refusal::Malformed)?;
        let mut pairs = address.query_pairs();
        let named = pairs.find(|(key, _)| key == "rater");
        let Some(rater) = self.rater(named.as_ref().map(|(_, name)| name.as_ref()))? else {
            return Ok(json!({ "rater": null, "items": [] }));
        };
        let given = self.labelling.given(&rater)?;
        let items = self.labelling.items(&rater);
        Ok(page::items(&rater, &items, &given))
    }

    async fn label(&self, request: Request<Incoming>) -> Result<serde_json::Value, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        // A form of another site cannot send this type without being asked for leave first.
        if kind.is_none_or(|kind| kind.as_bytes() != b"application/json") {
            return Err(Refusal::Malformed);
        }
        let body = Limited::new(request.into_body(), LARGEST_BODY);
        let body = body.collect().await.map_err(|_| Refusal::Malformed)?;
        let said: Said =
            serde_json::from_slice(&body.to_bytes()).map_err(|_| Refusal::Malformed)?;
        let rater = self.rater(Some(&said.rater))?.ok_or(Refusal::Malformed)?;
        self.labelling
            .put(&rater, &said.key, &said.answers, &said.note)
            .await?;
        let (done, items) = (self.labelling.done(&rater)?, self.labelling.len());
        Ok(json!({ "done": done, "items": items }))
    }
}

/// What a page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    rater: String,
    key: String,
    answers: BTreeMap<String, HumanAnswer>,
    note: String,
}

/// Why a request gets no answer.
enum Refusal {
    Malformed,
    Labelling(LabellingError),
}

impl From<LabellingError> for Refusal {
    fn from(error: LabellingError) -> Self {
        Self::Labelling(error)
    }
}

fn answered(result: Result<serde_json::Value, Refusal>) -> Response<Full<Bytes>> {
    let (status, value) = match result {
        Ok(value) => (StatusCode::OK, value),
        Err(Refusal::Malformed) => (
            StatusCode::BAD_REQUEST,
            json!({ "error": "the request cannot be read" }),
        ),
        Err(Refusal::Labelling(error @ LabellingError::Store(_))) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            json!({ "error": error.to_string() }),
        ),
        Err(Refusal::Labelling(error)) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "error": error.to_string() }),
        ),
    };
    text(status, page::JSON, value.to_string())
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let headers: [(HeaderName, &str); 7] = [
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = (header::CONTENT_TYPE, kind);
    for (name, value) in headers.into_iter().chain([content_type]) {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
