use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Done, Project, example, json_lines};

/// A project whose `generate` is `generate`; its models are nowhere and must not be opened.
fn project(generate: &str) -> Project {
    Project::with_config(&format!(
        "project: taught\n\
         personas: {{spec: coaching, count: 15, repeats: 1, max_turns: 4}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models: {{base: {{gguf: absent.gguf}}, tuned: {{gguf: absent-too.gguf}}}}\n\
         system_prompt: Be brief.\n\
         generate: {generate}\n"
    ))
}

/// A teacher who is good enough for every open person.
const GOOD: &str = r#"
{"turn": 1, "replies": ["It sounds like this weighs on you. What have you tried so far?", "I hear you. When does it happen most of all?"]}
{"turn": 2, "reply": "That makes sense to me. You could try ten minutes of it tomorrow. Please ask a doctor if it gets heavy. What would help?"}
{"turn": 3, "reply": "I understand, so let us keep it small. One small step: write down one line tonight. How does that sound?"}
{"reply": "So you know what helps you. A first step could be a short walk before dinner. When could you do that?"}
"#;

fn taught(project: &Project, script: &str, arguments: &[&str]) -> Value {
    project.write("teacher.jsonl", script);
    let done = project.run(&[&["data", "generate", "--json"], arguments].concat());
    assert_eq!(done.code, 0, "{done:?}");
    done.json()
}

fn rows(project: &Project, name: &str) -> Vec<Value> {
    json_lines(&project.read(name))
}

