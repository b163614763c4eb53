use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use test_case::test_case;

use crate::support::fake_openai::{Answer, FakeOpenAi, Options, PreflightFn, Recorded};
use crate::support::project::{Done, Project};
use crate::support::words::project as scripted;

const ARTEFACTS: [&str; 6] = [
    "plan.json",
    "personas.jsonl",
    "scores.csv",
    "decision.json",
    "transcripts.jsonl",
    "evaluation_report.md",
];

/// Conversations of one model.
const CONVERSATIONS: usize = 8;

const RUBRIC: &str = "\
name: polite
version: 1
pass_threshold: 0.5
categories:
  - name: Manners
    criteria:
      - {id: polite, text: The coach is polite., weight: 2}
      - {id: asks, text: The coach asks something., weight: 1}
";

fn config(server: &FakeOpenAi) -> String {
    let url = server.url();
    format!(
        "project: gate\n\
         personas: {{spec: coaching, count: 4, repeats: 2, max_turns: 3}}\n\
         rubric: ./polite.yaml\n\
         baseline: base\n\
         models:\n  base: {{url: \"{url}\", model: base, reuse: true}}\n  \
         tuned: {{url: \"{url}\", model: first}}\n\
         system_prompt: You are a coach.\n\
         simulator: {{url: \"{url}\", model: person, reuse: true}}\n\
         judge: {{url: \"{url}\", model: judge, reuse: true, sampling: {{temperature: 0}}}}\n"
    )
}

fn options() -> Options {
    Options {
        model: "base".into(),
        other_models: ["first", "second", "person", "judge"]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    }
}

fn server() -> FakeOpenAi {
    FakeOpenAi::start(options())
}

fn project(server: &FakeOpenAi) -> Project {
    let project = Project::with_config(&config(server));
    project.write("polite.yaml", RUBRIC);
    project
}

/// Changes a file of the project.
fn edit(project: &Project, file: &str, from: &str, to: &str) {
    let text = project.read(file);
    assert!(text.contains(from), "{text}");
    project.write(file, &text.replace(from, to));
}

