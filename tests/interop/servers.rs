//! Base and adapter behind one real server that the project starts: doctor, evaluation, and the
//! proof that the adapter is applied.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::{Value, json};

/// Tokens of context; the golden model was made for fewer, but computes with any number.
const CONTEXT: u32 = 2048;

const TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}<|start_header_id|>\
    {{ message['role'] }}<|end_header_id|>\n\n{{ message['content'] }}<|eot_id|>{% endfor %}\
    {% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

/// Letters, because a model of random weights says nothing else.
const RUBRIC: &str =
    "name: letters\nversion: 1\npass_threshold: 0.5\ncategories:\n  - name: All\n    criteria:\n";

/// What a server that is started here must not ask others for, and how much of the memory it takes.
pub(crate) const OFFLINE: [(&str, &str); 3] = [
    ("HF_HUB_OFFLINE", "1"),
    ("VLLM_NO_USAGE_STATS", "1"),
    ("VLLM_CPU_KVCACHE_SPACE", "1"),
];

/// A project beside the golden checkpoint and its adapter, with a chat template.
pub(crate) struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new(config: &str) -> Self {
        let project = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
        let (base, lora) = (project.path("base"), project.path("lora"));
        for (from, to, files) in [
            (
                golden.join("lora/tiny/base"),
                &base,
                &["config.json", "model.safetensors"][..],
            ),
            (
                golden.join("tokenizers/llama3"),
                &base,
                &["tokenizer.json", "tokenizer_config.json"],
            ),
            (
                golden.join("lora/tiny/lora"),
                &lora,
                &["adapter_config.json", "adapter_model.safetensors"],
            ),
        ] {
            std::fs::create_dir_all(to).unwrap();
            for file in files {
                std::fs::copy(from.join(file), to.join(file)).unwrap();
            }
        }
        set(
            &base.join("config.json"),
            "max_position_embeddings",
            json!(CONTEXT),
        );
        set(
            &base.join("tokenizer_config.json"),
            "chat_template",
            json!(TEMPLATE),
        );
        // Rare letters too: who says enough says all the common ones.
        let criteria = "abcdefghijklmnopqrstuvwxyz".chars().map(|letter| {
            format!(
                "      - {{id: {letter}, text: Says {letter}., check: {{regex: '{letter}'}}, \
                 scope: any_reply}}\n"
            )
        });
        let rubric = RUBRIC.to_owned() + &criteria.collect::<String>();
        std::fs::write(project.path("letters.yaml"), rubric).unwrap();
        project.configure(config);
        project
    }

    fn configure(&self, config: &str) {
        let head = "project: interop\n\
                    personas: {spec: coaching, count: 6, repeats: 2, max_turns: 3}\n\
                    rubric: ./letters.yaml\n\
                    baseline: base\n\
                    system_prompt: You are a kind, practical coach.\n\
                    sampling: {max_tokens: 24, seed: 7, temperature: 1}\n";
        std::fs::write(self.path("shipworthy.yaml"), head.to_owned() + config).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the command here; what it prints goes to the test's output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let start = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_shipworthy"))
            .args(arguments)
            .current_dir(self.directory.path())
            .envs(OFFLINE)
            .output()
            .unwrap();
        println!(
            "$ shipworthy {} ({:.1} s, exit code {:?})\n{}{}",
            arguments.join(" "),
            start.elapsed().as_secs_f64(),
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Puts a checkpoint and an adapter in the place of the golden ones that vLLM can serve, by the Python
    /// that has it.
    pub(crate) fn make_servable_by_vllm(&self, vllm: &str) {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/tiny_checkpoint.py");
        let made = Command::new(Path::new(vllm).with_file_name("python"))
            .arg(script)
            .args([self.path("base"), self.path("lora")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path(".shipworthy/servers/main.log")).unwrap_or_default()
    }

    /// Looks at the servers, evaluates, and asserts that both arms spoke and spoke differently.
    fn doctor_and_evaluate(&self) {
        let doctor = self.run(&["doctor", "--json"]);
        assert!(doctor.status.success(), "{}", self.log());
        let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let subjects = doctor["subjects"].as_array().unwrap();
        let tuned = subjects
            .iter()
            .find(|s| s["subject"] == "models.tuned")
            .unwrap();
        let check = |name: &str| {
            let mut checks = tuned["checks"].as_array().unwrap().iter();
            let found = checks.find(|check| check["check"] == name);
            found.unwrap_or_else(|| panic!("no {name}: {tuned}"))["status"].clone()
        };
        for name in ["context", "second turn", "system prompt", "difference"] {
            assert_eq!(check(name), "passed", "{tuned}");
        }
        let done = self.run(&["eval"]);
        let code = done.status.code().unwrap();
        assert!(
            [0, 10, 11, 12, 13].contains(&code),
            "no verdict: {}",
            self.log()
        );
        let run = std::fs::read_dir(self.path("runs"))
            .unwrap()
            .next()
            .unwrap();
        let said = std::fs::read_to_string(run.unwrap().path().join("transcripts.jsonl")).unwrap();
        let said: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(said.len(), 2 * 6 * 2);
        for transcript in &said {
            let end = transcript["termination"].as_str().unwrap();
            assert!(super::ENDS[..4].contains(&end), "{transcript}");
        }
        let replies = |model: &str| {
            let of_model = said
                .iter()
                .filter(|transcript| transcript["model"] == model);
            of_model
                .map(|transcript| transcript["turns"][1]["content"].clone())
                .collect::<Vec<_>>()
        };
        let (base, tuned) = (replies("base"), replies("tuned"));
        assert_eq!((base.len(), tuned.len()), (12, 12), "{}", said[0]);
        let pairs = base.iter().zip(&tuned);
        let same: Vec<_> = pairs.filter(|(base, tuned)| base == tuned).collect();
        assert!(same.is_empty(), "the adapter was not applied: {same:?}");
    }
}

/// Sets a field of a JSON file.
fn set(path: &Path, field: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    json[field] = value;
    std::fs::write(path, json.to_string()).unwrap();
}

/// Evaluates against a running llama-server, lets Inspect hold the same conversations there, and
/// prints the time of both.
fn beside_inspect(project: &Project, python: &str) {
    let arguments: Vec<OsString> =
        [OsString::from("--lora"), project.path("lora.gguf").into()].into();
    let server = super::LlamaServer::start_with(&project.path("base.gguf"), "tiny", &arguments);
    server.wait();
    project.configure(&format!(
        "models:\n  base: {{url: '{0}', lora: {{}}}}\n  tuned: {{url: '{0}', lora: {{'0': 1}}}}\n",
        server.url
    ));
    let start = Instant::now();
    let done = project.run(&["eval", "--exit-zero", "--json"]);
    let ours = start.elapsed().as_secs_f64();
    assert!(done.status.success());
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    let run = project.path(done["directory"].as_str().unwrap());
    let script = "../tests/interop/inspect_conversations.py";
    let theirs = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .arg(&server.url)
        .arg(run.join("transcripts.jsonl"))
        .args(["2", "24"])
        .output()
        .unwrap();
    assert!(theirs.status.success(), "{theirs:?}");
    println!(
        "shipworthy eval: {ours:.2} s from start to exit\nInspect, without its start: {}",
        String::from_utf8_lossy(&theirs.stdout)
    );
}

#[test]
fn base_and_adapter_behind_one_llama_server() {
    let program = std::env::var("LLAMA_SERVER").expect("`make interop` sets LLAMA_SERVER");
    let config = |scale: f64| {
        format!(
            "serve:\n  main: {{llama_server: base.gguf, program: '{program}', args: [--lora, \
             lora.gguf, --parallel, '4', --ctx-size, '{}', --threads, '1', --alias, tiny]}}\n\
             models:\n  base: {{server: main, lora: {{}}}}\n  \
             tuned: {{server: main, lora: {{lora.gguf: {scale}}}}}\n",
            4 * CONTEXT
        )
    };
    let project = Project::new(&config(1.0));
    let made = |arguments: &[&str]| {
        let made =
            project.run(&[&["gguf", "--model", "base", "--type", "f32"], arguments].concat());
        assert!(made.status.success());
    };
    made(&["--out", "base.gguf"]);
    made(&["--adapter", "lora", "--adapter-only", "--out", "lora.gguf"]);
    project.doctor_and_evaluate();
    match std::env::var("INSPECT_PYTHON") {
        Ok(python) => beside_inspect(&project, &python),
        Err(_) => println!("INSPECT_PYTHON names no Python with Inspect: left out"),
    }

    // An adapter that is loaded but hardly applied is noticed.
    project.configure(&config(1e-7));
    let refused = project.run(&["eval"]);
    assert_eq!(refused.status.code(), Some(69));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("answers exactly as `base`"), "{stderr}");
}

#[test]
fn base_and_adapter_behind_one_vllm_server() {
    let Ok(program) = std::env::var("VLLM") else {
        println!("VLLM names no vLLM: left out");
        return;
    };
    // Without chunks: on a processor a prompt cut in two ends vLLM 0.32 where requests have seeds.
    let config = |places: u32| {
        format!(
            "serve:\n  main: {{vllm: base, program: '{program}', restarts: 0, args: [--dtype, \
             float32, --enforce-eager, --max-model-len, '{CONTEXT}', --max-num-batched-tokens, '{}', \
             --no-enable-chunked-prefill, --served-model-name, base, --enable-lora, \
             --max-lora-rank, '8', --max-loras, '{places}', --lora-modules, tuned=lora]}}\n\
             models:\n  base: {{server: main, model: base, parallel: 4}}\n  \
             tuned: {{server: main, model: tuned, parallel: 4}}\n",
            8 * CONTEXT
        )
    };
    let project = Project::new(&config(2));
    project.make_servable_by_vllm(&program);
    project.doctor_and_evaluate();
    // On a processor vLLM 0.32 gives a request without an adapter, beside one with it, the adapter in the
    // last place: where there is no empty one, the base is no base.
    project.configure(&config(1));
    let refused = project.run(&["eval"]);
    assert_eq!(refused.status.code(), Some(69));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("the server mixes them up"), "{stderr}");
}
