use serde_json::{Value, json};
use test_case::test_case;

use crate::support::golden::{copy, golden, halve_hidden_size, project_with};
use crate::support::project::{Done, Project};

/// Inspects what a project has at `name`; nothing of the machine is in what is printed.
fn inspect(project: &Project, name: &str, more: &[&str]) -> Done {
    let arguments: Vec<&str> = ["inspect", name]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    project.run(&arguments)
}

fn assert_fits(done: &Done) {
    let fits = |line: &str| line.chars().count() <= 80;
    assert!(done.stdout.lines().all(fits), "{}", done.stdout);
}

#[test_case("models/qwen3/base", "base"; "checkpoint")]
#[test_case("models/mistral/patterns", "patterns"; "adapter with patterns")]
#[test_case("models/llama/embedding_dora", "embedding_dora"; "adapter of an embedding")]
#[test_case("models/qwen2/untied", "untied"; "adapter with a module saved")]
#[test_case("metadata/llama_3_2/Llama-3.2-1B-Instruct", "Llama-3.2-1B-Instruct"; "lineage")]
#[test_case("tokenizers/llama2", "llama2"; "tokenizer and template")]
#[test_case("gguf/tensors.gguf", "tensors.gguf"; "gguf")]
fn what_it_is_fits_the_terminal_and_is_reviewed(golden_name: &str, name: &str) {
    let project = project_with(&[golden_name]);
    let done = inspect(&project, name, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    assert_fits(&done);
    insta::assert_snapshot!(name, done.stdout);
}

#[test]
fn an_adapter_is_compared_with_a_base() {
    let project = project_with(&["models/llama/lora", "models/llama/base"]);
    copy(&golden("models/qwen2/base"), &project.path("another"));
    let done = inspect(&project, "lora", &["--base", "another"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_fits(&done);
    insta::assert_snapshot!("another_base", done.stdout);
    let right = inspect(&project, "lora", &["--base", "base"]);
    assert!(!right.stdout.contains("warning"), "{right:?}");
    let wrong = inspect(&project, "base", &["--base", "base"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.stderr.contains("hint: leave `--base` out"),
        "{wrong:?}"
    );
}

#[test]
fn json_has_all_and_findings_have_codes() {
    let project = project_with(&[
        "models/qwen3/base",
        "models/llama/lora",
        "gguf/tensors.gguf",
    ]);
    let found = inspect(&project, "base", &["--json", "--deep"]).json();
    assert_eq!(found["format"], 1);
    assert_eq!(found["path"], "base");
    let checkpoint = &found["subject"]["checkpoint"];
    assert_eq!(checkpoint["family"], "Qwen3");
    assert_eq!(checkpoint["sizes"]["key_value_heads"], 2);
    let codes: Vec<&Value> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["code"])
        .collect();
    assert_eq!(codes, ["tokenizer", "no-template"]);
    assert_eq!(found["findings"][0]["level"], "warning");
    let found = inspect(&project, "lora", &["--json"]).json();
    assert_eq!(
        found["subject"]["adapter"]["scales"],
        json!([{"rank": 4, "scale": 2.0, "modules": 14}])
    );
    let found = inspect(&project, "tensors.gguf", &["--json"]).json();
    assert_eq!(found["subject"]["gguf"]["file"]["architecture"], "qwen2");
}

#[test]
fn a_configuration_of_another_model_is_found() {
    let project = project_with(&["lora/tiny/base", "lora/tiny/lora"]);
    let codes = |done: &Done| {
        let findings = done.json()["findings"].as_array().unwrap().clone();
        findings.iter().any(|finding| finding["code"] == "shapes")
    };
    assert!(!codes(&inspect(&project, "base", &["--json"])));
    halve_hidden_size(&project);
    let found = inspect(&project, "base", &["--json"]);
    assert!(codes(&found), "{found:?}");
    let page = inspect(&project, "base", &[]);
    assert_eq!(page.code, 0, "{page:?}");
    let told = "has shape [407, 32], config.json gives [407, 16]";
    let words: Vec<&str> = page.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains(told), "{page:?}");
    let adapter = inspect(&project, "lora", &["--base", "base"]);
    assert!(adapter.stdout.contains("does not fit"), "{adapter:?}");
}

#[test]
fn text_of_files_is_inert() {
    let project = project_with(&["models/llama/lora"]);
    let path = project.path("lora/adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["base_model_name_or_path"] = json!("a\u{1b}[2J\n::error::b\u{202e}");
    std::fs::write(&path, config.to_string()).unwrap();
    let done = inspect(&project, "lora", &[]);
    assert!(
        done.stdout.contains("a<U+001B>[2J : :error: :b<U+202E>"),
        "{done:?}"
    );
    for done in [done, inspect(&project, "lora", &["--json"])] {
        assert!(!done.stdout.contains(['\u{1b}', '\u{202e}']), "{done:?}");
        assert!(!done.stdout.contains("\n::"), "{done:?}");
    }
}

#[test]
fn damage_and_what_is_no_model_exit_with_65() {
    let project = project_with(&["models/llama/base", "gguf/tensors.gguf"]);
    let weights = project.path("base/model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() - 1]).unwrap();
    let file = project.path("tensors.gguf");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..100]).unwrap();
    for (name, expected) in [
        ("base", "error: `base/model.safetensors`, tensor"),
        ("tensors.gguf", "error: `tensors.gguf`, "),
        (
            ".",
            "error: `.` has neither `config.json` nor `adapter_config.json`; in it there is `base`, `tensors.gguf`",
        ),
        (
            "base/config.json",
            "error: `base/config.json` is JSON, not a GGUF file",
        ),
    ] {
        let done = inspect(&project, name, &[]);
        assert_eq!((done.code, done.stdout.as_str()), (65, ""), "{done:?}");
        assert!(done.stderr.starts_with(expected), "{done:?}");
    }
}
