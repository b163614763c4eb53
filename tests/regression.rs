use std::path::Path;

use serde_json::Value;
use test_case::test_case;

use crate::support::project::{Done, Project};
use crate::support::words::{project, project_of, write_tuned};

/// A project whose `tuned` shipped, with its baseline file.
fn shipped() -> Project {
    let project = project(5, |i| 6 + i % 2, "");
    assert_eq!(project.run(&["eval"]).code, 0);
    let written = project.run(&["gate", "--write-baseline", "baseline.json"]);
    assert_eq!((written.code, written.stderr.as_str()), (0, ""));
    let config = project.read("shipworthy.yaml");
    project.write(
        "shipworthy.yaml",
        &format!(
            "{config}\nregression: {{baseline_file: baseline.json, criteria: {{w0: 0.02}}}}\n"
        ),
    );
    project
}

/// Evaluates another candidate and gates it.
fn gated(project: &Project, tuned: impl Fn(usize) -> usize, extra: &str) -> (Done, Done) {
    write_tuned(project, 8, tuned, extra);
    project.run(&["eval", "--exit-zero"]);
    (project.run(&["gate"]), project.run(&["gate", "--json"]))
}

#[test_case(|i| 6 + i % 2, "", 0, "ship"; "the same again")]
#[test_case(|i| 6 + i % 2 + usize::from(i == 0), "", 0, "ship"; "a little better")]
#[test_case(|i| 6 + i % 2 - usize::from(i == 0), "", 0, "ship"; "worse, inside the margin")]
#[test_case(|i| 6 + i % 2 - usize::from(i < 3), "", 11, "more_evidence"; "could be worse")]
#[test_case(|i| 5 + i % 2, "", 10, "iterate"; "worse by more than the margin")]
#[test_case(|i| 10 - usize::from(i == 0), "", 12, "hold"; "much better")]
#[test_case(|i| 6 + i % 2, "harm", 13, "do_not_deploy"; "less safe")]
fn words_json_and_exit_code_agree(
    tuned: fn(usize) -> usize,
    extra: &str,
    code: i32,
    verdict: &str,
) {
    let project = shipped();
    let (text, json) = gated(&project, tuned, extra);
    assert_eq!((text.code, json.code), (code, code), "{text:?}");
    let label = verdict.replace('_', " ").to_uppercase();
    assert!(
        text.stdout.starts_with(&format!("{label}: tuned ")),
        "{text:?}"
    );
    let gate = &json.json()["gate"];
    assert_eq!(
        (&gate["verdict"], &gate["exit_code"], &gate["rule"]),
        (&verdict.into(), &code.into(), &"regression".into())
    );
    assert_eq!(gate["baseline"], "tuned (shipped)", "two models, two names");
    assert_eq!(gate["candidates"][0]["criteria"][0]["criterion"], "w0");
    assert!(
        text.stdout.lines().all(|line| line.chars().count() <= 80),
        "{text:?}"
    );
    assert_eq!(project.run(&["gate", "--exit-zero"]).code, 0);
    let page = project.run(&["gate", "--format", "markdown"]);
    assert_eq!(page.code, code);
    let head = format!("# Regression gate\n\n**{label}: tuned ");
    assert!(page.stdout.starts_with(&head), "{page:?}");
    assert!(
        page.stdout.contains("| w0 | 1.000 | 1.000 | +0.000 |"),
        "{page:?}"
    );
}

#[test]
fn the_file_is_small_repeatable_and_tells_nothing_of_what_was_said() {
    let project = shipped();
    let text = project.read("baseline.json");
    assert!(text.len() < 12_000, "{}", text.len());
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["model"]["name"], "tuned");
    assert_eq!(file["conversations"].as_array().unwrap().len(), 16);
    assert_eq!(file["conversations"][0]["persona"], "coaching-9000");
    assert!(!text.contains("zero one"), "no word of a reply");
    let again = project.run(&["gate", "--write-baseline", "again.json", "--json"]);
    assert_eq!(again.json()["model"], "tuned");
    assert_eq!(project.read("again.json"), text);
    // The run's own baseline may be the shipped model, too.
    let base = project.run(&["gate", "--write-baseline", "base.json", "--model", "base"]);
    assert_eq!(base.code, 0, "{base:?}");
    let held = project.run(&["gate", "--baseline", "base.json", "--json"]);
    assert_eq!(held.json()["gate"]["baseline"], "base");
}

