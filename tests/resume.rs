use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use shipworthy_schema::{ChatRequest, Message, ResponseSchema, Sampling};

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Done, Project};

/// How often to kill: 24 times (a few more than have to come before the end), or what
/// `SHIPWORTHY_KILLS` says.
fn kills() -> usize {
    let asked = std::env::var("SHIPWORTHY_KILLS").ok();
    asked.map_or(24, |kills| kills.parse().unwrap())
}

/// People enough for so many kills.
fn personas() -> usize {
    kills().div_ceil(3)
}

/// A project whose models, simulator and judge all are at `server`.
fn project(server: &FakeOpenAi) -> Project {
    let (url, people) = (server.url(), personas());
    Project::with_config(&format!(
        "project: killed\n\
         personas: {{spec: coaching, count: {people}, repeats: 2, max_turns: 4}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {{url: \"{url}\", model: base, parallel: 8}}\n  \
         tuned: {{url: \"{url}\", model: tuned, parallel: 8}}\n\
         simulator: {{url: \"{url}\", model: person, parallel: 8}}\n\
         judge: {{url: \"{url}\", model: judge, parallel: 8, repeats: 2}}\n\
         judging: {{pairwise: true}}\n\
         early_stopping: {{looks: [4, {people}], futility: 0}}\n"
    ))
}

fn options() -> Options {
    Options {
        model: "base".into(),
        other_models: ["tuned", "person", "judge"].map(str::to_owned).to_vec(),
        latency: Duration::from_millis(20),
        ..Options::default()
    }
}

/// Names a call as the store does: its conversation and its request's digest.
type Call = (String, String);

/// Returns the calls that the store has.
fn stored(project: &Project) -> BTreeSet<Call> {
    if !project.store().exists() {
        return BTreeSet::new();
    }
    let store = rusqlite::Connection::open(project.store()).unwrap();
    let Ok(mut statement) = store.prepare("SELECT thread, request FROM calls") else {
        return BTreeSet::new();
    };
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// Returns the names of conversations and pairs.
fn threads() -> Vec<String> {
    let ids = (0..personas()).flat_map(|i| (1..=2).map(move |repeat| (9000 + i, repeat)));
    ids.flat_map(|(seed, repeat)| {
        let id = format!("coaching-{seed}/{repeat}");
        [
            format!("base/{id}"),
            format!("tuned/{id}"),
            format!("tuned/{id}/pair"),
        ]
    })
    .collect()
}

/// Returns the calls that a recorded request may be: its conversation is not in its body, so there
/// is one for each conversation it would fit.
fn possible_calls(body: &Value, threads: &[String]) -> Vec<Call> {
    let messages: Vec<Message> = serde_json::from_value(body["messages"].clone()).unwrap();
    let sampling = Sampling {
        temperature: body["temperature"].as_f64().unwrap(),
        top_p: body["top_p"].as_f64().unwrap(),
        top_k: u32::try_from(body["top_k"].as_u64().unwrap()).unwrap(),
        min_p: body["min_p"].as_f64().unwrap(),
        max_tokens: u32::try_from(body["max_tokens"].as_u64().unwrap()).unwrap(),
        seed: body["seed"].as_u64().unwrap(),
    };
    let response_schema =
        body.pointer("/response_format/json_schema")
            .map(|wanted| ResponseSchema {
                name: wanted["name"].as_str().unwrap().to_owned(),
                schema: wanted["schema"].clone(),
            });
    let call = |thread: &String| {
        let request = ChatRequest {
            thread: thread.clone(),
            messages: messages.clone(),
            sampling: sampling.clone(),
            response_schema: response_schema.clone(),
        };
        (thread.clone(), request.digest().to_string())
    };
    let is_own = |thread: &&String| match body["model"].as_str().unwrap() {
        model @ ("base" | "tuned") => thread.starts_with(model),
        _ => true,
    };
    threads.iter().filter(is_own).map(call).collect()
}

/// Returns how often each body came.
fn counts(server: &FakeOpenAi) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in server.requests() {
        *counts.entry(request.sha256).or_default() += 1;
    }
    counts
}

/// When to kill.
enum Moment {
    /// So long after the start, which may be before the first call.
    After(Duration),
    /// When so many calls have come in all, and a little later.
    Calls(usize, Duration),
}

