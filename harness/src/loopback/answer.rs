use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// Nothing but a page's own style, script and data; no inline code, no frame, no form.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// What is left to say of a document that brings its own policy.
const DOCUMENT_POLICY: &str = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page's reader gets.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    kind: &'static str,
    policy: &'static str,
    body: Bytes,
}

impl Answer {
    /// A page; it may load a style, a script and data from beside it, and nothing else.
    pub fn html(text: &'static str) -> Self {
        Self::new(StatusCode::OK, "text/html; charset=utf-8", text)
    }

    /// A page that holds all of itself, and a policy of its own that says so.
    pub fn document(text: String) -> Self {
        let answer = Self::new(StatusCode::OK, "text/html; charset=utf-8", text);
        Self {
            policy: DOCUMENT_POLICY,
            ..answer
        }
    }

    /// A page's style.
    pub fn css(text: &'static str) -> Self {
        Self::new(StatusCode::OK, "text/css; charset=utf-8", text)
    }

    /// A page's script.
    pub fn javascript(text: &'static str) -> Self {
        Self::new(StatusCode::OK, "text/javascript; charset=utf-8", text)
    }

    /// Data, or why there is none.
    pub fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// Nothing but a status.
    pub fn status(status: StatusCode) -> Self {
        let text = status.as_str().to_owned();
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    fn new(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            kind,
            policy: POLICY,
            body: body.into(),
        }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let headers: [(HeaderName, &str); 8] = [
            (header::CONTENT_TYPE, self.kind),
            (header::CONTENT_SECURITY_POLICY, self.policy),
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
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}
