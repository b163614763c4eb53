//! Spans of runs, conversations and calls, by OpenTelemetry's conventions for generative AI, sent as
//! OTLP over HTTP.
//!
//! A collector that is slow or away costs spans, never time: what does not fit the queue is dropped
//! and counted.

mod attributes;
mod call_span;
mod exporter;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use shipworthy_schema::{CallRole, Conversation, ConversationId, Digest};
use tokio::sync::mpsc;

use attributes::{strings, text, whole};
use exporter::Exporter;
pub use settings::Settings;

pub(crate) use call_span::CallSpan;

/// Spans that wait for the collector at most.
const QUEUE: usize = 16_384;

/// Makes spans and hands them to a task that sends them.
pub struct Tracer {
    queue: mpsc::Sender<Span>,
    trace: [u8; 16],
    root: Vec<u8>,
    next: AtomicU64,
    made: Arc<AtomicU64>,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    content: bool,
}

/// The task that sends spans; what it has lost is known when it is finished.
pub struct Sending {
    task: tokio::task::JoinHandle<()>,
    made: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Tracer {
    /// Starts to send spans to where `settings` say; `clock` tells their times, `seed` names their
    /// trace. Must be called within a tokio runtime.
    pub fn start(
        settings: Settings,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
        seed: &[u8],
    ) -> (Self, Sending) {
        let (queue, spans) = mpsc::channel(QUEUE);
        let (made, sent) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let content = settings.content;
        let exporter = Exporter::new(settings, Arc::clone(&sent));
        let task = tokio::spawn(exporter.run(spans));
        let name = bytes_of(seed);
        let mut trace = [0; 16];
        trace.copy_from_slice(&name[..16]);
        let tracer = Self {
            queue,
            trace,
            root: name[16..24].to_vec(),
            next: AtomicU64::new(0),
            made: Arc::clone(&made),
            clock: Box::new(clock),
            content,
        };
        (tracer, Sending { task, made, sent })
    }

    /// Begins a span's time.
    pub(crate) fn now(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sends the span of a whole run, which began at `start`.
    pub(crate) fn run(&self, run: &str, plan: &Digest, start: u64, error: Option<&str>) {
        let mut attributes = vec![
            text("shipworthy.run.id", run),
            text("shipworthy.plan.digest", plan.as_str()),
        ];
        attributes.extend(error.map(|error| text("error.type", error)));
        self.send(Span {
            name: "evaluation".to_owned(),
            span_id: self.root.clone(),
            kind: SpanKind::Internal.into(),
            status: attributes::status(error),
            attributes,
            ..self.span(start)
        });
    }

    /// Sends the span of a conversation, which began at `start`.
    pub(crate) fn conversation(&self, held: &Conversation, start: u64) {
        let failure = (!held.termination.is_complete()).then(|| held.termination.label());
        let mut attributes = of_conversation(&held.id);
        attributes.push(text("shipworthy.termination", held.termination.label()));
        attributes.extend(failure.map(|failure| text("error.type", failure)));
        self.send(Span {
            name: format!("conversation {}", held.id.model),
            span_id: self.id_of("conversation", &held.id.to_string()),
            parent_span_id: self.root.clone(),
            kind: SpanKind::Internal.into(),
            status: attributes::status(failure),
            attributes,
            ..self.span(start)
        });
    }

    /// Sends the span of a conversation's scoring, which began at `start`.
    pub(crate) fn scoring(&self, id: &ConversationId, start: u64) {
        let thread = id.to_string();
        self.send(Span {
            name: format!("scoring {}", id.model),
            span_id: self.id_of("scoring", &thread),
            parent_span_id: self.id_of("conversation", &thread),
            kind: SpanKind::Internal.into(),
            attributes: of_conversation(id),
            ..self.span(start)
        });
    }

    /// Returns the span under which a call stands.
    fn parent(&self, role: CallRole, thread: &str) -> Vec<u8> {
        match role {
            CallRole::Model | CallRole::Simulator => self.id_of("conversation", thread),
            CallRole::Judge => self.id_of("scoring", thread),
        }
    }

    /// Returns a span of this trace that ends now.
    fn span(&self, start: u64) -> Span {
        Span {
            trace_id: self.trace.to_vec(),
            start_time_unix_nano: start,
            end_time_unix_nano: self.now().max(start),
            // Sampled.
            flags: 1,
            ..Span::default()
        }
    }

    /// Returns the id of the one span of its kind that a conversation has.
    fn id_of(&self, kind: &str, thread: &str) -> Vec<u8> {
        let mut name = self.trace.to_vec();
        name.extend_from_slice(kind.as_bytes());
        name.push(0);
        name.extend_from_slice(thread.as_bytes());
        bytes_of(&name)[..8].to_vec()
    }

    /// Returns an id that no other span of this trace has.
    fn fresh_id(&self) -> Vec<u8> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 8];
        seed.copy_from_slice(&self.trace[8..]);
        // An odd factor maps different numbers to different ids.
        let id = u64::from_le_bytes(seed) ^ (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id.max(1).to_be_bytes().to_vec()
    }

    fn send(&self, span: Span) {
        self.made.fetch_add(1, Ordering::Relaxed);
        // Where the queue is full, the span is lost: nobody waits for a collector.
        let _ = self.queue.try_send(span);
    }
}

impl Sending {
    /// Waits until everything is sent, but no longer than `patience`; returns how many spans were
    /// lost. The tracer must have been dropped.
    pub async fn finish(mut self, patience: Duration) -> u64 {
        if tokio::time::timeout(patience, &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
        let (made, sent) = (&self.made, &self.sent);
        made.load(Ordering::Relaxed)
            .saturating_sub(sent.load(Ordering::Relaxed))
    }
}

fn of_conversation(id: &ConversationId) -> Vec<KeyValue> {
    vec![
        text("gen_ai.conversation.id", id.to_string()),
        text("shipworthy.model", id.model.as_str()),
        text("shipworthy.persona", id.persona.as_str()),
        whole("shipworthy.repeat", u64::from(id.repeat)),
    ]
}

/// Returns the 32 bytes of a SHA-256.
fn bytes_of(data: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(data).to_vec()
}

/// Returns `value` as an attribute's list of one text.
fn one(key: &str, value: &str) -> KeyValue {
    strings(key, &[value])
}
