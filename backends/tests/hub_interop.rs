//! The fake Hub of the tests, used by the `hf` command and `huggingface_hub` of Python.
//!
//! What the command line of ours does against that server is only worth something if the server is
//! what others know too.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and shows what it ran"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use shipworthy_backends::Secret;
use shipworthy_backends::hub::{Endpoint, Hub, Patience, RepositoryId, RepositoryKind, Upload};
use shipworthy_backends::jobs::{Conclusion, DEFAULT_IMAGE, Expectation, JobSpec, LogPosition};
use support::fake_hub::{FakeHub, Options, Token};

/// Returns the program `name` beside the Python that `make interop` installed.
fn program(name: &str) -> std::path::PathBuf {
    let python = std::env::var_os("HUB_PYTHON").expect("`make interop` sets HUB_PYTHON");
    Path::new(&python).with_file_name(name)
}

/// Runs a program against the server, with a home of its own; it must succeed. Returns what it wrote
/// to stdout.
fn run(hub: &FakeHub, home: &Path, name: &str, arguments: &[&str]) -> String {
    let output = Command::new(program(name))
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("HF_HOME", home.join("hf"))
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", Token::of_owner().value)
        .env("HF_HUB_DISABLE_XET", "1")
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{name} {arguments:?}:\n{stdout}{stderr}");
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}",
        output.status
    );
    stdout
}

/// Runs `hf`.
fn hf(hub: &FakeHub, home: &Path, arguments: &[&str]) -> String {
    run(hub, home, "hf", arguments)
}

#[test]
fn hf_uploads_and_downloads() {
    let hub = FakeHub::start(Options::default());
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let data = home.join("data");
    std::fs::create_dir_all(data.join("deep")).unwrap();
    let weights: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(data.join("adapter_model.safetensors"), &weights).unwrap();
    std::fs::write(data.join("small.bin"), b"one part").unwrap();
    std::fs::write(data.join("README.md"), "---\nlicense: mit\n---\nhello\n").unwrap();
    std::fs::write(data.join("deep/train.jsonl"), "{\"a\": 1}\n").unwrap();

    let said = hf(&hub, home, &["auth", "whoami"]);
    assert!(said.contains("ada"), "{said}");
    hf(
        &hub,
        home,
        &[
            "repos",
            "create",
            "ada/letters",
            "--type",
            "dataset",
            "--private",
        ],
    );
    let upload = ["upload", "ada/letters", "data", ".", "--type", "dataset"];
    hf(&hub, home, &upload);
    let files = hub.files("datasets/ada/letters");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "README.md",
        "adapter_model.safetensors",
        "deep/train.jsonl",
        "small.bin",
    ];
    assert_eq!(names, expected);
    assert_eq!(files["adapter_model.safetensors"], weights);
    assert!(hub.count("/lfs/part/") > 10, "uploaded in parts");

    let download = [
        "download",
        "ada/letters",
        "--type",
        "dataset",
        "--local-dir",
        "copy",
    ];
    hf(&hub, home, &download);
    for (name, content) in files {
        assert_eq!(
            std::fs::read(home.join("copy").join(name)).unwrap(),
            content
        );
    }
    let seen = hub.seen();
    assert!(seen.iter().any(|seen| seen.line.starts_with("GET /cdn/")));

    let script = "from huggingface_hub import HfApi\n\
        api = HfApi()\n\
        print(sorted(f.path for f in api.list_repo_tree('ada/letters', repo_type='dataset', recursive=True) if hasattr(f, 'size')))\n\
        print([c.title for c in api.list_repo_commits('ada/letters', repo_type='dataset')])\n\
        print(api.get_paths_info('ada/letters', ['small.bin'], repo_type='dataset')[0].lfs.size)\n\
        print(api.repo_info('ada/letters', repo_type='dataset').private, api.file_exists('ada/letters', 'no', repo_type='dataset'))\n\
        print(len(api.list_jobs_hardware()), api.list_jobs_hardware()[1].accelerator.vram)\n";
    let said = run(&hub, home, "python", &["-c", script]);
    assert_eq!(
        said,
        "['README.md', 'adapter_model.safetensors', 'deep/train.jsonl', 'small.bin']\n\
         ['Upload folder using huggingface_hub', 'initial commit']\n8\nTrue False\n7 16 GB\n"
    );
}

