use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::otlp_collector::OtlpCollector;
use crate::support::project::{Done, Project};

/// The key that the models' server wants, and the one that the collector gets.
const KEYS: [(&str, &str); 2] = [
    ("MODEL_KEY", "sk-model-4b1f70a6c2d9e835"),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "authorization=Bearer%20otlp-9d2c61b7f0a8e453,x-team=evals",
    ),
];

/// What the models say.
const SAID: &str = "A very particular piece of advice about walking backwards.";

fn server() -> FakeOpenAi {
    FakeOpenAi::start(Options {
        model: "base".into(),
        other_models: ["tuned", "judge"].map(str::to_owned).to_vec(),
        api_key: Some(KEYS[0].1.to_owned()),
        canned: vec![("I".to_owned(), SAID.to_owned())],
        ..Options::default()
    })
}

/// A project of 4 people with two models and a judge that does not answer as it is asked to.
fn project(server: &FakeOpenAi, config: &str) -> Project {
    let url = server.url();
    let entry = |model: &str| format!("{{url: \"{url}\", model: {model}, api_key_env: MODEL_KEY}}");
    Project::with_config(&format!(
        "project: traced\n\
         personas: {{spec: coaching, count: 4, repeats: 1, max_turns: 2}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {}\n  tuned: {}\n\
         judge: {}\n\
         {config}",
        entry("base"),
        entry("tuned"),
        entry("judge"),
    ))
}

fn run(project: &Project, endpoint: Option<&str>) -> Done {
    let mut command = project.command(&["eval", "--exit-zero"]);
    command.envs(KEYS);
    command.envs(endpoint.map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url)));
    Done::of(&mut command)
}

fn attributes(span: &Span) -> BTreeMap<&str, &Value> {
    let attributes = span.attributes.iter();
    let pair = |a: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        a.value
            .as_ref()
            .and_then(|value| value.value.as_ref())
            .is_some()
    };
    let known = attributes.filter(|a| pair(a));
    known
        .map(|a| {
            (
                a.key.as_str(),
                a.value.as_ref().unwrap().value.as_ref().unwrap(),
            )
        })
        .collect()
}

fn string<'a>(attributes: &BTreeMap<&str, &'a Value>, key: &str) -> &'a str {
    match attributes.get(key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[test]
fn runs_conversations_and_calls_are_spans_without_content_and_keys() {
    let (server, collector) = (server(), OtlpCollector::start(Some(200)));
    let project = project(&server, "");
    let done = run(&project, Some(&collector.url()));
    assert!(!done.stderr.contains("did not reach"), "{done:?}");
    let spans = collector.spans();
    let traces: BTreeSet<&[u8]> = spans.iter().map(|span| span.trace_id.as_slice()).collect();
    assert_eq!(traces.len(), 1);
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    assert_eq!(ids.len(), spans.len(), "every span has an id of its own");
    let roots: Vec<&Span> = spans
        .iter()
        .filter(|s| s.parent_span_id.is_empty())
        .collect();
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0].name, "evaluation");
    for span in &spans {
        let parent = span.parent_span_id.as_slice();
        assert!(parent.is_empty() || ids.contains(parent), "{span:?}");
        assert!(0 < span.start_time_unix_nano, "{span:?}");
        assert!(
            span.start_time_unix_nano <= span.end_time_unix_nano,
            "{span:?}"
        );
    }
    let named = |start: &str| spans.iter().filter(|s| s.name.starts_with(start)).count();
    assert_eq!((named("conversation "), named("scoring ")), (8, 8));
    let calls: Vec<&Span> = spans
        .iter()
        .filter(|s| s.name.starts_with("chat "))
        .collect();
    assert_eq!(calls.len(), server.calls(), "one span for each call");
    assert!(named("chat judge") >= 8);
    for call in calls {
        let attributes = attributes(call);
        assert_eq!(call.kind, i32::from(SpanKind::Client));
        assert_eq!(string(&attributes, "gen_ai.operation.name"), "chat");
        assert_eq!(string(&attributes, "gen_ai.provider.name"), "openai");
        assert_eq!(string(&attributes, "server.address"), "127.0.0.1");
        let port = Value::IntValue(server.port().into());
        assert_eq!(attributes["server.port"], &port);
        let model = string(&attributes, "gen_ai.request.model");
        assert_eq!(call.name, format!("chat {model}"));
        assert!(string(&attributes, "gen_ai.conversation.id").ends_with("/1"));
        for key in [
            "gen_ai.request.temperature",
            "gen_ai.request.top_p",
            "gen_ai.request.seed",
            "gen_ai.request.max_tokens",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.response.finish_reasons",
        ] {
            assert!(attributes.contains_key(key), "{key}: {call:?}");
        }
        assert!(!attributes.contains_key("gen_ai.input.messages"));
    }
    // The collector's key came in its header, and nowhere else; what was said did not come at all.
    let said = project.transcripts();
    let opening = said[0]["turns"][0]["content"].as_str().unwrap();
    for post in collector.posts() {
        assert!(post.head.starts_with("POST /v1/traces "), "{}", post.head);
        assert!(
            post.head.contains("Bearer otlp-9d2c61b7f0a8e453"),
            "{}",
            post.head
        );
        for text in [
            SAID,
            opening,
            "sk-model-4b1f70a6c2d9e835",
            "otlp-9d2c61b7f0a8e453",
        ] {
            assert!(!holds(&post.body, text), "{text}");
        }
    }
    for text in ["otlp-9d2c61b7f0a8e453", "sk-model-4b1f70a6c2d9e835"] {
        let store = std::fs::read(project.store()).unwrap();
        assert!(!holds(&store, text) && !done.stderr.contains(text));
        assert!(!project.artefact("transcripts.jsonl").contains(text));
    }
}

#[test]
fn content_comes_only_where_it_is_asked_for() {
    let (server, collector) = (server(), OtlpCollector::start(Some(200)));
    let url = collector.url();
    let project = project(
        &server,
        &format!("tracing: {{otlp_endpoint: \"{url}\", content: true}}\n"),
    );
    run(&project, None);
    let spans = collector.spans();
    let call = spans.iter().find(|span| span.name == "chat base").unwrap();
    let attributes = attributes(call);
    let input: serde_json::Value =
        serde_json::from_str(string(&attributes, "gen_ai.input.messages")).unwrap();
    assert_eq!(input[0]["parts"][0]["type"], "text");
    let output: serde_json::Value =
        serde_json::from_str(string(&attributes, "gen_ai.output.messages")).unwrap();
    assert_eq!(output[0]["parts"][0]["content"], SAID);
    assert_eq!(output[0]["finish_reason"], "stop");
    for post in collector.posts() {
        assert!(!holds(&post.body, "sk-model-4b1f70a6c2d9e835"));
    }
}

#[test]
fn a_collector_that_is_away_or_hangs_costs_spans_and_nothing_else() {
    let server = server();
    let plain = project(&server, "");
    let untraced = run(&plain, None);
    assert!(!untraced.stderr.contains("spans"), "{untraced:?}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let hanging = OtlpCollector::start(None);
    let refusing = OtlpCollector::start(Some(400));
    for endpoint in [nobody, hanging.url(), refusing.url()] {
        let project = project(&server, "");
        let started = Instant::now();
        let done = run(&project, Some(&endpoint));
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
        assert_eq!(done.code, untraced.code, "{done:?}");
        assert_eq!(done.stderr.matches("did not reach").count(), 1, "{done:?}");
        assert_eq!(project.transcripts(), plain.transcripts());
    }
}
