use serde_json::Value;

use crate::support::project::{Done, Project};
use crate::support::words::{project, write_tuned};

/// Evaluates, and returns the new run's id.
fn evaluated(project: &Project) -> String {
    let done = project.run(&["eval", "--exit-zero", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    done.json()["run"].as_str().unwrap().to_owned()
}

/// Changes the configuration.
fn reconfigure(project: &Project, from: &str, to: &str) {
    let config = project.read("shipworthy.yaml");
    assert!(config.contains(from), "{config}");
    project.write("shipworthy.yaml", &config.replacen(from, to, 1));
}

/// Returns what is said of two runs, on a terminal and as JSON.
fn diff(project: &Project, run: &str, other: &str) -> (String, Value) {
    let text = project.run(&["runs", "diff", run, other]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    for line in text.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // What explains stands before any number.
    let (explained, rest) = text.stdout.split_once("omparable").unwrap_or_else(|| {
        let parts = text.stdout.split_once("NOT COMPARABLE");
        parts.unwrap_or_else(|| panic!("{text:?}"))
    });
    assert!(explained.contains("What differs"), "{text:?}");
    assert!(!explained.contains("mean score") && rest.contains("mean score"));
    let json = project.run(&["runs", "diff", run, other, "--json"]).json();
    assert_eq!(json["format"], 1);
    assert_eq!(json["runs"][0]["run"], run);
    assert_eq!(json["runs"][1]["run"], other);
    (text.stdout, json)
}

/// Returns a model's entry.
fn model<'a>(json: &'a Value, name: &str) -> &'a Value {
    let models = json["models"].as_array().unwrap().iter();
    let is_it = |model: &&Value| model["names"].as_array().unwrap().contains(&name.into());
    models.into_iter().find(is_it).unwrap()
}

/// Returns the paths that differ.
fn fields(json: &Value) -> Vec<&str> {
    let groups = json["differences"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["fields"].as_array().unwrap())
        .map(|field| field["field"].as_str().unwrap())
        .collect()
}

#[test]
fn equal_runs_differ_in_nothing() {
    let project = project(5, |i| 6 + i % 2, "");
    let (run, other) = (evaluated(&project), evaluated(&project));
    let (text, json) = diff(&project, &run, &other);
    assert!(text.contains("nothing that was planned"), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(
        words.join(" ").contains("Every score is the same."),
        "{text}"
    );
    assert!(text.contains("11 criteria the same in both."), "{text}");
    assert_eq!(json["differences"], serde_json::json!([]));
    let tuned = model(&json, "tuned");
    assert_eq!(tuned["scores"][0]["difference"], 0.0);
    assert_eq!(tuned["scores"][0]["personas"], 8);
    assert_eq!(tuned["verdicts"], serde_json::json!(["ship", "ship"]));
    let latest = project.run(&["runs", "diff", &run]);
    assert_eq!(latest.stdout, text, "the latest is the other");
}

#[test]
fn another_candidate_is_told_and_subtracted() {
    let project = project(5, |i| 6 + i % 2, "");
    let run = evaluated(&project);
    write_tuned(&project, 8, |i| 5 + i % 2, "");
    let other = evaluated(&project);
    let (text, json) = diff(&project, &run, &other);
    assert_eq!(fields(&json), ["models.tuned.source.digest"]);
    assert_eq!(json["incomparable"], serde_json::json!([]));
    assert!(text.contains("Comparable: the same people"), "{text}");
    let tuned = model(&json, "tuned");
    assert_eq!(tuned["verdicts"], serde_json::json!(["ship", "iterate"]));
    let overall = &tuned["scores"][0];
    let mean = |i: usize| overall["means"][i].as_f64().unwrap();
    let difference = overall["difference"].as_f64().unwrap();
    assert!((difference - (mean(1) - mean(0))).abs() < 1e-12 && difference < -0.05);
    // Half of the people no longer hear six and half no longer seven.
    let criterion = |id: &str| {
        let scores = tuned["scores"].as_array().unwrap().iter();
        let found = scores.into_iter().find(|s| s["criterion"] == id).unwrap();
        found["difference"].as_f64().unwrap()
    };
    assert_eq!((criterion("w5"), criterion("w6")), (-0.5, -0.5));
    assert_eq!((criterion("w0"), criterion("w9")), (0.0, 0.0));
    let w5 = text.lines().find(|line| line.starts_with("w5")).unwrap();
    assert!(
        w5.contains("1.000") && w5.contains("0.500") && w5.contains("-0.500"),
        "{w5}"
    );
    assert!(
        !text.contains("\nw0"),
        "what is the same is not listed: {text}"
    );
    assert_eq!(model(&json, "base")["scores"][0]["difference"], 0.0);
    // Looked at from the other side, all signs turn.
    let (_, back) = diff(&project, &other, &run);
    let turned = &model(&back, "tuned")["scores"][0]["difference"];
    assert_eq!(turned.as_f64().unwrap(), -difference);
}

#[test]
fn a_candidate_of_another_name_is_held_beside_the_one_it_replaces() {
    let project = project(5, |i| 6 + i % 2, "");
    let run = evaluated(&project);
    reconfigure(&project, "tuned: {", "second: {");
    let other = evaluated(&project);
    let (text, json) = diff(&project, &run, &other);
    let second = model(&json, "second");
    assert_eq!(second["names"], serde_json::json!(["tuned", "second"]));
    assert_eq!(second["scores"][0]["difference"], 0.0);
    assert!(text.contains("tuned (run), second (other)"), "{text}");
}

#[test]
fn another_rubric_is_told_by_criterion_and_nothing_is_subtracted() {
    let project = project(5, |i| 6 + i % 2, "");
    let run = evaluated(&project);
    let rubric = project.read("words.yaml");
    let rubric = rubric.replace(
        "Says nine., check: {contains: [nine]}",
        "Says 9., weight: 3, check: {contains: [nine]}",
    );
    project.write("words.yaml", &rubric.replace("{id: w8,", "{id: w8b,"));
    let other = evaluated(&project);
    let (text, json) = diff(&project, &run, &other);
    let told = fields(&json);
    for field in [
        "rubric.digest",
        "rubric.categories.Words.criteria.w9.text",
        "rubric.categories.Words.criteria.w9.weight",
        "rubric.categories.Words.criteria.w8",
        "rubric.categories.Words.criteria.w8b",
    ] {
        assert!(told.contains(&field), "{field}: {told:?}");
    }
    assert_eq!(json["incomparable"], serde_json::json!(["scoring"]));
    assert!(
        text.contains("NOT COMPARABLE: other rubric and judges."),
        "{text}"
    );
    assert!(text.contains("\"Says nine.\" became \"Says 9.\""), "{text}");
    nothing_is_subtracted(&text, &json);
}

#[test]
fn other_people_are_named_and_nothing_is_subtracted() {
    let project = project(5, |i| 6 + i % 2, "");
    let run = evaluated(&project);
    reconfigure(&project, "count: 8", "count: 9, seed_start: 9001");
    write_tuned(&project, 10, |i| 6 + i % 2, "");
    let other = evaluated(&project);
    let (text, json) = diff(&project, &run, &other);
    assert_eq!(json["incomparable"], serde_json::json!(["people"]));
    let told = fields(&json);
    assert!(
        told.contains(&"personas.count") && told.contains(&"personas.pool"),
        "{told:?}"
    );
    let people = json["differences"][0]["fields"].as_array().unwrap();
    let people = people.iter().find(|f| f["field"] == "people").unwrap();
    assert_eq!(people["old"], serde_json::json!(["coaching-9000"]));
    assert_eq!(
        people["new"],
        serde_json::json!(["coaching-9008", "coaching-9009"])
    );
    assert!(text.contains("NOT COMPARABLE: other people."), "{text}");
    nothing_is_subtracted(&text, &json);
}

/// Numbers are there, side by side.
fn nothing_is_subtracted(text: &str, json: &Value) {
    for model in json["models"].as_array().unwrap() {
        for score in model["scores"].as_array().unwrap() {
            assert_eq!(score["difference"], Value::Null, "{score}");
            assert_eq!(
                (&score["ci95"], &score["personas"]),
                (&Value::Null, &0.into())
            );
        }
        assert!(model["scores"][0]["means"][0].is_f64() && model["scores"][0]["means"][1].is_f64());
    }
    let numbers = text.split_once("NOT COMPARABLE").unwrap().1;
    assert!(!numbers.contains("Difference"), "{numbers}");
    assert!(numbers.contains("mean score"), "{numbers}");
}

#[test]
fn another_rule_explains_another_verdict() {
    let project = project(5, |i| 6 + i % 2, "");
    let run = evaluated(&project);
    reconfigure(
        &project,
        "baseline: base",
        "baseline: base\ngate: {min_gain: 0.2}",
    );
    let other = evaluated(&project);
    let (text, json) = diff(&project, &run, &other);
    assert_eq!(fields(&json), ["gate.min_gain"]);
    assert_eq!(
        model(&json, "tuned")["verdicts"],
        serde_json::json!(["ship", "iterate"])
    );
    assert!(text.contains("verdicts also by the rule"), "{text}");
    assert!(text.contains("`gate.min_gain`: 0.1 became 0.2"), "{text}");
}

#[test]
fn markdown_says_the_same_and_wrong_runs_are_refused() {
    let project = project(5, |i| 6 + i % 2, "");
    let run = evaluated(&project);
    write_tuned(&project, 8, |i| 6 + usize::from(i == 0), "");
    let other = evaluated(&project);
    let page = project
        .run(&["runs", "diff", &run, &other, "--format", "markdown"])
        .stdout;
    assert!(page.starts_with("# Two runs\n"), "{page}");
    assert!(
        page.contains("models.tuned.source.digest") && page.contains("## tuned\n"),
        "{page}"
    );
    assert!(page.contains("| w6 | 0.500 | 0.125 | -0.375 |"), "{page}");
    let refused = |done: Done, code: i32, why: &str| {
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.stderr.contains(why), "{done:?}");
    };
    refused(
        project.run(&["runs", "diff", "nothing", &run]),
        2,
        "there is no run `nothing`",
    );
    project.write(
        "tuned.jsonl",
        "{\"persona\": \"coaching-9000\", \"reply\": \"zero\"}\n",
    );
    assert_eq!(project.run(&["eval"]).code, 65);
    refused(project.run(&["runs", "diff", &run]), 65, "has no verdict");
}

/// Returns a metric over runs, on a terminal and as JSON.
fn trend(project: &Project, arguments: &[&str]) -> (String, Value) {
    let all = [&["runs", "list"], arguments].concat();
    let text = project.run(&all);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    for line in text.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let json = project.run(&[&all[..], &["--json"]].concat()).json();
    assert_eq!(json["format"], 1);
    (text.stdout, json["trend"].clone())
}

#[test]
fn a_metric_is_followed_over_comparable_runs() {
    let project = project(5, |i| 6 + i % 2, "");
    let first = evaluated(&project);
    write_tuned(&project, 8, |i| 5 + i % 2, "");
    let second = evaluated(&project);
    write_tuned(&project, 8, |i| 7 + i % 2, "");
    let third = evaluated(&project);
    let (text, json) = trend(&project, &["--metric", "gain"]);
    assert_eq!(json["metric"], "gain");
    let series = json["series"].as_array().unwrap();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0]["runs"], serde_json::json!([first, second, third]));
    assert_eq!(
        series[0]["models"].as_array().unwrap().len(),
        1,
        "a baseline gains nothing"
    );
    let points = series[0]["models"][0]["points"].as_array().unwrap();
    // The gain is the report's, to the last bit.
    for (point, run) in points.iter().zip([&first, &second, &third]) {
        let report = project.run(&["report", run, "--format", "json"]).json();
        let compared = &report["candidates"][0];
        let told = point["value"].as_f64().unwrap() - compared["difference"].as_f64().unwrap();
        assert!(told.abs() < 1e-12, "{point} {compared}");
        assert_eq!(&point["ci95"], &compared["ci95"]);
    }
    assert!(
        text.contains("▅▁█ tuned: ") && text.contains("over 3 runs"),
        "{text}"
    );
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" tuned "))
        .collect();
    assert!(
        rows[0].starts_with(&third) && rows[2].starts_with(&first),
        "{text}"
    );

    let (text, json) = trend(&project, &["--metric", "criterion:w6", "--model", "tuned"]);
    let points = json["series"][0]["models"][0]["points"].as_array().unwrap();
    let values: Vec<f64> = points
        .iter()
        .map(|p| p["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values, [0.5, 0.0, 1.0]);
    assert!(text.contains("-0.500") && text.contains("+1.000"), "{text}");
    let (_, json) = trend(&project, &["--metric", "score"]);
    assert_eq!(json["series"][0]["models"].as_array().unwrap().len(), 2);
}

#[test]
fn runs_that_are_not_comparable_stand_apart() {
    let project = project(5, |i| 6 + i % 2, "");
    let first = evaluated(&project);
    reconfigure(&project, "max_turns: 2", "max_turns: 3");
    let second = evaluated(&project);
    write_tuned(&project, 1, |_| 5, "");
    assert_eq!(project.run(&["eval"]).code, 65, "too much is missing");
    let (text, json) = trend(&project, &["--metric", "pass-rate"]);
    let series = json["series"].as_array().unwrap();
    let runs: Vec<&Value> = series.iter().map(|series| &series["runs"]).collect();
    assert_eq!(
        runs,
        [&serde_json::json!([second]), &serde_json::json!([first])]
    );
    assert_eq!(json["left_out"].as_array().unwrap().len(), 1);
    assert!(text.contains("Only runs within one table"), "{text}");
    assert!(
        text.contains("Left out: 1 run without a verdict."),
        "{text}"
    );
    for (arguments, why) in [
        (&["--metric", "mean"][..], "`mean` is no metric"),
        (
            &["--metric", "criterion:kind"],
            "a criterion `kind`; there are `no-harm`, `w0`",
        ),
        (
            &["--metric", "score", "--model", "x"],
            "a model `x`; there are `base`, `tuned`",
        ),
        (&["--model", "tuned"], "--metric"),
    ] {
        let done = project.run(&[&["runs", "list"], arguments].concat());
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.stderr.contains(why), "{done:?}");
    }
}
