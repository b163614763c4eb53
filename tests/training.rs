use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use test_case::test_case;

use crate::support::golden::{copy, golden, halve_hidden_size, project_with};
use crate::support::project::{Done, Project, json_lines};

/// Lines matter to the tests of mistakes.
const CONFIG: &str = "\
model: base
dataset: train.jsonl
eval_dataset: eval.jsonl
output_dir: tuned
method: lora
lora_r: 4
lora_alpha: 8
max_length: 256
gradient_accumulation_steps: 2
max_steps: 3
eval_steps: 2
save_steps: 1
learning_rate: 1e-2
";

const CONVERSATIONS: [(&str, &str); 6] = [
    ("What is a bird?", "An animal that has wings and feathers."),
    ("And a fish?", "An animal that swims."),
    ("How many legs does a cat have?", "Four."),
    (
        "Say something kind.",
        "I am glad that you are here, and I mean it.",
    ),
    ("Is it late?", "It is late. Go to bed."),
    ("What rhymes with cat?", "Hat, and mat."),
];

fn line((question, answer): (&str, &str)) -> String {
    let messages = serde_json::json!([
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]);
    format!("{}\n", serde_json::json!({ "messages": messages }))
}

/// A project with a tiny model that has a tokenizer and a chat template.
fn project() -> Project {
    let project = project_with(&["lora/tiny/base"]);
    let tokenizer = golden("tokenizers/llama3");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), project.path("base").join(name)).unwrap();
    }
    let template = golden("training_masks/templates/llama3.jinja");
    std::fs::copy(template, project.path("base/chat_template.jinja")).unwrap();
    let lines: Vec<String> = CONVERSATIONS.into_iter().map(line).collect();
    project.write("train.jsonl", &lines[..4].concat());
    project.write("eval.jsonl", &lines[4..].concat());
    project.write("finetune_config.yaml", CONFIG);
    project
}

/// Rewrites the configuration with `from` replaced by `to`.
fn change(project: &Project, from: &str, to: &str) {
    let text = project.read("finetune_config.yaml");
    let changed = text.replace(from, to);
    assert_ne!(text, changed, "{from}");
    project.write("finetune_config.yaml", &changed);
}

fn files(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| match name.split_once("tfevents") {
            Some((before, _)) => format!("{before}tfevents"),
            None => name,
        })
        .collect()
}

fn losses(project: &Project, output: &str) -> Vec<(u64, f64)> {
    let lines = json_lines(&project.read(&format!("{output}/metrics.jsonl")));
    let loss = |line: &Value| Some((line["step"].as_u64()?, line["loss"].as_f64()?));
    lines.iter().filter_map(loss).collect()
}

#[test]
fn the_published_schema_is_the_programs() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/finetune.schema.json");
    let published = std::fs::read_to_string(published).unwrap();
    let own = Project::new().run(&["init", "--schema=finetune"]).stdout;
    assert!(published == own, "run `make schema`");
}

