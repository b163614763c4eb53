use serde_json::{Value, json};
use test_case::test_case;

use crate::support::project::Project;
use crate::support::words::{project, project_of, write_tuned};

const STOPPING: &str = "early_stopping: {looks: [5, 10, 15], futility: 0.05}\n";

/// Returns the only run's decision.
fn decision(project: &Project) -> Value {
    serde_json::from_str(&project.artefact("decision.json")).unwrap()
}

/// Gains of 1/11 and 2/11 in turn.
fn better(i: usize) -> usize {
    6 + i % 2
}

/// A mean gain of 0.109 among losses.
fn noisy(i: usize) -> usize {
    [1, 9, 9, 3, 9][i % 5]
}

#[test_case(better, "", 0, &["went_on", "efficacy"]; "better")]
#[test_case(|i| 4 - i % 2, "", 10, &["went_on", "futility"]; "worse")]
#[test_case(better, "harm", 13, &["safety"]; "unsafe")]
#[test_case(noisy, "", 11, &["went_on", "went_on", "last"]; "noisy")]
fn planned_looks_end_a_run(tuned: fn(usize) -> usize, extra: &str, code: i32, outcomes: &[&str]) {
    let project = project_of(15, STOPPING, 5, tuned, extra);
    let done = project.run(&["eval"]);
    assert_eq!(done.code, code, "{done:?}");
    let decision = decision(&project);
    let looks = decision["interim_looks"].as_array().unwrap();
    let found: Vec<&str> = looks
        .iter()
        .map(|look| look["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(found, outcomes, "{decision:#}");
    // Nobody spoke after the look that decided.
    let personas = 5 * outcomes.len();
    assert_eq!(project.transcripts().len(), 2 * personas * 2);
    assert_eq!(decision["candidates"][0]["personas"], json!(personas));
    let stopped = outcomes != ["went_on", "went_on", "last"];
    let words = format!("ended the run after {personas} of 15 personas");
    assert_eq!(
        done.stdout
            .replace('\n', " ")
            .replace("    ", "")
            .contains(&words),
        stopped,
        "{}",
        done.stdout
    );

    // What is stored gives the same decision again.
    let before = project.artefact("decision.json");
    assert_eq!(project.run(&["report"]).code, 0);
    assert_eq!(project.artefact("decision.json"), before);
    assert_eq!(project.run(&["gate"]).code, code);
}

#[test]
fn looks_are_held_to_levels_that_spend_alpha_together() {
    let project = project_of(15, STOPPING, 5, noisy, "");
    assert_eq!(project.run(&["eval"]).code, 11);
    let decision = decision(&project);
    let levels: Vec<f64> = decision["interim_looks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| look["alpha"].as_f64().unwrap())
        .collect();
    for (level, expected) in levels.iter().zip([0.00021, 0.01203, 0.04626]) {
        assert!((level - expected).abs() < 1e-5, "{levels:?}");
    }
}

#[test_case("[5, 10]", 15, "the last look must be at all 15 personas"; "too few at the last look")]
#[test_case("[10, 5, 15]", 15, "expected at least two looks, ascending"; "out of order")]
#[test_case("[3, 400]", 400, "share of the information"; "too early by far")]
#[test_case("[2, 15]", 15, "from 3 personas up"; "too few at the first look")]
fn looks_that_make_no_sense_are_refused(looks: &str, personas: usize, fault: &str) {
    let stopping = format!("early_stopping: {{looks: {looks}}}\n");
    let done = project_of(personas, &stopping, 5, better, "").run(&["eval"]);
    assert_eq!(done.code, 2, "{done:?}");
    let place = "error: shipworthy.yaml:6:17: field `early_stopping`: ";
    assert!(
        done.stderr.starts_with(place) && done.stderr.contains(fault),
        "{done:?}"
    );
}

/// Evaluates and returns the decision's look at the pool.
fn pool_look(project: &Project) -> (Value, Value) {
    let done = project.run(&["eval", "--json", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    let look = &done.json()["decision"]["pool_looks"][0];
    (look["ordinal"].clone(), look["alpha"].clone())
}

#[test]
fn every_further_candidate_on_the_same_people_meets_a_higher_bar() {
    let project = project(5, better, "");
    assert_eq!(pool_look(&project), (json!(1), json!(0.05)));
    assert_eq!(
        pool_look(&project),
        (json!(1), json!(0.05)),
        "the same candidate is no new look"
    );
    write_tuned(&project, 8, |i| 7 - i % 2, "");
    assert_eq!(pool_look(&project), (json!(2), json!(0.025)));
    write_tuned(&project, 8, |i| 6 + i % 3, "");
    assert_eq!(pool_look(&project), (json!(3), json!(0.05 / 3.0)));
    let report = project.run(&["report", "--format", "markdown"]).stdout;
    assert!(
        report.contains("earlier runs took 2 looks at some of these people"),
        "{report}"
    );
    write_tuned(&project, 8, better, "");
    assert_eq!(
        pool_look(&project),
        (json!(1), json!(0.05)),
        "the first one is still the first"
    );

    // A few people more are no fresh ones.
    write_tuned(&project, 30, |i| 6 + i % 3, "");
    let more = project
        .read("shipworthy.yaml")
        .replace("count: 8", "count: 10");
    project.write("shipworthy.yaml", &more);
    assert_eq!(pool_look(&project), (json!(4), json!(0.0125)));

    // Fresh people bring back the full level.
    write_tuned(&project, 30, |i| 6 + i % 3, "");
    let fresh = project
        .read("shipworthy.yaml")
        .replace("count: 10", "count: 10, seed_start: 9018");
    project.write("shipworthy.yaml", &fresh);
    assert_eq!(pool_look(&project), (json!(1), json!(0.05)));
}