#[test]
fn a_scripted_teacher_makes_rows_that_training_takes_and_no_evaluation_person_is_in() {
    let project = Project::new();
    let init = project.run(&["init", ".", "--template", "coaching"]);
    assert_eq!(init.code, 0, "{init:?}");
    let generate: &[&str] = &["data", "generate", "--json", "--wanted", "60"];
    let done = project.run(generate);
    assert_eq!(done.code, 0, "{done:?}");
    let report = done.json();
    assert_eq!(report["kept"], 60);
    let rejected = report["rejected"].as_object().unwrap().values();
    let rejected: u64 = rejected.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(report["conversations"], 60 + rejected);

    let (training, validation) = (
        rows(&project, "data/train.jsonl"),
        rows(&project, "data/train.validation.jsonl"),
    );
    assert_eq!(training.len() + validation.len(), 60);
    let people = |rows: &[Value]| -> BTreeSet<u64> {
        rows.iter()
            .map(|row| row["seed"].as_u64().unwrap())
            .collect()
    };
    let (learnt, held) = (people(&training), people(&validation));
    assert!(learnt.is_disjoint(&held) && !held.is_empty());
    assert!(learnt.union(&held).all(|seed| *seed < 5000));
    let order: Vec<(u64, u64)> = training
        .iter()
        .map(|row| {
            (
                row["seed"].as_u64().unwrap(),
                row["repeat"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(order.is_sorted());
    for row in training.iter().chain(&validation) {
        let messages = row["messages"].as_array().unwrap();
        assert_eq!(
            messages[0],
            json!({"role": "system", "content": "You are a kind, practical coach."})
        );
        assert_eq!(messages.last().unwrap()["role"], "assistant");
        assert!(row["score"].as_f64().unwrap() >= 0.65);
        assert_eq!(row["plan"], report["run"].as_str().unwrap()[..12]);
    }
    let manifest: Value = serde_json::from_str(&project.read("data/train.manifest.json")).unwrap();
    assert_eq!(manifest["files"][0]["digest"], report["files"][0]["digest"]);
    assert_eq!(manifest["teacher"]["source"]["kind"], "scripted");

    let personas = [
        "personas",
        "generate",
        "--spec",
        "coaching",
        "-o",
        "people.jsonl",
    ];
    assert_eq!(project.run(&personas).code, 0);
    let check = [
        "data",
        "check",
        "data/train.jsonl",
        "--personas",
        "people.jsonl",
        "--json",
    ];
    let checked = project.run(&check);
    assert_eq!(checked.code, 0, "{checked:?}");
    let checked = checked.json();
    assert_eq!(checked["near_duplicates"]["rows"], 0);
    assert_eq!(checked["exact_duplicates"]["rows"], 0);

    // The same plan and replies give the same bytes; what is there is not replaced unasked.
    let before = (
        project.read("data/train.jsonl"),
        project.read("data/train.manifest.json"),
    );
    let refused = project.run(generate);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("is there already"), "{refused:?}");
    let again = project.run(&[generate, &["--overwrite", "--fresh"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["reuse"]["reused"], 0);
    let after = (
        project.read("data/train.jsonl"),
        project.read("data/train.manifest.json"),
    );
    assert_eq!(before, after);

    let list = project.run(&["runs", "list"]);
    assert!(list.stdout.contains("60 rows of training data"), "{list:?}");
    let shown = project.run(&["runs", "show", report["run"].as_str().unwrap()]);
    assert_eq!(shown.code, 65, "{shown:?}");
    assert!(shown.stderr.contains("nothing was evaluated"), "{shown:?}");
}

#[test]
fn the_shipped_teacher_is_good_enough_for_most_people() {
    let script = std::fs::read_to_string(example("teacher.jsonl")).unwrap();
    let project = project("{teacher: {scripted: teacher.jsonl}, personas: {count: 100}}");
    let report = taught(&project, &script, &[]);
    assert!(report["kept"].as_u64().unwrap() >= 80, "{report}");
}

#[test]
fn what_is_not_good_enough_is_left_out_and_counted() {
    let project = project(
        "{teacher: {scripted: teacher.jsonl}, personas: {count: 40}, min_score: 0.7, sampling: {max_tokens: 99}}\n\
         loop: {candidates: [absent.yaml], confirmation: {seed_start: 9500, count: 3, repeats: 1}}",
    );
    let all = taught(&project, GOOD, &["--out", "all.jsonl"]);
    let kept: Vec<String> = rows(&project, "all.jsonl")
        .iter()
        .map(|row| row["persona"].as_str().unwrap().to_owned())
        .collect();
    assert!(kept.len() > 6, "{all}");

    // The same people with a teacher who spoils some conversations that were good.
    let background = |seed: &str| {
        let drawn = project.run(&[
            "personas",
            "generate",
            "--spec",
            "coaching",
            "--seed-start",
            seed,
            "--count",
            "1",
            "--json",
        ]);
        let background = &drawn.json()["personas"][0]["background"];
        background.as_str().unwrap().to_owned()
    };
    // Somebody of the evaluation, and somebody whom only the best candidate of the loop meets.
    let told = |seed: &str| {
        let told = background(seed);
        format!("I hear you. Somebody told me: {told} What have you tried?")
    };
    let spoilt = [
        json!({"persona": kept[0], "turn": 1, "reply": "I guarantee that it sounds hard. What have you tried?"}),
        json!({"persona": kept[1], "turn": 1, "reply": "I hear you, that is", "finish_reason": "length"}),
        json!({"persona": kept[2], "reply": "No."}),
        json!({"persona": kept[4], "turn": 1, "reply": "I hear you. What happened?"}),
        json!({"persona": kept[3], "turn": 1, "reply": told("9000")}),
        json!({"persona": kept[5], "turn": 1, "reply": told("9502")}),
    ];
    let spoilt = spoilt.map(|line| line.to_string() + "\n").concat();
    let script = spoilt + GOOD;
    let report = taught(&project, &script, &["--out", "some.jsonl"]);
    let of = |report: &Value, why: &str| report["rejected"][why].as_u64().unwrap_or(0);
    for (why, more) in [("unsafe", 1), ("cut_off", 1), ("held_out", 2)] {
        assert_eq!(
            of(&report, why),
            of(&all, why) + more,
            "{why}: {report} {all}"
        );
    }
    assert_eq!(report["held_out"]["personas"], 18);
    let left: BTreeSet<String> = rows(&project, "some.jsonl")
        .iter()
        .map(|row| row["persona"].as_str().unwrap().to_owned())
        .collect();
    for persona in kept[..4].iter().chain([&kept[5]]) {
        assert!(!left.contains(persona), "{persona}: {report}");
    }
    assert!(left.contains(&kept[4]) && left.contains(&kept[6]));
    assert_eq!(left.len() as u64, report["kept"].as_u64().unwrap());

    // A stricter filter asks for nothing anew.
    let stricter = project
        .read("shipworthy.yaml")
        .replace("min_score: 0.7", "min_score: 1.0");
    project.write("shipworthy.yaml", &stricter);
    let strict = taught(&project, &script, &["--out", "strict.jsonl"]);
    assert!(
        strict["kept"].as_u64() < report["kept"].as_u64(),
        "{strict}"
    );
    assert_eq!(strict["reuse"]["reused"], strict["reuse"]["calls"]);
}

#[test]
fn a_teacher_who_fails_for_some_people_teaches_the_others() {
    let project = project("{teacher: {scripted: teacher.jsonl}, personas: {count: 12}}");
    // Nothing is said to people whose seed ends in 1.
    let script: String = (0..12)
        .filter(|seed| seed % 10 != 1)
        .flat_map(|seed| {
            let named = format!("{{\"persona\": \"coaching-{seed}\", ");
            let lines = GOOD.lines().filter(|line| !line.is_empty());
            lines.map(move |line| line.replacen('{', &named, 1) + "\n")
        })
        .collect();
    let report = taught(&project, &script, &[]);
    assert_eq!(report["rejected"]["failed"], 2, "{report}");
    let people = rows(&project, "training_data.jsonl");
    assert!(!people.is_empty());
    assert!(
        people
            .iter()
            .all(|row| row["seed"].as_u64().unwrap() % 10 != 1)
    );
}

#[test]
fn seeds_of_an_evaluation_and_missing_teachers_are_refused() {
    let refused = |generate: &str| {
        let project = project(generate);
        project.write("teacher.jsonl", GOOD);
        let done = project.run(&["data", "generate"]);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(!project.path("training_data.jsonl").exists());
        done.stderr
    };
    let seeds =
        refused("{teacher: {scripted: teacher.jsonl}, personas: {seed_start: 9000, count: 3}}");
    assert!(
        seeds.contains("shipworthy.yaml:7:")
            && seeds.contains("who is trained on cannot be held out"),
        "{seeds}"
    );
    let beyond =
        refused("{teacher: {scripted: teacher.jsonl}, personas: {seed_start: 4990, count: 11}}");
    assert!(beyond.contains("neither all for training"), "{beyond}");
    let nowhere = refused("{teacher: {scripted: nowhere.jsonl}}");
    assert!(nowhere.contains("field `generate.teacher`"), "{nowhere}");
    let nobody = refused("null");
    assert!(nobody.contains("has no `generate`"), "{nobody}");
}

#[test]
fn too_few_rows_are_written_and_told() {
    let project = project("{teacher: {scripted: teacher.jsonl}, personas: {count: 5}, wanted: 50}");
    project.write("teacher.jsonl", GOOD);
    let done = project.run(&["data", "generate"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(
        done.stderr.contains("of 50 wanted rows were kept"),
        "{done:?}"
    );
    assert!(project.path("training_data.manifest.json").exists());
    // A page of what a run could take needs no model.
    let bound = project.run(&["data", "generate", "--dry-run", "--json"]);
    assert_eq!(bound.code, 0, "{bound:?}");
    assert_eq!(bound.json()["conversations"], 5);
}

/// A teacher at `server`, who is told something else than the rows tell.
fn remote(server: &FakeOpenAi) -> Project {
    project(&format!(
        "{{teacher: {{url: \"{}\", parallel: 4}}, personas: {{count: 12, repeats: 2}}, \
         system_prompt: You are a master., min_score: 0, wanted: 12}}",
        server.url()
    ))
}

fn options() -> Options {
    Options {
        latency: Duration::from_millis(15),
        ..Options::default()
    }
}

#[test]
fn killed_and_resumed_it_writes_the_same_and_asks_for_no_stored_reply_again() {
    let server = FakeOpenAi::start(options());
    let whole = remote(&server);
    let done = whole.run(&["data", "generate", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.json()["kept"], 12);
    let said = whole.read("training_data.jsonl");
    let asked = |server: &FakeOpenAi| {
        let mut asked: BTreeMap<String, usize> = BTreeMap::new();
        for request in server.requests() {
            *asked.entry(request.sha256).or_default() += 1;
        }
        asked
    };
    let expected = asked(&server);
    let system = |request: &Value| {
        request["messages"][0]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let told: BTreeSet<String> = server
        .requests()
        .iter()
        .map(|it| system(&it.body))
        .collect();
    assert!(
        told.contains("You are a master.") && !told.contains("Be brief."),
        "{told:?}"
    );
    assert!(
        rows(&whole, "training_data.jsonl")
            .iter()
            .all(|row| { row["messages"][0]["content"] == "Be brief." })
    );

    let server = server.restart(options());
    let killed = remote(&server);
    let mut kills = 0;
    for kill in 1..=6 {
        let mut command = killed.command(if kill == 1 {
            &["data", "generate"][..]
        } else {
            &["data", "generate", "--resume"]
        });
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = server.calls() + 7;
        while server.calls() < until && process.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += u32::from(process.try_wait().unwrap().is_none());
        let _ = process.kill();
        process.wait().unwrap();
    }
    assert!(kills >= 3, "killed {kills} times only");
    assert!(!killed.path("training_data.manifest.json").exists());
    let done = Done::of(&mut killed.command(&["data", "generate", "--resume"]));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(killed.read("training_data.jsonl"), said);
    assert_eq!(
        killed.read("training_data.manifest.json"),
        whole.read("training_data.manifest.json")
    );
    // At most the four calls under way were lost with each kill, and what precedes a run is asked again.
    let (now, before): (usize, usize) = (asked(&server).values().sum(), expected.values().sum());
    assert!(
        now <= before + 7 * 4 + 7 * 8,
        "{now} calls, {before} without a kill"
    );
    // Finished, it is only written again.
    let calls = server.calls();
    let again = killed.run(&["data", "generate", "--resume"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(server.calls(), calls);
}
