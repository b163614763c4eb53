//! The `http` backend against a server that can be told to misbehave.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not in test functions"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use shipworthy_backends::{
    ChatError, Connections, ModelLocation, Neighbours, OpenError, OpenedModel, Secret, open,
};
use shipworthy_schema::{
    ChatReply, ChatRequest, Digest, FinishReason, Message, ModelSource, ResponseSchema, Role,
    Sampling, ServedIdentity, Usage,
};
use support::fake_openai::{Answer, FakeOpenAi, Faults, Options};
use test_case::test_case;

fn location(url: &str, model: Option<&str>, key: Option<&str>) -> ModelLocation {
    ModelLocation::Http {
        url: url.to_owned(),
        model: model.map(str::to_owned),
        api_key: key.map(Secret::new),
        connections: Connections::default(),
        lora: None,
        neighbours: Neighbours::default(),
        shown: None,
        parallel: 8,
    }
}

async fn opened(server: &FakeOpenAi) -> OpenedModel {
    open(&location(&server.url(), None, None)).await.unwrap()
}

fn request() -> ChatRequest {
    ChatRequest {
        thread: "tuned/coaching-9001/1".to_owned(),
        messages: vec![
            Message::new(Role::System, "Be kind."),
            Message::new(Role::User, "I am tired."),
        ],
        sampling: Sampling {
            temperature: 0.5,
            top_p: 0.9,
            top_k: 40,
            min_p: 0.05,
            max_tokens: 64,
            seed: 7,
        },
        response_schema: None,
    }
}

/// Sends one call that is answered by `answer`.
async fn reply_to(answer: Answer) -> Result<ChatReply, ChatError> {
    let server = FakeOpenAi::start(Options {
        script: vec![answer],
        ..Options::default()
    });
    let result = opened(&server).await.model.chat(&request()).await;
    assert_eq!(
        server.calls(),
        1,
        "a call is sent once, whatever comes of it"
    );
    result
}

async fn error_of(answer: Answer) -> ChatError {
    reply_to(answer).await.unwrap_err()
}

#[tokio::test]
async fn the_request_holds_every_sampling_field_and_nothing_empty() {
    let server = FakeOpenAi::start(Options::default());
    opened(&server).await.model.chat(&request()).await.unwrap();
    let sent = server.requests().remove(0);
    assert_eq!(
        sent.body,
        json!({
            "model": "fake",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "I am tired."},
            ],
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.05,
            "max_tokens": 64,
            "seed": 7,
            "stream": false,
        })
    );
    assert_eq!(sent.authorization, None);
}

#[tokio::test]
async fn a_schema_is_sent_as_the_response_format() {
    let server = FakeOpenAi::start(Options::default());
    let schema = json!({
        "type": "object",
        "properties": {"met": {"type": "boolean"}, "level": {"type": "integer", "minimum": 2, "maximum": 3}},
    });
    let request = ChatRequest {
        response_schema: Some(ResponseSchema {
            name: "verdict".to_owned(),
            schema: schema.clone(),
        }),
        ..request()
    };
    let reply = opened(&server).await.model.chat(&request).await.unwrap();
    let sent = server.requests().remove(0).body;
    let expected = json!({
        "type": "json_schema",
        "json_schema": {"name": "verdict", "schema": schema, "strict": true},
    });
    assert_eq!(sent["response_format"], expected);
    let filled: Value = serde_json::from_str(&reply.content).unwrap();
    assert!(filled["met"].is_boolean());
    assert!((2..=3).contains(&filled["level"].as_i64().unwrap()));
}

#[tokio::test]
async fn a_request_that_ends_with_the_assistant_is_not_sent() {
    let server = FakeOpenAi::start(Options::default());
    let model = opened(&server).await.model;
    let mut ends_wrongly = request();
    ends_wrongly
        .messages
        .push(Message::new(Role::Assistant, "There"));
    let empty = ChatRequest {
        messages: vec![],
        ..request()
    };
    for request in [ends_wrongly, empty] {
        let error = model.chat(&request).await.unwrap_err();
        assert!(matches!(error, ChatError::Refused { .. }), "{error}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_reply_is_read_whole() {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": "Rest."}, "finish_reason": "length"}],
        "usage": {
            "prompt_tokens": 12, "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    });
    let reply = reply_to(Answer::Json(body)).await.unwrap();
    assert_eq!(
        reply,
        ChatReply {
            content: "Rest.".to_owned(),
            reasoning: None,
            finish_reason: FinishReason::Length,
            usage: Usage {
                prompt_tokens: Some(12),
                cached_tokens: Some(8),
                completion_tokens: Some(3),
                reasoning_tokens: Some(2),
            },
        }
    );
}

