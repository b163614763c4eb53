//! What of `trainer: trl` needs no Python packages: refusals, forecasts, scripts that fail.

use std::fmt::Write as _;

use test_case::test_case;

use crate::support::golden::{golden, project_with};
use crate::support::project::Project;

/// Lines matter to the tests of mistakes.
const CONFIG: &str = "\
model: base
dataset: train.jsonl
output_dir: tuned
trainer: trl
python: python3
method: lora
lora_r: 4
lora_alpha: 8
lora_dropout: 0
device: cpu
max_length: 256
max_steps: 4
save_steps: 2
shuffle: false
learning_rate: 1e-2
gradient_accumulation_steps: 2
";

const CONVERSATIONS: [(&str, &str); 4] = [
    ("What is a bird?", "An animal that has wings and feathers."),
    ("And a fish?", "An animal that swims."),
    ("How many legs does a cat have?", "Four."),
    (
        "Say something kind.",
        "I am glad that you are here, and I mean it.",
    ),
];

/// A project with a tiny model that has a tokenizer and a chat template, conversations and preferences.
pub(crate) fn project(more: &str) -> Project {
    let project = project_with(&["lora/tiny/base"]);
    let tokenizer = golden("tokenizers/llama3");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), project.path("base").join(name)).unwrap();
    }
    let template = golden("training_masks/templates/llama3.jinja");
    std::fs::copy(template, project.path("base/chat_template.jinja")).unwrap();
    let says = |role: &str, text: &str| serde_json::json!([{ "role": role, "content": text }]);
    let (mut replies, mut preferences) = (String::new(), String::new());
    for (question, answer) in CONVERSATIONS {
        let row = serde_json::json!({ "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]});
        let _ = writeln!(replies, "{row}");
        let row = serde_json::json!({
            "prompt": says("user", question),
            "chosen": says("assistant", answer),
            "rejected": says("assistant", "I do not know."),
        });
        let _ = writeln!(preferences, "{row}");
    }
    project.write("train.jsonl", &replies);
    project.write("preferences.jsonl", &preferences);
    project.write("finetune_config.yaml", &format!("{CONFIG}{more}"));
    project
}

#[test_case("packing: true", "finetune_config.yaml:17:10: field `packing`: TRL packs with FlashAttention alone"; "packing")]
#[test_case("target_modules: [lm_head]", "finetune_config.yaml:17:17: field `target_modules`: TRL reads the weights of `lm_head`"; "head")]
#[test_case("seed: 4294967296", "finetune_config.yaml:17:7: field `seed`: "; "seed")]
#[test_case("loss_chunk: 8", "finetune_config.yaml:17:1: field `loss_chunk`: goes with `trainer: native`"; "a key of the other trainer")]
fn what_trl_cannot_do_is_said_before(more: &str, expected: &str) {
    let project = project(more);
    let done = project.run(&["train"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains(expected), "{}", done.stderr);
    assert!(!project.path("tuned").exists());
}

#[test]
fn preferences_are_read_before() {
    let project = project("objective: dpo\n");
    let change = |from: &str, to: &str| {
        let text = project.read("finetune_config.yaml").replace(from, to);
        project.write("finetune_config.yaml", &text);
    };
    // Conversations are no preferences.
    let done = project.run(&["train"]);
    assert_eq!(done.code, 65, "{done:?}");
    let expected =
        "finetune_config.yaml:2:10: field `dataset`: `train.jsonl`: line 1: there is no `prompt`";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
    change("train.jsonl", "preferences.jsonl");
    let document = project.run(&["train", "--dry-run", "--json"]).json();
    assert_eq!(document["data"]["examples"], 4);
    assert_eq!(document["plan"]["steps"], 4);
    assert_eq!(document["config"]["beta"], 0.1);
}

#[test]
fn a_python_without_the_packages_is_told_and_leaves_its_words() {
    // It cannot find what is installed for others either.
    let project = project("");
    let mut command = project.command(&["train"]);
    command.env("PYTHONNOUSERSITE", "1").env("PYTHONPATH", "");
    std::fs::write(project.path("bare"), "#!/bin/sh\nexec python3 -S \"$@\"\n").unwrap();
    make_executable(&project, "bare");
    let text = project.read("finetune_config.yaml");
    project.write(
        "finetune_config.yaml",
        &text.replace("python: python3", "python: ./bare"),
    );
    let done = crate::support::project::Done::of(&mut command);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr.contains("ModuleNotFoundError: No module named"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("install the packages"),
        "{}",
        done.stderr
    );
    let log = project.read("tuned/train.log");
    assert!(log.contains("{\"shipworthy\": \"starting\"}"), "{log}");
    let script = project.read("tuned/train.py");
    assert!(script.starts_with("# /// script\n"));
    // The digest that the script looks for is that of the tokens it is given.
    let tokens = project.read("tuned/tokens/train.jsonl");
    assert_eq!(tokens.lines().count(), CONVERSATIONS.len());
}

#[cfg(unix)]
fn make_executable(project: &Project, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(project.path(name), permissions).unwrap();
}

#[test]
fn no_uv_is_told() {
    let project = project("");
    let text = project.read("finetune_config.yaml");
    project.write(
        "finetune_config.yaml",
        &text.replace("python: python3\n", ""),
    );
    let mut command = project.command(&["train"]);
    command.env("PATH", project.path("nothing"));
    let done = crate::support::project::Done::of(&mut command);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(done.stderr.contains("install uv"), "{}", done.stderr);
}

#[test]
fn memory_and_prices_are_told_of_sizes_and_data() {
    let project = project("");
    let done = project.run(&["plan", "training"]);
    assert_eq!(done.code, 0, "{done:?}");
    for expected in [
        "Hugging Face Jobs, prices of 2026-08-22; hours are an estimate",
        "a10g-small",
        "256 at a time",
        "pages of the model's file",
        "4 steps, 2 a pass",
    ] {
        assert!(
            done.stdout.contains(expected),
            "{expected}: {}",
            done.stdout
        );
    }
    let document = project.run(&["plan", "training", "--json"]).json();
    assert_eq!(document["trainer"], "trl");
    assert_eq!(document["prices_as_of"], "2026-08-22");
    let flavours = document["flavours"].as_array().unwrap();
    assert!(
        flavours
            .iter()
            .all(|one| one["cards"] == 1 && one["fits"] == true)
    );
    assert!(flavours[0]["usd"].as_f64().unwrap() < 0.01);
}

/// Whether a process is there and has not ended.
#[cfg(target_os = "linux")]
fn is_alive(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .starts_with('Z')
    })
}

