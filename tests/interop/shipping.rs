//! The commands that a package tells are run as they are, in its directory.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::adapter::request;
use crate::servers::{OFFLINE, Project};
use crate::{LlamaServer, models};

fn shipworthy(directory: &Path, arguments: &[&str]) -> Value {
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
    let program = std::env::var("LLAMA_SERVER").expect("`make interop` sets LLAMA_SERVER");
    let command = told.replacen("llama-server", &format!("exec '{program}'"), 1);
    let server = serve(&directory.join("package"), &command, "--port 8080");
    let said = says(&server, "interop-tuned");
    assert!(!said.trim().is_empty());
}

/// Starts a server by `command`, at a port that is free instead of the one it names, and waits for it.
fn serve(directory: &Path, command: &str, port: &str) -> LlamaServer {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    assert!(command.contains(port), "{command}");
    let command = command.replace(port, &format!("--port {free}"));
    println!("{command}");
    let process = Command::new("sh")
        .args(["-c", &command])
        .current_dir(directory)
        .envs(OFFLINE)
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut server = LlamaServer {
        process,
        url: format!("http://127.0.0.1:{free}/v1"),
    };
    let started = Instant::now();
    while !matches!(request(&server, "GET /health", ""), Some((200, _))) {
        assert!(started.elapsed() < Duration::from_secs(600), "{command}");
        let ended = server.process.try_wait().unwrap();
        assert!(ended.is_none(), "{command}: {ended:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    server
}

/// Returns what a server says as `model`, without chance.
fn says(server: &LlamaServer, model: &str) -> String {
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": "I cannot sleep."}],
        "max_tokens": 12,
        "temperature": 0,
    });
    let answer = request(server, "POST /v1/chat/completions", &body.to_string());
    let (status, answer) = answer.unwrap();
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["model"], model);
    let said = answer.pointer("/choices/0/message/content").unwrap();
    said.as_str().unwrap().to_owned()
}

#[test]
fn vllm_serves_a_package_by_the_commands_it_tells() {
    let Ok(program) = std::env::var("VLLM") else {
        println!("VLLM names no vLLM: left out");
        return;
    };
    let project = Project::new(
        "models: {base: {gguf: base.gguf}}\n\
         loop: {candidates: [tuned.yaml], quantize: f16, sanity_checks: false}\n",
    );
    project.make_servable_by_vllm(&program);
    let line = json!({"messages": [
        {"role": "user", "content": "I cannot sleep."},
        {"role": "assistant", "content": "It sounds like a long night."},
    ]});
    std::fs::write(project.path("data.jsonl"), format!("{line}\n").repeat(8)).unwrap();
    std::fs::write(
        project.path("tuned.yaml"),
        "model: base\ndataset: data.jsonl\noutput_dir: unused\nmethod: lora\nlora_r: 4\nlora_alpha: 16\n\
         max_length: 256\nlearning_rate: 1e-2\nmax_steps: 8\n",
    )
    .unwrap();
    for arguments in [
        &[
            "gguf",
            "--model",
            "base",
            "--type",
            "f16",
            "--out",
            "base.gguf",
        ][..],
        &["loop", "--exit-zero"],
        &["ship", "tuned", "--force", "--merged", "--out", "package"],
    ] {
        assert!(project.run(arguments).status.success());
    }
    let shipped = std::fs::read_to_string(project.path("package/README.md")).unwrap();
    let told = shipped
        .lines()
        .filter(|line| line.starts_with("vllm serve "));
    let of_each: Vec<(String, String)> = told
        .map(|told| {
            // This machine has no card and little room.
            let command = told.replacen("vllm", &format!("exec '{program}'"), 1)
                + " --dtype float32 --enforce-eager --max-model-len 256";
            let server = serve(&project.path("package"), &command, "--port 8000");
            (command, says(&server, "interop-tuned"))
        })
        .collect();
    let [(_, merged), (_, adapted)] = &of_each[..] else {
        panic!("a merged checkpoint, and an adapter: {of_each:?}");
    };
    assert_eq!(merged, adapted);
    assert!(!merged.trim().is_empty());
}