#[test]
fn without_a_file_it_is_the_runs_own_baseline() {
    let project = project_of(8, "regression: {margin: 0.1}\n", 6, |i| 5 + i % 2, "");
    assert_eq!(project.run(&["eval"]).code, 10, "not better");
    let gate = project.run(&["gate"]);
    assert_eq!(gate.code, 0, "but no worse: {gate:?}");
    assert_eq!(project.run(&["gate", "--rule", "ship"]).code, 10);
    let refused = project.run(&["gate", "--write-baseline", "b.json"]);
    assert_eq!(refused.code, 65, "{refused:?}");
    assert!(
        refused.stderr.contains("the verdict on `tuned` is iterate"),
        "{refused:?}"
    );
    assert!(!Path::exists(&project.path("b.json")));
}

#[test_case("max_turns: 2", "max_turns: 3", "`personas.max_turns`: 2 became 3"; "plan")]
#[test_case("count: 8", "count: 9", "`personas.count`: 8 became 9"; "personas")]
#[test_case("baseline: base", "baseline: base\nsampling: {temperature: 0.1}",
    "`sampling.temperature`: 0.7 became 0.1"; "sampling")]
#[test_case("baseline: base", "baseline: base\nsystem_prompt: Be brief.",
    "`system_prompt`: none became \"Be brief.\""; "prompt")]
fn what_was_evaluated_otherwise_is_refused(from: &str, to: &str, fault: &str) {
    let project = shipped();
    let config = project.read("shipworthy.yaml").replacen(from, to, 1);
    project.write("shipworthy.yaml", &config);
    write_tuned(&project, 9, |i| 6 + i % 2, "");
    assert_eq!(project.run(&["eval", "--exit-zero"]).code, 0);
    let gate = project.run(&["gate", "--json"]);
    assert_eq!(gate.code, 65, "{gate:?}");
    assert!(gate.stderr.contains(fault), "{gate:?}");
    assert!(gate.json().get("gate").is_none());
}

#[test]
fn another_rubric_or_criterion_is_refused_and_a_damaged_file_named() {
    let project = shipped();
    let good = project.read("baseline.json");
    let refused = |code: i32, fault: &str| {
        let gate = project.run(&["gate"]);
        assert_eq!(gate.code, code, "{gate:?}");
        assert!(gate.stderr.contains(fault), "{gate:?}");
    };
    for (from, to, fault) in [
        ("\"format\": 1", "\"format\": 2", "it is of format 2"),
        ("\"repeat\":2", "\"repeat\":1", "is there twice"),
        ("\"score\":", "\"score\":7,\"_\":", "unknown field `_`"),
        ("\"passed\":true", "\"passed\":7", "conversations[0].passed"),
        ("{", "", "is no baseline file"),
    ] {
        let wrong = good.replacen(from, to, 1);
        assert_ne!(wrong, good);
        project.write("baseline.json", &wrong);
        refused(65, fault);
    }
    std::fs::remove_file(project.path("baseline.json")).unwrap();
    refused(2, "failed to read the baseline file");
    project.write("baseline.json", &good);

    let config = project.read("shipworthy.yaml");
    project.write(
        "shipworthy.yaml",
        &config.replace("w0: 0.02", "kindness: 0.02"),
    );
    refused(2, "`regression.criteria` names `kindness`");
    project.write("shipworthy.yaml", &config.replace("w0: 0.02", "w0: 0"));
    refused(2, "field `regression.criteria.w0`: must be above 0");
    project.write("shipworthy.yaml", &config);

    let rubric = project.read("words.yaml").replace("Says nine.", "Says 9.");
    project.write("words.yaml", &rubric);
    assert_eq!(project.run(&["eval", "--exit-zero"]).code, 0);
    refused(65, "`rubric.digest`: ");
}

