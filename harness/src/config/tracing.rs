use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// Where spans of calls go, for those who watch runs with OpenTelemetry; no part of the plan.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracingConfig {
    /// Base URL of a collector that takes OTLP over HTTP, e.g. `http://127.0.0.1:4318`; the
    /// environment's `OTEL_EXPORTER_OTLP_ENDPOINT` comes before it.
    #[serde(deserialize_with = "base_url")]
    pub otlp_endpoint: Option<String>,
    /// Whether spans hold what was said.
    pub content: bool,
}

/// Reads the URL of a collector: without a scheme, every span would be lost in the end.
fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    let is_one = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    match url {
        Some(url) if !is_one(&url) => Err(serde::de::Error::custom(
            "must begin with http:// or https://, like http://127.0.0.1:4318",
        )),
        url => Ok(url),
    }
}
