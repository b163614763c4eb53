//! `trainer: hf_jobs`: from conversations here, over a job at the Hub, to an adapter and its records here.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use test_case::test_case;

use crate::support::fake_hub::{FakeHub, Fault, Misbehaviour, Options, Token};
use crate::support::golden::copy;
use crate::support::project::{Done, Project, json_lines};
use crate::trl;

const SECRET: &str = "wandb-4f1c9ab37e0d5562";

/// Lines matter to the tests of mistakes.
const CONFIG: &str = "\
model: base
dataset: train.jsonl
output_dir: tuned
trainer: hf_jobs
method: lora
lora_r: 4
lora_alpha: 8
max_length: 256
max_steps: 4
save_steps: 2
hub_model_id: ada/tuned
hf_jobs:
  model: ada/base
  dataset_repo: ada/letters
  secrets: [WANDB_API_KEY]
";

/// Programs that jobs find, gone when dropped.
pub(crate) struct Programs(tempfile::TempDir);

impl Programs {
    /// Has a stand-in for `uv` that behaves so.
    pub(crate) fn behaving(behaviour: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let uv = place.path().join("uv");
        std::fs::write(&uv, include_str!("support/fake_hub/uv.py")).unwrap();
        std::fs::write(place.path().join("behaviour"), behaviour).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&uv, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(place)
    }

    /// Has the jobs that begin from now on behave so.
    pub(crate) fn behave(&self, behaviour: &str) {
        std::fs::write(self.0.path().join("behaviour"), behaviour).unwrap();
    }

    /// Has jobs leave the files of this directory for an adapter.
    pub(crate) fn leave(&self, adapter: &Path) {
        copy(adapter, &self.0.path().join("adapter"));
    }

    pub(crate) fn hub(&self, project: &Project, faults: Vec<Fault>) -> FakeHub {
        let options = Options {
            faults,
            programs: Some(self.0.path().to_owned()),
            ..Options::default()
        };
        with_base(project, options)
    }
}

/// A Hub that has the project's model.
fn with_base(project: &Project, options: Options) -> FakeHub {
    let hub = FakeHub::start(options);
    let read = |name: &str| std::fs::read(project.path("base").join(name)).unwrap();
    let (config, tokenizer) = (read("config.json"), read("tokenizer.json"));
    let files = [
        ("config.json", config.as_slice()),
        ("tokenizer.json", tokenizer.as_slice()),
    ];
    hub.push("models/ada/base", "Begin", &files);
    hub
}

/// A project with conversations and a model without its weights, which are at the Hub alone.
fn project(more: &str) -> Project {
    let project = trl::project("");
    std::fs::remove_file(project.path("base/model.safetensors")).unwrap();
    project.write("finetune_config.yaml", &format!("{CONFIG}{more}"));
    project
}

pub(crate) fn command(
    project: &Project,
    hub: &FakeHub,
    arguments: &[&str],
) -> std::process::Command {
    let mut command = project.command(arguments);
    command
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", Token::of_owner().value)
        .env("WANDB_API_KEY", SECRET)
        .env("COLUMNS", "120");
    command
}

fn ship(project: &Project, hub: &FakeHub, arguments: &[&str]) -> Done {
    Done::of(&mut command(project, hub, arguments))
}

fn report(project: &Project) -> Value {
    serde_json::from_str(&project.read("tuned/finetune_report.json")).unwrap()
}

fn losses(project: &Project) -> Vec<f64> {
    let lines = json_lines(&project.read("tuned/metrics.jsonl"));
    let losses = lines.iter().filter_map(|line| line["loss"].as_f64());
    losses.collect()
}

