use std::collections::BTreeMap;

use insta::assert_snapshot;
use shipworthy_models::gguf::GgufFile;
use test_case::test_case;

use crate::support::golden::{copy, golden, halve_hidden_size, project_with};
use crate::support::project::Project;

/// A project with a tiny base that has a tokenizer, and its adapters.
fn project() -> Project {
    let project = project_with(&[
        "lora/tiny/base",
        "lora/tiny/lora",
        "lora/tiny/rslora",
        "models/llama/dora",
        "models/qwen2/bias",
    ]);
    copy(&golden("tokenizers/llama3"), &project.path("tokenizer"));
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let from = project.path("tokenizer").join(name);
        std::fs::copy(from, project.path("base").join(name)).unwrap();
    }
    project
}

/// All tensors of a file: type and bytes by name.
fn tensors(project: &Project, name: &str) -> BTreeMap<String, (String, Vec<u8>)> {
    let file = GgufFile::open(&project.path(name)).unwrap();
    file.tensors()
        .iter()
        .map(|tensor| {
            let stored = (tensor.tensor_type().to_string(), file.data(tensor).to_vec());
            (tensor.name().to_owned(), stored)
        })
        .collect()
}

fn run(project: &Project, line: &str) -> (i32, String) {
    let done = project.run(&line.split(' ').collect::<Vec<_>>());
    (done.code, done.stdout + &done.stderr)
}

#[test_case("bf16")]
#[test_case("f16")]
#[cfg_attr(feature = "embedded", test_case("q8_0"))]
#[cfg_attr(feature = "embedded", test_case("q4_k_m"))]
fn one_command_gives_what_merging_and_converting_do(file_type: &str) {
    let project = project();
    let merge = "merge --base base --adapter rslora --dtype base --out merged";
    let merged = run(&project, merge);
    assert_eq!(merged.0, 0, "{}", merged.1);
    let both = [
        format!("gguf --model merged --type {file_type} --out two.gguf"),
        format!("gguf --model base --adapter rslora --type {file_type} --out one.gguf"),
        format!("gguf --model base --type {file_type} --out base.gguf"),
    ];
    for line in both {
        let (code, printed) = run(&project, &line);
        assert_eq!(code, 0, "{printed}");
    }
    let one = tensors(&project, "one.gguf");
    assert!(one == tensors(&project, "two.gguf"));
    assert!(one != tensors(&project, "base.gguf"));
}

#[test]
fn what_was_made_is_told() {
    let project = project();
    let lines = [
        "merge --base base --adapter lora --out merged",
        "gguf --model base --adapter lora --type bf16 --out tuned.gguf",
        "gguf --model base --adapter lora --adapter-only --out lora.gguf",
    ];
    let printed: Vec<String> = lines.iter().map(|line| run(&project, line).1).collect();
    assert_snapshot!(printed.concat());
}

#[test]
fn a_configuration_of_another_model_is_told() {
    let project = project();
    halve_hidden_size(&project);
    for line in [
        "merge --base base --adapter lora --out x",
        "gguf --model base --type f16 --out x",
        "gguf --model base --adapter lora --type f16 --out x",
    ] {
        let (code, printed) = run(&project, line);
        assert_eq!(code, 65, "{printed}");
        let told = "32], but `config.json` gives [407, 16]";
        assert!(printed.contains(told), "{printed}");
        assert!(!project.path("x").exists());
    }
}

#[test_case("gguf --model nothing --out x.gguf", 2, "failed to read `nothing/config.json`"; "no model")]
#[test_case("gguf --model base --type f16 --out base/config.json", 2, "`--overwrite`"; "there already")]
#[test_case("gguf --model base --type f16 --out base/config.json --overwrite", 2, "is, or lies in, `base`, which is read"; "what is read")]
#[test_case("gguf --model dora --type f16 --out x.gguf", 2, "dora/config.json"; "an adapter as model")]
#[test_case("gguf --model base --adapter dora --adapter-only --out x.gguf", 65, "without `--adapter-only`"; "DoRA alone")]
#[test_case("gguf --model base --adapter lora --adapter-only --type q8_0 --out x.gguf", 2, "f16, bf16 or f32"; "adapter in 8 bits")]
#[test_case("gguf --model base --adapter-only --out x.gguf", 2, "--adapter"; "no adapter")]
#[test_case("gguf --model base --type q4 --out x.gguf", 2, "q4_k_m"; "unknown type")]
#[test_case("gguf --model base --adapter bias --type f16 --out x.gguf", 65, "the base does not have it"; "another model's adapter")]
#[test_case("merge --base base --adapter lora --out base", 2, "`--out`"; "into its base")]
#[test_case("merge --base base --adapter nothing --out x", 2, "nothing/adapter_config.json"; "no adapter to merge")]
fn wrong_use_is_told(line: &str, code: i32, expected: &str) {
    let project = project();
    let (found, printed) = run(&project, line);
    assert_eq!(found, code, "{printed}");
    assert!(printed.contains(expected), "{printed}");
    assert!(!project.path("x.gguf").exists() && !project.path("x").exists());
}
