use std::time::Duration;

use shipworthy_backends::Secret;

use crate::config::TracingConfig;

/// Where spans go and what they hold.
pub struct Settings {
    /// The URL spans are posted to.
    pub endpoint: String,
    /// Headers of every post: names and values, which may be keys.
    pub headers: Vec<(String, Secret)>,
    /// How long a post may take.
    pub timeout: Duration,
    /// What the sender is called.
    pub service_name: String,
    /// Whether spans hold what was said.
    pub content: bool,
}

impl Settings {
    /// Returns what the environment (the standard variables of OpenTelemetry), else the configuration
    /// says; `None` where neither names an endpoint.
    pub fn of(
        config: &TracingConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        if variable("OTEL_SDK_DISABLED").is_some_and(|is| is.trim().eq_ignore_ascii_case("true")) {
            return None;
        }
        let below = |base: String| format!("{}/v1/traces", base.trim().trim_end_matches('/'));
        let endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(below))
            .or_else(|| config.otlp_endpoint.clone().map(below))?;
        let headers = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"));
        let timeout = variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_TIMEOUT"))
            .and_then(|text| text.trim().parse().ok());
        Some(Self {
            endpoint: endpoint.trim().to_owned(),
            headers: headers.as_deref().map(pairs).unwrap_or_default(),
            timeout: Duration::from_millis(timeout.unwrap_or(10_000)),
            service_name: variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "shipworthy".to_owned()),
            content: config.content,
        })
    }
}

/// Reads `name=value,name=value`, values percent-encoded as in a URL.
fn pairs(text: &str) -> Vec<(String, Secret)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = decoded(value.trim());
        Some((name.trim().to_owned(), Secret::new(value)))
    };
    text.split(',').filter_map(pair).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut idx = 0;
    while idx < bytes.len() {
        let hex = bytes.get(idx + 1..idx + 3).filter(|_| bytes[idx] == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            idx += 3;
        } else {
            out.push(bytes[idx]);
            idx += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::config::TracingConfig;

    fn settings(endpoint: Option<&str>, environment: &[(&str, &str)]) -> Option<Settings> {
        let config = TracingConfig {
            otlp_endpoint: endpoint.map(str::to_owned),
            content: false,
        };
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::of(&config, &variable)
    }

    #[test]
    fn the_environment_comes_before_the_configuration() {
        assert!(settings(None, &[]).is_none());
        let of_file = settings(Some("http://c:4318/"), &[]).unwrap();
        assert_eq!(of_file.endpoint, "http://c:4318/v1/traces");
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d:4318");
        let of_both = settings(Some("http://c"), &[base]).unwrap();
        assert_eq!(of_both.endpoint, "http://d:4318/v1/traces");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://e/x");
        assert_eq!(
            settings(None, &[base, whole]).unwrap().endpoint,
            "http://e/x"
        );
        assert!(settings(None, &[base, ("OTEL_SDK_DISABLED", "true")]).is_none());
    }

    #[test]
    fn headers_are_read_and_never_shown() {
        let headers = (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Basic%20abc, x-team = a%2",
        );
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d");
        let settings = settings(None, &[endpoint, headers]).unwrap();
        let values: Vec<_> = settings
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.expose()))
            .collect();
        assert_eq!(values, [("authorization", "Basic abc"), ("x-team", "a%2")]);
        assert!(!format!("{:?}", settings.headers).contains("abc"));
    }
}