#[test_case(json!({"content": "so", "reasoning": "why"}), Some("why"), "so"; "vllm")]
#[test_case(json!({"content": "so", "reasoning_content": "why"}), Some("why"), "so"; "llama server")]
#[test_case(json!({"content": "\n\nso", "reasoning_content": "why\n"}), Some("why"), "so"; "blank space around")]
#[test_case(json!({"content": "<think>why</think>so", "reasoning": null}), Some("why"), "so"; "in the text")]
#[test_case(json!({"content": "why</think>so"}), Some("why"), "so"; "opened by the template")]
#[test_case(json!({"content": "<think>why"}), Some("why"), ""; "cut off")]
#[test_case(json!({"content": null, "reasoning": "why"}), Some("why"), ""; "cut off and set apart")]
#[test_case(json!({"content": null, "refusal": "no"}), None, "no"; "a refusal")]
#[test_case(json!({"content": "", "reasoning_content": ""}), None, ""; "nothing at all")]
#[tokio::test]
async fn reasoning_is_told_apart(message: Value, reasoning: Option<&str>, content: &str) {
    let reply = reply_to(Answer::Message(message)).await.unwrap();
    assert_eq!(reply.reasoning.as_deref(), reasoning);
    assert_eq!(reply.content, content);
}

#[tokio::test]
async fn unknown_finish_reasons_are_kept_and_failed_ones_are_errors() {
    let finished = |why: &str| reply_to(Answer::Finished("x".to_owned(), why.to_owned()));
    let kept = finished("content_filter").await.unwrap().finish_reason;
    assert_eq!(kept, FinishReason::Other("content_filter".to_owned()));
    for why in ["abort", "error"] {
        let error = finished(why).await.unwrap_err();
        assert!(matches!(error, ChatError::Unavailable { .. }), "{error}");
    }
}

#[test_case(
    Answer::error(500, "server_error", "out of memory"),
    "is unavailable: HTTP 500: out of memory (server_error)"
)]
#[test_case(
    Answer::error(503, "unavailable_error", "Loading model"),
    "is not ready: HTTP 503: Loading model"
)]
#[test_case(
    Answer::error(401, "authentication_error", "Invalid API Key"),
    "refuses the API key: HTTP 401: Invalid API Key"
)]
#[test_case(
    Answer::error(
        400,
        "exceed_context_size_error",
        "request (300 tokens) exceeds the available context size (256 tokens)"
    ),
    "does not fit the context: HTTP 400: request (300"
)]
#[test_case(
    Answer::error(
        400,
        "BadRequestError",
        "This model's maximum context length is 256 tokens."
    ),
    "does not fit the context"
)]
#[test_case(
    Answer::error(400, "BadRequestError", "max_tokens must be at least 1, got -186."),
    "does not fit the context"
)]
#[test_case(
    Answer::error(400, "BadRequestError", "top_k must be positive"),
    "refuses the request: HTTP 400: top_k must be positive"
)]
#[test_case(
    Answer::error(404, "NotFoundError", "The model `x` does not exist."),
    "refuses the request: HTTP 404"
)]
#[test_case(
    Answer::error(
        500,
        "server_error",
        "Jinja Exception: Conversation roles must alternate"
    ),
    "the chat template refuses the conversation: HTTP 500: Jinja Exception"
)]
#[test_case(Answer::Json(json!({"detail": "x"})), "sent a malformed reply: it has no choices")]
#[test_case(Answer::Json(json!({"choices": []})), "sent a malformed reply: it has no choices")]
#[test_case(Answer::Json(json!({"choices": [{"finish_reason": "stop"}]})), "field `choices[0].message` is missing")]
#[test_case(Answer::Message(json!({"content": 3})), "field `choices[0].message.content`: expected a string, got `3`")]
#[test_case(Answer::Json(json!({"error": {"code": 503, "message": "no provider"}})), "is not ready: HTTP 503: no provider")]
#[test_case(Answer::Garbage, "sent a malformed reply: EOF while parsing")]
#[test_case(
    Answer::Html,
    "sent a malformed reply: expected value at line 1 column 1 in `<html>"
)]
#[test_case(Answer::Disconnect, "is unavailable: "; "the connection breaks within the reply")]
#[test_case(Answer::Hangup, "is unavailable: "; "the connection breaks before the reply")]
#[tokio::test]
async fn failures_are_told_apart(answer: Answer, expected: &str) {
    let error = error_of(answer).await;
    let text = error.to_string();
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("`fake` at http://127.0.0.1:"), "{text}");
    let may_pass = ["is unavailable", "is not ready", "malformed"];
    let may_pass = may_pass.iter().any(|words| text.contains(words));
    assert_eq!(error.is_retryable(), may_pass, "{text}");
}

