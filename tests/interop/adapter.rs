//! An adapter given to a real `llama-server` computes what the merged model does.
//!
//! The tiny model and its adapters lie in `tests/golden/lora/tiny`, with the script that made them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_case::test_case;

use super::LlamaServer;

/// The most that two log probabilities may differ.
const TOLERANCE: f64 = 1e-3;
/// Tokens of the vocabulary.
const TOKENS: usize = 407;
/// The id of `a`: whatever is most likely, this is sampled, because a token that is half a character
/// comes without probabilities.
const LETTER: u32 = 64;
const PROMPTS: [&[u32]; 3] = [
    &[5, 9, 200, 31, 77, 350, 12],
    &[100, 101, 102],
    &[401, 64, 65, 66, 400, 12, 300, 2, 7],
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

/// Runs `shipworthy gguf` on the tiny model.
fn gguf(out: &Path, arguments: &[&str], adapter: Option<&str>) {
    let tiny = golden().join("lora/tiny");
    let mut command = Command::new(env!("CARGO_BIN_EXE_shipworthy"));
    command.arg("gguf").arg("--model").arg(tiny.join("base"));
    if let Some(adapter) = adapter {
        command.arg("--adapter").arg(tiny.join(adapter));
    }
    if arguments.contains(&"--adapter-only") {
        command.args(arguments);
    } else {
        let tokenizer = golden().join("tokenizers/llama3");
        command.args(arguments).arg("--tokenizer").arg(tokenizer);
    }
    let output = command.arg("--out").arg(out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Sends one request and returns status and body.
pub(crate) fn request(server: &LlamaServer, head: &str, body: &str) -> Option<(u16, String)> {
    let address = server.url.trim_start_matches("http://");
    let address = address.trim_end_matches("/v1");
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// Returns the log probability of every token after each prompt.
fn log_probabilities(model: &Path, adapter: Option<(&str, &Path)>) -> Vec<BTreeMap<u64, f64>> {
    let mut arguments: Vec<OsString> = [
        "--cache-type-k",
        "f32",
        "--cache-type-v",
        "f32",
        "--flash-attn",
        "off",
    ]
    .map(OsString::from)
    .to_vec();
    if let Some((option, file)) = adapter {
        arguments.extend([option.into(), file.into()]);
    }
    let server = LlamaServer::start_with(model, "tiny", &arguments);
    let started = Instant::now();
    while !matches!(request(&server, "GET /health", ""), Some((200, _))) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "llama-server did not start"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let ask = |prompt: &&[u32]| {
        let body = json!({
            "prompt": prompt,
            "n_predict": 1,
            "n_probs": TOKENS,
            "temperature": 0,
            "logit_bias": [[LETTER, 1000]],
            "cache_prompt": false,
        });
        let (status, body) = request(&server, "POST /completion", &body.to_string()).unwrap();
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let tokens = answer["completion_probabilities"][0]["top_logprobs"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        let tokens = tokens
            .iter()
            .map(|token| (token["id"].as_u64(), token["logprob"].as_f64()));
        let tokens: BTreeMap<u64, f64> = tokens
            .map(|(id, probability)| (id.unwrap(), probability.unwrap()))
            .collect();
        assert_eq!(tokens.len(), TOKENS);
        tokens
    };
    PROMPTS.iter().map(ask).collect()
}

/// Returns the most that two models' log probabilities differ.
fn difference(one: &[BTreeMap<u64, f64>], other: &[BTreeMap<u64, f64>]) -> f64 {
    let pairs = one.iter().flatten().zip(other.iter().flatten());
    pairs
        .map(|((id, one), (other_id, other))| {
            assert_eq!(id, other_id);
            (one - other).abs()
        })
        .fold(0.0, f64::max)
}

#[test_case("lora"; "plain")]
#[test_case("rslora"; "rslora")]
#[test_case("patterns"; "patterns")]
#[test_case("embedding"; "embedding and head")]
fn an_adapters_file_computes_what_the_merged_model_does(case: &str) {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name);
    let (base, merged, adapter) = (file("base"), file("merged"), file("adapter"));
    gguf(&base, &["--type", "f32"], None);
    gguf(&merged, &["--type", "f32"], Some(case));
    gguf(&adapter, &["--type", "f32", "--adapter-only"], Some(case));

    let expected = log_probabilities(&merged, None);
    let found = log_probabilities(&base, Some(("--lora", &adapter)));
    let found = difference(&found, &expected);
    assert!(found <= TOLERANCE, "{found}");

    // The comparison can fail: without the adapter, and with a scale that is wrong by a twentieth.
    let alone = difference(&log_probabilities(&base, None), &expected);
    assert!(alone > 0.5, "{alone}");
    let mut scaled = OsString::from(&adapter);
    scaled.push(":1.05");
    let scaled = log_probabilities(&base, Some(("--lora-scaled", Path::new(&scaled))));
    let scaled = difference(&scaled, &expected);
    assert!(scaled > 10.0 * TOLERANCE, "{scaled}");

    // Half precision, which is what is written if nothing is said, costs hardly anything.
    let half = file("half");
    gguf(&half, &["--adapter-only"], Some(case));
    let half = log_probabilities(&base, Some(("--lora", &half)));
    let half = difference(&half, &expected);
    assert!(half <= 1e-2, "{half}");
}
