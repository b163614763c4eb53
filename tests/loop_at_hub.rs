//! Candidates with `trainer: hf_jobs`: jobs are begun once, taken up, paid for and told of.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::candidates::{self, CONFIG};
use crate::support::fake_hub::FakeHub;
use crate::support::golden::golden;
use crate::support::project::{Done, Project};
use crate::train_at_hub::{Programs, command, no_secret};

/// Of an hour on an `l4x1`, which is 0.80 USD at most.
const RENTED: &str = "\
model: base
dataset: words.jsonl
output_dir: not/here
trainer: hf_jobs
method: lora
lora_r: 4
lora_alpha: 8
max_length: 256
max_steps: 12
save_steps: 4
hub_model_id: ada/tuned
hf_jobs:
  model: ada/base
  dataset_repo: ada/letters
  secrets: [WANDB_API_KEY]
  timeout: 60m
";

/// A project whose candidates are trained at the Hub, in a directory of their own.
fn project(names: &[&str], more: &str) -> Project {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("how/{name}.yaml"))
        .collect();
    let config = CONFIG.replace("short.yaml, harmful.yaml, good.yaml", &names.join(", "));
    let project = candidates::project(&(config + more));
    std::fs::create_dir(project.path("how")).unwrap();
    for (index, name) in names.iter().enumerate() {
        let rented = RENTED
            .replace("model: base", "model: ../base")
            .replace("words.jsonl", "../words.jsonl")
            .replace("max_steps: 12", &format!("max_steps: {}", 12 + index));
        project.write(name, &rented);
    }
    project
}

/// A Hub with the project's base, whose jobs behave so and leave an adapter that fits it.
fn hub(project: &Project, behaviour: &str) -> (Programs, FakeHub) {
    let programs = Programs::behaving(behaviour);
    programs.leave(&golden("lora/tiny/lora"));
    let hub = programs.hub(project, Vec::new());
    let weights = std::fs::read(project.path("base/model.safetensors")).unwrap();
    let files = [("model.safetensors", weights.as_slice())];
    hub.push("models/ada/base", "Add weights", &files);
    (programs, hub)
}

fn make(project: &Project, hub: &FakeHub, more: &[&str]) -> Done {
    Done::of(&mut command(project, hub, &[&["loop"], more].concat()))
}

fn report(project: &Project) -> Value {
    serde_json::from_str(&project.read("candidates/report.json")).unwrap()
}

fn state(project: &Project, index: usize) -> String {
    report(project)["candidates"][index]["state"].to_string()
}

/// Runs the loop until it has told of a step, and ends it by this signal.
fn end_after(project: &Project, hub: &FakeHub, step: &str, signal: &str) -> (Option<i32>, String) {
    let mut child = command(project, hub, &["loop"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in told.by_ref() {
        said.push(line.unwrap());
        if said[said.len() - 1].starts_with(step) {
            break;
        }
    }
    let killed = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success(), "{said:?}");
    said.extend(told.map(Result::unwrap));
    (child.wait().unwrap().code(), said.join("\n"))
}

#[test]
fn a_job_is_begun_once_and_its_adapter_is_judged() {
    let project = project(&["rented"], "");
    let (programs, hub) = hub(&project, "held");
    let (code, said) = end_after(&project, &hub, "step 2", "-KILL");
    assert_eq!(code, None, "{said}");
    let (code, said) = end_after(&project, &hub, "step 4", "-INT");
    assert_eq!(code, Some(130), "{said}");
    for expected in [
        "rented: training",
        "the job goes on",
        "`shipworthy loop` goes on",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    programs.behave("");
    let done = make(&project, &hub, &[]);
    let first = report(&project);
    let candidate = &first["candidates"][0];
    assert_eq!(candidate["state"]["kind"], "evaluated", "{done:?}");
    assert_eq!(candidate["training"]["steps"], 12);
    assert_eq!(candidate["lineage"]["trainer"]["name"], "hf_jobs");
    let trained = project
        .path(candidate["lineage"]["directory"].as_str().unwrap())
        .join("trained");
    let adapter = std::fs::read(trained.join("adapter_model.safetensors")).unwrap();
    let left = golden("lora/tiny/lora").join("adapter_model.safetensors");
    assert!(adapter == std::fs::read(left).unwrap());
    assert!(!project.path("how/candidates").exists());
    let again = make(&project, &hub, &[]);
    assert_eq!((again.code, report(&project)), (done.code, first));
    assert_eq!(hub.count("POST /api/jobs/ada"), 1);
    assert_eq!(hub.count("/cancel"), 0);
    no_secret(&project, &hub, &done);
}

#[test]
fn money_of_jobs_is_counted_and_a_failure_is_told() {
    let project = project(&["first", "second"], "  budget: {money: 0.805}\n");
    let (programs, hub) = hub(&project, "memory");
    make(&project, &hub, &[]);
    let failed = state(&project, 0);
    assert!(failed.contains("CUDA out of memory"), "{failed}");
    let spent = "`loop.budget.money`, of which 0.79 are left, and the job may take 0.80";
    assert!(state(&project, 1).contains(spent), "{}", state(&project, 1));
    // It is not tried again, unless somebody asks for it, and what failed was paid for too.
    make(&project, &hub, &[]);
    assert_eq!(state(&project, 0), failed);
    assert_eq!(hub.count("POST /api/jobs/ada"), 1);
    let text = project.read("shipworthy.yaml").replace("0.805", "0.82");
    project.write("shipworthy.yaml", &text);
    programs.behave("slow");
    make(&project, &hub, &["--retry"]);
    assert!(
        state(&project, 0).contains("evaluated"),
        "{}",
        state(&project, 0)
    );
    assert!(state(&project, 1).contains(spent), "{}", state(&project, 1));
    assert_eq!(hub.count("POST /api/jobs/ada"), 2);
}

#[test]
fn a_job_whose_time_is_over_is_stopped() {
    let project = project(&["rented"], "  budget: {hours_per_candidate: 0.0003}\n");
    let (_programs, hub) = hub(&project, "slow");
    let done = make(&project, &hub, &[]);
    let state = state(&project, 0);
    assert!(
        state.contains("`loop.budget.hours_per_candidate`"),
        "{state} {done:?}"
    );
    assert_eq!(hub.count("/cancel"), 1);
}

#[test]
fn what_could_not_be_merged_is_refused_before_it_is_paid_for() {
    let project = project(&["rented"], "");
    let (_programs, hub) = hub(&project, "");
    hub.push(
        "models/ada/base",
        "Change",
        &[("model.safetensors", b"others")],
    );
    make(&project, &hub, &[]);
    let failed = state(&project, 0);
    assert!(
        failed.contains("is another file than that of `ada/base`"),
        "{failed}"
    );
    std::fs::remove_file(project.path("base/model.safetensors")).unwrap();
    let done = make(&project, &hub, &[]);
    assert_eq!(done.code, 2, "{done:?}");
    let expected = "how/rented.yaml:1:8: field `model`: a loop merges what the job learns";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
    assert_eq!(hub.count("POST"), 0);
    let unset = Done::of(command(&project, &hub, &["loop"]).env_remove("WANDB_API_KEY"));
    assert!(
        unset.stderr.contains("secret `WANDB_API_KEY` is not set"),
        "{unset:?}"
    );
}
