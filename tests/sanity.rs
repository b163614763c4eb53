use insta::assert_snapshot;
use serde_json::{Value, json};
use test_case::test_case;

use crate::support::golden::{copy, golden, project_with};
use crate::support::project::{Done, Project};

const CONVERSATIONS: [(&str, &str); 6] = [
    ("What is a bird?", "An animal that has wings and feathers."),
    ("And a fish?", "An animal that swims."),
    ("How many legs does a cat have?", "Four."),
    ("Say something kind.", "I am glad that you are here."),
    ("Is it late?", "It is late. Go to bed."),
    ("What rhymes with cat?", "Hat, and mat."),
];

/// A tiny model with a tokenizer, an adapter on top of it, and held-out data.
fn project() -> Project {
    let project = project_with(&["lora/tiny/base", "lora/tiny/lora", "lm_eval"]);
    let tokenizer = golden("tokenizers/llama3");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), project.path("base").join(name)).unwrap();
    }
    let template = golden("training_masks/templates/llama3.jinja");
    std::fs::copy(template, project.path("base/chat_template.jinja")).unwrap();
    let line = |(question, answer): (&str, &str)| {
        let messages = json!([
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]);
        format!("{}\n", json!({ "messages": messages }))
    };
    let lines: Vec<String> = CONVERSATIONS.into_iter().map(line).collect();
    project.write("data.jsonl", &lines.concat());
    project
}

fn run(project: &Project, line: &str) -> Done {
    project.run(&line.split(' ').collect::<Vec<_>>())
}

#[track_caller]
fn done(project: &Project, line: &str) -> Done {
    let done = run(project, line);
    assert_eq!(done.code, 0, "{done:?}");
    done
}

/// The outcomes of a check in the report.
fn outcomes<'a>(report: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = report["checks"].as_array().unwrap().iter();
    all.filter(|outcome| outcome["check"] == check).collect()
}

fn statuses(report: &Value, check: &str) -> Vec<String> {
    let status = |outcome: &&Value| outcome["status"].as_str().unwrap().to_owned();
    outcomes(report, check).iter().map(status).collect()
}

/// lm-eval's own numbers of the same model and tasks: `tests/golden/lm_eval`.
#[test]
fn tasks_come_out_as_with_lm_eval() {
    let project = project();
    let files = "lm_eval/animals.yaml lm_eval/pieces.yaml lm_eval/names.yaml";
    let line = format!("check --base base --candidate base --answers --json --tasks {files}");
    let report = run(&project, &line).json();
    let expected: Value = serde_json::from_str(&project.read("lm_eval/expected.json")).unwrap();
    let tasks = outcomes(&report, "capability");
    assert_eq!(tasks.len(), 3);
    for task in tasks {
        let name = task["subject"].as_str().unwrap();
        let (figures, expected) = (&task["figures"], &expected[name]);
        for (metric, value) in expected["metrics"].as_object().unwrap() {
            let found = figures["metrics"][metric][0].as_f64().unwrap();
            assert_eq!(found, value.as_f64().unwrap(), "{name} {metric}");
        }
        let items = expected["items"].as_array().unwrap();
        let answers = figures["answers"].as_array().unwrap();
        assert_eq!(answers.len(), items.len());
        for (answer, item) in answers.iter().zip(items) {
            assert_eq!(answer["base"], answer["candidate"]);
            assert_eq!(answer["base"].get("text"), item.get("text"), "{answer}");
            let found = answer["base"].get("log_likelihoods").map(Value::as_array);
            let wanted = item.get("log_likelihoods").map(Value::as_array);
            assert_eq!(found.is_some(), wanted.is_some());
            let (found, wanted) = (found.flatten(), wanted.flatten());
            let pairs = found
                .into_iter()
                .flatten()
                .zip(wanted.into_iter().flatten());
            for (found, wanted) in pairs {
                let difference = found.as_f64().unwrap() - wanted.as_f64().unwrap();
                assert!(difference.abs() < 1e-3, "{name}: {answer} {item}");
            }
        }
    }
    // A candidate that is its base computes what the base computes.
    assert_eq!(statuses(&report, "adapter_effect"), ["failed"]);
}