#[test]
fn the_template_is_a_configuration() {
    let project = project();
    std::fs::remove_file(project.path("finetune_config.yaml")).unwrap();
    let written = project.run(&["init", "--template", "finetune"]);
    assert_eq!(written.code, 0, "{written:?}");
    project.run(&["train"]).assert_fails(
        2,
        "finetune_config.yaml:5:8: field `model`: `models/base` is not a directory here",
    );
    change(&project, "model: models/base", "model: base");
    change(&project, "data/train.jsonl", "train.jsonl");
    change(&project, "data/validation.jsonl", "eval.jsonl");
    let done = project.run(&["train", "--dry-run"]);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn what_would_be_learnt_is_shown_first() {
    let project = project();
    let done = project.run(&["train", "--dry-run"]);
    assert_eq!(done.code, 0, "{done:?}");
    let memory = |line: &&str| !line.trim_start().starts_with("memory");
    let page: Vec<&str> = done.stdout.lines().filter(memory).collect();
    assert_snapshot!(page.join("\n"));
    assert!(!project.path("tuned").exists());
    let document = project.run(&["train", "--dry-run", "--json"]).json();
    assert_eq!(document["format"], 1);
    assert_eq!(document["plan"]["steps"], 3);
    assert_eq!(document["data"]["examples"], 4);
    assert_eq!(document["config"]["warmup_ratio"], 0.1);
}

#[test_case("method: lora\nshuffle: false"; "lora")]
#[test_case("method: qlora"; "qlora")]
#[test_case("method: lora\npacking: true"; "packed")]
#[test_case("method: lora\nuse_rslora: true\ntarget_modules: [q_proj, down_proj]\noptim: adamw_8bit"; "other adapters")]
fn adapters_are_trained_and_written(method: &str) {
    let project = project();
    change(&project, "method: lora", method);
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let found = files(&project.path("tuned"));
    for name in [
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "checkpoint-3",
        "events.out.tfevents",
        "finetune_config.yaml",
        "finetune_report.md",
        "learning_rate.svg",
        "lineage.json",
        "loss.svg",
        "metrics.jsonl",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        assert!(found.contains(name), "{name} is not among {found:?}");
    }
    let lineage: Value = serde_json::from_str(&project.read("tuned/lineage.json")).unwrap();
    assert_eq!(lineage["ending"]["kind"], "finished");
    assert_eq!(lineage["dataset"]["path"], "train.jsonl");
    assert_eq!(lineage["base"]["digest"].as_str().unwrap().len(), 64);
    let report = project.read("tuned/finetune_report.md");
    assert!(report.contains("loss.svg"), "{report}");
    // The adapter does what it was trained for.
    let mean = |line: &str| {
        let done = project.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, 0, "{done:?}");
        done.json()["mean_nll"].as_f64().unwrap()
    };
    let base = mean("perplexity --model base --data train.jsonl --json");
    let tuned = mean("perplexity --model base --adapter tuned --data train.jsonl --json");
    assert!(tuned < base, "{tuned} {base}");
}

#[test]
fn a_whole_model_is_trained_and_written() {
    let project = project();
    change(
        &project,
        "method: lora\nlora_r: 4\nlora_alpha: 8\n",
        "method: full\n",
    );
    change(&project, "1e-2", "1e-3");
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let inspected = project.run(&["inspect", "tuned"]);
    assert_eq!(inspected.code, 0, "{inspected:?}");
}

