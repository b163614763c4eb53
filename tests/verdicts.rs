use test_case::test_case;

use crate::support::project::Project;
use crate::support::words::project;

/// Gains of 1/11 and 2/11 in turn.
fn better() -> Project {
    project(5, |i| 6 + i % 2, "")
}

#[test_case(better, 0, "ship"; "ship")]
#[test_case(|| project(5, |i| 5 + i % 2, ""), 10, "iterate"; "iterate")]
#[test_case(|| project(5, |i| 3 + i % 2, ""), 10, "iterate"; "worse")]
#[test_case(|| project(5, |i| 4 + 5 * (i % 2), ""), 11, "more_evidence"; "more evidence")]
#[test_case(|| project(4, |i| 8 + i % 2, ""), 12, "hold"; "hold")]
#[test_case(|| project(5, |i| 6 + i % 2, "harm"), 13, "do_not_deploy"; "do not deploy")]
fn report_json_and_exit_code_agree(project: fn() -> Project, code: i32, verdict: &str) {
    let project = project();
    let evaluated = project.run(&["eval"]);
    assert_eq!(evaluated.code, code, "{evaluated:?}");
    let label = verdict.replace('_', " ").to_uppercase();
    assert!(
        evaluated.stdout.starts_with(&format!("{label}: ")),
        "{}",
        evaluated.stdout
    );
    let decision: serde_json::Value =
        serde_json::from_str(&project.artefact("decision.json")).unwrap();
    assert_eq!(decision["verdict"], verdict);
    assert_eq!(decision["exit_code"], code);
    assert!(
        project
            .artefact("evaluation_report.md")
            .contains(&format!("{label}: "))
    );
    let page = project.artefact("evaluation_report.html");
    assert!(page.contains(&format!("<span class=\"label\">{label}:</span> ")));
    assert_eq!(project.run(&["report", "--format", "html"]).stdout, page);
    assert_eq!(
        project.artefact("scores.csv").lines().count(),
        1 + 2 * 8 * 2
    );

    let gate = project.run(&["gate"]);
    assert_eq!((gate.code, gate.stderr.as_str()), (code, ""));
    assert!(
        gate.stdout.starts_with(&format!("{label}: ")),
        "{}",
        gate.stdout
    );
    let page = project.run(&["gate", "--format", "markdown"]);
    assert_eq!(page.code, code);
    assert!(page.stdout.contains(&format!("\n**{label}: ")), "{page:?}");
    let gate = project.run(&["gate", "--json"]);
    assert_eq!((gate.code, &gate.json()["decision"]), (code, &decision));
    assert_eq!(project.run(&["gate", "--exit-zero"]).code, 0);
    assert_eq!(project.run(&["eval", "--resume", "--exit-zero"]).code, 0);
}

#[test]
fn a_run_is_listed_shown_and_reported_again() {
    let project = better();
    assert_eq!(
        project.run(&["runs", "list"]).code,
        2,
        "nothing was evaluated yet"
    );
    assert_eq!(project.run(&["eval"]).code, 0);
    assert_eq!(
        project.run(&["eval"]).code,
        0,
        "a second run of the same plan"
    );
    let runs = project.run(&["runs", "list", "--json"]).json();
    let ids: Vec<&str> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(
        ids[0].ends_with("-2") && ids[1].ends_with("-1"),
        "the latest comes first: {ids:?}"
    );
    assert!(project.run(&["runs", "list"]).stdout.contains(ids[0]));

    let shown = project.run(&["runs", "show", ids[1]]);
    assert!(
        shown.stdout.contains(&format!("run     {}", ids[1])),
        "{}",
        shown.stdout
    );
    let report = project
        .path("runs")
        .join(ids[1])
        .join("evaluation_report.md");
    let before = std::fs::read_to_string(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    assert_eq!(project.run(&["report", ids[1]]).code, 0);
    assert_eq!(std::fs::read_to_string(&report).unwrap(), before);
    assert_eq!(
        project
            .run(&["report", ids[1], "--format", "markdown"])
            .stdout,
        before
    );
    assert_eq!(project.run(&["report", "no-such-run"]).code, 2);
}

#[test]
fn a_gate_passes_by_no_rule_but_the_one_configured() {
    let project = better();
    assert_eq!(project.run(&["eval"]).code, 0);
    for command in [&["gate"][..], &["report"], &["runs", "list"]] {
        let mistyped = [command, &["-c", "shipworhty.yaml"]].concat();
        project
            .run(&mistyped)
            .assert_fails(2, "there is no configuration `shipworhty.yaml`");
    }
    std::fs::rename(project.path("shipworthy.yaml"), project.path("away.yaml")).unwrap();
    project
        .run(&["gate"])
        .assert_fails(2, "there is no configuration `shipworthy.yaml`");
    assert_eq!(project.run(&["gate", "--rule", "ship"]).code, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_no_success() {
    let project = better();
    assert_eq!(project.run(&["eval"]).code, 0);
    for arguments in [
        &["gate"][..],
        &["gate", "--json"],
        &["report", "--format", "html"],
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = project.command(arguments);
        let done = command.stdout(full).output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(74), "{told}");
        assert!(told.contains("failed to write to stdout: "), "{told}");
    }
    // What is no file is written to, not replaced.
    let link = project.path("link.jsonl");
    std::os::unix::fs::symlink("people.jsonl", &link).unwrap();
    project.write("people.jsonl", "older");
    for output in ["link.jsonl", "/dev/null"] {
        let arguments = [
            "personas", "generate", "--spec", "coaching", "--count", "3", "--output",
        ];
        let done = project.run(&[&arguments[..], &[output]].concat());
        assert_eq!(done.code, 0, "{done:?}");
    }
    assert!(link.is_symlink() && project.read("people.jsonl").contains("coaching-900"));
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());

    // Nor is a hand-made person looked for.
    let people = project.read("people.jsonl");
    let (head, rest) = people.split_once('\n').unwrap();
    let edited = rest.replacen("\"background\":\"", "\"background\":\"Nothing. ", 1);
    assert_ne!(edited, rest);
    project.write("edited.jsonl", &format!("{head}\n{edited}"));
    project.write("rows.jsonl", "\u{feff}{\"messages\": []}\n");
    let check = |people: &str| {
        project.run(&[
            "personas",
            "check",
            "--personas",
            people,
            "--training",
            "rows.jsonl",
        ])
    };
    assert_eq!(check("people.jsonl").code, 0);
    assert_eq!(check("edited.jsonl").code, 65);
}

#[test]
fn a_run_without_a_verdict_gates_nothing_and_is_mended_by_resuming() {
    let project = better();
    assert_eq!(project.run(&["eval"]).code, 0);
    // Now a model that answers one persona only: too many conversations are missing.
    let good = project.read("tuned.jsonl");
    project.write("tuned.jsonl", good.lines().next().unwrap());
    let broken = project.run(&["eval"]);
    assert_eq!(broken.code, 65, "{broken:?}");
    assert!(
        broken
            .stderr
            .contains("14 of the 16 conversations of `tuned` have no score"),
        "{broken:?}"
    );
    let gate = project.run(&["gate"]);
    assert_eq!(
        gate.code, 65,
        "the older run's verdict is not this one's: {gate:?}"
    );
    assert!(
        gate.stderr.contains("has no verdict: 14 of the 16"),
        "{gate:?}"
    );
    assert!(project.run(&["runs", "list"]).stdout.contains("no verdict"));
}
