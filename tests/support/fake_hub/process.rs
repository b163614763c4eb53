//! A job's command, run on this machine.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::routes::{State, text};

/// Runs the command of a job with its environment and secrets alone.
pub(super) fn run(state: &Arc<State>, id: &str, spec: &Value) {
    let home = tempfile::tempdir().unwrap();
    let words = |key: &str| spec[key].as_array().into_iter().flatten().map(text);
    let mut words = words("command").chain(words("arguments"));
    let mut path = std::env::var("PATH").unwrap_or_default();
    if let Some(programs) = &state.options.programs {
        path = format!("{}:{path}", programs.display());
    }
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("JOB_ID", id)
        .env("ACCELERATOR", "none")
        .env("CPU_CORES", "2")
        .env("MEMORY", "16Gi")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in spec["environment"].as_object().into_iter().flatten() {
        command.env(name, text(value));
    }
    let secrets = state.lock().jobs[id].secrets.clone();
    command.envs(&secrets);
    let started = command.spawn();
    let timeout = Duration::from_secs(spec["timeoutSeconds"].as_u64().unwrap_or(1800));
    let enter = |stage: &str, message: Option<&str>| {
        if let Some(job) = state.lock().jobs.get_mut(id) {
            job.enter(stage, message);
        }
    };
    enter("RUNNING", None);
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            enter("ERROR", Some(&error.to_string()));
            return;
        }
    };
    let outputs: [Box<dyn Read + Send>; 2] = [
        Box::new(child.stdout.take().unwrap()),
        Box::new(child.stderr.take().unwrap()),
    ];
    let child = Arc::new(Mutex::new(child));
    state.lock().jobs.get_mut(id).unwrap().child = Some(Arc::clone(&child));
    let readers = outputs.map(|output| {
        let (state, id) = (Arc::clone(state), id.to_owned());
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                state.lock().jobs.get_mut(&id).unwrap().say(&line);
            }
        })
    });
    let begun = std::time::Instant::now();
    let (stage, message) = loop {
        if let Some(status) = child.lock().unwrap().try_wait().unwrap() {
            break if status.success() {
                ("COMPLETED", None)
            } else {
                (
                    "ERROR",
                    Some(format!(
                        "Job failed with exit code: {}",
                        status.code().unwrap_or(-1)
                    )),
                )
            };
        }
        if begun.elapsed() > timeout {
            let _ = child.lock().unwrap().kill();
            break ("ERROR", Some("Job timeout".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    for reader in readers {
        let _ = reader.join();
    }
    state.lock().jobs.get_mut(id).unwrap().is_log_over = true;
    std::thread::sleep(state.options.stage_lag);
    enter(stage, message.as_deref());
}
