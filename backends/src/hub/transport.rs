use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, Response, Url, redirect};
use serde_json::Value;

use super::answer::refusal;
use super::endpoint::Endpoint;
use super::error::HubError;
use super::rate_limit::asked_wait;
use crate::Secret;

/// Longest JSON body read.
const MAX_BODY: usize = 64 << 20;

/// Most redirections followed.
const MAX_REDIRECTIONS: usize = 5;

/// How long the Hub is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries of one request, or of one file without a byte of progress.
    pub tries: u32,
    /// The wait before the second try, where the Hub names none; twice as long before each further one.
    pub pause: Duration,
    /// The longest wait that the Hub may ask for.
    pub longest_wait: Duration,
    /// How long nothing may come.
    pub silence: Duration,
}

impl Default for Patience {
    /// Returns what suits the Hub: its limits are by five minutes.
    fn default() -> Self {
        Self {
            tries: 6,
            pause: Duration::from_secs(1),
            longest_wait: Duration::from_secs(310),
            silence: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// Returns the wait before the try after the `done`-th, counted from 1.
    pub(crate) fn pause_after(&self, done: u32) -> Duration {
        let doubled = self
            .pause
            .saturating_mul(1 << done.saturating_sub(1).min(16));
        doubled.min(self.pause.saturating_mul(10))
    }
}

/// Which requests may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// One that does nothing, or the same when done twice.
    Safely,
    /// One that must be done once: only where it was certainly not carried out.
    IfNotDone,
}

/// The Hub, as somebody with a token sees it.
pub struct Hub {
    endpoint: Endpoint,
    http: reqwest::Client,
    token: Option<Secret>,
    authorization: Option<HeaderValue>,
    pub(crate) patience: Patience,
}

impl Hub {
    /// Prepares to talk to a Hub; connects to nothing yet.
    pub fn new(
        endpoint: Endpoint,
        token: Option<Secret>,
        patience: Patience,
    ) -> Result<Self, HubError> {
        let header = |token: &Secret| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| HubError::Token)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let authorization = token.as_ref().map(header).transpose()?;
        let builder = reqwest::Client::builder()
            .user_agent(concat!("shipworthy/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // Followed by hand: what is said on the way counts, and where the token goes.
            .redirect(redirect::Policy::none());
        let builder = if endpoint.is_loopback() {
            builder.no_proxy()
        } else {
            builder
        };
        let http = builder.build().map_err(|error| HubError::Endpoint {
            url: endpoint.as_str().to_owned(),
            detail: error.to_string(),
        })?;
        Ok(Self {
            endpoint,
            http,
            token,
            authorization,
            patience,
        })
    }

    /// Returns where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the token; errors if there is none.
    pub(crate) fn token(&self, what: &str) -> Result<&Secret, HubError> {
        self.token.as_ref().ok_or_else(|| HubError::NoToken {
            what: what.to_owned(),
        })
    }

    /// Returns `text` without the token in it.
    pub(crate) fn redact(&self, text: &str) -> String {
        let token = self.token.as_ref();
        token.map_or_else(|| text.to_owned(), |token| token.redact(text))
    }

    /// Returns the account's name.
    pub async fn account(&self) -> Result<String, HubError> {
        let what = "ask whose token it is";
        self.token(what)?;
        let me = self.get(what, "/api/whoami-v2").await?;
        super::answer::text_of(what, &me, "name")
    }

    /// Asks for the JSON at a path.
    pub(crate) async fn get(&self, what: &str, path: &str) -> Result<Value, HubError> {
        Ok(self.get_page(what, &self.endpoint.join(path)).await?.0)
    }

    /// Asks for the JSON at an address of the Hub; returns it with the address of the next page.
    pub(crate) async fn get_page(
        &self,
        what: &str,
        url: &str,
    ) -> Result<(Value, Option<String>), HubError> {
        let response = self
            .send(what, Repeat::Safely, || self.request(Method::GET, url))
            .await?;
        let next = next_page(response.headers());
        if let Some(next) = &next {
            let own = Url::parse(next).is_ok_and(|next| self.endpoint.has(&next));
            if !own {
                return Err(HubError::Malformed {
                    what: what.to_owned(),
                    detail: format!("the next page is at `{next}`, which is elsewhere"),
                });
            }
        }
        Ok((self.json(what, response).await?, next))
    }

    /// Sends JSON to a path and returns the JSON that came back, null if there is none.
    pub(crate) async fn post(
        &self,
        what: &str,
        repeat: Repeat,
        path: &str,
        body: &Value,
    ) -> Result<Value, HubError> {
        let url = self.endpoint.join(path);
        let response = self
            .send(what, repeat, || self.request(Method::POST, &url).json(body))
            .await?;
        self.json(what, response).await
    }

    /// Begins a request to an address; the token goes along to the Hub alone.
    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.http.request(method, url);
        match (&self.authorization, Url::parse(url)) {
            (Some(authorization), Ok(url)) if self.endpoint.has(&url) => {
                request.header(AUTHORIZATION, authorization.clone())
            }
            _ => request,
        }
    }

