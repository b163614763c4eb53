use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::sync::mpsc;

use super::Settings;
use super::attributes::text;

/// Spans of one post at most.
const BATCH: usize = 512;

/// How long spans wait for others.
const DELAY: Duration = Duration::from_secs(1);

/// Posts of one batch at most.
const TRIES: u32 = 3;

/// The revision of the conventions that spans follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

/// Posts spans in batches.
pub(super) struct Exporter {
    /// `None` where the endpoint or a header cannot be used: then everything is lost.
    client: Option<reqwest::Client>,
    settings: Settings,
    /// Spans that the collector has.
    sent: Arc<AtomicU64>,
}

impl Exporter {
    pub(super) fn new(settings: Settings, sent: Arc<AtomicU64>) -> Self {
        // A redirect would carry the headers elsewhere.
        let client = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Self {
            client: client.ok(),
            settings,
            sent,
        }
    }

    /// Sends spans until there can be no more.
    pub(super) async fn run(self, mut spans: mpsc::Receiver<Span>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let n = spans.recv_many(&mut batch, BATCH).await;
            if n == 0 {
                return;
            }
            let more = async {
                while batch.len() < BATCH {
                    match spans.recv().await {
                        Some(span) => batch.push(span),
                        None => return,
                    }
                }
            };
            // The time is over, the batch is full, or there can be no more.
            let _ = tokio::time::timeout(DELAY, more).await;
            let n = batch.len() as u64;
            if self.post(std::mem::take(&mut batch)).await {
                self.sent.fetch_add(n, Ordering::Relaxed);
            }
        }
    }

    /// Posts a batch until the collector has it; tells whether it has.
    async fn post(&self, spans: Vec<Span>) -> bool {
        let Some(client) = &self.client else {
            return false;
        };
        let body = self.request(spans).encode_to_vec();
        for left in (0..TRIES).rev() {
            let post = client.post(&self.settings.endpoint);
            let post = post.header("content-type", "application/x-protobuf");
            let headers = self.settings.headers.iter();
            let post = headers.fold(post, |post, (name, value)| {
                post.header(name, value.expose())
            });
            match post.body(body.clone()).send().await {
                Ok(reply) if reply.status().is_success() => return true,
                Ok(reply) if ![429, 502, 503, 504].contains(&reply.status().as_u16()) => {
                    return false;
                }
                Err(error) if error.is_builder() => return false,
                Ok(_) | Err(_) if left == 0 => return false,
                Ok(_) | Err(_) => tokio::time::sleep(DELAY / 2).await,
            }
        }
        false
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource {
            attributes: vec![
                text("service.name", &self.settings.service_name),
                text("service.version", version),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: "shipworthy".to_owned(),
            version: version.to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans,
            schema_url: SCHEMA.to_owned(),
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![scope_spans],
                schema_url: SCHEMA.to_owned(),
            }],
        }
    }
}
