//! Training data to and from a data set repository.

use serde_json::Value;

use crate::support::fake_hub::{FakeHub, Fault, Misbehaviour, Options, Token};
use crate::support::project::{Done, Project};

fn ship(project: &Project, hub: &FakeHub, arguments: &[&str]) -> Done {
    let mut all = vec!["data"];
    all.extend_from_slice(arguments);
    let mut command = project.command(&all);
    command
        .env("HF_ENDPOINT", hub.url())
        .env("HF_TOKEN", Token::of_owner().value);
    Done::of(&mut command)
}

/// A project with a directory of data: a large file and a small one.
fn project() -> Project {
    let project = Project::new();
    std::fs::create_dir_all(project.path("data/deep")).unwrap();
    let line = format!("{{\"messages\": [], \"id\": \"{}\"}}\n", "x".repeat(80));
    project.write("data/train.jsonl", &line.repeat(4000));
    project.write("data/deep/eval.jsonl", "{\"messages\": []}\n");
    project
}

fn hub(faults: Vec<Fault>) -> FakeHub {
    FakeHub::start(Options {
        faults,
        ..Options::default()
    })
}

fn paths(value: &Value) -> Vec<&str> {
    let paths = value.as_array().unwrap().iter();
    paths.map(|path| path.as_str().unwrap()).collect()
}

#[test]
fn data_goes_there_and_comes_back() {
    let project = project();
    let hub = hub(Vec::new());
    let done = ship(&project, &hub, &["push", "ada/letters", "data", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stderr.contains("made ada/letters, private"),
        "{done:?}"
    );
    let first = done.json();
    assert_eq!(
        paths(&first["uploaded"]),
        ["deep/eval.jsonl", "train.jsonl"]
    );
    let created = hub.seen();
    let created = created
        .iter()
        .find(|seen| seen.line == "POST /api/repos/create");
    assert_eq!(created.unwrap().body["visibility"], "private");

    project.write("data/deep/eval.jsonl", "{\"messages\": [], \"id\": 2}\n");
    let sent = hub.count("PUT /lfs");
    let again = ship(
        &project,
        &hub,
        &["push", "ada/letters", "data", "--title", "Mend"],
    );
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again
            .stdout
            .contains("uploaded: deep/eval.jsonl\nunchanged: train.jsonl\n")
    );
    assert_eq!(hub.count("PUT /lfs"), sent);
    let titles = hub.titles("datasets/ada/letters");
    assert_eq!(titles[..2], ["Mend", "Upload with shipworthy"]);
    ship(&project, &hub, &["push", "ada/letters", "data"]);
    assert_eq!(
        hub.titles("datasets/ada/letters"),
        titles,
        "nothing changed"
    );

    let pull = ["pull", "ada/letters", "--out", "back"];
    let pulled = ship(&project, &hub, &pull);
    assert_eq!(pulled.code, 0, "{pulled:?}");
    for name in ["train.jsonl", "deep/eval.jsonl"] {
        let (one, other) = (format!("data/{name}"), format!("back/{name}"));
        assert_eq!(project.read(&one), project.read(&other));
    }
    let pulled = ship(&project, &hub, &pull);
    assert_eq!(
        pulled.stdout.matches(": was here\n").count(),
        2,
        "{pulled:?}"
    );
    // What was there before is there still.
    let commit = first["commit"].as_str().unwrap();
    let old = [
        "pull",
        "ada/letters",
        "deep/eval.jsonl",
        "--revision",
        commit,
    ];
    let old = ship(
        &project,
        &hub,
        &[&old[..], &["--out", "old", "--json"]].concat(),
    );
    assert_eq!(old.json()["files"].as_array().unwrap().len(), 1, "{old:?}");
    assert_eq!(project.read("old/deep/eval.jsonl"), "{\"messages\": []}\n");
    assert!(!project.path("old/train.jsonl").exists());
}

#[test]
fn what_broke_off_goes_on() {
    let project = project();
    let fault = |method, path, times, how| Fault {
        method,
        path,
        after: 0,
        times,
        how,
    };
    let no = Misbehaviour::Status(403, Vec::new(), "{\"error\": \"not now\"}");
    let hub = hub(vec![
        fault("POST", "/commit/", 1, no),
        fault("GET", "/cdn/", 1, Misbehaviour::Cut(100_000)),
        fault("GET", "/cdn/", 1, Misbehaviour::Corrupt),
    ]);
    let push = ["push", "ada/letters", "data"];
    let broken = ship(&project, &hub, &push);
    assert_eq!(broken.code, 2, "{broken:?}");
    let sent = hub.count("PUT /lfs");
    assert!(sent > 0);
    let pushed = ship(&project, &hub, &push);
    assert_eq!(pushed.code, 0, "{pushed:?}");
    assert_eq!(
        hub.count("PUT /lfs"),
        sent,
        "what arrived is not sent again"
    );
    // A download that is cut goes on; bytes that are others than they should be are thrown away.
    let pull = ["pull", "ada/letters", "--out", "back"];
    let damaged = ship(&project, &hub, &pull);
    if damaged.code != 0 {
        assert!(damaged.stderr.contains("came damaged"), "{damaged:?}");
        assert!(!project.path("back/train.jsonl").exists());
        let pulled = ship(&project, &hub, &pull);
        assert_eq!(pulled.code, 0, "{pulled:?}");
    }
    assert_eq!(
        project.read("data/train.jsonl"),
        project.read("back/train.jsonl")
    );
    let ranges = hub.seen().into_iter().filter_map(|seen| seen.range);
    assert!(ranges.count() > 0, "the rest alone was asked for");
}

#[test]
fn nothing_is_lost_or_published_by_mistake() {
    let project = project();
    let hub = hub(Vec::new());
    let fails = |arguments: &[&str], said: &str| {
        let done = ship(&project, &hub, arguments);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(said), "{}", done.stderr);
    };
    fails(&["push", "letters", "data"], "the namespace is missing");
    fails(&["push", "ada/letters", "none"], "there is no `none`");
    fails(
        &["push", "ada/letters", "data/train.jsonl", "data"],
        "would both be `train.jsonl` there",
    );
    fails(
        &["pull", "ada/none", "--out", "x"],
        "the Hub has no data set `ada/none`",
    );
    fails(&["push", "eve/letters", "data"], "under the namespace");
    assert_eq!(hub.count("/commit/"), 0);

    let open = ship(&project, &hub, &["push", "ada/open", "data", "--public"]);
    assert_eq!(open.code, 0, "{open:?}");
    fails(
        &["push", "ada/open", "data"],
        "everybody may read `ada/open`",
    );
    fails(
        &["pull", "ada/open", "other.jsonl", "--out", "x"],
        "`ada/open` has no file `other.jsonl`",
    );
    project.write("data/train.jsonl", "mine\n");
    fails(
        &["pull", "ada/open", "--out", "data"],
        "is here and is another one",
    );
    assert_eq!(project.read("data/train.jsonl"), "mine\n");
    let replaced = ship(
        &project,
        &hub,
        &["pull", "ada/open", "--out", "data", "--overwrite"],
    );
    assert_eq!(replaced.code, 0, "{replaced:?}");
    assert_ne!(project.read("data/train.jsonl"), "mine\n");

    hub.push("datasets/ada/open", "Harm", &[("../escape.jsonl", b"x")]);
    let done = ship(&project, &hub, &["pull", "ada/open", "--out", "data"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(!project.path("escape.jsonl").exists());
}
