//! The command against real `llama-server` processes; `make interop` builds them and runs this.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and shows what it ran"
)]

/// Adapters written as files of their own.
mod adapter;

/// Servers that a project starts itself.
mod servers;

/// What a package says of how to serve it.
mod shipping;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct LlamaServer {
    process: Child,
    url: String,
}

impl LlamaServer {
    fn start(model: &Path, alias: &str) -> Self {
        Self::start_with(model, alias, &[])
    }

    fn start_with(model: &Path, alias: &str, more: &[OsString]) -> Self {
        let program = std::env::var_os("LLAMA_SERVER").expect("`make interop` sets LLAMA_SERVER");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(program)
            .args([
                "--host",
                "127.0.0.1",
                "--parallel",
                "4",
                "--ctx-size",
                "8192",
            ])
            .args([
                "--port",
                &port.to_string(),
                "--alias",
                alias,
                "--threads",
                "1",
                "--model",
            ])
            .arg(model)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            process,
            url: format!("http://127.0.0.1:{port}/v1"),
        }
    }

    fn wait(&self) {
        let address = self
            .url
            .trim_start_matches("http://")
            .trim_end_matches("/v1")
            .to_owned();
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "llama-server did not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        // vLLM's other processes outlive the one that started them.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/coaching")
}

/// Runs `shipworthy eval` on a project with `simulator` and returns exit code and transcripts.
fn evaluate(simulator: &str, base: &str, tuned: &str) -> (i32, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("shipworthy.yaml");
    let text = format!(
        "project: interop\n\
         personas: {{spec: coaching, count: 4, repeats: 2, max_turns: 3}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {{url: \"{base}\", model: base}}\n  tuned: {{url: \"{tuned}\"}}\n\
         simulator: {simulator}\n\
         system_prompt: You are a kind, practical coach.\n\
         sampling: {{max_tokens: 64, seed: 7}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_shipworthy"))
        .args(["eval", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    print!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut transcripts = Vec::new();
    if let Ok(runs) = std::fs::read_dir(directory.path().join("runs")) {
        for run in runs {
            let file = std::fs::File::open(run.unwrap().path().join("transcripts.jsonl")).unwrap();
            let lines = BufReader::new(file).lines();
            transcripts
                .extend(lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()));
        }
    }
    (output.status.code().unwrap(), transcripts)
}

const ENDS: [&str; 7] = [
    "user_satisfied",
    "user_gave_up",
    "turn_limit",
    "context_limit",
    "model_error",
    "simulator_error",
    "timeout",
];

#[test]
fn two_llama_servers_are_evaluated_with_both_simulators() {
    let base = LlamaServer::start(&models().join("base-q8_0.gguf"), "base");
    let tuned = LlamaServer::start(&models().join("tuned-q8_0.gguf"), "tuned");
    base.wait();
    tuned.wait();

    let (code, transcripts) = evaluate("rule-based", &base.url, &tuned.url);
    assert!(
        [0, 10, 11, 12, 13].contains(&code),
        "exit code {code} is no verdict"
    );
    assert_eq!(transcripts.len(), 2 * 4 * 2);
    for transcript in &transcripts {
        let end = transcript["termination"].as_str().unwrap();
        assert!(ENDS[..4].contains(&end), "{transcript}");
        assert!(
            transcript["turns"].as_array().unwrap().len() >= 2,
            "{transcript}"
        );
    }

    // A toy model plays the people here: it shows the path, not a good simulation.
    let simulator = format!("{{url: \"{}\", model: base}}", base.url);
    let (_, transcripts) = evaluate(&simulator, &base.url, &tuned.url);
    assert_eq!(
        transcripts.len(),
        2 * 4 * 2,
        "transcripts are written, verdict or not"
    );
    for transcript in &transcripts {
        assert!(
            ENDS.contains(&transcript["termination"].as_str().unwrap()),
            "{transcript}"
        );
    }
}

#[test]
fn a_server_with_another_model_is_refused() {
    let base = LlamaServer::start(&models().join("base-q8_0.gguf"), "other");
    base.wait();
    let (code, transcripts) = evaluate("rule-based", &base.url, &base.url);
    assert_eq!(code, 69);
    assert!(transcripts.is_empty());
}