#[test]
fn the_written_configuration_does_the_same() {
    let project = project();
    assert_eq!(project.run(&["train"]).code, 0);
    let written = project.read("tuned/finetune_config.yaml");
    assert!(written.contains("model: ../base"), "{written}");
    std::fs::create_dir(project.path("again")).unwrap();
    project.write("again/finetune_config.yaml", &written);
    let done = project.run(&["train", "-c", "again"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(losses(&project, "tuned"), losses(&project, "again"));
}

#[test]
fn a_resumed_run_ends_as_one_that_was_not_interrupted() {
    let project = project();
    assert_eq!(project.run(&["train"]).code, 0);
    let whole = std::fs::read(project.path("tuned/adapter_model.safetensors")).unwrap();
    let all = losses(&project, "tuned");
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
        std::fs::remove_file(project.path("tuned").join(name)).unwrap();
    }
    for step in [2, 3] {
        std::fs::remove_dir_all(project.path(&format!("tuned/checkpoint-{step}"))).unwrap();
    }
    let done = project.run(&["train", "--resume"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("step 1/3"), "{done:?}");
    assert_eq!(losses(&project, "tuned"), all);
    let resumed = std::fs::read(project.path("tuned/adapter_model.safetensors")).unwrap();
    assert!(whole == resumed, "the adapters differ");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_saves_and_can_be_resumed() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let project = project();
    change(&project, "max_steps: 3", "max_steps: 100000");
    change(&project, "save_steps: 1\n", "");
    let mut child = project
        .command(&["train"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = |line: &String| line.starts_with("step 3/");
    let third = lines.by_ref().map(Result::unwrap).find(begun);
    assert!(third.is_some(), "no third step");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130), "{rest:?}");
    let rest = rest.join("\n");
    assert!(rest.contains("--resume` goes on"), "{rest}");
    let saved = files(&project.path("tuned"));
    assert!(
        saved.iter().any(|name| name.starts_with("checkpoint-")),
        "{saved:?}"
    );
}

#[test]
fn a_finished_run_that_is_resumed_stays_as_it_is() {
    let project = project();
    assert_eq!(project.run(&["train"]).code, 0);
    let contents = || {
        let names = std::fs::read_dir(project.path("tuned")).unwrap();
        let paths = names.map(|entry| entry.unwrap().path());
        let files = paths.filter(|path| path.is_file());
        files
            .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
            .collect::<BTreeMap<_, _>>()
    };
    let before = contents();
    let done = project.run(&["train", "--resume"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("3 steps"), "{done:?}");
    assert!(before == contents(), "resuming changed what had ended");
}

#[cfg(unix)]
#[test]
fn one_process_trains_in_a_directory_and_a_killed_one_counts_to_its_checkpoint() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let project = project();
    change(&project, "max_steps: 3", "max_steps: 40");
    change(&project, "eval_steps: 2", "eval_steps: 20");
    let report = |output: &str| -> Value {
        serde_json::from_str(&project.read(&format!("{output}/finetune_report.json"))).unwrap()
    };
    let mut child = project
        .command(&["train"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = |line: &String| line.contains("checkpoint-3");
    let third = lines.by_ref().map(Result::unwrap).find(begun);
    assert!(third.is_some(), "no third checkpoint");
    let id = child.id().to_string();
    let send = |signal: &str| {
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    };
    // It stays where it is, and keeps what it holds.
    send("-STOP");
    for arguments in [&["train"][..], &["train", "--resume"]] {
        let second = project.run(arguments);
        second.assert_fails(2, "another process trains in `tuned`");
        assert!(!second.stderr.contains("goes on from"), "{second:?}");
    }
    send("-KILL");
    child.wait().unwrap();
    let times = project.path("tuned/.training_times.json");
    let mut known: Value = serde_json::from_slice(&std::fs::read(&times).unwrap()).unwrap();
    for seconds in known["seconds"].as_object_mut().unwrap().values_mut() {
        assert!(seconds.as_f64().unwrap() > 0.0, "{seconds}");
        *seconds = 1000.0.into();
    }
    std::fs::write(&times, known.to_string()).unwrap();
    let done = project.run(&["train", "--resume"]);
    assert_eq!(done.code, 0, "{done:?}");
    let resumed = report("tuned");

    change(&project, "output_dir: tuned", "output_dir: whole");
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let whole = report("whole");
    for name in ["num_input_tokens_seen", "num_labelled_tokens_seen"] {
        assert_eq!(resumed["metrics"][name], whole["metrics"][name], "{name}");
    }
    let seconds = resumed["metrics"]["train_runtime"].as_f64().unwrap();
    assert!((1000.0..1600.0).contains(&seconds), "{seconds}");
    let rate = resumed["metrics"]["train_steps_per_second"]
        .as_f64()
        .unwrap();
    assert!((rate - 40.0 / seconds).abs() < 1e-9, "{rate}");
}

#[test]
fn an_adapter_stays_with_the_weights_it_was_trained_on() {
    let project = project();
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    std::fs::create_dir(project.path("other")).unwrap();
    copy(&project.path("base"), &project.path("other/base"));
    copy(&project.path("base"), &project.path("renamed"));
    let weights = project.path("other/base/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let end = bytes.len();
    bytes[end - 2] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    // Of the same weights, with other words for a chat.
    project.write("renamed/chat_template.jinja", "{{ messages[0].content }}");
    let run = |line: &str| project.run(&line.split(' ').collect::<Vec<_>>());
    let codes = |done: &Done| -> Vec<String> {
        let findings = done.json()["findings"].clone();
        let findings = findings.as_array().unwrap().clone();
        let codes = findings.iter().map(|finding| finding["code"].as_str());
        codes.map(|code| code.unwrap().to_owned()).collect()
    };
    for adapter in ["tuned", "tuned/checkpoint-3"] {
        let told = "on other weights an adapter of the same shapes does harm, silently";
        for line in [
            format!("merge --base other/base --adapter {adapter} --out merged"),
            format!("gguf --model other/base --adapter {adapter} --type f16 --out merged"),
            format!("gguf --model other/base --adapter {adapter} --adapter-only --out merged"),
        ] {
            let done = run(&line);
            done.assert_fails(
                65,
                &format!("`{adapter}` was trained on `base` whose digest is"),
            );
            assert!(done.stderr.contains(told), "{done:?}");
            assert!(!project.path("merged").exists());
        }
        let other = run(&format!("inspect {adapter} --base other/base --json"));
        assert!(
            codes(&other).contains(&"another-base".to_owned()),
            "{other:?}"
        );
        let base = &other.json()["subject"]["adapter"]["base"];
        assert_eq!(base["weights_match"], false);
        let same = run(&format!("inspect {adapter} --base renamed --json"));
        assert!(
            !codes(&same).contains(&"another-base".to_owned()),
            "{same:?}"
        );
        let page = run(&format!("inspect {adapter} --base other/base"));
        assert!(
            page.stdout.contains("others than it was trained on"),
            "{page:?}"
        );
    }
    for base in ["base", "renamed"] {
        let done = run(&format!(
            "merge --base {base} --adapter tuned --out of-{base}"
        ));
        assert_eq!(done.code, 0, "{done:?}");
    }
    // A record from before weights were named by themselves names all files.
    let mut lineage: Value = serde_json::from_str(&project.read("tuned/lineage.json")).unwrap();
    lineage["base"]
        .as_object_mut()
        .unwrap()
        .remove("weights")
        .unwrap();
    project.write("tuned/lineage.json", &lineage.to_string());
    let merge = "merge --adapter tuned --out older --base";
    run(&format!("{merge} other/base")).assert_fails(65, "was trained on `base`");
    assert_eq!(run(&format!("{merge} base")).code, 0);
    std::fs::remove_file(project.path("tuned/lineage.json")).unwrap();
    let unknown = run("merge --adapter tuned --out unknown --base other/base");
    assert_eq!(unknown.code, 0, "{unknown:?}");
}

#[test_case("base"; "by its name")]
#[test_case("nowhere/../base/"; "by a way round")]
#[cfg_attr(unix, test_case("link"; "by a link"))]
fn a_model_is_not_trained_into_its_own_directory(output: &str) {
    let project = project();
    #[cfg(unix)]
    std::os::unix::fs::symlink("base", project.path("link")).unwrap();
    let before = files(&project.path("base"));
    change(
        &project,
        "output_dir: tuned",
        &format!("output_dir: {output}"),
    );
    let told = format!(
        "finetune_config.yaml:4:13: field `output_dir`: `{output}` is the directory of `model`"
    );
    for _ in ["lora", "full"] {
        for arguments in [
            &["train", "--dry-run"][..],
            &["train"],
            &["train", "--resume"],
        ] {
            project.run(arguments).assert_fails(2, &told);
        }
        let text = project.read("finetune_config.yaml");
        let full = text.replace("method: lora\nlora_r: 4\nlora_alpha: 8\n", "method: full\n");
        project.write("finetune_config.yaml", &full);
    }
    assert_eq!(files(&project.path("base")), before);
}

#[test]
fn a_model_is_no_checkpoint_of_its_own_run() {
    let project = project();
    std::fs::create_dir(project.path("tuned")).unwrap();
    std::fs::rename(project.path("base"), project.path("tuned/checkpoint-7")).unwrap();
    change(&project, "model: base", "model: tuned/checkpoint-7");
    project.run(&["train", "--dry-run"]).assert_fails(
        2,
        "finetune_config.yaml:4:13: field `output_dir`: `model` is one of the checkpoints in `tuned`",
    );
}

#[test]
fn commands_to_copy_work_where_the_user_stands() {
    let project = project();
    std::fs::create_dir(project.path("tuning")).unwrap();
    change(&project, "model: base", "model: ../base");
    change(&project, "dataset: train", "dataset: ../train");
    change(&project, "eval_dataset: eval", "eval_dataset: ../eval");
    let config = project.read("finetune_config.yaml");
    project.write("tuning/a.yaml", &config);
    let done = project.run(&["train", "-c", "tuning/a.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    // A long command goes on in the next line.
    let words = done.stdout.split_whitespace().filter(|word| *word != "\\");
    let words = words.collect::<Vec<_>>().join(" ");
    for expected in [
        "shipworthy gguf --model base --adapter tuning/tuned",
        "shipworthy merge --base base --adapter tuning/tuned --out tuning/tuned-merged",
    ] {
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn an_adapter_can_be_trained_further() {
    let project = project();
    assert_eq!(project.run(&["train"]).code, 0);
    change(
        &project,
        "output_dir: tuned",
        "output_dir: further\ninit_adapter: tuned",
    );
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let (before, after) = (losses(&project, "tuned"), losses(&project, "further"));
    assert!(after[0].1 < before[0].1, "{before:?} {after:?}");
    change(&project, "lora_r: 4", "lora_r: 8");
    change(&project, "output_dir: further", "output_dir: other");
    project.run(&["train"]).assert_fails(
        2,
        "finetune_config.yaml:7:9: field `lora_r`: the adapter `tuned` has 4, not 8",
    );
}

#[test_case("model: base", "model: nowhere", 2, "finetune_config.yaml:1:8: field `model`: `nowhere` is not a directory here"; "no model")]
#[test_case("dataset: train.jsonl", "dataset: nowhere.jsonl", 2, "finetune_config.yaml:2:10: field `dataset`: failed to read `nowhere.jsonl`"; "no data")]
#[test_case("eval_dataset: eval.jsonl", "eval_dataset: train.jsonl", 2, "finetune_config.yaml:3:15: field `eval_dataset`: the same file as `dataset`"; "held out is learnt")]
#[test_case("max_length: 256", "max_length: 8", 65, "field `dataset`: `train.jsonl`: 4 of 4 examples have more than max_length = 8 tokens"; "too long")]
#[test_case("max_length: 256", "max_seq_length: 256", 2, "finetune_config.yaml:8:1: field `max_seq_length`: this is called `max_length`"; "another program's key")]
#[test_case("lora_r: 4", "lora_r: 0", 2, "finetune_config.yaml:6:9: field `lora_r`: must be from 1 to 4096, got 0"; "rank")]
#[test_case("lora_alpha: 8", "target_modules: [q_proj, w_pack]", 2, "finetune_config.yaml:7:17: field `target_modules`: "; "unknown target")]
#[test_case("lora_alpha: 8", "modules_to_save: [score]", 2, "finetune_config.yaml:7:18: field `modules_to_save`: "; "unknown module")]
#[test_case("lora_alpha: 8", "init_adapter: nowhere", 2, "finetune_config.yaml:7:15: field `init_adapter`: failed to read `nowhere/adapter_config.json`"; "no adapter")]
#[test_case("output_dir: tuned", "output_dir: train.jsonl/tuned", 74, "finetune_config.yaml:4:13: field `output_dir`: failed to write to `train.jsonl/tuned`"; "unwritable output")]
#[test_case("lora_alpha: 8", "dtype: bfloat16\ndevice: cpu", 2, "the processor computes in float32"; "bfloat16 on a processor")]
fn mistakes_in_the_configuration(from: &str, to: &str, code: i32, expected: &str) {
    let project = project();
    change(&project, from, to);
    project.run(&["train"]).assert_fails(code, expected);
    assert!(!project.path("tuned").exists());
}

#[test_case("train.jsonl", "", 65, "`train.jsonl` has no conversation"; "nothing")]
#[test_case("train.jsonl", "{\"messages\": []}\n", 65, "train.jsonl"; "no message")]
#[test_case("train.jsonl", "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n", 65, "messages["; "roles out of order")]
#[test_case("eval.jsonl", "no JSON\n", 65, "finetune_config.yaml:3:15: field `eval_dataset`: "; "no JSON")]
#[test_case("base/config.json", "{}", 65, "finetune_config.yaml:1:8: field `model`: "; "no configuration")]
#[test_case("base/tokenizer.json", "{}", 65, "base/tokenizer.json"; "no tokenizer")]
#[test_case("base/model.safetensors", "damaged", 65, "base/model.safetensors"; "damaged weights")]
fn mistakes_in_files(file: &str, content: &str, code: i32, expected: &str) {
    let project = project();
    project.write(file, content);
    project.run(&["train"]).assert_fails(code, expected);
    assert!(!project.path("tuned").exists());
}

#[test]
fn a_model_without_chat_template_may_be_a_base_model() {
    let project = project();
    std::fs::remove_file(project.path("base/chat_template.jinja")).unwrap();
    project
        .run(&["train"])
        .assert_fails(65, "`base` has no chat template, so it may be a base model");
    let named = "Llama-3.1-8B";
    std::fs::rename(project.path("base"), project.path(named)).unwrap();
    let template = golden("training_masks/templates/llama3.jinja");
    std::fs::copy(template, project.path(named).join("chat_template.jinja")).unwrap();
    change(&project, "model: base", &format!("model: {named}"));
    let done = project.run(&["train", "--dry-run"]);
    let words: Vec<&str> = done.stdout.split_whitespace().collect();
    assert!(
        words.join(" ").contains("Llama-3.1-8B is a base model"),
        "{done:?}"
    );
}

#[test]
fn a_configuration_of_another_model_is_told_before_a_run() {
    let project = project();
    halve_hidden_size(&project);
    for arguments in [&["train", "--dry-run"][..], &["train"]] {
        project
            .run(arguments)
            .assert_fails(65, "finetune_config.yaml:1:8: field `model`: ");
        let told = project.run(arguments).stderr;
        assert!(told.contains("but `config.json` gives"), "{told}");
    }
}

#[test]
fn a_missing_shard_is_named() {
    let project = project();
    let index = r#"{"metadata": {}, "weight_map": {"model.norm.weight": "model-2.safetensors"}}"#;
    project.write("base/model.safetensors.index.json", index);
    project.run(&["train"]).assert_fails(
        2,
        "field `model`: failed to read `base/model-2.safetensors`",
    );
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let project = project();
    let path = project.path("base/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&0x7fc0_u16.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    project
        .run(&["train"])
        .assert_fails(65, "base/model.safetensors");
}

#[test]
fn an_output_directory_in_use_is_left_alone() {
    let project = project();
    assert_eq!(project.run(&["train"]).code, 0);
    let before = project.read("tuned/metrics.jsonl");
    project.run(&["train"]).assert_fails(2, "`--resume`");
    assert_eq!(project.read("tuned/metrics.jsonl"), before);
    change(&project, "learning_rate: 1e-2", "learning_rate: 1e-3");
    project
        .run(&["train", "--resume"])
        .assert_fails(2, "learning_rate");
    for arguments in [
        &["train", "--resume"][..],
        &["train", "--resume", "nowhere"],
    ] {
        let refused = project.run(arguments);
        refused.assert_fails(2, "");
        assert!(!refused.stderr.contains("goes on from"), "{refused:?}");
    }
    project
        .run(&["train", "--resume", "nowhere"])
        .assert_fails(2, "nowhere");
}

/// Llama 3 8B.
const EIGHT_BILLION: &str = r#"{"model_type":"llama","vocab_size":128256,"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"max_position_embeddings":8192,"torch_dtype":"bfloat16"}"#;

#[test]
fn memory_is_forecast_from_a_models_sizes_alone() {
    let project = project();
    std::fs::create_dir(project.path("large")).unwrap();
    project.write("large/config.json", EIGHT_BILLION);
    let line = "plan training --model large --lora-r 16 --per-device-train-batch-size 2";
    let done = project.run(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(done.code, 0, "{done:?}");
    assert_snapshot!(done.stdout);
}

#[test]
fn perplexity_is_told_by_example() {
    let project = project();
    let told = |arguments: &[&str]| {
        let all = [&["perplexity", "--data", "eval.jsonl", "--json"], arguments].concat();
        let done = project.run(&all);
        assert_eq!(done.code, 0, "{done:?}");
        done.json()
    };
    let base = told(&["--model", "base"]);
    let examples = base["examples"].as_array().unwrap();
    let sum: f64 = examples
        .iter()
        .map(|one| one["nll"].as_f64().unwrap())
        .sum();
    let labelled = base["labelled_tokens"].as_f64().unwrap();
    let mean = base["mean_nll"].as_f64().unwrap();
    assert!((sum / labelled - mean).abs() < 1e-9);
    assert!((base["perplexity"].as_f64().unwrap() - mean.exp()).abs() < 1e-6);
    assert_eq!(examples[1]["id"], "eval.jsonl:2");

    // Training learns the held-out conversations, and the adapter merged says the same as upon its base.
    change(
        &project,
        "dataset: train.jsonl\neval_dataset: eval.jsonl",
        "dataset: eval.jsonl",
    );
    change(&project, "eval_steps: 2\n", "");
    assert_eq!(project.run(&["train"]).code, 0);
    let tuned = told(&["--model", "base", "--adapter", "tuned"])["mean_nll"]
        .as_f64()
        .unwrap();
    assert!(tuned < mean, "{tuned} {mean}");
    let merge = "merge --base base --adapter tuned --dtype f32 --out merged";
    let merged = project.run(&merge.split(' ').collect::<Vec<_>>());
    assert_eq!(merged.code, 0, "{merged:?}");
    let merged = told(&["--model", "merged"])["mean_nll"].as_f64().unwrap();
    assert!((tuned - merged).abs() < 1e-5, "{tuned} {merged}");
}

#[test]
fn an_adapter_trained_on_four_bits_is_measured_on_them() {
    let project = project();
    change(&project, "method: lora", "method: qlora");
    let done = project.run(&["train"]);
    assert_eq!(done.code, 0, "{done:?}");
    let last = project.read("tuned/metrics.jsonl");
    let trained = last
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["eval_loss"].as_f64())
        .next_back()
        .unwrap();
    let mean = |more: &[&str]| {
        let told = "perplexity --model base --adapter tuned --data eval.jsonl --json";
        let line: Vec<&str> = told.split(' ').chain(more.iter().copied()).collect();
        let done = project.run(&line);
        assert_eq!(done.code, 0, "{done:?}");
        done.json()["mean_nll"].as_f64().unwrap()
    };
    let on_four_bits = mean(&["--load-in-4bit"]);
    assert!(
        (on_four_bits - trained).abs() < 1e-5,
        "{on_four_bits} {trained}"
    );
    assert!((mean(&[]) - trained).abs() > 1e-4);
}

#[cfg(feature = "embedded")]
#[test]
fn llama_cpp_finds_conversations_as_likely() {
    let project = project();
    let convert = "gguf --model base --type f32 --out base.gguf";
    let converted = project.run(&convert.split(' ').collect::<Vec<_>>());
    assert_eq!(converted.code, 0, "{converted:?}");
    let mean = |line: &str| {
        let done = project.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, 0, "{done:?}");
        done.json()["mean_nll"].as_f64().unwrap()
    };
    let native = mean("perplexity --model base --data eval.jsonl --json");
    let embedded = mean("perplexity --model base.gguf --tokenizer base --data eval.jsonl --json");
    assert!((native - embedded).abs() < 1e-3, "{native} {embedded}");
}

#[test_case("perplexity --model nowhere --data eval.jsonl", 2, "failed to read `nowhere/config.json`"; "no model")]
#[test_case("perplexity --model base --data nowhere.jsonl", 2, "failed to read `nowhere.jsonl`"; "no data")]
#[test_case("perplexity --model base --adapter nowhere --data eval.jsonl", 2, "nowhere/adapter_config.json"; "no adapter")]
#[test_case("perplexity --model train.jsonl --data eval.jsonl", 2, "`--tokenizer` is needed"; "a file without tokenizer")]
#[test_case("perplexity --model train.jsonl --tokenizer base --data eval.jsonl", 65, "train.jsonl"; "no GGUF file")]
#[test_case("train -c nowhere.yaml", 2, "init --template finetune"; "no configuration")]
fn wrong_use_is_told(line: &str, code: i32, expected: &str) {
    let project = project();
    project
        .run(&line.split(' ').collect::<Vec<_>>())
        .assert_fails(code, expected);
}

#[test]
fn a_tokenizer_of_another_model_is_told() {
    let project = project();
    let tokenizer = golden("tokenizers/qwen2");
    copy(&tokenizer, &project.path("other"));
    let file = project.path("other/tokenizer.json");
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let vocabulary = value["model"]["vocab"].as_object_mut().unwrap();
    for idx in vocabulary.len()..1000 {
        vocabulary.insert(format!("zz{idx}"), idx.into());
    }
    std::fs::write(project.path("base/tokenizer.json"), value.to_string()).unwrap();
    project.run(&["train"]).assert_fails(65, "tokenizer.json");
}
