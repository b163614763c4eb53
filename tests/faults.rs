use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::fake_openai::{Answer, FakeOpenAi, Faults, Options};
use crate::support::project::{Done, Project};

const MODELS: [&str; 3] = ["base", "tuned", "judge"];

fn options() -> Options {
    Options {
        model: MODELS[0].into(),
        other_models: MODELS[1..].iter().map(|id| (*id).to_owned()).collect(),
        ..Options::default()
    }
}

/// A project whose models and judge all are at `server`: people times 2 models times 2 repeats.
fn project(server: &FakeOpenAi, people: usize, limits: &str) -> Project {
    let url = server.url();
    Project::with_config(&format!(
        "project: faulty\n\
         personas: {{spec: coaching, count: {people}, repeats: 2, max_turns: 2}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {{url: \"{url}\", model: base, parallel: 32}}\n  \
         tuned: {{url: \"{url}\", model: tuned, parallel: 32}}\n\
         judge: {{url: \"{url}\", model: judge, parallel: 32}}\n\
         call_timeout_s: 1\n\
         limits: {{{limits}}}\n"
    ))
}

/// Returns what a run left that says something of the models.
fn artefacts(project: &Project) -> [String; 3] {
    ["decision.json", "scores.csv", "transcripts.jsonl"].map(|name| project.artefact(name))
}

fn unfinished(project: &Project) -> Vec<String> {
    let transcripts = project.transcripts();
    let failed = transcripts.iter().filter(|transcript| {
        let end = transcript["termination"].as_str().unwrap();
        ["model_error", "simulator_error", "timeout"].contains(&end)
            || transcript["overall"]["status"] != "scored"
    });
    failed.map(ToString::to_string).collect()
}

#[test]
fn one_call_in_ten_fails_in_one_of_six_ways_and_nothing_is_lost_or_changed() {
    let server = FakeOpenAi::start(options());
    let smooth = project(&server, 100, "");
    let done = smooth.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    let calls = server.calls();
    assert_eq!(smooth.transcripts().len(), 400);

    let share = 0.1 / 6.0;
    let server = server.restart(Options {
        faults: Faults {
            server_error: share,
            rate_limited: share,
            disconnect: share,
            hangup: share,
            stall: share,
            garbage: share,
            ..Faults::default()
        },
        ..options()
    });
    let bumpy = project(&server, 100, "");
    let done = bumpy.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(server.calls() > calls * 108 / 100, "{}", server.calls());
    assert_eq!(unfinished(&bumpy), Vec::<String>::new());
    let [before, after] = [artefacts(&smooth), artefacts(&bumpy)];
    assert!(before == after, "faults changed what came out");
}