#[test]
fn hf_runs_jobs() {
    let hub = FakeHub::start(Options::default());
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let said = hf(
        &hub,
        home,
        &[
            "jobs",
            "run",
            "--timeout",
            "5m",
            "--env",
            "GREETING=good day",
            "--secrets",
            "HF_TOKEN",
            "python:3.12",
            "sh",
            "-c",
            "echo $GREETING; echo ${#HF_TOKEN}",
        ],
    );
    assert!(said.contains("good day"), "{said}");
    assert!(
        said.contains(&Token::of_owner().value.len().to_string()),
        "{said}"
    );
    let id = format!("{:024x}", 0x687f_b701);
    assert!(said.contains(&id), "{said}");
    let job = hub.job(&id);
    assert_eq!(job["status"]["stage"], "COMPLETED");
    let spec = hub
        .seen()
        .into_iter()
        .find(|seen| seen.line == "POST /api/jobs/ada");
    assert_eq!(spec.unwrap().body["timeoutSeconds"], 300);

    let long = [
        "jobs",
        "run",
        "--detach",
        "python:3.12",
        "sh",
        "-c",
        "echo begun; exec sleep 100",
    ];
    hf(&hub, home, &long);
    let second = format!("{:024x}", 0x687f_b702);
    let said = hf(&hub, home, &["jobs", "ps", "--format", "json"]);
    assert!(said.contains(&second) && !said.contains(&id), "{said}");
    let said = hf(&hub, home, &["jobs", "ps", "--all", "--format", "json"]);
    assert!(said.contains(&second) && said.contains(&id), "{said}");
    hf(&hub, home, &["jobs", "cancel", &second]);
    let said = hf(&hub, home, &["jobs", "logs", &second]);
    assert!(said.contains("begun"), "{said}");
    let said = hf(
        &hub,
        home,
        &["jobs", "inspect", &second, "--format", "json"],
    );
    assert!(said.contains("CANCELED"), "{said}");
    let said = hf(&hub, home, &["jobs", "hardware"]);
    assert!(said.contains("a100-large"), "{said}");
}

/// What a job does with the Hub's own library: takes the data, leaves a model.
const SCRIPT: &str = "\
# /// script
# dependencies = [\"huggingface_hub==2.4.0\"]
# ///
import os
from huggingface_hub import HfApi, hf_hub_download
data = hf_hub_download('ada/letters', 'train.jsonl', repo_type='dataset')
print('rows', len(open(data).readlines()))
os.makedirs('out')
for step in (6, 12):
    open('out/adapter_model.safetensors', 'wb').write(bytes([step]) * 300_000)
    title = f'Training in progress, step {step}'
    HfApi().upload_folder(repo_id='ada/tuned', folder_path='out', commit_message=title)
raise SystemExit(1)
";

#[tokio::test]
async fn a_job_of_ours_works_with_the_library_of_the_hub() {
    let programs = tempfile::tempdir().unwrap();
    let uv = programs.path().join("uv");
    let python = program("python");
    let text = format!("#!/bin/sh\nshift\nexec {} \"$@\"\n", python.display());
    std::fs::write(&uv, text).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&uv, executable).unwrap();
    let server = FakeHub::start(Options {
        programs: Some(programs.path().to_owned()),
        ..Options::default()
    });
    let token = Secret::new(Token::of_owner().value);
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    let hub = Hub::new(endpoint, Some(token.clone()), Patience::default()).unwrap();
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("train.jsonl"), "{}\n{}\n{}\n").unwrap();
    let dataset = RepositoryId::parse(RepositoryKind::Dataset, "ada/letters").unwrap();
    let model = RepositoryId::parse(RepositoryKind::Model, "ada/tuned").unwrap();
    hub.create(&dataset, true).await.unwrap();
    hub.create(&model, true).await.unwrap();
    let files = Upload::all_in(here.path()).unwrap();
    hub.upload(&dataset, &files, "Upload letters")
        .await
        .unwrap();
    let expected = Expectation {
        since: hub.head(&model).await.unwrap(),
        repository: model.clone(),
        files: vec!["adapter_model.safetensors".to_owned()],
        last_step: Some(12),
    };
    let environment = [
        ("HF_ENDPOINT", server.url()),
        ("HF_HUB_DISABLE_XET", "1".to_owned()),
    ];
    let spec = JobSpec {
        name: "letters".to_owned(),
        image: DEFAULT_IMAGE.to_owned(),
        script: SCRIPT.to_owned(),
        arguments: Vec::new(),
        flavour: "cpu-basic".to_owned(),
        timeout: Duration::from_secs(300),
        environment: BTreeMap::from(environment.map(|(name, value)| (name.to_owned(), value))),
        secrets: BTreeMap::from([("HF_TOKEN".to_owned(), token)]),
    };
    let job = hub.submit("ada", &spec).await.unwrap();
    let mut log = Vec::new();
    let mut position = LogPosition::default();
    let mut told = |line: &shipworthy_backends::jobs::LogLine| log.push(line.text.clone());
    let job = hub.follow(&job.id, &mut position, &mut told).await.unwrap();
    assert!(log.contains(&"rows 3".to_owned()), "{log:?}");
    let proof = hub.prove(&expected).await.unwrap();
    let conclusion = Conclusion::of(&job, Some(&proof), &log);
    let despite = Some("error: Job failed with exit code: 1".to_owned());
    assert_eq!(conclusion, Conclusion::Done { despite });
    let commit = proof.commit.unwrap();
    let listed = hub.files(&model, &commit).await.unwrap();
    let there = here.path().join("tuned");
    hub.download(&model, &commit, &listed, &there, &mut |_, _| {})
        .await
        .unwrap();
    let adapter = std::fs::read(there.join("adapter_model.safetensors")).unwrap();
    assert_eq!(adapter, vec![12; 300_000]);
}
