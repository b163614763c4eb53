use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::golden::{copy, golden};
use crate::support::project::{Done, Project, json_lines};

fn run(project: &Project, line: &str) -> Done {
    project.run(&line.split(' ').collect::<Vec<_>>())
}

fn told(project: &Project, lines: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for line in lines {
        let line = line.as_ref();
        let done = run(project, line);
        // The example with its mask has the data's own lines.
        let page = done.stdout.split(", what is learnt").next().unwrap();
        let fits = page.lines().all(|line| line.chars().count() <= 80);
        assert!(fits, "{page}");
        let _ = writeln!(text, "$ shipworthy {line}");
        let _ = writeln!(text, "{}{}-> {}\n", done.stdout, done.stderr, done.code);
    }
    text
}

fn rows(rows: impl IntoIterator<Item = Value>) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

/// Answers that have nothing in common.
fn answer(number: usize) -> Value {
    let words: Vec<String> = (0..12).map(|word| format!("w{number}x{word}")).collect();
    json!({"prompt": format!("Question {number}?"), "completion": words.join(" "), "topic": format!("t{}", number % 3)})
}

#[test]
fn files_are_converted_and_what_is_lost_is_told() {
    let project = Project::new();
    project.write(
        "chats.json",
        &json!([
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "n": 1},
            {"conversations": [{"from": "alien", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
            {"conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]},
        ])
        .to_string(),
    );
    project.write("pairs.csv", "prompt,chosen,rejected\nHi,Hello,What\n");
    let convert = "data convert chats.json --to";
    let lines = [
        format!("{convert} messages --out strict.jsonl --strict"),
        format!("{convert} messages --out some.jsonl"),
        format!("{convert} prompt-completion-text --out text.jsonl"),
        format!("{convert} prompt-completion-text --out text.jsonl"),
        format!("{convert} prompt-completion-text --out text.jsonl --lossy --overwrite"),
        "data convert pairs.csv --to messages --out pairs.jsonl".to_owned(),
        "data convert pairs.csv --to preference --out pairs.jsonl".to_owned(),
        "data convert nothing.jsonl --to messages --out x.jsonl".to_owned(),
    ];
    assert_snapshot!("convert", told(&project, &lines));
    assert!(!project.path("strict.jsonl").exists());
    assert_eq!(
        json_lines(&project.read("some.jsonl"))[0],
        json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "n": 1})
    );
    let expected = json!({"prompt": "Hi", "completion": "Ho"});
    assert_eq!(json_lines(&project.read("text.jsonl"))[1], expected);
    let names = std::fs::read_dir(project.path("")).unwrap();
    assert_eq!(names.count(), 5, "nothing half written is left");
    let done = run(
        &project,
        "data convert chats.json --to messages --out some.jsonl --overwrite --json",
    );
    let value = done.json();
    assert_eq!(
        (&value["written"], &value["skipped"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(value["faults"][0]["field"], "conversations[0].from");
}

/// A checkpoint's tokenizer with a template that refuses system messages.
fn model(project: &Project) {
    copy(&golden("tokenizers/llama3"), &project.path("model"));
    let template = "{{ bos_token }}{% for message in messages %}\
        {% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
        {{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}\
        {% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
    project.write("model/chat_template.jinja", template);
}

#[test]
fn data_are_held_against_a_models_template_and_themselves() {
    let project = Project::new();
    model(&project);
    let user = |text: &str| json!({"role": "user", "content": text});
    let reply = |text: &str| json!({"role": "assistant", "content": text});
    let story = "The lighthouse keeper counted the ships that passed in the night and wrote their names in a book";
    let text = rows([
        json!({"messages": [user("Tell me a story about the sea, please."), reply(story)], "topic": "sea"}),
        json!({"messages": [user("Tell me a story about the sea, please."), reply(&format!("{story}."))], "topic": "sea"}),
        json!({"messages": [user("Tell me a story about the sea, please."), reply("No.")], "topic": "sea"}),
        json!({"messages": [user("Tell me a story about the sea, please."), reply(story)], "topic": "sea"}),
        json!({"messages": [{"role": "system", "content": "Be kind."}, user("Hello there"), reply("Hi")], "topic": "talk"}),
        json!({"messages": [user("Hi"), user("Hi"), reply("Hi")]}),
        json!({"messages": [user("My mail is ann@acme.com and my card is 4111 1111 1111 1111."), reply("Thank you, ann@acme.com.")], "topic": "talk"}),
        json!({"messages": [user("Was ist das für ein schöner Tag heute, oder nicht?"), reply("Ja, das Wetter ist heute wirklich sehr schön."), user("Was ist das für ein schöner Tag heute, oder nicht?"), reply("Das sagtest du.")], "topic": "talk"}),
    ]);
    project.write("train.jsonl", &text);
    let lines = [
        "data check train.jsonl",
        "data check train.jsonl --model model --max-length 20 --pseudonymise clean.jsonl",
        "data check clean.jsonl",
    ];
    assert_snapshot!("check", told(&project, &lines));
    let clean = project.read("clean.jsonl");
    assert!(
        !clean.contains("acme") && !clean.contains("4111"),
        "{clean}"
    );
    assert_eq!(clean.lines().count(), 8);
    let value = run(&project, "data check train.jsonl --model model --json").json();
    assert_eq!(value["ok"], false);
    assert_eq!(
        value["exact_duplicates"]["first"][0],
        json!({"place": "line 4", "of": "line 1"})
    );
    assert_eq!(value["tokens"]["examples"], 6);
    assert_eq!(value["personal_data"][0]["count"], 2);
    assert!(!value.to_string().contains("acme"), "{value}");
}

#[test]
fn good_data_pass_and_people_of_an_evaluation_do_not() {
    let project = Project::new();
    project.write("train.jsonl", &rows((0..20).map(answer)));
    let generate = "personas generate --spec coaching --count 3 -o people.jsonl";
    assert_eq!(run(&project, generate).code, 0);
    let check = "data check train.jsonl --personas people.jsonl";
    let done = run(&project, check);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("none of 3 people"), "{done:?}");
    // In a list the line is the row's.
    let people = json_lines(&project.read("people.jsonl"));
    let background = people[1]["background"].as_str().unwrap();
    let mut list: Vec<Value> = (0..20).map(answer).collect();
    list[4]["prompt"] = background.into();
    project.write("train.json", &format!("{:#}", Value::from(list)));
    let done = run(
        &project,
        "data check train.json --personas people.jsonl --json",
    );
    assert_eq!(done.code, 65, "{done:?}");
    let leaks: Vec<Value> = done.json()["personas"]["personas"]
        .as_array()
        .unwrap()
        .clone();
    let leaked: Vec<&Value> = leaks.iter().filter(|one| !one["leak"].is_null()).collect();
    assert_eq!(leaked.len(), 1, "{leaks:?}");
    assert_eq!(leaked[0]["leak"]["training_line"], 4 * 5 + 2);
}

#[test]
fn parts_share_no_group_and_no_duplicate_whatever_the_order() {
    let project = Project::new();
    let mut all: Vec<Value> = (0..60).map(answer).collect();
    for number in 0..10 {
        let mut near = answer(number);
        near["prompt"] = format!("QUESTION  {number}").into();
        all.push(near);
    }
    project.write("all.jsonl", &rows(all.clone()));
    all.reverse();
    project.write("reversed.jsonl", &rows(all));
    let lines = [
        "data split all.jsonl --ratio 80/10/10 --out parts",
        "data split all.jsonl --ratio 80/10/10 --out parts",
        "data split all.jsonl --ratio 60/40 --group topic --out topics",
        "data split all.jsonl --group nothing --out topics",
        "data split all.jsonl --ratio 50/40 --out x",
        "data dedupe all.jsonl --out once.jsonl",
        "data dedupe all.jsonl --out exact.jsonl --exact",
    ];
    assert_snapshot!("split", told(&project, &lines));
    let part = |name: &str| {
        let mut lines: Vec<String> = project.read(name).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let number = |line: &String| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["completion"]
            .as_str()
            .unwrap()
            .split('x')
            .next()
            .unwrap()
            .to_owned()
    };
    let names = ["train", "validation", "test"];
    let mut seen = std::collections::BTreeMap::new();
    let mut count = 0;
    for name in names {
        for line in part(&format!("parts/{name}.jsonl")) {
            assert_eq!(*seen.entry(number(&line)).or_insert(name), name);
            count += 1;
        }
    }
    assert_eq!((count, seen.len()), (70, 60));
    let again = "data split reversed.jsonl --ratio 80/10/10 --out again";
    assert_eq!(run(&project, again).code, 0);
    let other = "data split all.jsonl --ratio 80/10/10 --seed 7 --out other";
    assert_eq!(run(&project, other).code, 0);
    for name in names {
        let here = part(&format!("parts/{name}.jsonl"));
        assert_eq!(here, part(&format!("again/{name}.jsonl")));
        assert_ne!(here, part(&format!("other/{name}.jsonl")));
    }
    let topics = |name: &str| -> std::collections::BTreeSet<String> {
        let rows = json_lines(&project.read(name));
        rows.iter().map(|row| row["topic"].to_string()).collect()
    };
    assert!(topics("topics/train.jsonl").is_disjoint(&topics("topics/validation.jsonl")));
    assert_eq!(part("once.jsonl").len(), 60);
}

#[test]
fn chapters_become_examples_of_a_style() {
    let project = Project::new();
    model(&project);
    let paragraph = "The harbour lay quiet under the rain. \"Is he coming?\" she asked. Nobody knew, and nobody\nwanted to say so.";
    let chapter = |number: usize| {
        format!(
            "Chapter {number}\n\n{}",
            format!("{paragraph}\n\n").repeat(12)
        )
    };
    project.write("one.txt", &chapter(1));
    project.write("two.txt", &chapter(2));
    let chunk = "data chunk one.txt two.txt --model model --out style.jsonl";
    let lines = [
        format!("{chunk} --chunk-size 100 --overlap 40"),
        format!("{chunk} --chunk-size 100 --overlap 100 --overwrite"),
    ];
    assert_snapshot!("chunk", told(&project, &lines));
    let rows = json_lines(&project.read("style.jsonl"));
    let text = |row: &Value| row["messages"][2]["content"].as_str().unwrap().to_owned();
    assert!(text(&rows[0]).starts_with("Chapter 1\n\nThe harbour lay quiet"));
    assert!(
        text(&rows[0]).contains("nobody wanted to say so."),
        "lines are joined"
    );
    assert_eq!(
        rows[0]["messages"][1]["content"],
        "Open a chapter with narration."
    );
    // What a piece begins with is what the one before it ended with.
    let sentence = text(&rows[1])
        .split_inclusive('.')
        .next()
        .unwrap()
        .to_owned();
    assert!(text(&rows[0]).ends_with(&sentence), "{sentence}");
    let split = "data split style.jsonl --ratio 50/50 --group source --out parts";
    assert_eq!(run(&project, split).code, 65, "the chapters say the same");
    let check = "data check style.jsonl --model model";
    assert_eq!(
        run(&project, check).code,
        65,
        "this template takes no system message"
    );
    let own = "data chunk one.txt --model model --out own.jsonl --prompt Go --system Ann";
    assert_eq!(run(&project, own).code, 0);
    let messages = json_lines(&project.read("own.jsonl"))[0]["messages"].clone();
    assert_eq!(
        (&messages[0]["content"], &messages[1]["content"]),
        (&json!("Ann"), &json!("Go"))
    );
}
