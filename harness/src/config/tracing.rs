use schemars::JsonSchema;
use serde::Deserialize;

/// Where spans of calls go, for those who watch runs with OpenTelemetry; no part of the plan.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracingConfig {
    /// Base URL of a collector that takes OTLP over HTTP, e.g. `http://127.0.0.1:4318`; the
    /// environment's `OTEL_EXPORTER_OTLP_ENDPOINT` comes before it.
    pub otlp_endpoint: Option<String>,
    /// Whether spans hold what was said.
    pub content: bool,
}
