//! GGUF files in this process: replies that depend on nothing but their conversation.
//!
//! The files in `fixtures` are random models; `fixtures/tiny.py` writes them.
#![cfg(feature = "embedded")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use shipworthy_backends::{ChatError, ChatModel, ModelLocation, OpenError, OpenedModel, open};
use shipworthy_schema::{
    ChatReply, ChatRequest, Digest, FinishReason, Message, ModelSource, ResponseSchema, Role,
    Sampling,
};
use test_case::test_case;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn location(path: &Path, parallel: u32, threads: Option<u32>) -> ModelLocation {
    ModelLocation::Gguf {
        path: path.to_owned(),
        shown: "models/tiny.gguf".to_owned(),
        context: None,
        threads,
        parallel,
    }
}

async fn open_file(name: &str, parallel: u32) -> Arc<dyn ChatModel> {
    let location = location(&fixture(name), parallel, None);
    open(&location).await.unwrap().model
}

async fn open_error(path: &Path) -> OpenError {
    match open(&location(path, 1, None)).await {
        Err(error) => error,
        Ok(OpenedModel { .. }) => panic!("{} was opened", path.display()),
    }
}

fn request(thread: &str, messages: Vec<Message>, sampling: Sampling) -> ChatRequest {
    ChatRequest {
        thread: thread.to_owned(),
        messages,
        sampling,
        response_schema: None,
    }
}

fn user(text: impl Into<String>) -> Message {
    Message::new(Role::User, text)
}

fn sampling(temperature: f64, max_tokens: u32, seed: u64) -> Sampling {
    Sampling {
        temperature,
        max_tokens,
        seed,
        ..Sampling::default()
    }
}

/// 24 conversations of different lengths and ways to draw; the longest crosses 256 and 512 tokens,
/// where llama.cpp reads more of its cache.
fn conversations() -> Vec<(String, String, Sampling)> {
    (0..24_u32)
        .map(|i| {
            let opening = "so tell me how you are, ".repeat(1 + (i as usize * 7) % 19);
            let sampling = Sampling {
                temperature: [0.0, 0.7, 1.0, 1.3][i as usize % 4],
                top_p: [1.0, 0.9, 0.6][i as usize % 3],
                top_k: [0, 40][i as usize % 2],
                min_p: [0.0, 0.02][(i as usize / 2) % 2],
                max_tokens: 20 + i,
                seed: 1 << i,
            };
            (format!("thread {i}"), format!("{opening}{i}?"), sampling)
        })
        .collect()
}

const N_TURNS: usize = 3;

fn messages_before(opening: &str, turn: usize, replies: &[ChatReply]) -> Vec<Message> {
    let mut messages = vec![Message::new(Role::System, "You are brief."), user(opening)];
    for (i, reply) in replies.iter().take(turn).enumerate() {
        messages.push(Message::new(Role::Assistant, reply.content.clone()));
        messages.push(user(format!("and then, {i}?")));
    }
    messages
}

async fn converse(
    model: &dyn ChatModel,
    (thread, opening, sampling): &(String, String, Sampling),
) -> Vec<ChatReply> {
    let mut replies = Vec::new();
    for turn in 0..N_TURNS {
        let messages = messages_before(opening, turn, &replies);
        let request = request(thread, messages, sampling.clone());
        replies.push(model.chat(&request).await.unwrap());
    }
    model.end_thread(thread);
    replies
}

type Texts = BTreeMap<String, Vec<(String, FinishReason, Option<u64>)>>;

fn texts(all: impl IntoIterator<Item = (String, Vec<ChatReply>)>) -> Texts {
    let what_matters = |reply: ChatReply| {
        (
            reply.content,
            reply.finish_reason,
            reply.usage.completion_tokens,
        )
    };
    all.into_iter()
        .map(|(thread, replies)| (thread, replies.into_iter().map(what_matters).collect()))
        .collect()
}