#[cfg(target_os = "linux")]
#[test_case("wait", true; "killed")]
#[test_case("exit 3", false; "its launcher fails")]
fn a_rank_in_a_session_of_its_own_ends_too(then: &str, is_killed: bool) {
    let project = project("");
    let rank = project.path("rank");
    // Launchers make every rank the leader of a session; this one does not listen either.
    let script = format!(
        "#!/bin/sh\nsetsid sh -c 'trap \"\" TERM; echo $$ > {rank}; exec sleep 60' &\n\
         while [ ! -s {rank} ]; do sleep 0.1; done\n{then}\n",
        rank = rank.display()
    );
    project.write("launcher", &script);
    make_executable(&project, "launcher");
    let text = project.read("finetune_config.yaml");
    let text = text.replace("python: python3", "python: ./launcher");
    project.write("finetune_config.yaml", &text);
    let mut child = project
        .command(&["train"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    let wait = || {
        assert!(begun.elapsed().as_secs() < 40, "it takes too long");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let process = loop {
        match std::fs::read_to_string(&rank) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            _ => wait(),
        }
    };
    if is_killed {
        assert!(is_alive(&process));
        let killed = std::process::Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
    assert_ne!(child.wait().unwrap().code(), Some(0));
    while is_alive(&process) {
        wait();
    }
}