#[test_case("2", Some(Duration::from_secs(2)))]
#[test_case("0.5", Some(Duration::from_millis(500)))]
#[test_case("Fri, 31 Dec 1999 23:59:59 GMT", None)]
#[test_case("-1", None)]
#[tokio::test]
async fn a_limited_rate_says_how_long_to_wait(header: &str, expected: Option<Duration>) {
    match error_of(Answer::rate_limited(header)).await {
        ChatError::RateLimited { retry_after, .. } => assert_eq!(retry_after, expected),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_key_is_sent_and_shows_nowhere() {
    const KEY: &str = "sk-very-secret-0123456789";
    let server = FakeOpenAi::start(Options {
        api_key: Some(KEY.to_owned()),
        script: vec![Answer::error(
            400,
            "bad",
            &format!("key {KEY} {}", "may not ".repeat(90)),
        )],
        ..Options::default()
    });
    let with_key = location(&server.url(), None, Some(KEY));
    let opened = open(&with_key).await.unwrap();
    let error = opened.model.chat(&request()).await.unwrap_err();
    for shown in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{with_key:?}"),
        format!("{:?}", opened.source),
        serde_json::to_string(&opened.source).unwrap(),
    ] {
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.chars().count() < 450, "{shown}");
    }
    assert!(error.to_string().contains("key ***"), "{error}");
    let sent = server.requests().remove(0).authorization;
    assert_eq!(sent, Some(format!("Bearer {KEY}")));

    for wrong in [None, Some("sk-wrong"), Some("no\nheader")] {
        let error = open(&location(&server.url(), None, wrong))
            .await
            .err()
            .unwrap();
        assert!(
            matches!(error, OpenError::Server(ChatError::Auth { .. })),
            "{error}"
        );
    }
}

