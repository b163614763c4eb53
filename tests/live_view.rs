use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Done, Project};

/// A name that turns the text after it around where nobody makes it inert.
const HOSTILE: &str = "tuned \u{202e}desrever";

const GLADLY: &str = "{\"reply\": \"Gladly.\"}\n";

/// A project whose judge takes its time; `tuned` is what the candidate says.
pub(crate) fn slow_project(tuned: &str) -> (Project, FakeOpenAi) {
    let server = FakeOpenAi::start(Options {
        model: "judge".into(),
        latency: Duration::from_secs(1),
        reply: Some(std::sync::Arc::new(|body| {
            let is_good = body.to_string().contains("Gladly");
            json!({ "kind": {"reason": "So it is.", "met": is_good} }).to_string()
        })),
        ..Options::default()
    });
    let project = Project::with_config(&format!(
        "project: live\n\
         personas: {{spec: coaching, count: 8, repeats: 1, max_turns: 1}}\n\
         rubric: ./judged.yaml\n\
         baseline: base\n\
         models: {{base: {{scripted: base.jsonl}}, \"{HOSTILE}\": {{scripted: tuned.jsonl}}}}\n\
         judge: {{url: \"{}\", parallel: 4, price: {{prompt: 1, completion: 1}}}}\n",
        server.url()
    ));
    project.write(
        "judged.yaml",
        "name: judged\nversion: 1\npass_threshold: 0.5\ncategories:\n  - name: All\n    criteria:\n      \
         - {id: kind, text: The assistant is kind.}\n",
    );
    let odd = "{\"persona\": \"*1\", \"reply\": \"Gladly no.\"}\n";
    project.write("base.jsonl", &format!("{odd}{{\"reply\": \"No.\"}}\n"));
    project.write("tuned.jsonl", tuned);
    (project, server)
}

/// Runs a command with its stderr on a terminal of 80 columns; `None`, with a message, where nothing
/// makes one. Returns what was drawn, without the moves of the cursor.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn on_a_terminal(project: &Project, arguments: &str) -> Option<(i32, Vec<String>)> {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script` to make a terminal");
        return None;
    }
    let program = env!("CARGO_BIN_EXE_shipworthy");
    let line = format!("stty cols 80 rows 30; exec '{program}' {arguments} >out.txt");
    let command = project.command(&[]);
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line, "/dev/null"]);
    script.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm");
    let done = Done::of(script.stdin(std::process::Stdio::null()));
    Some((done.code, drawn(&done.stdout)))
}

/// Returns what a terminal of 80 columns shows between two moves of the cursor, line by line.
fn drawn(written: &str) -> Vec<String> {
    let mut text = String::new();
    let mut characters = written.chars();
    while let Some(c) = characters.next() {
        if c != '\u{1b}' {
            text.push(c);
            continue;
        }
        if characters.next() == Some('[') {
            let end = characters.find(char::is_ascii_alphabetic);
            if end.is_some_and(|end| end != 'm') {
                text.push('\n');
            }
        }
    }
    let lines = text.split(['\n', '\r']);
    let wrapped = lines.flat_map(|line| {
        let line: Vec<char> = line.chars().collect();
        let rows: Vec<String> = line.chunks(80).map(|row| row.iter().collect()).collect();
        rows
    });
    wrapped.collect()
}

#[test]
fn a_terminal_shows_what_every_model_did_so_far_and_compares_nothing() {
    let (project, _server) = slow_project(GLADLY);
    let Some((code, lines)) = on_a_terminal(&project, "eval --exit-zero") else {
        return;
    };
    let text = lines.join("\n");
    assert_eq!(code, 0, "{text}");
    let has = |all: &[&str]| {
        lines
            .iter()
            .any(|line| all.iter().all(|part| line.contains(part)))
    };
    assert!(has(&["/16 conversations", " left", "USD 0.0"]), "{text}");
    assert!(
        has(&["held", "scored", "failed", "mean", "calls"]),
        "{text}"
    );
    assert!(
        has(&["base", "8/8"]) && has(&["tuned <U+202E>desrever", "8/8"]),
        "{text}"
    );
    assert!(has(&["judge: judge"]), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    for line in &lines {
        for word in ["p =", "p-value", "CI", "interval", "significan", "differ"] {
            assert!(!line.contains(word), "{line}");
        }
    }
    assert!(project.read("out.txt").contains("run     "));
}

#[test]
fn nothing_is_drawn_where_nobody_looks() {
    let (project, _server) = slow_project(GLADLY);
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        !done.stderr.contains("/16 conversations"),
        "{}",
        done.stderr
    );
    let (project, _server) = slow_project(GLADLY);
    if let Some((code, lines)) = on_a_terminal(&project, "eval --exit-zero --no-progress") {
        assert_eq!(code, 0, "{lines:?}");
        assert!(!lines.join("\n").contains("/16 conversations"), "{lines:?}");
    }
}
