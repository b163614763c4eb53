use std::path::Path;

use crate::support::fake_openai::{Answer, FakeOpenAi, Options};
use crate::support::project::{Done, Project};
use crate::support::words::RUBRIC;

const KEYS: [(&str, &str); 3] = [
    ("BASE_KEY", "sk-base-3f9a1c77d2e04b56"),
    ("TUNED_KEY", "sk-tuned-90b1e6f2a4c83d75"),
    ("JUDGE_KEY", "sk-judge-5d7e2b9c1f0a4683"),
];

/// Returns a server that wants `key`, repeats it in errors and fails now and then.
fn server(model: &str, key: &str) -> FakeOpenAi {
    FakeOpenAi::start(Options {
        model: model.into(),
        api_key: Some(key.to_owned()),
        script: vec![
            Answer::error(
                500,
                "server_error",
                &format!("upstream refused Bearer {key}"),
            ),
            Answer::error(400, "bad_request", &format!("key {key} may not do this")),
            Answer::Status {
                status: 200,
                headers: Vec::new(),
                body: format!("no JSON, but Bearer {key}"),
            },
            Answer::Text(format!("one two, and your key is {key}")),
        ],
        ..Options::default()
    })
}

/// Fails if any file below `directory` holds one of the keys, as text or within binary data.
fn assert_no_key(directory: &Path, files: &mut usize) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_key(&path, files);
            continue;
        }
        *files += 1;
        let bytes = std::fs::read(&path).unwrap();
        for (_, key) in KEYS {
            let found = bytes.windows(key.len()).any(|part| part == key.as_bytes());
            assert!(!found, "{} holds a key", path.display());
        }
    }
}

#[test]
fn no_key_is_left_anywhere() {
    let servers: Vec<FakeOpenAi> = ["base", "tuned", "judge"]
        .iter()
        .zip(KEYS)
        .map(|(model, (_, key))| server(model, key))
        .collect();
    let entry = |i: usize| {
        format!(
            "{{url: \"{}\", api_key_env: {}}}",
            servers[i].url(),
            KEYS[i].0
        )
    };
    let project = Project::with_config(&format!(
        "project: secret\n\
         personas: {{spec: coaching, count: 4, repeats: 1, max_turns: 2}}\n\
         rubric: ./words.yaml\n\
         baseline: base\n\
         models:\n  base: {}\n  tuned: {}\n\
         judge: {}\n",
        entry(0),
        entry(1),
        entry(2)
    ));
    let judged = "      - {id: kind, text: The assistant is kind.}\n";
    project.write("words.yaml", &(RUBRIC.to_owned() + judged));
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.envs(KEYS);
        let done = Done::of(command.env("SHIPWORTHY_LOG", "trace"));
        for (_, key) in KEYS {
            assert!(!done.stdout.contains(key), "stdout of {arguments:?}");
            assert!(!done.stderr.contains(key), "stderr of {arguments:?}");
        }
        done
    };
    let done = run(&["eval", "--exit-zero", "-vv"]);
    assert!([0, 65].contains(&done.code), "{done:?}");
    for server in &servers {
        assert!(server.calls() > 0, "every key was used");
    }
    run(&["eval", "--resume", "--exit-zero", "--json"]);
    run(&["doctor", "-vv"]);
    run(&["doctor", "--json"]);
    run(&["runs", "list", "--json"]);
    run(&["report"]);
    // A key that is refused is not repeated either.
    let mut wrong = project.command(&["eval"]);
    let done = Done::of(wrong.envs(KEYS).env("TUNED_KEY", KEYS[0].1));
    assert_eq!(done.code, 69, "{done:?}");
    assert!(!done.stderr.contains(KEYS[0].1), "{done:?}");
    let mut files = 0;
    assert_no_key(&project.path("."), &mut files);
    assert!(files > 5, "store and artefacts are there");
}
