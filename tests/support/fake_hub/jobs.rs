//! Jobs: what they are asked to do, where they are, what they said.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::routes::{Reply, State, bearer, text};
use super::{Token, clock, process};
use crate::support::connection::Request;

/// What a job does instead of running its command.
#[derive(Clone)]
pub(crate) enum Step {
    /// Gets to a stage, with a message.
    Stage(&'static str, Option<&'static str>),
    /// Says a line.
    Log(String),
    /// Commits files to a repository, e.g. `models/ada/tuned`.
    Push(&'static str, &'static str, Vec<(String, Vec<u8>)>),
    /// Waits.
    Pause(Duration),
}

/// Stages that no job leaves.
const ENDS: [&str; 4] = ["COMPLETED", "CANCELED", "ERROR", "DELETED"];

/// A job.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) owner: String,
    spec: Value,
    pub(super) secrets: BTreeMap<String, String>,
    stage: String,
    message: Option<String>,
    created_at: u64,
    started_at: Option<u64>,
    finished_at: Option<u64>,
    /// Events as JSON.
    pub(super) log: Vec<String>,
    /// Nothing will be added.
    pub(super) is_log_over: bool,
    pub(super) child: Option<Arc<Mutex<Child>>>,
}

impl Job {
    /// Says a line.
    pub(super) fn say(&mut self, line: &str) {
        let event = json!({"timestamp": clock::iso(clock::now()), "data": line});
        self.log.push(event.to_string());
    }

    /// Gets to a stage, unless it is at an end.
    pub(super) fn enter(&mut self, stage: &str, message: Option<&str>) {
        if ENDS.contains(&self.stage.as_str()) {
            return;
        }
        stage.clone_into(&mut self.stage);
        self.message = message.map(str::to_owned);
        if stage == "RUNNING" {
            self.started_at = Some(clock::now());
            self.say("===== Job started at 2026-03-01 12:00:00 =====");
        }
        if ENDS.contains(&stage) {
            self.finished_at = Some(clock::now());
            self.is_log_over = true;
        }
    }

