use test_case::test_case;

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Done, Project};
use crate::support::words::{RUBRIC, project};

/// A configuration in which everything is right; lines matter to the tests below.
const CONFIG: &str = "\
project: right
personas: {spec: coaching, count: 4, seed_start: 9000, repeats: 2, max_turns: 2}
rubric: ./words.yaml
baseline: base
models:
  base: {scripted: base.jsonl}
  tuned: {scripted: tuned.jsonl}
simulator: rule-based
judge: none
";

fn right() -> Project {
    let project = Project::with_config(CONFIG);
    project.write("words.yaml", RUBRIC);
    project.write("base.jsonl", "{\"reply\": \"one two\"}\n");
    // Another file, but the same replies.
    project.write("tuned.jsonl", "{\"reply\": \"one two\"}\n\n");
    project
}

/// Evaluates after `from` became `to` in `file`.
fn changed(file: &str, from: &str, to: &str) -> Done {
    let project = right();
    let text = project.read(file);
    let text_changed = text.replace(from, to);
    assert_ne!(text, text_changed);
    project.write(file, &text_changed);
    let done = project.run(&["eval"]);
    assert!(project.runs().is_empty(), "nothing was evaluated: {done:?}");
    done
}

#[track_caller]
fn assert_fails(done: &Done, code: i32, message: &str) {
    assert_eq!(done.code, code, "{done:?}");
    let first = done
        .stderr
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_default();
    assert!(
        first.starts_with(&format!("error: {message}")),
        "expected `{message}`: {done:?}"
    );
    assert!(!done.stderr.contains("panicked"), "{done:?}");
    assert_eq!(done.stdout, "");
}

#[test_case("judge: none", "jugde: none", 2,
    "shipworthy.yaml:9:1: field `jugde`: unknown field `jugde`"; "unknown key")]
#[test_case("simulator: rule-based", "simulator: [rule-based", 2,
    "shipworthy.yaml:"; "bad YAML")]
#[test_case("tuned: {scripted: tuned.jsonl}", "tuned: {gguf: nowhere.gguf}", 2,
    "shipworthy.yaml:7:10: field `models.tuned`: "; "missing model")]
#[test_case("tuned: {scripted: tuned.jsonl}", "tuned: {scripted: nowhere.jsonl}", 2,
    "shipworthy.yaml:7:10: field `models.tuned`: failed to read model file `nowhere.jsonl`: ";
    "missing replies")]
#[test_case("tuned: {scripted: tuned.jsonl}", "tuned: {url: \"http://127.0.0.1:9/v1\"}", 69,
    "shipworthy.yaml:7:10: field `models.tuned`: http://127.0.0.1:9/v1"; "server down")]
#[test_case("tuned: {scripted: tuned.jsonl}", "tuned: {url: \"http://h/v1\", api_key_env: NOT_SET}", 2,
    "shipworthy.yaml:7:10: field `models.tuned`: environment variable `NOT_SET`"; "no key")]
#[test_case("seed_start: 9000", "seed_start: 4998", 2,
    "shipworthy.yaml:2:50: field `personas.seed_start`: seeds 4998 to 5001 "; "seeds of both splits")]
#[test_case("seed_start: 9000", "seed_start: 12", 2,
    "shipworthy.yaml:2:50: field `personas.seed_start`: seeds 12 to 15 are for training";
    "training seeds")]
#[test_case("count: 4", "count: 2", 2,
    "shipworthy.yaml:2:35: field `personas.count`: a paired test needs at least 3 personas, got 2";
    "too few personas")]
#[test_case("tuned: {scripted: tuned.jsonl}", "tuned: {scripted: base.jsonl}", 2,
    "shipworthy.yaml:7:10: field `models.tuned`: the same model as `base`"; "the same model twice")]
#[test_case("count: 4", "count: 0", 2,
    "shipworthy.yaml:2:35: field `personas.count`: must be at least 1"; "empty personas")]
#[test_case("spec: coaching", "spec: couching", 2,
    "shipworthy.yaml:2:18: field `personas.spec`: no persona spec is named `couching`; the library \
     has coaching, creative-writing, customer-support"; "unknown spec")]
#[test_case("rubric: ./words.yaml", "rubric: words", 2,
    "shipworthy.yaml:3:9: field `rubric`: no rubric is named `words`"; "unknown rubric")]
