use std::time::Duration;

use serde_json::Value;

use crate::support::fake_hub::{FakeHub, Fault, Misbehaviour, Options, Step, Token};
use crate::support::project::{Done, Project};

const SECRET: &str = "wandb-4f1c9ab37e0d5562";

/// A project with a script and data.
fn project() -> Project {
    let project = Project::new();
    project.write("train.py", "print('training')\n");
    project.write("train.jsonl", "{\"messages\": []}\n");
    project
}

fn token() -> String {
    Token::of_owner().value
}

fn jobs(project: &Project, hub: &FakeHub, arguments: &[&str]) -> Done {
    let mut all = vec!["jobs"];
    all.extend_from_slice(arguments);
    Done::of(
        project
            .command(&all)
            .env("HF_ENDPOINT", hub.url())
            .env("HF_TOKEN", token())
            .env("WANDB_API_KEY", SECRET)
            // Wide enough for a job's id.
            .env("COLUMNS", "120"),
    )
}

const RUN: [&str; 18] = [
    "run",
    "train.py",
    "--memory",
    "20GB",
    "--timeout",
    "2h",
    "--secret",
    "HF_TOKEN",
    "--secret",
    "WANDB_API_KEY",
    "--output-repo",
    "ada/tuned",
    "--expect",
    "adapter_model.safetensors",
    "--last-step",
    "12",
    "--out",
    "tuned",
];

fn push(step: u64) -> Step {
    let title: &'static str = format!("Training in progress, step {step}").leak();
    let weights = vec![u8::try_from(step).unwrap(); 200_000];
    let files = vec![
        ("adapter_model.safetensors".to_owned(), weights),
        ("checkpoint-6/optimizer.pt".to_owned(), vec![1]),
    ];
    Step::Push("models/ada/tuned", title, files)
}

/// A job that writes, pushes at steps 6 and 12, and ends so.
fn training(end: &'static str, message: Option<&'static str>) -> Vec<Step> {
    vec![
        Step::Stage("RUNNING", None),
        Step::Log("loading".to_owned()),
        push(6),
        Step::Log("\u{1b}[31m  loss 0.5 ::error::".to_owned()),
        Step::Pause(Duration::from_millis(100)),
        push(12),
        Step::Stage(end, message),
    ]
}

fn hub(scripts: Vec<Vec<Step>>, faults: Vec<Fault>) -> FakeHub {
    FakeHub::start(Options {
        faults,
        scripts,
        ..Options::default()
    })
}

#[test]
fn a_job_runs_from_data_to_adapter() {
    let hub = hub(vec![training("COMPLETED", None)], Vec::new());
    let project = project();
    let mut arguments = RUN.to_vec();
    arguments.extend([
        "--data",
        "train.jsonl",
        "--data-repo",
        "ada/letters",
        "--json",
    ]);
    let done = jobs(&project, &hub, &arguments);
    assert_eq!(done.code, 0, "{done:?}");
    let result = done.json();
    assert_eq!(result["conclusion"], "done");
    assert_eq!(result["files"], 1, "checkpoints stay: {result}");
    let adapter = std::fs::read(project.path("tuned/adapter_model.safetensors")).unwrap();
    assert_eq!(adapter, vec![12; 200_000]);
    assert!(
        hub.files("datasets/ada/letters")
            .contains_key("train.jsonl")
    );
    let seen = hub.seen();
    let posted = seen
        .iter()
        .find(|seen| seen.line == "POST /api/jobs/ada")
        .unwrap();
    assert_eq!(posted.body["flavor"], "l4x1", "the cheapest that fits");
    assert_eq!(posted.body["timeoutSeconds"], 7200);
    let environment = &posted.body["environment"];
    assert_eq!(environment["SHIPWORTHY_DATA_REPO"], "ada/letters");
    assert_eq!(environment["SHIPWORTHY_OUTPUT_REPO"], "ada/tuned");
    assert!(done.stderr.contains("loading\n"), "{}", done.stderr);
    assert!(
        done.stderr.contains("<U+001B>[31m loss 0.5 : :error: :"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr
            .contains("on l4x1, 0.8000 USD an hour; at most 1.60 USD in 120 min"),
        "{}",
        done.stderr
    );
    no_secret(&project, &done);
}

/// Fails if a secret is in what was printed or in a file of the project.
fn no_secret(project: &Project, done: &Done) {
    for secret in [SECRET, &token()] {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret));
        let mut directories = vec![project.path("")];
        let mut files = 0;
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                files += 1;
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
        assert!(files > 2, "the store among them");
    }
}

