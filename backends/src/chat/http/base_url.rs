use std::net::IpAddr;

use reqwest::Url;

use crate::OpenError;

/// The address of a server, up to and including `/v1`, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    base: String,
    origin: String,
    root: String,
    is_loopback: bool,
}

impl BaseUrl {
    /// Reads what the configuration says.
    ///
    /// A URL without a path gets `/v1`. Refused are: other schemes than http(s), credentials (they
    /// would be written into plans and logs), and queries and fragments, which no path could follow.
    pub(super) fn parse(text: &str) -> Result<Self, OpenError> {
        // The text may hold a password, so an error shows it only when it was read without one.
        let refused = |url: &str, detail: &str| OpenError::Url {
            url: url.to_owned(),
            detail: detail.to_owned(),
        };
        let mut url = Url::parse(text.trim()).map_err(|error| {
            let shown = if text.contains('@') { "***" } else { text };
            refused(
                shown,
                &format!("{error}; expected something like http://127.0.0.1:8080/v1"),
            )
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            return Err(refused(
                url.as_str(),
                "it carries credentials; give the key through an environment variable instead",
            ));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(text, "it begins with neither http:// nor https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused(text, "it has a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        let path = if path.is_empty() { "/v1" } else { &path };
        let host = url.host_str().unwrap_or_default();
        let is_loopback = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        let origin = url.origin().ascii_serialization();
        Ok(Self {
            base: format!("{origin}{path}"),
            root: format!("{origin}{}", path.strip_suffix("/v1").unwrap_or(path)),
            origin,
            is_loopback,
        })
    }

    /// Returns the base URL, e.g. `http://127.0.0.1:8080/v1`.
    pub(super) fn as_str(&self) -> &str {
        &self.base
    }

    /// Returns scheme, host and port: the server itself.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the URL of `path` (with its slash) below the base.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Returns the URL of `path` (with its slash) beside `/v1`, where `/health` and `/props` are.
    pub(super) fn beside(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// Tells whether connections are encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// Tells whether the server is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::BaseUrl;

    #[test_case(
        "http://127.0.0.1:8080",
        "http://127.0.0.1:8080/v1",
        "http://127.0.0.1:8080/health"
    )]
    #[test_case(
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080/v1",
        "http://127.0.0.1:8080/health"
    )]
    #[test_case("http://h:1/v1/", "http://h:1/v1", "http://h:1/health")]
    #[test_case("https://h/api/v1", "https://h/api/v1", "https://h/api/health")]
    #[test_case(
        "http://[::1]:9/openai",
        "http://[::1]:9/openai",
        "http://[::1]:9/openai/health"
    )]
    fn accepts(text: &str, base: &str, health: &str) {
        let url = BaseUrl::parse(text).unwrap();
        assert_eq!(url.as_str(), base);
        assert_eq!(url.beside("/health"), health);
    }

    #[test_case("127.0.0.1:8080/v1", "not a base URL"; "no scheme")]
    #[test_case("ftp://h/v1", "neither http:// nor https://"; "another scheme")]
    #[test_case("http://h/v1?key=1", "query"; "a query")]
    #[test_case("http://me:hush@h/v1", "credentials"; "credentials")]
    #[test_case("http://me:hush@:x/", "not a base URL"; "credentials in what is no URL")]
    fn refuses(text: &str, detail: &str) {
        let error = BaseUrl::parse(text).unwrap_err().to_string();
        assert!(error.contains(detail), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn knows_loopback() {
        for (text, is_loopback) in [
            ("http://localhost:1", true),
            ("http://127.9.9.9:1", true),
            ("http://[::1]:1", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                BaseUrl::parse(text).unwrap().is_loopback(),
                is_loopback,
                "{text}"
            );
        }
    }
}
