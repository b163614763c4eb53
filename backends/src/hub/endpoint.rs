use super::error::HubError;

/// Where the Hub is if nobody says otherwise.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Where a Hub is: its base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Reads a base URL; a slash at its end does not count.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let wrong = |detail: &str| HubError::Endpoint {
            url: text.to_owned(),
            detail: detail.to_owned(),
        };
        let url = reqwest::Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("it is not an HTTP address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it holds a name or a password"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// Returns the base URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the URL of a path, which begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Tells whether it is this machine, which no proxy reaches.
    pub(super) fn is_loopback(&self) -> bool {
        let host = reqwest::Url::parse(&self.0).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned));
        host.is_some_and(|host| {
            let bare = host.trim_matches(['[', ']']);
            bare == "localhost"
                || bare
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        })
    }

    /// Tells whether `url` is of this Hub: only there the token may go.
    pub(super) fn has(&self, url: &reqwest::Url) -> bool {
        reqwest::Url::parse(&self.0).is_ok_and(|own| own.origin() == url.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        let hub = Endpoint::parse("https://hub.example/mirror/").unwrap();
        assert_eq!(hub.join("/api/x"), "https://hub.example/mirror/api/x");
        assert!(!hub.is_loopback());
        for local in ["http://localhost:1", "http://127.0.0.9", "http://[::1]:8"] {
            assert!(Endpoint::parse(local).unwrap().is_loopback(), "{local}");
        }
        for wrong in ["hub", "ftp://h", "https://u:p@h", "https://h/?q=1"] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
        let has = |url: &str| hub.has(&reqwest::Url::parse(url).unwrap());
        assert!(has("https://hub.example/x") && !has("https://cdn.example/x"));
        assert!(!has("http://hub.example/x"), "not in the clear");
    }
}