#[test]
fn a_job_is_left_and_taken_up_again() {
    let end = ("ERROR", Some("Job failed with exit code: 1"));
    let cut = Fault {
        method: "GET",
        path: "/cdn/",
        after: 0,
        times: 2,
        how: Misbehaviour::Cut(50_000),
    };
    let hub = hub(vec![training(end.0, end.1)], vec![cut]);
    let project = project();
    let mut arguments = RUN.to_vec();
    arguments.push("--detach");
    let begun = jobs(&project, &hub, &arguments);
    assert_eq!(begun.code, 0, "{begun:?}");
    let id = begun.stdout.trim().to_owned();
    assert_eq!(id, format!("ada/{:024x}", 0x687f_b701));

    let waited = jobs(&project, &hub, &["wait", &id]);
    assert_eq!(waited.code, 0, "{waited:?}");
    let said = &waited.stdout;
    assert!(said.contains(": done, ") && said.contains("USD"), "{said}");
    assert!(
        said.contains("though the job says: error: Job failed with exit code: 1"),
        "{said}"
    );
    assert!(said.contains("1 files of ada/tuned are in "), "{said}");
    assert!(project.path("tuned/adapter_model.safetensors").exists());

    let listed = jobs(&project, &hub, &["list", "--all"]);
    assert!(listed.stdout.contains("error (done)"), "{listed:?}");
    let listed = jobs(&project, &hub, &["list", "--json"]);
    assert_eq!(listed.json()["jobs"], Value::Array(vec![]));
    let shown = jobs(&project, &hub, &["inspect", &id]);
    assert!(
        shown
            .stdout
            .contains("ada/tuned: all there, step 12 pushed"),
        "{shown:?}"
    );
    let logs = jobs(&project, &hub, &["logs", id.trim_start_matches("ada/")]);
    assert_eq!(logs.stdout, "loading\n<U+001B>[31m loss 0.5 : :error: :\n");
    no_secret(&project, &begun);
}

#[test]
fn a_failure_is_told_with_its_mend() {
    let line = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.";
    let failing = vec![
        Step::Stage("RUNNING", None),
        push(6),
        Step::Log(line.to_owned()),
        Step::Stage("ERROR", Some("Job failed with exit code: 1")),
    ];
    let short = vec![
        Step::Stage("RUNNING", None),
        push(6),
        Step::Stage("COMPLETED", None),
    ];
    let hub = hub(vec![failing, short], Vec::new());
    let project = project();
    let failed = jobs(&project, &hub, &RUN);
    assert_eq!(failed.code, 65, "{failed:?}");
    assert!(failed.stderr.contains("CUDA out of memory"), "{failed:?}");
    assert!(
        failed
            .stderr
            .contains("hint: ask for a larger card with `--memory`"),
        "{failed:?}"
    );
    assert!(
        failed.stderr.contains("the last step pushed is 6 of 12"),
        "{failed:?}"
    );
    assert!(!project.path("tuned").exists());
    let mut arguments = RUN.to_vec();
    arguments.push("--json");
    let short = jobs(&project, &hub, &arguments);
    assert_eq!(short.code, 65, "{short:?}");
    assert_eq!(short.json()["conclusion"], "incomplete");
    assert_eq!(
        short.json()["missing"].as_array().unwrap().len(),
        2,
        "{short:?}"
    );
}