/// Runs the command and kills it at `moment`, unless it is done by then.
///
/// Returns whether it was still under way.
fn kill_at(project: &Project, arguments: &[&str], server: &FakeOpenAi, moment: &Moment) -> bool {
    let mut command = project.command(arguments);
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let is_early = || match moment {
        Moment::After(delay) => started.elapsed() < *delay,
        Moment::Calls(calls, _) => server.calls() < *calls,
    };
    while is_early() && process.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    if let Moment::Calls(_, more) = moment {
        std::thread::sleep(*more);
    }
    let _ = process.kill();
    let output = process.wait_with_output().unwrap();
    let ended = output.status.code();
    let is_verdict = matches!(ended, None | Some(0 | 10..=13));
    assert!(
        is_verdict,
        "{ended:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    ended.is_none()
}

/// Numbers without a pattern, the same in every run of the test.
struct Random(u64);

impl Random {
    /// Returns a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[test]
fn killed_at_any_moment_and_resumed_it_decides_the_same_and_repeats_no_stored_call() {
    let server = FakeOpenAi::start(options());
    let uninterrupted = project(&server);
    let done = uninterrupted.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    let expected = counts(&server);
    let planned: usize = expected.values().sum();

    // The plan names the address, so the second server stands where the first one stood.
    let server = server.restart(options());
    let killed = project(&server);
    let threads = threads();
    let mut asked = 0;
    let mut lost = 0;
    let mut kills_under_way = 0;
    let mut random = Random(7);
    let kills = kills();
    for kill in 0..=kills {
        let before = stored(&killed);
        let arguments: &[&str] = if before.is_empty() {
            &["eval"]
        } else {
            &["eval", "--resume"]
        };
        if kill == kills {
            let done = Done::of(&mut killed.command(&[arguments, &["--exit-zero"]].concat()));
            assert_eq!(done.code, 0, "{done:?}");
        } else {
            let moment = if kill % 5 == 0 {
                Moment::After(Duration::from_millis(random.below(100) as u64))
            } else {
                // On average half of all calls are made by the last kill.
                let calls = asked + 1 + random.below(planned / kills);
                Moment::Calls(calls, Duration::from_millis(random.below(8) as u64))
            };
            kills_under_way += u32::from(kill_at(&killed, arguments, &server, &moment));
        }
        let requests = server.requests();
        for request in &requests[asked..] {
            let again: Vec<Call> = possible_calls(&request.body, &threads)
                .into_iter()
                .filter(|call| before.contains(call))
                .collect();
            assert!(again.is_empty(), "asked again after kill {kill}: {again:?}");
        }
        let sent = requests.len() - asked;
        let kept = stored(&killed).len() - before.len();
        assert!(sent >= kept);
        lost += sent - kept;
        asked = requests.len();
    }
    println!("{kills_under_way} kills, {lost} calls lost in flight of {planned}");
    assert!(
        kills_under_way as usize >= kills * 5 / 6,
        "{kills_under_way} kills came before the end"
    );

    let directory = |project: &Project| project.runs().pop().unwrap();
    for name in [
        "decision.json",
        "scores.csv",
        "transcripts.jsonl",
        "pairs.jsonl",
    ] {
        let [whole, pieced] =
            [&uninterrupted, &killed].map(|p| std::fs::read(directory(p).join(name)).unwrap());
        assert!(whole == pieced, "{name} differs");
    }
    let in_the_end = stored(&killed);
    for request in server.requests() {
        let calls = possible_calls(&request.body, &threads);
        assert!(
            calls.iter().any(|call| in_the_end.contains(call)),
            "a call that is not stored"
        );
    }
    let mut found = counts(&server);
    let total: usize = found.values().sum();
    let planned: usize = expected.values().sum();
    assert_eq!(
        total,
        planned + lost,
        "every call was asked once, those lost in flight once more"
    );
    found.retain(|body, count| *count < expected.get(body).copied().unwrap_or(0));
    assert!(found.is_empty(), "calls are missing");
}

#[test]
fn a_run_under_way_is_not_resumed_by_another_process() {
    let server = FakeOpenAi::start(options());
    let project = project(&server);
    let mut first = project
        .command(&["eval", "--exit-zero"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while server.calls() == 0 {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = project.run(&["eval", "--resume"]);
    assert_eq!(second.code, 2, "{second:?}");
    assert!(
        second
            .stderr
            .contains("is being evaluated by another process"),
        "{second:?}"
    );
    assert!(
        first.wait().unwrap().success(),
        "the first one goes on undisturbed"
    );
}
