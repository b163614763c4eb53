use test_case::test_case;

use crate::support::project::Project;

#[test_case(&[]; "shipworthy")]
#[test_case(&["demo"]; "demo")]
#[test_case(&["init"]; "init")]
#[test_case(&["personas", "generate"]; "personas generate")]
#[test_case(&["personas", "check"]; "personas check")]
#[test_case(&["data", "check"]; "data check")]
#[test_case(&["data", "convert"]; "data convert")]
#[test_case(&["data", "split"]; "data split")]
#[test_case(&["data", "dedupe"]; "data dedupe")]
#[test_case(&["data", "chunk"]; "data chunk")]
#[test_case(&["eval"]; "eval")]
#[test_case(&["loop"]; "loop")]
#[test_case(&["ship"]; "ship")]
#[test_case(&["gate"]; "gate")]
#[test_case(&["export"]; "export")]
#[test_case(&["report"]; "report")]
#[test_case(&["label"]; "label")]
#[test_case(&["runs", "list"]; "runs list")]
#[test_case(&["runs", "show"]; "runs show")]
#[test_case(&["runs", "diff"]; "runs diff")]
#[test_case(&["runs", "merge"]; "runs merge")]
#[test_case(&["doctor"]; "doctor")]
#[test_case(&["inspect"]; "inspect")]
#[test_case(&["train"]; "train")]
#[test_case(&["jobs"]; "jobs")]
#[test_case(&["jobs", "run"]; "jobs run")]
#[test_case(&["perplexity"]; "perplexity")]
#[test_case(&["check"]; "check")]
fn help_fits_the_terminal_and_is_reviewed(command: &[&str]) {
    let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    let done = Project::new().run(&arguments);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.lines().all(|line| line.chars().count() <= 100),
        "{}",
        done.stdout
    );
    let name = if command.is_empty() {
        "shipworthy".to_owned()
    } else {
        command.join("_")
    };
    insta::assert_snapshot!(name, done.stdout);
}

#[test]
fn init_writes_projects_that_are_understood() {
    for template in ["coaching", "customer-support", "creative-writing"] {
        let project = Project::new();
        let done = project.run(&["init", "here", "--template", template]);
        assert_eq!(done.code, 0, "{done:?}");
        let config = project.path("here/shipworthy.yaml");
        assert!(config.exists());
        let again = project.run(&["init", "here", "--template", template]);
        assert_eq!(again.code, 2, "nothing is overwritten: {again:?}");
        // Personas, rubric and training data are read before any model is.
        let doctor = project.run(&["doctor", "here", "--json"]).json();
        assert!(doctor["subjects"][0].get("checks").is_some(), "{doctor}");
    }
}

#[test]
fn the_published_schema_is_the_programs() {
    let published = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/shipworthy.schema.json"
    );
    let published = std::fs::read_to_string(published).unwrap();
    let own = Project::new().run(&["init", "--schema"]).stdout;
    assert!(published == own, "run `make schema`");
}