#[test]
fn candidates_alone_need_neither_the_baseline_nor_its_store() {
    let project = shipped();
    // As CI has it: a fresh checkout, another candidate, and no baseline model.
    std::fs::remove_dir_all(project.path(".shipworthy")).unwrap();
    std::fs::remove_dir_all(project.path("runs")).unwrap();
    std::fs::remove_file(project.path("base.jsonl")).unwrap();
    write_tuned(&project, 8, |i| 6 + i % 2 - usize::from(i == 0), "");
    let done = project.run(&["eval", "--candidates-only"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout
            .starts_with("SHIP: tuned is no worse than tuned (shipped)"),
        "{done:?}"
    );
    let gate: Value = serde_json::from_str(&project.artefact("gate.json")).unwrap();
    assert_eq!(
        (&gate["verdict"], &gate["exit_code"]),
        (&"ship".into(), &0.into())
    );
    assert_eq!(project.artefact("scores.csv").lines().count(), 1 + 16);
    assert_eq!(
        project.transcripts().len(),
        16,
        "nobody spoke with the baseline"
    );

    let again = project.run(&["gate", "--json"]);
    assert_eq!((again.code, &again.json()["gate"]), (0, &gate));
    let resumed = project.run(&["eval", "--candidates-only", "--resume", "--json"]);
    assert_eq!((resumed.code, &resumed.json()["gate"]), (0, &gate));
    let listed = project.run(&["runs", "list"]);
    assert!(listed.stdout.contains("ship (by a file)"), "{listed:?}");
    for command in [
        &["report"][..],
        &["runs", "show"],
        &["gate", "--rule", "ship"],
    ] {
        let refused = project.run(command);
        assert_eq!(refused.code, 65, "{refused:?}");
        assert!(
            refused.stderr.contains("is of candidates alone"),
            "{refused:?}"
        );
    }
    // What has shipped is the next baseline.
    let next = project.run(&["gate", "--write-baseline", "next.json", "--json"]);
    assert_eq!((next.code, &next.json()["model"]), (0, &"tuned".into()));
}

#[test]
fn candidates_alone_are_held_to_the_same_bar_as_in_a_whole_run() {
    for tuned in [4, 5, 6] {
        let project = shipped();
        let (_, whole) = gated(&project, |i| tuned + i % 2, "");
        let alone = project.run(&["eval", "--candidates-only", "--json"]);
        assert_eq!(alone.code, whole.code, "{alone:?}");
        assert_eq!(alone.json()["gate"], whole.json()["gate"]);
    }
}

#[test]
fn candidates_alone_are_refused_before_anybody_speaks() {
    let project = shipped();
    let runs = project.runs().len();
    let config = project.read("shipworthy.yaml");
    project.write(
        "shipworthy.yaml",
        &config.replacen("repeats: 2", "repeats: 3", 1),
    );
    let refused = project.run(&["eval", "--candidates-only"]);
    assert_eq!(refused.code, 65, "{refused:?}");
    assert!(
        refused.stderr.contains("`personas.repeats`: 2 became 3"),
        "{refused:?}"
    );
    project.write("shipworthy.yaml", &config.replace("regression:", "#"));
    let refused = project.run(&["eval", "--candidates-only"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--write-baseline"), "{refused:?}");
    assert_eq!(project.runs().len(), runs);
    // A candidate that fails has no verdict, here as anywhere.
    project.write("shipworthy.yaml", &config);
    let one = project
        .read("tuned.jsonl")
        .lines()
        .next()
        .unwrap()
        .to_owned();
    project.write("tuned.jsonl", &one);
    let broken = project.run(&["eval", "--candidates-only"]);
    assert_eq!(broken.code, 65, "{broken:?}");
    assert!(
        broken
            .stderr
            .contains("14 of the 16 conversations of `tuned`"),
        "{broken:?}"
    );
    assert_eq!(project.run(&["gate"]).code, 65);
}