#[test]
fn what_cannot_go_well_is_refused_before_anything_is_paid() {
    let hub = hub(Vec::new(), Vec::new());
    let project = project();
    let refused = |arguments: &[&str], said: &str| {
        let done = jobs(&project, &hub, arguments);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(said), "{done:?}");
    };
    let run = ["run", "train.py", "--timeout", "2h"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { [run.as_slice(), more].concat() };
    refused(&with(&["--flavour", "h900"]), "no flavour `h900`");
    refused(&with(&["--memory", "500GB"]), "no card with 500.0 GB");
    refused(
        &with(&["--memory", "20GB", "--max-cost", "1"]),
        "may cost 1.60 USD, and `--max-cost` is 1.00",
    );
    refused(
        &with(&["--flavour", "l4x1", "--secret", "HF_TOKEN=hf_x"]),
        "takes the name of a variable",
    );
    refused(
        &with(&["--flavour", "l4x1", "--secret", "NO_SUCH"]),
        "`NO_SUCH` is not set here",
    );
    refused(
        &with(&["--flavour", "l4x1", "--output-repo", "ada/tuned"]),
        "could push nothing",
    );
    refused(
        &with(&[
            "--flavour",
            "l4x1",
            "--output-repo",
            "tuned",
            "--secret",
            "HF_TOKEN",
        ]),
        "the namespace is missing",
    );
    refused(
        &["run", "train.py", "--flavour", "l4x1"],
        "--timeout <TIME>",
    );
    refused(
        &["run", "none.py", "--flavour", "l4x1", "--timeout", "1h"],
        "failed to read script `none.py`",
    );
    refused(&["wait", "a/b/c"], "`a/b/c` is no job");
    assert_eq!(hub.count("POST"), 0);
    let none = Done::of(
        project
            .command(&["jobs", "list"])
            .env("HF_ENDPOINT", hub.url())
            .env_remove("HF_TOKEN")
            .env("HF_HOME", project.path("nowhere")),
    );
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.stderr.contains("hint: set `HF_TOKEN`"), "{none:?}");
}

#[test]
fn the_token_is_found_where_the_hub_s_programs_keep_it() {
    let hub = hub(Vec::new(), Vec::new());
    let project = project();
    std::fs::create_dir(project.path("hf")).unwrap();
    project.write("hf/token", &format!("{}\n", token()));
    let done = Done::of(
        project
            .command(&["jobs", "list"])
            .env("HF_ENDPOINT", hub.url())
            .env_remove("HF_TOKEN")
            .env("HF_HOME", project.path("hf")),
    );
    assert_eq!(done.code, 0, "{done:?}");
    let prices = Done::of(
        project
            .command(&["jobs", "flavours"])
            .env("HF_ENDPOINT", hub.url())
            .env("HF_TOKEN", token()),
    );
    assert!(prices.stdout.contains("4 × L4, 24 GB each"), "{prices:?}");
}

#[test]
fn a_job_is_stopped() {
    let endless = vec![
        Step::Stage("RUNNING", None),
        Step::Pause(Duration::from_secs(30)),
    ];
    let hub = hub(vec![endless], Vec::new());
    let project = project();
    let run = [
        "run",
        "train.py",
        "--flavour",
        "l4x1",
        "--timeout",
        "2h",
        "--detach",
    ];
    let begun = jobs(&project, &hub, &run);
    let id = begun.stdout.trim();
    let stopped = jobs(&project, &hub, &["cancel", id]);
    assert_eq!(stopped.stdout, format!("{id}: stopped\n"));
    let waited = jobs(&project, &hub, &["wait", id]);
    assert_eq!(waited.code, 130, "{waited:?}");
    assert!(waited.stderr.contains("was stopped"), "{waited:?}");
}
