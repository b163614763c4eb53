use serde_json::Value;

use crate::support::project::Project;

/// The whole product once, then once more: the second time nothing is left to do.
#[test]
fn the_demo_ships_one_of_three_candidates_and_does_nothing_twice() {
    let project = Project::new();
    let first = project.run(&["demo", "--directory", "here"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(
        !first.stdout.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
    let report: Value = serde_json::from_str(&project.read("here/candidates/report.json")).unwrap();
    let verdicts: Vec<(&str, &str)> = report["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| {
            let verdict = candidate.pointer("/development/verdict");
            (
                candidate["name"].as_str().unwrap(),
                verdict.and_then(Value::as_str).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            ("untrained", "iterate"),
            ("careless", "do_not_deploy"),
            ("attentive", "ship")
        ]
    );
    assert_eq!(report["recommended"], "attentive");
    assert_eq!(report["verdict"], "ship", "new people confirm it");
    let runs = std::fs::read_dir(project.path("here/runs")).unwrap();
    let pages: Vec<_> = runs
        .map(|run| run.unwrap().path().join("evaluation_report.html"))
        .filter(|page| page.exists())
        .collect();
    assert_eq!(pages.len(), 4, "three at one pool, one at the other");
    let said = project.read("here/data/train.manifest.json");
    let manifest: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(manifest["held_out"][1]["found"], 0);

    let second = project.run(&["demo", "--directory", "here", "--json"]);
    assert_eq!(second.code, 0, "{second:?}");
    let again: Value = serde_json::from_str(&project.read("here/candidates/report.json")).unwrap();
    assert_eq!(again, report);
    assert_eq!(second.json()["table"]["verdict"], "ship");
}
