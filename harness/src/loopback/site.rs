use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Answer, Token};

/// Largest body of a request in bytes: what people write, many times over.
const LARGEST_BODY: usize = 64 * 1024;

/// Most bytes that are read of a body that is too large: some clients read no answer before they have
/// sent all.
const LARGEST_DISCARD: usize = 8 * 1024 * 1024;

/// How long a browser may take for the head of a request, and for a body that is not wanted.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the end waits for answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Says why there is no page.
#[derive(Debug, Error)]
#[error("the page cannot be served on 127.0.0.1 port {port}: {source}")]
pub struct ServeError {
    /// The port asked for; 0 for any.
    pub port: u16,
    /// Why.
    pub source: std::io::Error,
}

/// What somebody who has the address asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is to be done.
    pub method: Method,
    /// What follows the token in the address; empty for the page itself.
    pub name: String,
    /// The address's query.
    pub query: Vec<(String, String)>,
    /// Whether the body is said to be JSON. A form of another site cannot say so without being asked
    /// for leave first.
    pub is_json: bool,
    /// What was sent.
    pub body: Bytes,
}

impl Asked {
    /// Returns what the query says of `key`, if anything.
    pub fn queried(&self, key: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        pairs.find(|(is, _)| is == key).map(|(_, value)| &**value)
    }
}

/// What a site shows.
pub trait Pages: Send + Sync + 'static {
    /// Answers somebody who has the address.
    fn answer(&self, asked: Asked) -> impl Future<Output = Answer> + Send;
}

/// Pages at a port of this machine.
pub struct Site<P> {
    pages: P,
    token: Token,
    listener: TcpListener,
    port: u16,
}

impl<P: Pages> Site<P> {
    /// Opens `port` of 127.0.0.1, or any if 0.
    pub async fn open(pages: P, token: Token, port: u16) -> Result<Self, ServeError> {
        let failed = |source| ServeError { port, source };
        let address = (Ipv4Addr::LOCALHOST, port);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self {
            pages,
            token,
            listener,
            port,
        })
    }

    /// Returns the page's address, the token in it.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/{}/", self.port, self.token.as_str())
    }

    /// Answers browsers until `stop` is ready; answers under way are sent then.
    pub async fn serve_until(self, stop: impl Future) {
        let site = Arc::new(self);
        let (closing, closed) = tokio::sync::watch::channel(());
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                _ = &mut stop => break,
                accepted = site.listener.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = accepted else {
                // Out of file handles: some will be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (site, mut closed) = (Arc::clone(&site), closed.clone());
            connections.spawn(async move {
                let answer = service_fn(|request| {
                    let site = Arc::clone(&site);
                    async move { Ok::<_, Infallible>(site.respond(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), answer);
                tokio::pin!(connection);
                // A browser that goes away is no fault of ours.
                tokio::select! {
                    _ = connection.as_mut() => return,
                    _ = closed.changed() => {}
                }
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            });
        }
        drop(closing);
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, ended).await;
    }

    async fn respond(&self, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = self.answer(&mut request).await;
        let mut response = answer.response();
        if !request.body().is_end_stream() {
            // The rest of the body stands where the next request would, so there is none: a client
            // that is not told would send it, and get no answer.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    async fn answer(&self, request: &mut Request<Incoming>) -> Answer {
        if !self.is_own_host(request.headers()) {
            return Answer::status(StatusCode::FORBIDDEN);
        }
        let path = request.uri().path().to_owned();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (token, name) = path.split_once('/').unwrap_or((path, ""));
        if !self.token.is(token) {
            return Answer::status(StatusCode::FORBIDDEN);
        }
        let address = format!("http://localhost/?{}", request.uri().query().unwrap_or(""));
        let Ok(address) = reqwest::Url::parse(&address) else {
            return Answer::status(StatusCode::BAD_REQUEST);
        };
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_json = kind.is_some_and(|kind| kind.as_bytes() == b"application/json");
        let Some(body) = whole(request.body_mut()).await else {
            return Answer::status(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let asked = Asked {
            method: request.method().clone(),
            name: name.to_owned(),
            query: address.query_pairs().into_owned().collect(),
            is_json,
            body,
        };
        self.pages.answer(asked).await
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
}

/// Returns a body, or `None` where it is too large or breaks off.
async fn whole(body: &mut Incoming) -> Option<Bytes> {
    let limited = Limited::new(&mut *body, LARGEST_BODY);
    if let Ok(whole) = limited.collect().await {
        return Some(whole.to_bytes());
    }
    let discard = async {
        let mut left = LARGEST_DISCARD;
        while let (1.., Some(Ok(frame))) = (left, body.frame().await) {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    };
    let _ = tokio::time::timeout(PATIENCE, discard).await;
    None
}
