use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Request, Response};
use secrecy::SecretString;
use serde_json::Value;

use super::base_url::BaseUrl;
use super::connections::Pool;
use super::failure::Failure;
use super::request::RequestBody;
use crate::Secret;

/// Longest body read; a reply of `max_tokens` tokens is far below it.
const MAX_BODY: usize = 16 << 20;

/// Time for an answer to a question about the server, which generates nothing.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests to one server over pooled connections, each exactly once.
///
/// async-openai would retry by itself, forget the `Retry-After` header and write bodies to the
/// log. All three happen in its default HTTP service and in what it does with a failed response,
/// so this gives it a service that makes one attempt and reports every failure as a [`Failure`].
/// Retrying is the caller's, who counts attempts and stores what they yield.
///
/// What a server answers is freed of the API key before anybody sees it.
pub(super) struct Transport {
    openai: Client<Address>,
    pool: Pool,
    api_key: Option<Secret>,
}

impl Transport {
    /// Prepares to talk to the server at `base` over the connections of `pool`.
    pub(super) fn new(
        base: BaseUrl,
        pool: Pool,
        api_key: Option<&Secret>,
    ) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
                .map_err(|_| Failure::Key("it has characters that no HTTP header can carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let service = {
            let (http, key) = (pool.calls.clone(), api_key.cloned());
            tower::service_fn(move |factory: HttpRequestFactory| {
                let (http, key) = (http.clone(), key.clone());
                async move {
                    let request = factory.build().await?;
                    match attempt(&http, request, key.as_ref()).await {
                        Ok(body) => Ok(Response::from(http::Response::new(body))),
                        Err(failure) => Err(OpenAIError::Boxed(Box::new(failure))),
                    }
                }
            })
        };
        let address = Address {
            base,
            headers,
            no_key: SecretString::from(""),
        };
        Ok(Self {
            openai: Client::build(pool.calls.clone(), address).with_http_service(service),
            pool,
            api_key: api_key.cloned(),
        })
    }

    /// Returns what is set whenever a connection for calls is made: another server may be at its end.
    pub(super) fn watch_connections(&self) -> Arc<AtomicBool> {
        self.pool.watch()
    }

    /// Returns the server's address.
    pub(super) fn base(&self) -> &BaseUrl {
        &self.openai.config().base
    }

    /// Sends one chat request and returns the JSON that came back with a status of success.
    pub(super) async fn chat(&self, body: &RequestBody<'_>) -> Result<Value, Failure> {
        self.openai
            .chat()
            .create_byot(body)
            .await
            .map_err(Failure::from_openai)
    }

    /// Asks the server about itself.
    ///
    /// Asked once more if the answer is lost: a server that was restarted has left dead
    /// connections in the pool, and a question costs nothing.
    pub(super) async fn get(&self, url: &str) -> Result<Value, Failure> {
        match self.get_once(url).await {
            Err(Failure::Lost(_) | Failure::Unreached(_)) => self.get_once(url).await,
            answered => answered,
        }
    }

    /// Sends `body` to `url` and returns the JSON that came back with a status of success.
    pub(super) async fn post(&self, url: &str, body: &Value) -> Result<Value, Failure> {
        let request = self
            .pool
            .questions
            .post(url)
            .headers(self.openai.config().headers.clone())
            .json(body)
            .build()
            .map_err(Failure::from_reqwest)?;
        json(&self.question(request).await?)
    }

    async fn question(&self, request: Request) -> Result<Vec<u8>, Failure> {
        attempt(&self.pool.questions, request, self.api_key.as_ref()).await
    }

    async fn get_once(&self, url: &str) -> Result<Value, Failure> {
        let request = self
            .pool
            .questions
            .get(url)
            .headers(self.openai.config().headers.clone())
            .timeout(PROBE_TIMEOUT)
            .build()
            .map_err(Failure::from_reqwest)?;
        json(&self.question(request).await?)
    }
}

fn json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let body = String::from_utf8_lossy(body);
        Failure::NotJson(format!("{error} in `{body}`"))
    })
}

/// Makes one attempt; returns the whole body of a response with a status of success, without `key`.
async fn attempt(
    http: &reqwest::Client,
    request: Request,
    key: Option<&Secret>,
) -> Result<Vec<u8>, Failure> {
    let mut response = http.execute(request).await.map_err(Failure::from_reqwest)?;
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|to| Some(to.to_str().ok()?.to_owned()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::from_reqwest)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Failure::NotJson(format!(
                "the body is longer than {MAX_BODY} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    if let Some(key) = key {
        key.strike(&mut body);
    }
    if !status.is_success() {
        return Err(Failure::Status {
            status: status.as_u16(),
            retry_after,
            location,
            body: String::from_utf8_lossy(&body).into_owned(),
        });
    }
    Ok(body)
}

/// Reads `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3); a date is held against the
/// server's own clock where it tells it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let wanted = text(RETRY_AFTER)?;
    if let Ok(seconds) = wanted.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let now = text(DATE).and_then(date).unwrap_or_else(SystemTime::now);
    // A date that is over asks for nothing.
    date(wanted)?.duration_since(now).ok()
}

/// Where the server is and how to authenticate; async-openai's own configuration would take keys
/// and organisation ids from the environment and send them to any server.
struct Address {
    base: BaseUrl,
    headers: HeaderMap,
    /// The trait wants a key; the real one is in `headers` alone.
    no_key: SecretString,
}

impl Config for Address {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        self.base.join(path)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        self.base.as_str()
    }

    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
    use test_case::test_case;

    use super::retry_after;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test_case("20", Some(20_000); "seconds")]
    #[test_case(" 0.5", Some(500); "parts of a second")]
    #[test_case("-3", None; "negative")]
    #[test_case("1e99", None; "beyond all time")]
    #[test_case("Sun, 06 Nov 1994 08:50:07 GMT", Some(30_000); "a date")]
    #[test_case("Sun, 06 Nov 1994 08:49:07 GMT", None; "a date that is over")]
    #[test_case("soon", None; "a word")]
    fn waits_are_read(wanted: &str, expected_ms: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, wanted.parse().unwrap());
        headers.insert(DATE, NOW.parse().unwrap());
        assert_eq!(
            retry_after(&headers),
            expected_ms.map(Duration::from_millis)
        );
    }
}
