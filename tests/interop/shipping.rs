//! The commands that a package tells are run as they are, in its directory.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::adapter::request;
use crate::{LlamaServer, models};

fn shipworthy(directory: &std::path::Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_shipworthy"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn llama_server_serves_a_package_by_the_command_it_tells() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, models) = (directory.path(), models());
    let models = models.display();
    let config = format!(
        "project: interop\n\
         personas: {{spec: coaching, count: 3, repeats: 1, max_turns: 2}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {{gguf: \"{models}/base-q8_0.gguf\"}}\n  \
         tuned: {{gguf: \"{models}/tuned-q8_0.gguf\", context: 1024}}\n\
         sampling: {{max_tokens: 24, seed: 7}}\n"
    );
    std::fs::write(directory.join("shipworthy.yaml"), config).unwrap();
    shipworthy(directory, &["eval", "--exit-zero", "--json"]);
    let shipped = shipworthy(
        directory,
        &["ship", "--force", "--out", "package", "--json"],
    );
    let told = shipped["serve"][0]["commands"][0].as_str().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let program = std::env::var("LLAMA_SERVER").expect("`make interop` sets LLAMA_SERVER");
    // On this machine the program has a path, and the port may be taken.
    let command = told
        .replacen("llama-server", &format!("exec '{program}'"), 1)
        .replace("--port 8080", &format!("--port {port}"));
    assert_ne!(command, told);
    println!("{command}");
    let process = Command::new("sh")
        .args(["-c", &command])
        .current_dir(directory.join("package"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = LlamaServer {
        process,
        url: format!("http://127.0.0.1:{port}/v1"),
    };
    let started = Instant::now();
    while !matches!(request(&server, "GET /health", ""), Some((200, _))) {
        assert!(started.elapsed() < Duration::from_secs(60), "{command}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let body = json!({
        "model": "interop-tuned",
        "messages": [{"role": "user", "content": "I cannot sleep."}],
        "max_tokens": 24,
    });
    let answer = request(&server, "POST /v1/chat/completions", &body.to_string());
    let (status, answer) = answer.unwrap();
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["model"], "interop-tuned");
    let said = answer.pointer("/choices/0/message/content").unwrap();
    assert!(!said.as_str().unwrap().trim().is_empty(), "{answer}");
}
