use std::path::PathBuf;

use serde_json::Value;

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Done, Project};
use crate::support::words::{project as scripted, project_of};

const ARTEFACTS: [&str; 6] = [
    "plan.json",
    "personas.jsonl",
    "scores.csv",
    "decision.json",
    "transcripts.jsonl",
    "evaluation_report.md",
];

fn server(die_after: Option<usize>) -> Options {
    Options {
        model: "base".into(),
        other_models: ["tuned", "person", "judge"].map(str::to_owned).to_vec(),
        die_after,
        ..Options::default()
    }
}

fn project(server: &FakeOpenAi, more: &str) -> Project {
    let url = server.url();
    Project::with_config(&format!(
        "project: shared\n\
         personas: {{spec: coaching, count: 10, repeats: 2, max_turns: 3}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {{url: \"{url}\", model: base}}\n  \
         tuned: {{url: \"{url}\", model: tuned}}\n\
         simulator: {{url: \"{url}\", model: person}}\n\
         judge: {{url: \"{url}\", model: judge, repeats: 2}}\n\
         limits: {{patience_s: 1}}\n{more}"
    ))
}

/// Holds a share.
fn hold(project: &Project, shard: &str, more: &[&str]) -> Done {
    project.run(&[&["eval", "--shard", shard], more].concat())
}

fn shown(project: &Project) -> String {
    project.path(".").display().to_string()
}

/// Returns the artefacts of the latest run with a verdict.
fn artefacts(project: &Project) -> Vec<Vec<u8>> {
    let shown = project.run(&["runs", "show", "--json"]).json();
    let directory: PathBuf = project.path(shown["directory"].as_str().unwrap());
    ARTEFACTS
        .map(|name| std::fs::read(directory.join(name)).unwrap())
        .to_vec()
}