/// Begins an evaluation and waits until so many calls were made.
fn begin(project: &Project, server: &FakeOpenAi, calls: usize) -> std::process::Child {
    let mut process = project
        .command(&["eval", "--exit-zero"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while server.calls() < calls {
        assert!(process.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(1));
    }
    process
}

fn end(process: std::process::Child) -> Done {
    let output = process.wait_with_output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns how many calls a model got.
fn asked(server: &FakeOpenAi, model: &str) -> usize {
    let requests = server.requests();
    let of_model = requests.iter().filter(|r| r.body["model"] == model);
    of_model.count()
}

/// How long a server that dies stays away: 3 s, or what `SHIPWORTHY_AWAY_S` says.
fn away() -> Duration {
    let asked = std::env::var("SHIPWORTHY_AWAY_S").ok();
    Duration::from_secs(asked.map_or(3, |seconds| seconds.parse().unwrap()))
}

#[test]
fn a_server_that_dies_and_comes_back_costs_no_conversation() {
    let slow = Options {
        latency: Duration::from_millis(10),
        ..options()
    };
    let server = FakeOpenAi::start(slow.clone());
    let smooth = project(&server, 30, "");
    assert_eq!(smooth.run(&["eval", "--exit-zero"]).code, 0);
    let planned = server.calls();

    let mut server = server.restart(slow.clone());
    let broken = project(&server, 30, "");
    let process = begin(&broken, &server, planned / 2);
    server.stop();
    let before = server.calls();
    std::thread::sleep(away());
    let server = FakeOpenAi::start_on(server.port(), slow);
    let done = end(process);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("note: waiting for http://"),
        "{done:?}"
    );
    assert!(done.stderr.contains(" is back"), "{done:?}");
    assert_eq!(unfinished(&broken), Vec::<String>::new());
    assert!(artefacts(&smooth) == artefacts(&broken));
    let lost = before + server.calls() - planned;
    assert!(lost <= 32, "only what was under way is asked again: {lost}");
}

#[test]
fn a_server_that_comes_back_with_another_model_stops_the_run_with_both_identities() {
    let with = |n_params| Options {
        latency: Duration::from_millis(10),
        n_params: Some(n_params),
        ..options()
    };
    let mut server = FakeOpenAi::start(with(111));
    let project = project(&server, 30, "");
    let process = begin(&project, &server, 100);
    server.stop();
    std::thread::sleep(Duration::from_millis(500));
    let server = FakeOpenAi::start_on(server.port(), with(222));
    let done = end(process);
    assert_eq!(done.code, 69, "{done:?}");
    let error = done.stderr.lines().find(|line| line.starts_with("error: "));
    let error = error.unwrap();
    assert!(error.contains("\"n_params\":111"), "{error}");
    assert!(error.contains("\"n_params\":222"), "{error}");
    // `n_params` is that of `base`; the others are still who they were.
    assert_eq!(
        asked(&server, "base"),
        0,
        "the other model is asked nothing"
    );
}

#[test]
fn a_server_that_no_longer_lists_the_model_stops_the_run() {
    let slow = |model: &str| Options {
        model: model.into(),
        latency: Duration::from_millis(10),
        ..options()
    };
    let mut server = FakeOpenAi::start(slow("base"));
    let project = project(&server, 30, "");
    let process = begin(&project, &server, 100);
    server.stop();
    std::thread::sleep(Duration::from_millis(300));
    let server = FakeOpenAi::start_on(server.port(), slow("another"));
    let done = end(process);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr.contains("`base` changed while run "),
        "{done:?}"
    );
    assert!(done.stderr.contains("`another`"), "{done:?}");
    assert_eq!(asked(&server, "base"), 0);
}

#[test]
fn a_server_that_stays_away_ends_the_run_which_can_be_resumed() {
    let mut server = FakeOpenAi::start(Options {
        die_after: Some(50),
        ..options()
    });
    let project = project(&server, 30, "patience_s: 1");
    let started = Instant::now();
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(done.stderr.contains("--resume"), "{done:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    server.stop();
    let _server = FakeOpenAi::start_on(server.port(), options());
    let done = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(unfinished(&project), Vec::<String>::new());
}

#[test]
fn while_a_server_is_away_one_call_at_a_time_looks_for_it() {
    let sick = Answer::error(503, "unavailable_error", "Loading model");
    let server = FakeOpenAi::start(Options {
        // A whole round of calls, and then some that look.
        script: vec![sick; 68],
        ..options()
    });
    let project = project(&server, 30, "");
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(unfinished(&project), Vec::<String>::new());
}

#[test]
fn a_call_that_never_succeeds_is_missing_with_its_reason_and_the_run_goes_on() {
    // One person's opening is answered by a fault, whoever the model is.
    let server = FakeOpenAi::start(options());
    let smooth = project(&server, 30, "");
    assert_eq!(smooth.run(&["eval", "--exit-zero"]).code, 0);
    let poison = smooth.transcripts()[0]["turns"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    let persona = smooth.transcripts()[0]["persona"].clone();
    let server = server.restart(Options {
        poison: Some(poison),
        ..options()
    });
    let broken = project(&server, 30, "tries: 3");
    let done = broken.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    let transcripts = broken.transcripts();
    let failed: Vec<_> = transcripts
        .iter()
        .filter(|transcript| transcript["termination"] == "model_error")
        .collect();
    assert!(!failed.is_empty());
    let models: BTreeSet<&str> = failed
        .iter()
        .map(|t| t["model"].as_str().unwrap())
        .collect();
    assert_eq!(models.len(), 2, "the rule is the same for both: {models:?}");
    for transcript in &failed {
        assert_eq!(transcript["persona"], persona);
        assert_eq!(transcript["overall"]["status"], "unscored");
        let reason = transcript["overall"]["reason"].as_str().unwrap();
        assert!(reason.contains("HTTP 500"), "{reason}");
    }
    let tried = server.requests();
    let tried = tried.iter().filter(|request| request.status == Some(500));
    assert_eq!(tried.count(), 3 * failed.len());
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    let server = FakeOpenAi::start(Options {
        script: vec![Answer::rate_limited("1.5")],
        ..options()
    });
    let project = project(&server, 3, "");
    let done = project.run(&["eval", "--exit-zero"]);
    assert!([0, 65].contains(&done.code), "{done:?}");
    let requests = server.requests();
    let first = requests.iter().find(|r| r.status == Some(429)).unwrap();
    let again = requests
        .iter()
        .find(|r| r.sha256 == first.sha256 && r.received > first.received)
        .unwrap();
    let waited = again.received.saturating_sub(first.received);
    assert!(waited >= Duration::from_millis(1500), "{waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

#[test]
fn a_run_ends_at_its_deadline_and_can_be_resumed() {
    let slow = Options {
        latency: Duration::from_millis(100),
        ..options()
    };
    let server = FakeOpenAi::start(slow);
    let project = project(&server, 100, "deadline_s: 1");
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr.contains("`limits.deadline_s`, 1 s, is over"),
        "{done:?}"
    );
    assert!(done.stderr.contains("--resume"), "{done:?}");
    assert_eq!(
        stored(&project),
        server.calls(),
        "what was under way is stored"
    );
    assert!(server.calls() > 50);

    let config = project.read("shipworthy.yaml");
    project.write("shipworthy.yaml", &config.replace("deadline_s: 1", ""));
    let done = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(server.repeats(), Vec::<String>::new());
    assert_eq!(stored(&project), server.calls());
}

fn stored(project: &Project) -> usize {
    let store = rusqlite::Connection::open(project.store()).unwrap();
    let count: u32 = store
        .query_row("SELECT COUNT(*) FROM calls", [], |row| row.get(0))
        .unwrap();
    count as usize
}

#[cfg(unix)]
fn interrupt(process: &std::process::Child) {
    let killed = std::process::Command::new("kill")
        .args(["-INT", &process.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_calls_under_way_and_stores_them() {
    let slow = Options {
        latency: Duration::from_millis(200),
        ..options()
    };
    let server = FakeOpenAi::start(slow);
    let project = project(&server, 30, "");
    let process = begin(&project, &server, 40);
    interrupt(&process);
    let done = end(process);
    assert_eq!(done.code, 130, "{done:?}");
    assert!(
        done.stderr.contains("finishing the calls under way"),
        "{done:?}"
    );
    assert!(
        done.stderr.contains("`shipworthy eval --resume` goes on"),
        "{done:?}"
    );
    assert_eq!(stored(&project), server.calls(), "none is lost");
    let done = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(server.repeats(), Vec::<String>::new());
    assert_eq!(stored(&project), server.calls());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_preflight() {
    let server = FakeOpenAi::start(Options {
        preflight: Some(std::sync::Arc::new(|_| Answer::Stall)),
        ..options()
    });
    let project = project(&server, 3, "");
    let process = begin(&project, &server, 0);
    let started = Instant::now();
    while server.preflight().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    let started = Instant::now();
    interrupt(&process);
    let done = end(process);
    assert_eq!(done.code, 130, "{done:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{done:?}");
}

#[test]
fn an_empty_purse_stops_the_run_at_once() {
    let body =
        r#"{"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}"#;
    let server = FakeOpenAi::start(Options {
        script: vec![Answer::Status {
            status: 429,
            headers: Vec::new(),
            body: body.to_owned(),
        }],
        ..options()
    });
    let project = project(&server, 30, "");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(done.stderr.contains("wants to be paid first"), "{done:?}");
    assert!(
        done.stderr.contains("`shipworthy eval --resume`"),
        "{done:?}"
    );
    let done = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_twice_stops_at_once() {
    let server = FakeOpenAi::start(Options {
        latency: Duration::from_secs(60),
        ..options()
    });
    let project = project(&server, 3, "");
    let config = project.read("shipworthy.yaml");
    project.write(
        "shipworthy.yaml",
        &config.replace("call_timeout_s: 1", "call_timeout_s: 60"),
    );
    let mut process = begin(&project, &server, 6);
    interrupt(&process);
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        process.try_wait().unwrap().is_none(),
        "it waits for its calls"
    );
    let started = Instant::now();
    interrupt(&process);
    let done = end(process);
    assert_eq!(done.code, 130, "{done:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn models_at_one_server_share_its_limit_and_end_together() {
    let server = FakeOpenAi::start(Options {
        latency: Duration::from_millis(10),
        ..options()
    });
    let project = project(&server, 60, "");
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(server.most_in_flight() <= 32, "{}", server.most_in_flight());
    assert!(server.most_in_flight() >= 28, "{}", server.most_in_flight());
    let requests = server.requests();
    let last = |model: &str| {
        let mut of_model = requests.iter().enumerate();
        of_model
            .rfind(|(_, request)| request.body["model"] == model)
            .map(|(at, _)| at)
            .unwrap()
    };
    let apart = last("base").abs_diff(last("tuned"));
    assert!(
        apart <= 64,
        "one model ended {apart} calls before the other"
    );
}