#[test_case("baseline: base", "baseline: bas", 2,
    "shipworthy.yaml:4:11: field `baseline`: no model is named `bas`; `models` has base, tuned";
    "unknown baseline")]
#[test_case("judge: none", "judge: {scripted: base.jsonl}", 2,
    "shipworthy.yaml:9:8: field `judge`: the judge is the same model as `base`"; "own judge")]
#[test_case("judge: none", "training_data: nowhere.jsonl", 2,
    "shipworthy.yaml:9:16: field `training_data`: failed to read `nowhere.jsonl`";
    "missing training data")]
fn mistakes_in_the_configuration(from: &str, to: &str, code: i32, message: &str) {
    assert_fails(&changed("shipworthy.yaml", from, to), code, message);
}

#[test_case("id: w3,", "id: w3, weight: 0,",
    "./words.yaml:10:26: field `categories[0].criteria[3].weight`: "; "a weight of 0")]
#[test_case("check: {contains: [three]}", "chekc: {contains: [three]}",
    "./words.yaml:10:37: field `categories[0].criteria[3].chekc`: unknown field"; "unknown key")]
#[test_case("text: Does no harm., safety: true", "text: Does no harm., applies_when: {risc: none}",
    "shipworthy.yaml:3:9: field `rubric`: criterion `no-harm` applies when risc is none, which is \
     never so: persona spec `coaching` has no factor `risc`"; "unknown factor")]
fn mistakes_in_the_rubric(from: &str, to: &str, message: &str) {
    assert_fails(&changed("words.yaml", from, to), 2, message);
}

#[test]
fn a_rubric_without_criteria() {
    let project = right();
    project.write(
        "words.yaml",
        "name: words\nversion: 1\npass_threshold: 0.5\ncategories: []\n",
    );
    assert_fails(
        &project.run(&["eval"]),
        2,
        "./words.yaml:4:13: field `categories`: ",
    );
    let empty = "name: words\nversion: 1\npass_threshold: 0.5\n\
                 categories:\n  - name: Words\n    criteria: []\n";
    project.write("words.yaml", empty);
    assert_fails(
        &project.run(&["eval"]),
        2,
        "./words.yaml:6:15: field `categories[0].criteria`: ",
    );
}

#[test]
fn a_server_with_another_model_than_planned() {
    let server = FakeOpenAi::start(Options {
        model: "llama".into(),
        ..Options::default()
    });
    let entry = format!("tuned: {{url: \"{}\", model: tuned}}", server.url());
    let done = changed("shipworthy.yaml", "tuned: {scripted: tuned.jsonl}", &entry);
    let message = format!(
        "shipworthy.yaml:7:10: field `models.tuned`: {} does not serve `tuned`; it serves llama",
        server.url()
    );
    assert_fails(&done, 69, &message);
    assert_eq!(server.calls(), 0, "nothing was asked");
}

#[test]
fn a_server_that_serves_another_model_when_the_run_is_resumed() {
    let options = Options {
        n_params: Some(100),
        die_after: Some(9),
        ..Options::default()
    };
    let server = FakeOpenAi::start(options.clone());
    let project = right();
    let entry = format!("tuned: {{url: \"{}\"}}", server.url());
    project.write(
        "shipworthy.yaml",
        &format!(
            "{}limits: {{patience_s: 1}}\n",
            CONFIG.replace("tuned: {scripted: tuned.jsonl}", &entry)
        ),
    );
    let died = project.run(&["eval"]);
    assert_eq!(died.code, 69, "{died:?}");
    assert!(died.stderr.contains("--resume"), "{died:?}");

    let options = Options {
        n_params: Some(200),
        die_after: None,
        ..options
    };
    let server = server.restart(options.clone());
    let other = project.run(&["eval", "--resume"]);
    assert_fails(&other, 69, "run ");
    assert!(
        other.stderr.contains("planned with another models.tuned"),
        "{other:?}"
    );
    assert_eq!(server.calls(), 0);

    let _server = server.restart(Options {
        n_params: Some(100),
        ..options
    });
    let resumed = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
}