    /// Begins a request to a signed address, which is all the right to it that is needed.
    pub(super) fn request_signed(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request until there is an answer, and returns it if it is one of success (or leads on).
    pub(crate) async fn send(
        &self,
        what: &str,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, HubError> {
        let mut done = 0;
        loop {
            done += 1;
            let is_last = done >= self.patience.tries;
            let sent = tokio::time::timeout(self.patience.silence, request().send()).await;
            let (wait, error) = match sent {
                Ok(Ok(response)) => {
                    let status = response.status();
                    if status.is_success() || status.is_redirection() {
                        return Ok(response);
                    }
                    let asked = asked_wait(response.headers());
                    let headers = response.headers().clone();
                    let body = self.body(what, response).await.unwrap_or_default();
                    let status = status.as_u16();
                    let may_repeat = match status {
                        429 => true,
                        502..=504 | 500 | 408 => repeat == Repeat::Safely,
                        _ => false,
                    };
                    if status == 429 && (is_last || asked > Some(self.patience.longest_wait)) {
                        return Err(HubError::RateLimited {
                            what: what.to_owned(),
                            wait: asked,
                        });
                    }
                    let refused = refusal(what, status, &headers, &body, self.token.as_ref());
                    if !may_repeat {
                        return Err(refused);
                    }
                    (asked, refused)
                }
                Ok(Err(error)) => {
                    let is_new = error.is_connect();
                    let error = self.lost(what, &error.without_url());
                    if repeat == Repeat::IfNotDone && !is_new {
                        return Err(error);
                    }
                    (None, error)
                }
                Err(_) => {
                    let silent = self.silent(what, self.patience.silence);
                    if repeat == Repeat::IfNotDone {
                        return Err(silent);
                    }
                    (None, silent)
                }
            };
            if is_last {
                return Err(error);
            }
            let wait = wait.unwrap_or_else(|| self.patience.pause_after(done));
            tracing::info!("waiting {wait:?}, then trying again: {error}");
            tokio::time::sleep(wait.min(self.patience.longest_wait)).await;
        }
    }

    /// Sends a request that reads, and follows where it leads; the token goes no further than the Hub.
    ///
    /// Returns the first answer's headers, where the Hub says what the file is, and the last answer.
    /// `is_far` says whether to go to other hosts too.
    pub(super) async fn resolve(
        &self,
        what: &str,
        url: &str,
        is_far: bool,
        request: impl Fn(&str) -> RequestBuilder,
    ) -> Result<(HeaderMap, Response), HubError> {
        let mut place = url.to_owned();
        let mut first: Option<HeaderMap> = None;
        for _ in 0..MAX_REDIRECTIONS {
            let response = self.send(what, Repeat::Safely, || request(&place)).await?;
            let headers = response.headers();
            let linked =
                headers.contains_key("x-linked-etag") || headers.contains_key("x-repo-commit");
            let first = match &mut first {
                Some(first) => first,
                first => first.insert(headers.clone()),
            };
            if linked {
                first.clone_from(headers);
            }
            let next = headers.get(LOCATION).and_then(|next| next.to_str().ok());
            let Some(next) = next.filter(|_| response.status().is_redirection()) else {
                return Ok((first.clone(), response));
            };
            let malformed = |detail: String| HubError::Malformed {
                what: what.to_owned(),
                detail,
            };
            let next = Url::parse(&place).and_then(|place| place.join(next));
            let next = next.map_err(|error| malformed(format!("it leads nowhere: {error}")))?;
            if !is_far && !self.endpoint.has(&next) {
                return Ok((first.clone(), response));
            }
            next.as_str().clone_into(&mut place);
        }
        Err(HubError::Malformed {
            what: what.to_owned(),
            detail: format!(
                "it leads from one address to another more than {MAX_REDIRECTIONS} times"
            ),
        })
    }

    /// Returns the next piece of a body; errors if none comes for `silence`.
    pub(crate) async fn piece(
        &self,
        what: &str,
        response: &mut Response,
        silence: Duration,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, HubError> {
        match tokio::time::timeout(silence, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(self.lost(what, &error.without_url())),
            Err(_) => Err(self.silent(what, silence)),
        }
    }

    async fn body(&self, what: &str, mut response: Response) -> Result<Vec<u8>, HubError> {
        let mut body = Vec::new();
        while let Some(piece) = self
            .piece(what, &mut response, self.patience.silence)
            .await?
        {
            let piece = piece.as_ref();
            if body.len() + piece.len() > MAX_BODY {
                return Err(HubError::Malformed {
                    what: what.to_owned(),
                    detail: format!("it is longer than {MAX_BODY} bytes"),
                });
            }
            body.extend_from_slice(piece);
        }
        Ok(body)
    }

    pub(super) async fn json(&self, what: &str, response: Response) -> Result<Value, HubError> {
        let body = self.body(what, response).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| HubError::Malformed {
            what: what.to_owned(),
            detail: error.to_string(),
        })
    }

    fn lost(&self, what: &str, error: &reqwest::Error) -> HubError {
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            detail = format!("{detail}: {inner}");
            source = inner.source();
        }
        HubError::Unreachable {
            what: what.to_owned(),
            endpoint: self.endpoint.as_str().to_owned(),
            detail: self.redact(&detail),
        }
    }

    fn silent(&self, what: &str, silence: Duration) -> HubError {
        HubError::Unreachable {
            what: what.to_owned(),
            endpoint: self.endpoint.as_str().to_owned(),
            detail: format!("nothing came for {} s", silence.as_secs()),
        }
    }
}

/// Returns the address in `Link: <ADDRESS>; rel="next"`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get("link")?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (address, relation) = link.split_once(';')?;
        let address = address.trim().strip_prefix('<')?.strip_suffix('>')?;
        relation
            .contains("rel=\"next\"")
            .then(|| address.to_owned())
    })
}