#[tokio::test]
async fn identity_is_what_the_server_says() {
    let props = json!({
        "model_path": "/models/tuned-q8_0.gguf",
        "chat_template": "{{ messages }}",
        "total_slots": 2,
    });
    let options = Options {
        model: "tuned".to_owned(),
        other_models: vec!["a-draft".to_owned()],
        n_params: Some(1234),
        props: Some(props),
        ..Options::default()
    };
    let server = FakeOpenAi::start(options.clone());
    let root = server.url().replace("/v1", "/");
    let opened = open(&location(&root, Some("tuned"), None)).await.unwrap();
    let expected = ModelSource::Http {
        url: server.url(),
        model: "tuned".to_owned(),
        served: ServedIdentity {
            model_path: Some("/models/tuned-q8_0.gguf".to_owned()),
            n_params: Some(1234),
            chat_template: Some(Digest::of(b"{{ messages }}")),
            ..ServedIdentity::default()
        },
    };
    assert_eq!(opened.source, expected);
    assert_eq!(opened.model.concurrency(), 2);
    assert_eq!(opened.model.identify().await.unwrap(), expected);

    // Another model behind the same address shows, though its id is the same.
    let server = server.restart(Options {
        n_params: Some(999),
        ..options
    });
    assert_ne!(opened.model.identify().await.unwrap(), expected);
    // One that is listed under another name is no longer there.
    let server = server.restart(Options {
        model: "another".into(),
        ..Options::default()
    });
    let error = opened.model.identify().await.unwrap_err();
    assert!(
        matches!(&error, ChatError::IdentityChanged { found, .. } if found == "`another`"),
        "{error}"
    );
    drop(server);
    let error = opened.model.identify().await.unwrap_err();
    assert!(matches!(error, ChatError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn another_model_is_refused_and_the_served_ones_are_named() {
    let server = FakeOpenAi::start(Options {
        model: "base".to_owned(),
        other_models: vec!["draft".to_owned()],
        ..Options::default()
    });
    let error = open(&location(&server.url(), Some("tuned"), None))
        .await
        .err()
        .unwrap();
    let expected = format!(
        "{} does not serve `tuned`; it serves base, draft",
        server.url()
    );
    assert_eq!(error.to_string(), expected);
    let error = open(&location(&server.url(), None, None))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::WhichModel { .. }), "{error}");
    assert!(error.to_string().contains("base, draft"), "{error}");
}

#[tokio::test]
async fn a_server_that_loads_its_model_is_waited_for() {
    let server = FakeOpenAi::start(Options {
        loading_probes: 3,
        ..Options::default()
    });
    let opened = opened(&server).await;
    // It told nothing of its slots.
    assert_eq!(opened.model.concurrency(), 8);
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for_and_one_that_never_does_is_named() {
    let mut server = FakeOpenAi::start(Options::default());
    let (port, url) = (server.port(), server.url());
    server.stop();
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        FakeOpenAi::start_on(port, Options::default())
    });
    open(&location(&url, None, None)).await.unwrap();
    late.await.unwrap().stop();

    let error = open(&location(&url, None, None)).await.err().unwrap();
    assert!(
        matches!(error, OpenError::Server(ChatError::Unreachable { .. })),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&url) && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn what_is_no_base_url_is_refused() {
    for url in [
        "localhost",
        "ftp://127.0.0.1/v1",
        "http://me:hush@127.0.0.1/v1",
    ] {
        let error = open(&location(url, None, None)).await.err().unwrap();
        assert!(matches!(error, OpenError::Url { .. }), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn many_calls_share_the_server_and_repeated_ones_get_through() {
    let server = FakeOpenAi::start(Options {
        latency: Duration::from_millis(30),
        faults: Faults {
            server_error: 0.1,
            rate_limited: 0.1,
            disconnect: 0.1,
            garbage: 0.05,
            html: 0.05,
            ..Faults::default()
        },
        ..Options::default()
    });
    let model = opened(&server).await.model;
    let calls = (0..40).map(|seed| {
        let model = model.clone();
        async move {
            let mut request = request();
            request.sampling.seed = seed;
            let mut failures = 0;
            loop {
                match model.chat(&request).await {
                    Ok(reply) => return (reply, failures),
                    Err(error) if error.is_retryable() => failures += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    let done = futures::future::join_all(calls).await;
    let failures: usize = done.iter().map(|(_, failures)| failures).sum();
    assert!(failures > 5, "{failures} faults");
    assert!(server.most_in_flight() > 8);
    assert_eq!(server.calls(), 40 + failures);
    assert_eq!(server.repeats(), Vec::<String>::new());

    // The same requests get the same replies from another server.
    let calm = FakeOpenAi::start(Options::default());
    let model = opened(&calm).await.model;
    for (seed, (reply, _)) in done.iter().enumerate() {
        let mut request = request();
        request.sampling.seed = seed as u64;
        assert_eq!(model.chat(&request).await.unwrap(), *reply);
    }
}

#[tokio::test]
async fn a_server_that_dies_is_unavailable() {
    let server = FakeOpenAi::start(Options {
        die_after: Some(1),
        ..Options::default()
    });
    let model = opened(&server).await.model;
    model.chat(&request()).await.unwrap();
    let lost = model.chat(&request()).await.unwrap_err();
    assert!(matches!(lost, ChatError::Unavailable { .. }), "{lost}");
    let refused = model.chat(&request()).await.unwrap_err();
    assert!(
        matches!(refused, ChatError::Unreachable { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn another_model_that_took_the_servers_place_is_noticed() {
    let options = Options {
        n_params: Some(1),
        ..Options::default()
    };
    let server = FakeOpenAi::start(options.clone());
    let model = opened(&server).await.model;
    model.chat(&request()).await.unwrap();
    // Nobody sees it go: the next call finds another one behind a new connection.
    let _server = server.restart(Options {
        n_params: Some(2),
        ..options
    });
    let mut answer = model.chat(&request()).await;
    if matches!(answer, Err(ChatError::Unavailable { .. })) {
        // The call went into the old connection.
        answer = model.chat(&request()).await;
    }
    let error = answer.unwrap_err();
    let ChatError::IdentityChanged { planned, found, .. } = &error else {
        panic!("{error}");
    };
    assert!(planned.contains("\"n_params\":1"), "{planned}");
    assert!(found.contains("\"n_params\":2"), "{found}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn llama_server_is_told_places_caches_and_scales() {
    let adapters = json!([{"id": 0, "path": "/a/tuned.gguf", "scale": 0.5}]);
    let options = Options {
        props: Some(json!({"total_slots": 2, "model_path": "m.gguf"})),
        adapters: Some(adapters),
        ..Options::default()
    };
    let server = FakeOpenAi::start(options);
    let with = |lora: Option<f64>, neighbours: Neighbours| {
        let mut location = location(&server.url(), None, None);
        if let ModelLocation::Http {
            lora: l,
            neighbours: n,
            ..
        } = &mut location
        {
            *l = lora.map(|scale| [("tuned.gguf".to_owned(), scale)].into());
            *n = neighbours;
        }
        location
    };
    let alone = Neighbours::default();
    let shared = Neighbours {
        models: 2,
        others: 1,
        other_adapters: false,
    };
    let cases = [
        (None, alone, json!([0, true, 0.5]), 2),
        (None, shared, json!([null, true, 0.5]), 1),
        (Some(1.0), alone, json!([null, false, 1.0]), 2),
        (Some(0.0), shared, json!([null, false, 0.0]), 1),
    ];
    for (lora, neighbours, expected, concurrency) in cases {
        let model = open(&with(lora, neighbours)).await.unwrap().model;
        assert_eq!(model.concurrency(), concurrency);
        model.chat(&request()).await.unwrap();
        let sent = server.requests().pop().unwrap().body;
        assert_eq!(sent["lora"][0]["id"], 0);
        let told = json!([
            sent["id_slot"],
            sent["cache_prompt"],
            sent["lora"][0]["scale"]
        ]);
        assert_eq!(told, expected);
    }
}
