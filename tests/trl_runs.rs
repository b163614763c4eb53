//! Scripts that train with the real TRL; `make interop` names a Python that has it in `TRL_PYTHON`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use test_case::test_case;

use crate::support::fake_hub::{FakeHub, Options, Token};
use crate::support::project::{Done, Project, json_lines};
use crate::trl::project;

/// A project whose script is run by the Python with TRL, and whose configuration `changes` are made in.
fn ready(more: &str, changes: &[(&str, &str)]) -> Project {
    let project = project(more);
    let python = std::env::var("TRL_PYTHON").expect("`make interop` sets TRL_PYTHON");
    let mut text = project.read("finetune_config.yaml");
    text = text.replace("python: python3", &format!("python: {python}"));
    for (from, to) in changes {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        text = changed;
    }
    project.write("finetune_config.yaml", &text);
    project
}

fn trained(project: &Project, arguments: &[&str]) -> Value {
    let done = project.run(arguments);
    let log = std::fs::read_to_string(project.path("tuned/train.log")).unwrap_or_default();
    assert_eq!(done.code, 0, "{done:?}\n{log}");
    serde_json::from_str(&project.read("tuned/training_summary.json")).unwrap()
}

fn losses(project: &Project) -> Vec<f64> {
    let lines = json_lines(&project.read("tuned/metrics.jsonl"));
    lines
        .iter()
        .filter_map(|line| line["loss"].as_f64())
        .collect()
}

const PREFERENCES: [(&str, &str); 1] = [("train.jsonl", "preferences.jsonl")];
const QLORA: [(&str, &str); 1] = [("method: lora", "method: qlora")];

#[test_case("", &[]; "replies")]
#[test_case("", &QLORA; "replies in four bits")]
#[test_case("objective: dpo\n", &PREFERENCES; "preferences")]
fn adapters_are_trained_and_merged(more: &str, changes: &[(&str, &str)]) {
    let project = ready(more, changes);
    let summary = trained(&project, &["train"]);
    assert_eq!(summary["ending"], "finished");
    assert_eq!(summary["steps"], 4);
    assert_eq!(summary["versions"]["trl"], "1.16.0");
    assert_eq!(losses(&project).len(), 4);
    let lineage: Value = serde_json::from_str(&project.read("tuned/lineage.json")).unwrap();
    assert_eq!(lineage["trainer"]["name"], "trl");
    // What our own reader makes of the adapter: a merged model that is another than the base.
    let merged = [
        "merge",
        "--base",
        "base",
        "--adapter",
        "tuned",
        "--out",
        "merged",
    ];
    let done = project.run(&merged);
    assert_eq!(done.code, 0, "{done:?}");
    let weights = |name: &str| std::fs::read(project.path(name).join("model.safetensors")).unwrap();
    assert_ne!(weights("base"), weights("merged"));
    let done = project.run(&[
        "gguf", "--model", "merged", "--type", "f32", "--out", "m.gguf",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test_case("ddp")]
#[test_case("fsdp")]
#[test_case("zero2")]
#[test_case("zero3")]
fn two_processes_come_to_the_losses_of_one(kind: &str) {
    let one = ready("", &[]);
    trained(&one, &["train"]);
    let more = format!("num_processes: 2\ndistributed: {kind}\n");
    let shared = [(
        "gradient_accumulation_steps: 2",
        "gradient_accumulation_steps: 1",
    )];
    let two = ready(&more, &shared);
    let summary = trained(&two, &["train"]);
    assert_eq!(summary["processes"], 2);
    let (one, two) = (losses(&one), losses(&two));
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(&two) {
        assert!((one - two).abs() < 1e-3, "{one} {two}");
    }
}

/// The script as a job runs it, with the Hub's own Python packages talking to a Hub that is not theirs.
#[test]
fn a_job_trains_and_pushes_what_comes_here() {
    let python = std::env::var("TRL_PYTHON").expect("`make interop` sets TRL_PYTHON");
    let project = project("");
    let programs = tempfile::tempdir().unwrap();
    let uv = programs.path().join("uv");
    // The Hub that is not theirs takes files as git's large file storage has them.
    let shell = format!("#!/bin/sh\nshift\nHF_HUB_DISABLE_XET=1 exec {python} \"$@\"\n");
    std::fs::write(&uv, shell).unwrap();
    std::fs::set_permissions(&uv, std::fs::Permissions::from_mode(0o755)).unwrap();
    let hub = FakeHub::start(Options {
        programs: Some(programs.path().to_owned()),
        ..Options::default()
    });
    let entries = std::fs::read_dir(project.path("base")).unwrap();
    let files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let content = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), content)
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    hub.push("models/ada/base", "Begin", &files);
    // The weights are at the Hub alone.
    let weights = project.path("base/model.safetensors");
    let kept = std::fs::read(&weights).unwrap();
    std::fs::remove_file(&weights).unwrap();
    let text = project.read("finetune_config.yaml");
    let text = text.replace("trainer: trl\npython: python3\n", "trainer: hf_jobs\n")
        + "hub_model_id: ada/tuned\nhf_jobs:\n  model: ada/base\n  dataset_repo: ada/letters\n  \
           flavour: cpu-basic\n  timeout: 30m\n";
    project.write("finetune_config.yaml", &text);
    let mut command = project.command(&["train"]);
    let token = Token::of_owner().value;
    command
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", &token);
    let done = Done::of(&mut command);
    let log = std::fs::read_to_string(project.path("tuned/train.log")).unwrap_or_default();
    assert_eq!(done.code, 0, "{done:?}\n{log}");
    let summary: Value =
        serde_json::from_str(&project.read("tuned/training_summary.json")).unwrap();
    assert_eq!(summary["versions"]["trl"], "1.16.0");
    let titles = hub.titles("models/ada/tuned");
    assert_eq!(titles[0], "Step 4 of 4", "{titles:?}");
    assert!(
        !log.contains(&token) && losses(&project).len() == 4,
        "{log}"
    );
    // The adapter is one for our own reader, on the base as it is here.
    std::fs::write(&weights, kept).unwrap();
    let done = project.run(&[
        "merge",
        "--base",
        "base",
        "--adapter",
        "tuned",
        "--out",
        "merged",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    // The same script trains to the same losses here.
    let here = ready("", &[]);
    trained(&here, &["train"]);
    for (one, other) in losses(&here).iter().zip(&losses(&project)) {
        assert!((one - other).abs() < 1e-5, "{one} {other}");
    }
}

#[test]
fn a_run_that_is_stopped_saves_and_goes_on() {
    let whole = ready("", &[("max_steps: 4", "max_steps: 40")]);
    trained(&whole, &["train"]);
    let project = ready("", &[("max_steps: 4", "max_steps: 40")]);
    let mut command = project.command(&["train"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let metrics = project.path("tuned/metrics.jsonl");
    while !std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 2) {
        assert!(
            begun.elapsed() < Duration::from_secs(600),
            "no step was taken"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("--resume"), "{stderr}");
    let stopped = losses(&project).len();
    assert!(stopped < 40, "{stopped}");
    let summary = trained(&project, &["train", "--resume"]);
    assert_eq!(summary["ending"], "finished");
    assert_eq!(summary["steps"], 40);
    let (whole, resumed) = (losses(&whole), losses(&project));
    assert_eq!(whole.len(), resumed.len());
    for (one, other) in whole.iter().zip(&resumed) {
        assert!((one - other).abs() < 1e-4, "{one} {other}");
    }
    // Another run does not take its place.
    let again = Done::of(&mut project.command(&["train"]));
    assert_eq!(again.code, 2, "{again:?}");
}