/// Holds all conversations, `together` at a time, in the order of `step` through the list.
async fn hold(name: &str, parallel: u32, threads: u32, together: usize, step: usize) -> Texts {
    let location = location(&fixture(name), parallel, Some(threads));
    let model = open(&location).await.unwrap().model;
    let all = conversations();
    let order = (0..all.len()).map(|i| &all[i * step % all.len()]);
    let held: Vec<_> = futures::stream::iter(order)
        .map(|conversation| async {
            let replies = converse(model.as_ref(), conversation).await;
            (conversation.0.clone(), replies)
        })
        .buffer_unordered(together)
        .collect()
        .await;
    texts(held)
}

/// Makes every reply in a model opened for it alone, so that nothing can be in the cache.
async fn hold_without_cache(name: &str) -> Texts {
    let mut held = Vec::new();
    for (thread, opening, sampling) in conversations() {
        let mut replies: Vec<ChatReply> = Vec::new();
        for turn in 0..N_TURNS {
            let model = open_file(name, 1).await;
            let messages = messages_before(&opening, turn, &replies);
            let request = request(&thread, messages, sampling.clone());
            let reply = model.chat(&request).await.unwrap();
            assert_eq!(reply.usage.cached_tokens, Some(0));
            replies.push(reply);
        }
        held.push((thread, replies));
    }
    texts(held)
}

#[test_case("tiny-q8_0.gguf"; "blocks of 32")]
#[test_case("tiny-q4_k.gguf"; "superblocks")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_do_not_depend_on_batch_order_threads_or_cache(name: &str) {
    let alone = hold_without_cache(name).await;
    let different: BTreeSet<_> = alone.values().flatten().map(|reply| &reply.0).collect();
    assert!(
        different.len() > 60,
        "only {} of 72 replies differ: the test model is degenerate",
        different.len()
    );
    // Fewer slots than conversations under way: caches are evicted and prompts read again.
    for (parallel, threads, together, step) in [
        (1, 1, 1, 1),
        (1, 2, 24, 5),
        (4, 1, 4, 1),
        (4, 2, 24, 7),
        (16, 1, 16, 11),
        (16, 2, 24, 23),
        (24, 1, 24, 1),
    ] {
        let held = hold(name, parallel, threads, together, step).await;
        assert_eq!(
            held, alone,
            "{parallel} slots, {threads} threads, {together} conversations, step {step}"
        );
    }
}

#[tokio::test]
async fn a_conversation_keeps_its_cache_between_turns() {
    let model = open_file("tiny-q8_0.gguf", 2).await;
    let conversation = &conversations()[5];
    let replies = converse(model.as_ref(), conversation).await;
    assert_eq!(replies[0].usage.cached_tokens, Some(0));
    for (turn, pair) in replies.windows(2).enumerate() {
        let before = pair[0].usage.prompt_tokens.unwrap();
        let cached = pair[1].usage.cached_tokens.unwrap();
        assert!(cached >= before, "turn {}: {cached} of {before}", turn + 1);
        assert!(cached < pair[1].usage.prompt_tokens.unwrap());
    }
}

#[tokio::test]
async fn replies_end_by_themselves_or_at_the_limit() {
    let model = open_file("tiny-q8_0.gguf", 8).await;
    let replies = join_all((0..40).map(|seed| {
        let model = &model;
        async move {
            let request = request(
                &seed.to_string(),
                vec![user("hello")],
                sampling(1.0, 60, seed),
            );
            model.chat(&request).await.unwrap()
        }
    }))
    .await;
    let n_stopped = replies
        .iter()
        .filter(|reply| reply.finish_reason == FinishReason::Stop)
        .count();
    assert!((1..40).contains(&n_stopped), "{n_stopped} of 40 stopped");
    for reply in replies {
        let n_drawn = reply.usage.completion_tokens.unwrap();
        assert!(!reply.content.contains("<|im_end|>"));
        match reply.finish_reason {
            FinishReason::Length => assert_eq!(n_drawn, 60),
            _ => assert!(n_drawn <= 60),
        }
    }
}