#[test]
fn shards_merged_are_what_one_run_would_be_to_the_byte() {
    let server = FakeOpenAi::start(server(None));
    let whole = project(&server, "");
    let verdict = whole.run(&["eval"]).code;
    let calls = server.calls();

    let shards = [1, 2, 3].map(|part| {
        let shard = project(&server, "");
        let done = hold(&shard, &format!("{part}/3"), &["--json"]);
        assert_eq!(done.code, 0, "{done:?}");
        let json = done.json();
        assert_eq!(json["shard"]["part"], part);
        assert_eq!(json["personas"], if part == 1 { 4 } else { 3 });
        assert!(json["decision"].is_null() && shard.runs().is_empty());
        shard
    });
    assert_eq!(server.calls(), 2 * calls, "every call was made once");
    assert_eq!(
        shards[2].run(&["gate"]).code,
        2,
        "there is no verdict to gate on"
    );
    let again = hold(&shards[2], "3/3", &["--resume"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.stdout.contains("No verdict is made from a shard"),
        "{again:?}"
    );
    let listed = shards[2].run(&["runs", "list", "--json"]).json();
    assert_eq!(listed["runs"][0]["shard"]["done"], true);
    let name = listed["runs"][0]["run"].as_str().unwrap().to_owned();
    let shown_one = shards[2].run(&["runs", "show", &name]);
    assert_eq!(shown_one.code, 65);
    assert!(
        shown_one.stderr.contains("is shard 3/3 of its plan"),
        "{shown_one:?}"
    );

    // The first machine's project takes the others'.
    let merge = |others: &[&str]| shards[0].run(&[&["runs", "merge"], others].concat());
    let missing = merge(&[&shown(&shards[1])]);
    assert_eq!(missing.code, 65, "{missing:?}");
    assert!(
        missing
            .stderr
            .contains("shard 3/3 is missing or not finished"),
        "{missing:?}"
    );
    let store = shards[2].store();
    let merged = merge(&[&shown(&shards[1]), store.to_str().unwrap()]);
    assert_eq!(merged.code, verdict, "{merged:?}");
    assert!(artefacts(&shards[0]) == artefacts(&whole));
    assert_eq!(server.calls(), 2 * calls, "merging asks nobody");

    // So does a project that held none; what it merged is a run like any other.
    let other = project(&server, "");
    let directories = shards.each_ref().map(shown);
    let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
    let merged = other.run(&[&["runs", "merge", "--exit-zero"], &directories[..]].concat());
    assert_eq!(merged.code, 0, "{merged:?}");
    assert!(artefacts(&other) == artefacts(&whole));
    let reported = other.run(&["report"]);
    assert_eq!(reported.code, 0, "{reported:?}");
    assert!(artefacts(&other) == artefacts(&whole));
    assert_eq!(other.run(&["gate"]).code, verdict);
}

#[test]
fn a_shard_that_was_stopped_is_resumed_and_the_store_may_hold_them_all() {
    let options = server(None);
    let first = FakeOpenAi::start(options.clone());
    let whole = project(&first, "");
    assert_eq!(whole.run(&["eval", "--exit-zero"]).code, 0);
    let first = first.restart(server(Some(30)));
    let shared = project(&first, "");
    let stopped = hold(&shared, "1/2", &[]);
    assert_eq!(stopped.code, 69, "{stopped:?}");
    assert!(
        stopped
            .stderr
            .contains("shipworthy eval --shard 1/2 --resume"),
        "{stopped:?}"
    );
    let first = first.restart(options);
    assert_eq!(hold(&shared, "2/2", &[]).code, 0);
    let unfinished = shared.run(&["runs", "merge"]);
    assert_eq!(unfinished.code, 65);
    assert!(
        unfinished
            .stderr
            .contains("shard 1/2 is missing or not finished"),
        "{unfinished:?}"
    );
    let resumed = hold(&shared, "1/2", &["--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    let merged = shared.run(&["runs", "merge", "--exit-zero"]);
    assert_eq!(merged.code, 0, "{merged:?}");
    assert!(artefacts(&shared) == artefacts(&whole));
    drop(first);
}

#[test]
fn what_is_no_whole_run_is_refused() {
    let shard = |part: &str, more: &str, words: fn(usize) -> usize| {
        let project = project_of(8, more, 5, words, "");
        let done = hold(&project, part, &[]);
        assert_eq!(done.code, 0, "{done:?}");
        project
    };
    let better: fn(usize) -> usize = |i| 6 + i % 2;
    let (one, two) = (shard("1/2", "", better), shard("2/2", "", better));
    let refused = |project: &Project, others: &[&Project], fault: &str, code: i32| {
        let others: Vec<String> = others.iter().map(|it| shown(it)).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let done = project.run(&[&["runs", "merge"], &others[..]].concat());
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.stderr.contains(fault), "{done:?}");
    };
    let other_plan = shard("2/2", "gate: {min_gain: 0.2}\n", better);
    refused(
        &one,
        &[&two, &other_plan],
        "the shards are of different plans",
        2,
    );
    refused(
        &one,
        &[&shard("2/3", "", better)],
        "was divided differently",
        65,
    );
    let empty = scripted(5, better, "");
    assert_eq!(empty.run(&["eval", "--exit-zero"]).code, 0);
    refused(&one, &[&two, &empty], "holds no shard", 2);
    refused(&empty, &[], "there is no shard to merge", 2);
    refused(&one, &[&Project::new()], "no store at", 2);

    // The same share twice is one, unless it is not the same.
    let twin = shard("1/2", "", better);
    let merged = one.run(&["runs", "merge", "--exit-zero", &shown(&two), &shown(&twin)]);
    assert_eq!(merged.code, 0, "{merged:?}");
    let change = |project: &Project, sql: &str| {
        let store = rusqlite::Connection::open(project.store()).unwrap();
        assert!(store.execute(sql, []).unwrap() > 0);
    };
    let thread = "thread = 'base/coaching-9000/1'";
    change(
        &twin,
        &format!("UPDATE scores SET score = replace(score, 'true', 'false') WHERE {thread}"),
    );
    refused(
        &one,
        &[&two, &twin],
        "conversation base/coaching-9000/1 is not the same",
        65,
    );
    change(&one, &format!("DELETE FROM conversations WHERE {thread}"));
    refused(
        &one,
        &[&two],
        "conversation base/coaching-9000/1 is missing",
        65,
    );
}

#[test]
fn shares_that_cannot_be_held_are_refused() {
    let project = scripted(5, |i| 6 + i % 2, "");
    for (shard, fault) in [
        ("4/3", "expected two numbers such as `2/3`"),
        ("1/9", "there are 8 people for 9 shards"),
    ] {
        let done = hold(&project, shard, &[]);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(fault), "{done:?}");
    }
    let looking = project_of(
        15,
        "early_stopping: {looks: [5, 15]}\n",
        5,
        |i| 6 + i % 2,
        "",
    );
    let done = hold(&looking, "1/3", &[]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr
            .contains("`early_stopping` looks at people in turn"),
        "{done:?}"
    );
}

#[test]
fn the_ledger_counts_a_merged_run_as_one_look() {
    let project = scripted(5, |i| 6 + i % 2, "");
    let look =
        |done: &Done| -> Value { done.json()["decision"]["pool_looks"][0]["ordinal"].clone() };
    for shard in ["1/2", "2/2"] {
        assert_eq!(hold(&project, shard, &[]).code, 0);
    }
    let merged = project.run(&["runs", "merge", "--json", "--exit-zero"]);
    assert_eq!(look(&merged), 1);
    crate::support::words::write_tuned(&project, 8, |i| 7 - i % 2, "");
    let next = project.run(&["eval", "--json", "--exit-zero"]);
    assert_eq!(look(&next), 2, "{next:?}");
    // The baseline is known from the shards.
    let (calls, reused) = (
        &next.json()["reuse"]["calls"],
        &next.json()["reuse"]["reused"],
    );
    assert_eq!(reused.as_u64().unwrap() * 2, calls.as_u64().unwrap());
}