#[cfg(feature = "embedded")]
#[test]
fn forms_of_a_candidate_are_held_against_each_other() {
    let project = project();
    done(
        &project,
        "merge --base base --adapter lora --dtype f32 --out merged",
    );
    done(&project, "gguf --model merged --type f16 --out f16.gguf");
    done(&project, "gguf --model base --type f16 --out other.gguf");
    project.write(
        "check.yaml",
        "base: base\nadapter: lora\ncandidate: merged\ngguf: [f16.gguf, other.gguf]\n\
         data: data.jsonl\nlimits: {prompts: 3, reply_tokens: 4}\n",
    );
    let checked = run(&project, "check -c check.yaml --json");
    assert_eq!(checked.code, 13, "{checked:?}");
    let report = checked.json();
    assert_eq!(
        (&report["format"], &report["status"]),
        (&json!(1), &json!("failed"))
    );
    assert_eq!(statuses(&report, "adapter_effect"), ["passed"]);
    // Merged and converted from the same; the last file is the base.
    assert_eq!(
        statuses(&report, "agreement"),
        ["passed", "passed", "failed"]
    );
    let merged = outcomes(&report, "agreement")[0];
    assert!(
        merged["figures"]["mean_difference"].as_f64().unwrap() < 1e-4,
        "{merged}"
    );
    assert_eq!(statuses(&report, "template"), ["passed"; 4]);
    // Random weights do not end a reply, in one file as in the other.
    assert_eq!(statuses(&report, "reply_end"), ["failed"; 2]);
    let perplexity = &outcomes(&report, "perplexity")[0]["figures"];
    assert_eq!(perplexity["examples"], 6);
    let told = done(
        &project,
        "perplexity --model merged --data data.jsonl --json",
    )
    .json();
    let difference =
        perplexity["candidate"].as_f64().unwrap() / told["perplexity"].as_f64().unwrap();
    assert!((difference - 1.0).abs() < 1e-6, "{difference}");
    assert_eq!(statuses(&report, "training_curves"), ["not_done"]);
    assert_eq!(statuses(&report, "capability"), ["not_done"]);
}

#[cfg(feature = "embedded")]
#[test]
fn a_candidate_that_learnt_is_sane() {
    let project = project();
    project.write(
        "finetune_config.yaml",
        "model: base\ndataset: data.jsonl\noutput_dir: tuned\nmethod: lora\nlora_r: 16\n\
         lora_alpha: 32\nmax_length: 256\nmax_steps: 200\nper_device_train_batch_size: 6\n\
         gradient_accumulation_steps: 1\nsave_steps: 200\nlogging_steps: 10\nlearning_rate: 1e-2\n",
    );
    done(&project, "train");
    done(&project, "merge --base base --adapter tuned --out merged");
    done(&project, "gguf --model merged --type q8_0 --out q8.gguf");
    let line = "check --base base --adapter tuned --candidate merged --gguf q8.gguf --data data.jsonl \
                --training-run tuned --json";
    let report = done(&project, line).json();
    for check in ["adapter_effect", "reply_end", "perplexity"] {
        assert_eq!(statuses(&report, check), ["passed"], "{check}: {report:#}");
    }
    assert_eq!(statuses(&report, "agreement"), ["passed"; 2], "{report:#}");
    assert_eq!(statuses(&report, "template"), ["passed"; 3], "{report:#}");
    // Nothing was held out in training.
    assert_eq!(
        statuses(&report, "training_curves"),
        ["warned"],
        "{report:#}"
    );
    let ended = &outcomes(&report, "reply_end")[0]["figures"];
    assert_eq!(ended["ended"], ended["replies"]);
}

#[cfg(feature = "embedded")]
#[test]
fn checkpoint_and_file_foretell_text_alike() {
    let project = project();
    done(&project, "gguf --model base --type f32 --out base.gguf");
    project.write(
        "text.txt",
        &"The cat sat on the mat, and the sea was green. ".repeat(40),
    );
    project.write(
        "check.yaml",
        "base: base\ndata: text.txt\nlimits: {text_window: 64, prompts: 1}\n",
    );
    let report = run(&project, "check -c check.yaml --gguf base.gguf --json").json();
    let figures = &outcomes(&report, "perplexity")[0]["figures"];
    let (base, candidate) = (
        figures["base"].as_f64().unwrap(),
        figures["candidate"].as_f64().unwrap(),
    );
    assert!((base / candidate - 1.0).abs() < 1e-4, "{base} {candidate}");
    assert_eq!(statuses(&report, "agreement"), ["not_done"]);
    // Without a file's checkpoint nothing says how its text is made tokens of.
    let alone = run(
        &project,
        "check --base base.gguf --candidate base.gguf --data text.txt",
    );
    assert_eq!(alone.code, 2, "{alone:?}");
    assert!(
        alone.stderr.contains("name the checkpoint's directory"),
        "{alone:?}"
    );
}