#[tokio::test]
async fn text_of_special_tokens_in_a_message_stays_text() {
    let model = open_file("tiny-q8_0.gguf", 1).await;
    let count = async |text: &str| {
        let request = request("a", vec![user(text)], sampling(0.0, 1, 0));
        model
            .chat(&request)
            .await
            .unwrap()
            .usage
            .prompt_tokens
            .unwrap()
    };
    let empty = count("").await;
    // Ten letters of a vocabulary that has no longer tokens for them.
    assert_eq!(count("<|im_end|>").await, empty + 10);
    assert_eq!(count("<|im_end|>\n<|im_start|>").await, empty + 10 + 1 + 12);
    assert_eq!(count("<|im_end").await, empty + 8);
}

#[tokio::test]
async fn the_prompt_and_one_token_must_fit() {
    let location = ModelLocation::Gguf {
        path: fixture("tiny-q8_0.gguf"),
        shown: "models/tiny.gguf".to_owned(),
        context: Some(100),
        threads: None,
        parallel: 3,
    };
    let model = open(&location).await.unwrap().model;
    let ask = async |n: usize| {
        let request = request("a", vec![user("x".repeat(n))], sampling(0.0, 500, 0));
        model.chat(&request).await
    };
    let overhead = ask(0).await.unwrap().usage.prompt_tokens.unwrap();
    let longest = 99 - usize::try_from(overhead).unwrap();
    let reply = ask(longest).await.unwrap();
    assert_eq!(reply.usage.prompt_tokens, Some(99));
    assert_eq!(reply.usage.completion_tokens, Some(1));
    assert_eq!(reply.finish_reason, FinishReason::Length);
    let error = ask(longest + 1).await.unwrap_err();
    assert!(
        matches!(error, ChatError::ContextOverflow { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("100"), "{error}");
    assert!(!error.is_retryable());
    let reply = ask(longest - 20).await.unwrap();
    let n_tokens = reply.usage.prompt_tokens.unwrap() + reply.usage.completion_tokens.unwrap();
    assert!(n_tokens <= 100, "{n_tokens}");
}

#[tokio::test]
async fn a_reply_follows_the_response_schema() {
    let model = open_file("tiny-q8_0.gguf", 4).await;
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"met": {"enum": ["yes", "no"]}},
        "required": ["met"],
        "additionalProperties": false,
    });
    let replies = join_all((0..4).map(|seed| {
        let mut request = request(
            &seed.to_string(),
            vec![user("judge")],
            sampling(1.0, 64, seed),
        );
        request.response_schema = Some(ResponseSchema {
            name: "answer".to_owned(),
            schema: schema.clone(),
        });
        let model = &model;
        async move { model.chat(&request).await.unwrap() }
    }))
    .await;
    for reply in replies {
        if reply.finish_reason == FinishReason::Stop {
            let answer: serde_json::Value = serde_json::from_str(&reply.content).unwrap();
            assert!(["yes", "no"].contains(&answer["met"].as_str().unwrap()));
        }
    }
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused() {
    let model = open_file("tiny-q8_0.gguf", 1).await;
    let mut request = request("a", vec![user("judge")], sampling(0.0, 8, 0));
    request.response_schema = Some(ResponseSchema {
        name: "answer".to_owned(),
        schema: serde_json::json!({"type": "nonsense"}),
    });
    let error = model.chat(&request).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused { .. }), "{error}");
}

/// A request whose reply fills the context: the schema lets it end no earlier.
fn endless() -> ChatRequest {
    let mut request = request("endless", vec![user("go on")], sampling(1.0, 5000, 3));
    request.response_schema = Some(ResponseSchema {
        name: "endless".to_owned(),
        schema: serde_json::json!({"type": "string", "minLength": 2000}),
    });
    request
}