#[test]
fn a_persona_file_from_another_spec_version() {
    let project = right();
    let config = CONFIG.replace("spec: coaching,", "spec: coaching, file: people.jsonl,");
    project.write("shipworthy.yaml", &config);
    let draw = [
        "personas",
        "generate",
        "--spec",
        "coaching",
        "--count",
        "4",
        "-o",
        "people.jsonl",
    ];
    assert_eq!(project.run(&draw).code, 0);
    let good = project.read("people.jsonl");
    assert_eq!(
        project.run(&["eval", "--exit-zero"]).code,
        65,
        "equal models have no spread"
    );

    project.write(
        "people.jsonl",
        &good.replacen("\"version\":1", "\"version\":2", 1),
    );
    let message = "people.jsonl:1: field `spec`: drawn from spec `coaching` version 2 ";
    assert_fails(&project.run(&["eval"]), 65, message);

    project.write("people.jsonl", &good.replacen("because", "since", 1));
    assert_fails(
        &project.run(&["eval"]),
        65,
        "people.jsonl:2: this is not the person that seed 9000",
    );

    project.write("people.jsonl", "");
    assert_fails(
        &project.run(&["eval"]),
        65,
        "people.jsonl: the persona file holds no persona",
    );

    assert_eq!(
        project
            .run(&[&draw[..], &["--seed-start", "9001"]].concat())
            .code,
        0
    );
    let message = "shipworthy.yaml:2:34: field `personas.file`: people.jsonl holds 4 personas from \
                   seed 9001 on, the configuration asks for 4 from 9000 on";
    assert_fails(&project.run(&["eval"]), 2, message);
}

#[test_case(&["--seed-start", "4990"], "seeds 4990 to 5004 "; "across the end of training")]
#[test_case(&["--seed-start", "8995"], "seeds 8995 to 9009 "; "across the start of evaluation")]
fn people_from_both_splits_are_refused(seeds: &[&str], message: &str) {
    let draw = [
        "personas",
        "generate",
        "--spec",
        "coaching",
        "-o",
        "people.jsonl",
    ];
    assert_fails(
        &Project::new().run(&[&draw[..], seeds].concat()),
        2,
        message,
    );
}

#[test]
fn a_grid_too_small_to_hold_anybody_out() {
    let project = Project::new();
    let draw = [
        "personas", "generate", "--spec", "coaching", "--count", "4000000", "-o", "p",
    ];
    let done = project.run(&draw);
    assert!(done.code == 2 || done.code == 65, "{done:?}");
    assert!(done.stderr.contains("combinations too small"), "{done:?}");
}

#[test]
fn nothing_to_resume_gate_or_report() {
    let project = right();
    assert_fails(&project.run(&["gate"]), 2, "no store at ");
    assert_fails(
        &project.run(&["eval", "--resume"]),
        2,
        "there is no run of this plan to resume",
    );
    let elsewhere = Project::new();
    assert_fails(
        &elsewhere.run(&["eval"]),
        2,
        "failed to read configuration `shipworthy.yaml`: ",
    );
}

#[test]
fn errors_are_json_too() {
    let done = Project::new().run(&["eval", "--json"]);
    assert_eq!((done.code, done.json()["exit_code"].as_i64()), (2, Some(2)));
}

#[test]
fn models_without_a_difference_have_no_verdict_but_transcripts() {
    let project = right();
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(done.stderr.starts_with("plan "), "{done:?}");
    assert!(done.stderr.contains("has no verdict"), "{done:?}");
    assert_eq!(project.transcripts().len(), 2 * 4 * 2);
    assert!(!project.runs()[0].join("decision.json").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    let project = project(5, |i| 6 + i % 2, "");
    // Files may grow to 208 KiB: a write beyond that fails as it does on a full disk.
    let mut limited = std::process::Command::new("bash");
    limited
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 208; exec \"$0\" eval",
            env!("CARGO_BIN_EXE_shipworthy"),
        ])
        .current_dir(project.path("."));
    let done = Done::of(&mut limited);
    assert_eq!(done.code, 74, "{done:?}");
    assert!(
        done.stderr
            .contains("error: store `.shipworthy/store.db`: "),
        "{done:?}"
    );
    assert!(done.stderr.contains("free disk space"), "{done:?}");
    let kept = stored_calls(&project);
    assert!(kept > 0, "some replies were stored before");
    let resumed = project.run(&["eval", "--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(stored_calls(&project) > kept);
}

fn stored_calls(project: &Project) -> u32 {
    let store = rusqlite::Connection::open(project.store()).unwrap();
    store
        .query_row("SELECT COUNT(*) FROM calls", [], |row| row.get(0))
        .unwrap()
}