/// Fails if a secret is in what was printed, in a file of the project, or in what all may see of the job.
pub(crate) fn no_secret(project: &Project, hub: &FakeHub, done: &Done) {
    let posted: Vec<Value> = hub
        .seen()
        .into_iter()
        .filter(|seen| seen.line.starts_with("POST /api/jobs/"))
        .map(|mut seen| {
            seen.body.as_object_mut().map(|body| body.remove("secrets"));
            seen.body
        })
        .collect();
    let posted = Value::Array(posted).to_string();
    for secret in [SECRET, &Token::of_owner().value] {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret));
        assert!(!posted.contains(secret));
        let mut directories = vec![project.path("")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap();
                let mut parts = bytes.windows(secret.len());
                assert!(
                    !parts.any(|part| part == secret.as_bytes()),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_model_is_trained_at_the_hub_and_its_records_are_here() {
    let project = project("eval_dataset: eval.jsonl\neval_steps: 2\n");
    let held_out = project.read("train.jsonl").replace("bird", "tree");
    project.write("eval.jsonl", &held_out);
    let programs = Programs::behaving("tell");
    let hub = programs.hub(&project, Vec::new());
    let done = ship(&project, &hub, &["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    for said in [
        "l4x1 (1 × L4), 0.8000 USD an hour",
        "ada/base at ",
        "min, so at most ",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    for said in [
        "uploaded 2 files to ada/letters",
        "Installed 74 packages",
        "job ada/",
        "USD so far",
        "adapter_model.safetensors: ",
    ] {
        assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
    }
    let report = report(&project);
    assert_eq!(report["ending"]["kind"], "finished");
    assert_eq!(report["trainer"]["name"], "hf_jobs");
    assert_eq!(report["metrics"]["global_step"], 4);
    assert_eq!(report["trainable_parameters"], 3712);
    assert_eq!(report["base"]["digest"], Value::Null);
    let base = report["base"]["model"].as_str().unwrap();
    assert!(base.starts_with("ada/base@") && base.len() == 49, "{base}");
    assert_eq!(losses(&project), [3.0, 2.0, 1.0, 0.0]);
    assert_eq!(report["best"]["eval_loss"], 1.0);
    let adapter = std::fs::read(project.path("tuned/adapter_model.safetensors")).unwrap();
    assert_eq!(adapter[adapter.len() - 4..], 4.0_f32.to_le_bytes());
    let listed: Vec<&str> = report["artefacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artefact| artefact["path"].as_str().unwrap())
        .collect();
    assert!(listed.contains(&"adapter_model.safetensors"), "{listed:?}");
    for name in [
        "lineage.json",
        "finetune_report.md",
        "finetune_config.yaml",
        "train.log",
    ] {
        assert!(project.path("tuned").join(name).exists(), "{name}");
    }
    // What is learnt there are the tokens that were counted here.
    let uploaded = hub.files("datasets/ada/letters");
    let tokens = project.read("tuned/tokens/train.jsonl");
    assert!(
        uploaded
            .values()
            .any(|content| content == tokens.as_bytes())
    );
    let seen = hub.seen();
    let posted = seen.iter().find(|seen| seen.line == "POST /api/jobs/ada");
    let posted = &posted.unwrap().body;
    assert_eq!(posted["flavor"], "l4x1", "the cheapest for so short a run");
    assert!(posted["timeoutSeconds"].as_u64().unwrap() >= 3600);
    // The job wrote its secrets, and they are nowhere.
    assert!(project.read("tuned/train.log").contains("token *** ***"));
    no_secret(&project, &hub, &done);

    let listed = ship(&project, &hub, &["jobs", "list", "--all"]);
    assert!(
        listed.stdout.contains("tuned") && listed.stdout.contains("done"),
        "{listed:?}"
    );
    // What is there is not trained over.
    let again = ship(&project, &hub, &["train"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(
        again.stderr.contains("has another run's"),
        "{}",
        again.stderr
    );
}

#[test]
fn before_anything_is_paid_it_is_told() {
    let project = project("");
    let programs = Programs::behaving("");
    let hub = programs.hub(&project, Vec::new());
    let done = ship(&project, &hub, &["train", "--dry-run", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let job = &done.json()["job"];
    assert_eq!(job["flavour"], "l4x1");
    assert!(job["hours"].as_f64().unwrap() >= 0.25);
    let (usd, most) = (
        job["usd"].as_f64().unwrap(),
        job["most_usd"].as_f64().unwrap(),
    );
    assert!(usd > 0.0 && most > usd, "{job}");
    assert_eq!(hub.count("POST"), 0);
    assert!(!project.path("tuned").exists());
}

#[test_case("  flavour: h900\n", "the Hub has no flavour `h900`"; "no such machine")]
#[test_case("  timeout: 10h\n  max_cost_usd: 2\n", "600 min on `l4x1` may cost 8.00 USD, and `max_cost_usd` is 2"; "too much")]
#[test_case("  revision: nowhere\n", "has no model `ada/base` with a revision `nowhere`"; "no such revision")]
#[test_case("  flavour: cpu-basic\ndevice: cpu\n", "nobody knows how long it takes on `cpu-basic`: give a `timeout`"; "unknown speed")]
#[test_case("num_processes: 8\n", "no machine of the Hub has 8 of the cards"; "too many cards")]
fn what_cannot_go_well_is_refused(more: &str, said: &str) {
    let project = project(more);
    let programs = Programs::behaving("");
    let hub = programs.hub(&project, Vec::new());
    let done = ship(&project, &hub, &["train"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr
            .contains("finetune_config.yaml:13:3: field `hf_jobs`: "),
        "{done:?}"
    );
    assert!(done.stderr.contains(said), "{}", done.stderr);
    assert_eq!(hub.count("POST"), 0);
}

#[test]
fn another_tokenizer_at_the_hub_is_refused() {
    let project = project("");
    let programs = Programs::behaving("");
    let hub = programs.hub(&project, Vec::new());
    hub.push("models/ada/base", "Change", &[("tokenizer.json", b"{}")]);
    let done = ship(&project, &hub, &["train"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr
            .contains("`tokenizer.json` of `ada/base` at the Hub is another one"),
        "{}",
        done.stderr
    );
    assert_eq!(hub.count("POST"), 0);
}

#[test]
fn data_goes_to_no_place_that_everybody_may_read() {
    let project = project("");
    let programs = Programs::behaving("");
    let hub = programs.hub(&project, Vec::new());
    let open = [
        "data",
        "push",
        "ada/letters",
        "finetune_config.yaml",
        "--public",
    ];
    let pushed = ship(&project, &hub, &open);
    assert_eq!(pushed.code, 0, "{pushed:?}");
    let commits = hub.count("/commit/");
    let done = ship(&project, &hub, &["train"]);
    done.assert_fails(2, "everybody may read `ada/letters`");
    assert_eq!(hub.count("/commit/"), commits);
}

#[test]
fn secrets_that_are_not_set_and_tokens_without_permission_are_told() {
    let project = project("");
    let programs = Programs::behaving("");
    let hub = programs.hub(&project, Vec::new());
    let done = Done::of(command(&project, &hub, &["train"]).env_remove("WANDB_API_KEY"));
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr
            .contains("secret `WANDB_API_KEY` is not set here"),
        "{done:?}"
    );
    assert_eq!(hub.count("POST"), 0);

    let reader = Token {
        value: "hf_fakeReaderToken99887766".to_owned(),
        may_write: false,
        ..Token::of_owner()
    };
    let no_jobs = Token {
        value: "hf_fakeUploaderToken5544332".to_owned(),
        may_run_jobs: false,
        ..Token::of_owner()
    };
    let options = Options {
        tokens: vec![reader.clone(), no_jobs.clone(), Token::of_owner()],
        ..Options::default()
    };
    let hub = with_base(&project, options);
    for (token, said) in [
        (reader, "You don't have the rights to create a repository"),
        (no_jobs, "lacks the permission to start and manage jobs"),
    ] {
        let done = Done::of(command(&project, &hub, &["train"]).env("HF_TOKEN", &token.value));
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(said), "{}", done.stderr);
        assert!(
            done.stderr.contains("hint: give the token the permission"),
            "{done:?}"
        );
        assert!(!done.stderr.contains(&token.value));
        assert!(!project.path("tuned/hub_job.json").exists());
    }
}

/// Faults of the network: the log ends early and is cut, and a download is cut twice and damaged once.
fn bad_network() -> Vec<Fault> {
    let fault = |path, after, times, how| Fault {
        method: "GET",
        path,
        after,
        times,
        how,
    };
    vec![
        fault("/logs", 0, 1, Misbehaviour::EndEvents(3)),
        fault("/logs", 0, 1, Misbehaviour::CutEvents(4)),
        fault("/logs", 0, 1, Misbehaviour::Hangup),
        fault("/resolve/", 2, 2, Misbehaviour::Cut(40)),
    ]
}

#[test]
fn a_bad_network_changes_nothing() {
    let project = project("");
    let programs = Programs::behaving("slow");
    let hub = programs.hub(&project, bad_network());
    let done = ship(&project, &hub, &["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(losses(&project), [3.0, 2.0, 1.0, 0.0], "each step once");
    assert!(hub.count("/logs") >= 4);
    let log = project.read("tuned/train.log");
    assert_eq!(log.matches("Installed 74 packages").count(), 1, "{log}");
}

#[test_case("after", true; "after the last push")]
#[test_case("late", false; "after the last step was pushed")]
fn a_job_that_fails_too_late_is_done(behaviour: &str, has_summary: bool) {
    let project = project("");
    let programs = Programs::behaving(behaviour);
    let hub = programs.hub(&project, Vec::new());
    let done = ship(&project, &hub, &["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let report = report(&project);
    assert_eq!(report["ending"]["kind"], "finished");
    assert_eq!(report["metrics"]["global_step"], 4);
    let loss = &report["metrics"]["train_loss"];
    assert_eq!(loss == 2.0, has_summary, "{loss}");
    let said = "though job ada/";
    assert!(report["warnings"].to_string().contains(said), "{report}");
    assert!(done.stderr.contains(said), "{}", done.stderr);
    assert!(project.path("tuned/adapter_model.safetensors").exists());
}

#[test]
fn weights_that_are_not_the_best_are_not_enough() {
    let project = project("eval_dataset: eval.jsonl\neval_steps: 2\n");
    let held_out = project.read("train.jsonl").replace("bird", "tree");
    project.write("eval.jsonl", &held_out);
    let programs = Programs::behaving("late");
    let hub = programs.hub(&project, Vec::new());
    let done = ship(&project, &hub, &["train"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr.contains("`training_summary.json` is not there"),
        "{done:?}"
    );
}

#[test_case("memory", "CUDA out of memory", "per_device_train_batch_size"; "memory")]
#[test_case("short", "ended well, and not all is there", "the end of `train.log`"; "nothing pushed")]
#[test_case("nan", "the loss at step 1 is not a number", ""; "no number")]
fn failures_are_told_with_their_mend(behaviour: &str, said: &str, mend: &str) {
    let project = project("");
    let programs = Programs::behaving(behaviour);
    let hub = programs.hub(&project, Vec::new());
    let done = ship(&project, &hub, &["train"]);
    assert!([65, 69].contains(&done.code), "{done:?}");
    assert!(done.stderr.contains(said), "{}", done.stderr);
    assert!(done.stderr.contains(mend), "{}", done.stderr);
    assert!(!project.path("tuned/adapter_model.safetensors").exists());
    let kept: Value = serde_json::from_str(&project.read("tuned/hub_job.json")).unwrap();
    assert_ne!(kept["job"]["conclusion"], Value::Null);
    no_secret(&project, &hub, &done);
    if behaviour == "short" {
        assert_eq!(report(&project)["ending"]["kind"], "failed");
    }
    // The next try is a job of its own.
    programs.behave("");
    let again = ship(&project, &hub, &["train"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(hub.count("POST /api/jobs/ada"), 2);
}

#[test]
fn a_job_is_left_and_taken_up_again() {
    let project = project("");
    let programs = Programs::behaving("slow");
    let hub = programs.hub(&project, Vec::new());
    let begun = ship(&project, &hub, &["train", "--detach"]);
    assert_eq!(begun.code, 0, "{begun:?}");
    let id = begun.stdout.lines().last().unwrap().to_owned();
    assert!(id.starts_with("ada/"), "{begun:?}");
    // It is not started twice.
    let twice = ship(&project, &hub, &["train"]);
    assert_eq!(twice.code, 2, "{twice:?}");
    assert!(
        twice.stderr.contains("was not brought to its end"),
        "{}",
        twice.stderr
    );
    assert!(twice.stderr.contains("train --resume"), "{}", twice.stderr);
    let waited = ship(&project, &hub, &["jobs", "wait", &id]);
    assert_eq!(waited.code, 0, "{waited:?}");
    assert_eq!(report(&project)["ending"]["kind"], "finished");
    assert_eq!(losses(&project).len(), 4);
    assert_eq!(hub.count("POST /api/jobs/ada"), 1);
    no_secret(&project, &hub, &waited);
}

#[test]
fn who_stops_watching_stops_nothing() {
    let project = project("");
    let programs = Programs::behaving("slow");
    let hub = programs.hub(&project, Vec::new());
    let child = command(&project, &hub, &["train"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !project.path("tuned/metrics.jsonl").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "no step was told"
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
    for said in [
        "the job goes on; `shipworthy jobs wait ada/",
        "jobs cancel ada/",
    ] {
        assert!(stderr.contains(said), "{stderr}");
    }
    // It is no failed run that stands there.
    assert!(!project.path("tuned/finetune_report.json").exists());
    let resumed = ship(&project, &hub, &["train", "--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(losses(&project), [3.0, 2.0, 1.0, 0.0]);
    assert_eq!(hub.count("/cancel"), 0);
}

#[test]
fn a_job_that_was_stopped_is_no_model() {
    let project = project("");
    let programs = Programs::behaving("slow");
    let hub = programs.hub(&project, Vec::new());
    let begun = ship(&project, &hub, &["train", "--detach"]);
    let id = begun.stdout.lines().last().unwrap().to_owned();
    ship(&project, &hub, &["jobs", "cancel", &id]);
    let resumed = ship(&project, &hub, &["train", "--resume"]);
    assert_eq!(resumed.code, 69, "{resumed:?}");
    assert!(resumed.stderr.contains("was stopped"), "{}", resumed.stderr);
}