/// Evaluates and returns how many requests each model got meanwhile.
fn eval(project: &Project, server: &FakeOpenAi, more: &[&str]) -> (Done, BTreeMap<String, usize>) {
    let before = server.calls();
    let done = project.run(&[&["eval", "--exit-zero", "--json"], more].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let mut asked = BTreeMap::new();
    for Recorded { body, .. } in &server.requests()[before..] {
        *asked
            .entry(body["model"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    (done, asked)
}

/// Returns the artefacts of the run that `done` was.
fn artefacts(project: &Project, done: &Done) -> Vec<Vec<u8>> {
    let directory = done.json()["directory"].as_str().unwrap().to_owned();
    ARTEFACTS
        .map(|name| std::fs::read(project.path(&directory).join(name)).unwrap())
        .to_vec()
}

#[test]
fn another_candidate_pays_for_itself_alone_and_is_judged_as_if_all_were_asked() {
    let server = server();
    let project = project(&server);
    let (first, asked) = eval(&project, &server, &[]);
    assert_eq!(first.json()["reuse"]["reused"], 0);
    assert!(
        asked["base"] >= CONVERSATIONS && asked["judge"] == 2 * CONVERSATIONS,
        "{asked:?}"
    );

    edit(&project, "shipworthy.yaml", "model: first", "model: second");
    let (second, again) = eval(&project, &server, &[]);
    assert_eq!(again.get("base"), None, "the baseline was known: {again:?}");
    assert_eq!(
        again["judge"], CONVERSATIONS,
        "only the candidate is judged: {again:?}"
    );
    assert!(again["second"] >= CONVERSATIONS && again["person"] < asked["person"]);
    let reuse = &second.json()["reuse"];
    let made: usize = again.values().sum();
    let (calls, reused) = (&reuse["calls"], &reuse["reused"]);
    assert_eq!(
        calls.as_u64().unwrap() - reused.as_u64().unwrap(),
        made as u64
    );
    assert_eq!(reuse["runs"].as_array().unwrap().len(), 1);
    let shown = project.run(&["runs", "show"]);
    let line = format!("reused  {reused} of {calls} calls were answered from earlier runs");
    assert!(shown.stdout.contains(&line), "{}", shown.stdout);

    let (fresh, all) = eval(&project, &server, &["--fresh"]);
    assert_eq!(all["base"], asked["base"]);
    assert_eq!(all.values().sum::<usize>() as u64, calls.as_u64().unwrap());
    assert_eq!(fresh.json()["reuse"]["reused"], 0);
    assert!(artefacts(&project, &second) == artefacts(&project, &fresh));
    assert_eq!(second.json()["decision"]["pool_looks"][0]["ordinal"], 2);

    // What a run had from others is its own.
    let source = first.json()["run"].as_str().unwrap().to_owned();
    let store = rusqlite::Connection::open(project.store()).unwrap();
    for table in ["calls", "conversations", "scores", "known"] {
        let delete = format!("DELETE FROM {table} WHERE run = ?1");
        store.execute(&delete, [&source]).unwrap();
    }
    let second_run = second.json()["run"].as_str().unwrap().to_owned();
    let before = artefacts(&project, &second);
    assert_eq!(project.run(&["report", &second_run]).code, 0);
    assert!(artefacts(&project, &second) == before);
}

/// Who is asked again: the baseline, the judge about the baseline.
#[test_case("shipworthy.yaml", "You are a coach.", "You are a kind coach.", true, true; "another system prompt")]
#[test_case("shipworthy.yaml", "count: 4", "count: 4, seed_start: 9100", true, true; "other people")]
#[test_case("shipworthy.yaml", "model: person, reuse: true", "model: person", false, false; "nobody vouches for the simulator, who says the same")]
#[test_case("shipworthy.yaml", "model: base, reuse: true", "model: base", true, false; "nobody vouches for the baseline")]
#[test_case("shipworthy.yaml", "temperature: 0", "temperature: 0.5", false, true; "a judge who draws otherwise")]
#[test_case("shipworthy.yaml", "model: judge, reuse: true", "model: second, reuse: true", false, true; "another judge")]
#[test_case("polite.yaml", "is polite", "is polite and brief", false, true; "a criterion in other words")]
#[test_case("polite.yaml", "weight: 2", "weight: 3", false, false; "a criterion of another weight")]
#[test_case("shipworthy.yaml", "baseline: base", "baseline: base\ngate: {min_gain: 0.2}", false, false; "another bar")]
fn what_depends_on_a_change_is_asked_again(
    file: &str,
    from: &str,
    to: &str,
    base: bool,
    judge: bool,
) {
    let server = server();
    let project = project(&server);
    eval(&project, &server, &[]);
    edit(&project, file, from, to);
    let (changed, asked) = eval(&project, &server, &[]);
    assert_eq!(asked.contains_key("base"), base, "{asked:?}");
    let judged = asked.get("judge").or(asked.get("second"));
    // The candidate is a name only: it is asked anew, says the same, and so is judged no more.
    let expected = if judge { 2 * CONVERSATIONS } else { 0 };
    assert_eq!(judged.copied().unwrap_or(0), expected, "{asked:?}");
    let (fresh, _) = eval(&project, &server, &["--fresh"]);
    assert!(artefacts(&project, &changed) == artefacts(&project, &fresh));
}

/// Goes on from prompts with these log probabilities where `model` is asked, else with others.
fn behaves(model: &'static str, log_prob: f64) -> PreflightFn {
    Arc::new(move |body| {
        let asked = body["model"].as_str().unwrap();
        let log_prob = if asked == model {
            log_prob
        } else {
            -3.0 - asked.len() as f64
        };
        Answer::Json(json!({"choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "blue"},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "blue", "logprob": log_prob}]},
        }]}))
    })
}

#[test]
fn other_weights_under_an_old_name_are_asked_whoever_vouches_for_them() {
    let options = |log_prob| Options {
        preflight: Some(behaves("base", log_prob)),
        ..options()
    };
    let server = FakeOpenAi::start(options(-0.5));
    let project = project(&server);
    eval(&project, &server, &[]);
    let mut server = server;
    for (log_prob, is_asked) in [(-0.5004, false), (-0.7, true), (-0.7, false), (-0.5, false)] {
        server = server.restart(options(log_prob));
        let (_, asked) = eval(&project, &server, &[]);
        assert_eq!(
            asked.contains_key("base"),
            is_asked,
            "{log_prob}: {asked:?}"
        );
    }
}

/// Stops an evaluation after 40 calls by what then becomes of the server; returns the code it ends
/// with and the server that came back as it was.
fn stopped(project: &Project, mut server: FakeOpenAi, comes_back: bool) -> (i32, FakeOpenAi) {
    let slow = |n_params| Options {
        latency: Duration::from_millis(10),
        n_params: Some(n_params),
        ..options()
    };
    server = server.restart(slow(111));
    let mut process = project
        .command(&["eval", "--exit-zero"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while server.calls() < 40 {
        assert!(process.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(1));
    }
    server.stop();
    std::thread::sleep(Duration::from_millis(300));
    if comes_back {
        server = server.restart(slow(222));
    } else {
        process.kill().unwrap();
    }
    let code = process.wait().unwrap().code().unwrap_or(-1);
    (code, server.restart(slow(111)))
}

#[test]
fn what_a_killed_run_was_answered_is_known_but_not_where_a_model_changed() {
    for changes in [false, true] {
        let server = server();
        let project = project(&server);
        let (code, server) = stopped(&project, server, changes);
        assert_eq!(code, if changes { 69 } else { -1 });
        let (done, asked) = eval(&project, &server, &[]);
        let reused = done.json()["reuse"]["reused"].as_u64().unwrap();
        assert_eq!(reused == 0, changes, "{reused}: {asked:?}");
        let (fresh, _) = eval(&project, &server, &["--fresh"]);
        assert!(artefacts(&project, &done) == artefacts(&project, &fresh));
    }
}

#[test]
fn files_are_known_by_their_content() {
    let project = scripted(5, |i| 6 + i % 2, "");
    let reused = |arguments: &[&str]| {
        let done = project.run(&[&["eval", "--exit-zero", "--json"], arguments].concat());
        assert_eq!(done.code, 0, "{done:?}");
        let reuse = done.json()["reuse"].clone();
        (
            reuse["reused"].as_u64().unwrap(),
            reuse["calls"].as_u64().unwrap(),
        )
    };
    let (none, all) = reused(&[]);
    assert_eq!(none, 0);
    assert_eq!(reused(&[]), (all, all));
    assert_eq!(reused(&["--fresh"]), (0, all));
    // One person longer: what was said before it is known, call by call.
    edit(&project, "shipworthy.yaml", "max_turns: 2", "max_turns: 3");
    let (some, more) = reused(&[]);
    assert_eq!(some, all);
    assert!(more > all);
    std::fs::rename(project.path("base.jsonl"), project.path("moved.jsonl")).unwrap();
    edit(&project, "shipworthy.yaml", "base.jsonl", "moved.jsonl");
    assert_eq!(reused(&[]), (more, more));
    edit(&project, "moved.jsonl", "zero", "naught");
    assert_eq!(reused(&[]).0, more / 2, "another baseline is another model");
}
