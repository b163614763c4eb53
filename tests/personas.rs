use serde_json::json;

use crate::support::project::{Project, json_lines};

#[test]
fn people_are_drawn_the_same_whatever_else_is_asked_for() {
    let project = Project::new();
    let generate = |start: &str, count: &str, file: &str| {
        let spec = ["personas", "generate", "--spec", "coaching"];
        let rest = ["--count", count, "--seed-start", start, "-o", file];
        let done = project.run(&[&spec[..], &rest[..]].concat());
        assert_eq!(done.code, 0, "{done:?}");
        json_lines(&project.read(file))
    };
    let all = generate("9000", "15", "a.jsonl");
    let some = generate("9004", "3", "b.jsonl");
    assert_eq!(all.len(), 16);
    assert_eq!(all[0]["split"], "evaluation");
    assert_eq!(some[1..], all[5..8]);
}

#[test]
fn leaked_people_are_named_with_both_lines() {
    let project = Project::new();
    let draw = [
        "personas",
        "generate",
        "--spec",
        "coaching",
        "-o",
        "people.jsonl",
    ];
    assert_eq!(project.run(&draw).code, 0);
    let people = json_lines(&project.read("people.jsonl"));
    let background = people[3]["background"].as_str().unwrap();
    let clean = json!({"messages": [{"role": "user", "content": "I want to sleep better."}]});
    let leaked = json!({"messages": [{"role": "user", "content": format!("Hi! {background}")}]});
    let check = [
        "personas",
        "check",
        "--personas",
        "people.jsonl",
        "--training",
        "train.jsonl",
    ];

    project.write("train.jsonl", &format!("{clean}\n{clean}\n"));
    let done = project.run(&check);
    assert_eq!(done.code, 0, "{done:?}");

    project.write("train.jsonl", &format!("{clean}\n{leaked}\n"));
    let done = project.run(&check);
    assert_eq!(done.code, 65, "{done:?}");
    let names_both = done
        .stdout
        .contains("people.jsonl:4: persona coaching-9002 is in train.jsonl:2:");
    assert!(names_both, "{}", done.stdout);
    let report = project.run(&[&check[..], &["--json"]].concat());
    assert_eq!((report.code, &report.json()["clean"]), (65, &json!(false)));

    // The evaluation looks for itself.
    project.write(
        "shipworthy.yaml",
        "project: leaky\n\
         personas: {spec: coaching}\n\
         rubric: coaching\n\
         baseline: a\n\
         models: {a: {scripted: a.jsonl}, b: {scripted: b.jsonl}}\n\
         training_data: train.jsonl\n",
    );
    project.write("a.jsonl", "{\"reply\": \"Yes?\"}\n");
    project.write("b.jsonl", "{\"reply\": \"No?\"}\n");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(
        done.stderr
            .contains("train.jsonl:2: training data holds persona coaching-9002"),
        "{done:?}"
    );
}