#[test]
fn a_training_run_is_looked_at_and_the_page_fits() {
    let project = project();
    std::fs::create_dir(project.path("run")).unwrap();
    project.write(
        "run/metrics.jsonl",
        "{\"step\": 1, \"loss\": 2.0}\n{\"step\": 2, \"loss\": 9.0}\n",
    );
    let template = "{{ messages[0].content }}";
    project.write("run/chat_template.jinja", template);
    let line = "check --base base --adapter lora --training-run run --tasks lm_eval/animals.yaml";
    let checked = run(&project, line);
    assert_eq!(checked.code, 13, "{checked:?}");
    assert!(
        checked
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 80),
        "{checked:?}"
    );
    let page = checked.stdout.replace('\\', "/");
    // What is computed is another test's.
    let lines = page
        .lines()
        .take_while(|line| !line.contains("adapter effect"));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn weights_that_are_no_numbers_fail() {
    let project = project();
    copy(&project.path("lora"), &project.path("broken"));
    let path = project.path("broken/adapter_model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let nan = f32::NAN.to_le_bytes();
    bytes[8 + header..8 + header + 4].copy_from_slice(&nan);
    std::fs::write(&path, bytes).unwrap();
    let checked = run(
        &project,
        "check --base base --adapter broken --data data.jsonl --json",
    );
    assert_eq!(checked.code, 13, "{checked:?}");
    let report = checked.json();
    for check in ["adapter_effect", "reply_end", "perplexity"] {
        assert_eq!(statuses(&report, check), ["failed"], "{check}");
    }
    let told = outcomes(&report, "perplexity")[0]["detail"]
        .as_str()
        .unwrap();
    assert!(told.contains("infinite or NaN"), "{told}");
}

#[test_case("check", 2, "--base"; "no base")]
#[test_case("check -c nowhere.yaml", 2, "failed to read `nowhere.yaml`"; "no file")]
#[test_case("check -c empty.yaml", 2, "there is no base"; "an empty file")]
#[test_case("check -c odd.yaml", 2, "odd.yaml:2:1: field `kandidate`: unknown field"; "an unknown field")]
#[test_case("check -c limits.yaml", 2, "field `limits.alpha`: expected a number above 0 and below 0.5, got 2"; "a limit")]
#[test_case("check --base nowhere --candidate base", 2, "nowhere"; "no model")]
#[test_case("check --base base --candidate base --data nowhere.jsonl", 2, "failed to read `nowhere.jsonl`"; "no data")]
#[test_case("check --base base --candidate base --data short.txt", 2, "`short.txt`: it has 3 tokens"; "a short text")]
#[test_case("check --base base --candidate base --tasks nowhere.jsonl", 2, "task `nowhere.jsonl`: failed to read `nowhere.jsonl`"; "no task")]
#[test_case("check --base base --candidate base --tasks code.yaml", 2, "task `code.yaml`: field `process_docs`: `!function` (Python code) is not supported"; "code")]
#[test_case("check --base base --candidate base --tasks odd.jsonl", 65, "task `odd.jsonl`: odd.jsonl:1: field `prompt`"; "an odd row")]
fn wrong_use_is_told(line: &str, code: i32, expected: &str) {
    let project = project();
    project.write("empty.yaml", "{}");
    project.write("odd.yaml", "base: base\nkandidate: merged\n");
    project.write("limits.yaml", "base: base\nlimits: {alpha: 2}\n");
    project.write("short.txt", "a b");
    project.write(
        "code.yaml",
        "task: a\nprocess_docs: !function utils.process_docs\n",
    );
    project.write("odd.jsonl", "{\"question\": \"Why?\"}\n");
    let done = run(&project, line);
    assert_eq!(done.code, code, "{done:?}");
    assert!(
        done.stderr.contains(expected),
        "expected `{expected}`: {}",
        done.stderr
    );
    assert!(!done.stderr.contains("panicked"), "{done:?}");
}
