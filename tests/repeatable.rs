use crate::support::project::Project;
use crate::support::words::project;

/// Evaluates twice and compares everything that is said of the verdict.
fn assert_repeats(project: &Project) {
    for _ in 0..2 {
        let done = project.run(&["eval", "--fresh", "--exit-zero"]);
        assert_eq!(done.code, 0, "{done:?}");
    }
    let runs = project.runs();
    assert_eq!(runs.len(), 2);
    for name in [
        "scores.csv",
        "decision.json",
        "transcripts.jsonl",
        "evaluation_report.md",
        "junit.xml",
        "evaluation_report.html",
    ] {
        let [first, second] = [0, 1].map(|i| std::fs::read(runs[i].join(name)).unwrap());
        assert!(
            first == second,
            "{name} differs between two runs of one plan"
        );
    }
}

#[test]
fn two_runs_of_scripted_models_are_the_same() {
    assert_repeats(&project(5, |i| 6 + i % 2, ""));
}

#[test]
fn a_run_stored_with_a_plan_of_the_first_version_is_reported_again() {
    let project = project(5, |i| 6 + i % 2, "");
    assert_eq!(project.run(&["eval", "--exit-zero"]).code, 0);
    let decision = project.artefact("scores.csv");
    let store = rusqlite::Connection::open(project.store()).unwrap();
    let plan: String = store
        .query_row("SELECT plan FROM runs", [], |row| row.get(0))
        .unwrap();
    let mut plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let fields = plan.as_object_mut().unwrap();
    assert!(fields.remove("judges").is_some());
    fields.insert("judge".to_owned(), serde_json::Value::Null);
    fields.remove("judging");
    fields.remove("simulator_audit");
    store
        .execute("UPDATE runs SET plan = ?1", [plan.to_string()])
        .unwrap();
    let report = project.run(&["report"]);
    assert_eq!(report.code, 0, "{report:?}");
    assert_eq!(project.artefact("scores.csv"), decision);
    assert_eq!(project.run(&["runs", "list"]).code, 0);
}

#[cfg(feature = "embedded")]
mod embedded {
    use crate::support::golden::golden;
    use crate::support::project::Project;

    #[test]
    fn two_runs_of_gguf_models_are_the_same() {
        let models = golden("coaching");
        let models = models.display();
        super::assert_repeats(&Project::with_config(&format!(
            "project: twice\n\
             personas: {{spec: coaching, count: 5, repeats: 2, max_turns: 3}}\n\
             rubric: coaching\n\
             baseline: base\n\
             models:\n  base: {{gguf: \"{models}/base-q8_0.gguf\", parallel: 3}}\n  \
             tuned: {{gguf: \"{models}/tuned-q8_0.gguf\"}}\n\
             sampling: {{max_tokens: 64, seed: 3}}\n"
        )));
    }
}