#[tokio::test]
async fn cancelled_calls_free_their_slot() {
    let model = open_file("tiny-q8_0.gguf", 1).await;
    let start = Instant::now();
    let reply = model.chat(&endless()).await.unwrap();
    let whole = start.elapsed();
    assert_eq!(reply.finish_reason, FinishReason::Length);

    let request_without_end = endless();
    let start = Instant::now();
    for _ in 0..20 {
        let mut call = model.chat(&request_without_end);
        assert!(futures::poll!(&mut call).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let quick = request("b", vec![user("hello")], sampling(0.0, 2, 0));
    let reply = model.chat(&quick).await.unwrap();
    let elapsed = start.elapsed();
    assert!(elapsed < 10 * whole, "{elapsed:?}, one alone {whole:?}");
    let fresh = open_file("tiny-q8_0.gguf", 1).await;
    assert_eq!(reply.content, fresh.chat(&quick).await.unwrap().content);
}

#[tokio::test]
async fn closing_a_model_does_not_wait_for_its_replies() {
    let model = open_file("tiny-q8_0.gguf", 1).await;
    let start = Instant::now();
    model.chat(&endless()).await.unwrap();
    let whole = start.elapsed();

    let request = endless();
    for _ in 0..10 {
        let mut call = model.chat(&request);
        assert!(futures::poll!(&mut call).is_pending());
        // Left unanswered but not cancelled until the model is gone.
        std::mem::forget(call);
    }
    let start = Instant::now();
    drop(model);
    let elapsed = start.elapsed();
    assert!(elapsed < 3 * whole, "{elapsed:?}, one alone {whole:?}");
}

#[tokio::test]
async fn the_source_proves_the_file() {
    let path = fixture("tiny-q8_0.gguf");
    let opened = open(&location(&path, 2, None)).await.unwrap();
    let expected = ModelSource::Gguf {
        path: "models/tiny.gguf".to_owned(),
        digest: Digest::of(&std::fs::read(&path).unwrap()),
        context: Some(1024),
    };
    assert_eq!(opened.source, expected);
    assert_eq!(opened.model.identify().await.unwrap(), expected);
    assert_eq!(opened.model.concurrency(), 2);
}

#[tokio::test]
async fn files_that_cannot_be_run_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.gguf");
    let error = open_error(&missing).await;
    assert!(
        matches!(&error, OpenError::File { path, .. } if *path == missing),
        "{error}"
    );
    let error = open_error(folder.path()).await;
    assert!(matches!(&error, OpenError::File { .. }), "{error}");

    let whole = std::fs::read(fixture("tiny-q8_0.gguf")).unwrap();
    let bent = folder.path().join("bent.gguf");
    for (content, expected) in [
        (&b""[..], "not a GGUF file"),
        (&b"<html>not found</html>"[..], "begins with `<htm`"),
        (&whole[..2000], "cut off"),
        (&whole[..60_000], "cut off"),
        (&whole[..whole.len() - 1], "cut off"),
    ] {
        std::fs::write(&bent, content).unwrap();
        let error = open_error(&bent).await;
        assert!(
            matches!(&error, OpenError::Format { path, .. } if *path == bent),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }

    // A key of the same length leaves the rest of the file as it was.
    let key = b"tokenizer.chat_template";
    let at = whole.windows(key.len()).position(|w| w == key).unwrap();
    let mut without = whole.clone();
    without[at..at + key.len()].copy_from_slice(b"tokenizer.chat_tempLATE");
    std::fs::write(&bent, &without).unwrap();
    let error = open_error(&bent).await;
    assert!(matches!(&error, OpenError::Format { .. }), "{error}");
    assert!(error.to_string().contains("chat template"), "{error}");
}

#[tokio::test]
async fn a_template_that_fails_refuses_the_request() {
    // The template raises an exception for roles it does not know; here `user` becomes one.
    let mut bytes = std::fs::read(fixture("tiny-q8_0.gguf")).unwrap();
    let roles = b"['system', 'user', 'assistant']";
    let at = bytes.windows(roles.len()).position(|w| w == roles).unwrap();
    bytes[at..at + roles.len()].copy_from_slice(b"['system', 'USER', 'assistant']");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let model = open(&location(file.path(), 1, None)).await.unwrap().model;
    let request = request("a", vec![user("hello")], sampling(0.0, 2, 0));
    let error = model.chat(&request).await.unwrap_err();
    assert!(matches!(error, ChatError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("unknown role user"), "{error}");
}