    /// Ends it from outside.
    pub(super) fn cancel(&mut self) {
        self.enter("CANCELED", None);
        self.is_log_over = true;
        if let Some(child) = &self.child {
            let _ = child.lock().unwrap().kill();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        ENDS.contains(&self.stage.as_str())
    }

    /// Returns what the server says of it.
    pub(super) fn value(&mut self, owner: &str) -> Value {
        let now = self.finished_at.unwrap_or_else(clock::now);
        let seconds = |from: u64, to: u64| (to - from) / 1000;
        let started = self.started_at;
        let mut value = json!({
            "id": self.id,
            "createdAt": clock::iso(self.created_at),
            "startedAt": started.map(clock::iso),
            "finishedAt": self.finished_at.map(clock::iso),
            "status": {"stage": self.stage, "message": self.message},
            "durations": {
                "schedulingSecs": started.map(|started| seconds(self.created_at, started)),
                "runningSecs": started.map(|started| seconds(started, now)),
                "totalSecs": seconds(self.created_at, now),
            },
            "owner": {"id": "1", "name": owner, "type": "user"},
            "initiator": {"type": "user", "id": "1", "name": owner},
            "secrets": self.secrets.keys().collect::<Vec<_>>(),
        });
        let kept = [
            "dockerImage",
            "spaceId",
            "command",
            "arguments",
            "environment",
            "flavor",
            "labels",
        ];
        for key in kept {
            if !self.spec[key].is_null() {
                value[key] = self.spec[key].clone();
            }
        }
        value
    }
}

fn flavours() -> Value {
    let flavour = |name: &str,
                   cpu: &str,
                   ram: &str,
                   gpu: Option<(&str, &str, &str)>,
                   micro: u64| {
        json!({
            "name": name, "prettyName": name, "cpu": cpu, "ram": ram, "ephemeralStorage": "50 GB",
            "accelerator": gpu.map(|(model, quantity, vram)| json!({
                "type": "gpu", "model": model, "quantity": quantity, "vram": vram,
                "manufacturer": "Nvidia",
            })),
            "unitCostMicroUSD": micro,
            "unitCostUSD": micro as f64 / 1e6,
            "unitLabel": "minute",
        })
    };
    json!([
        flavour("cpu-basic", "2 vCPU", "16 GB", None, 167),
        flavour(
            "t4-small",
            "4 vCPU",
            "15 GB",
            Some(("T4", "1", "16 GB")),
            6_667
        ),
        flavour(
            "l4x1",
            "8 vCPU",
            "30 GB",
            Some(("L4", "1", "24 GB")),
            13_333
        ),
        flavour(
            "l4x4",
            "48 vCPU",
            "186 GB",
            Some(("L4", "4", "96 GB")),
            63_333
        ),
        flavour(
            "a10g-small",
            "4 vCPU",
            "15 GB",
            Some(("A10G", "1", "24 GB")),
            16_667
        ),
        flavour(
            "l40sx1",
            "8 vCPU",
            "62 GB",
            Some(("L40S", "1", "48 GB")),
            30_000
        ),
        flavour(
            "a100-large",
            "12 vCPU",
            "142 GB",
            Some(("A100", "1", "80 GB")),
            41_667
        ),
    ])
}

/// Answers what begins with `/api/jobs`, but for logs.
pub(super) fn answer(
    state: &Arc<State>,
    token: &Token,
    method: &str,
    path: &[&str],
    query: &str,
    body: &Value,
) -> Reply {
    if path == ["hardware"] {
        return Reply::json(200, &flavours());
    }
    if !token.may_run_jobs || path.first() != Some(&token.user.as_str()) {
        let message =
            "Forbidden: your token lacks the permission to start and manage jobs (job.write)";
        return Reply::error(403, "Forbidden", message);
    }
    match (method, path) {
        ("POST", [_]) => create(state, token, body),
        ("GET", [_]) => {
            let mut inner = state.lock();
            let wanted = |key: &str| -> Vec<String> {
                let prefix = format!("{key}=");
                let fields = query
                    .split('&')
                    .filter_map(|field| field.strip_prefix(&prefix));
                fields.map(str::to_owned).collect()
            };
            let stages = wanted("stage");
            let jobs = inner.jobs.values_mut().rev();
            let jobs = jobs.filter(|job| stages.is_empty() || stages.contains(&job.stage));
            let values: Vec<Value> = jobs.map(|job| job.value(&token.user)).collect();
            Reply::json(200, &json!(values))
        }
        (_, [_, id, rest @ ..]) => {
            let mut inner = state.lock();
            let Some(job) = inner.jobs.get_mut(*id) else {
                return Reply::error(404, "JobNotFound", "Job not found");
            };
            match (method, rest) {
                ("GET", []) => Reply::json(200, &job.value(&token.user)),
                ("POST", ["cancel"]) => {
                    job.cancel();
                    Reply::json(200, &job.value(&token.user))
                }
                _ => Reply::error(404, "NotFound", "no such page"),
            }
        }
        _ => Reply::error(404, "NotFound", "no such page"),
    }
}

/// Returns whose log the request asks for, if it asks for one.
pub(super) fn logs_of(state: &State, request: &Request) -> Option<Result<String, Reply>> {
    let path = request.path.split('?').next()?;
    let rest = path.strip_prefix("/api/jobs/")?.strip_suffix("/logs")?;
    let (_, id) = rest.split_once('/')?;
    let known = state.lock().jobs.contains_key(id);
    Some(match bearer(state, request) {
        Err(refused) => Err(refused),
        Ok(_) if !known => Err(Reply::error(404, "JobNotFound", "Job not found")),
        Ok(_) => Ok(id.to_owned()),
    })
}

fn create(state: &Arc<State>, token: &Token, spec: &Value) -> Reply {
    let flavour = spec["flavor"].as_str().unwrap_or("cpu-basic");
    let known = flavours();
    if !known
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["name"] == flavour)
    {
        return Reply::error(400, "BadRequest", &format!("Invalid flavor: {flavour}"));
    }
    if spec["dockerImage"].is_string() == spec["spaceId"].is_string() {
        return Reply::error(400, "BadRequest", "give dockerImage or spaceId");
    }
    let is_object = |key: &str| spec[key].is_object();
    if !spec["command"].is_array() || !spec["arguments"].is_array() || !is_object("environment") {
        return Reply::error(
            400,
            "BadRequest",
            "command, arguments and environment are required",
        );
    }
    let (id, script, value) = {
        let mut inner = state.lock();
        let id = format!("{:024x}", 0x68_7f_b7_01 + inner.jobs.len());
        let secrets = spec["secrets"].as_object().into_iter().flatten();
        let mut job = Job {
            id: id.clone(),
            owner: token.user.clone(),
            spec: spec.clone(),
            secrets: secrets
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            stage: "SCHEDULING".to_owned(),
            message: None,
            created_at: clock::now(),
            started_at: None,
            finished_at: None,
            log: Vec::new(),
            is_log_over: false,
            child: None,
        };
        let value = job.value(&token.user);
        inner.jobs.insert(id.clone(), job);
        (id, inner.scripts.pop_front(), value)
    };
    let state = Arc::clone(state);
    let spec = spec.clone();
    std::thread::spawn(move || match script {
        Some(steps) => play(&state, &id, steps),
        None => process::run(&state, &id, &spec),
    });
    Reply::json(200, &value)
}

fn play(state: &State, id: &str, steps: Vec<Step>) {
    let with = |change: &dyn Fn(&mut Job)| {
        let mut inner = state.lock();
        change(inner.jobs.get_mut(id).expect("a job"));
        inner.jobs[id].is_over()
    };
    for step in steps {
        let is_over = match step {
            Step::Stage(stage, message) if ENDS.contains(&stage) => {
                with(&|job| job.is_log_over = true);
                std::thread::sleep(state.options.stage_lag);
                with(&|job| job.enter(stage, message))
            }
            Step::Stage(stage, message) => with(&|job| job.enter(stage, message)),
            Step::Log(line) => with(&|job| job.say(&line)),
            Step::Push(repository, title, files) => {
                let files: Vec<(&str, &[u8])> = files
                    .iter()
                    .map(|(path, content)| (path.as_str(), content.as_slice()))
                    .collect();
                state.push(repository, title, &files);
                false
            }
            Step::Pause(time) => {
                std::thread::sleep(time);
                with(&|_| {})
            }
        };
        if is_over {
            return;
        }
    }
}
