#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use serde_json::Value;
use shipworthy_schema::Digest;

use crate::candidates::{CONFIG, finetune, project};
use crate::support::fake_hub::{FakeHub, Options, Token};
use crate::support::project::{Done, Project};

fn manifest(project: &Project, package: &str) -> Value {
    serde_json::from_str(&project.read(&format!("{package}/package.json"))).unwrap()
}

#[test]
fn a_confirmed_candidate_is_packaged_and_no_other() {
    let hub = FakeHub::start(Options::default());
    let config = CONFIG.replace(
        "[short.yaml, harmful.yaml, good.yaml]",
        "[lora.yaml, good.yaml]",
    );
    let config = config + "  stop_on: never\nship: {push: ada/good}\n";
    let project = project(&config);
    let lora =
        finetune("words", 2).replace("method: full", "method: lora\nlora_r: 4\nlora_alpha: 8");
    project.write("lora.yaml", &lora);
    project
        .run(&["ship"])
        .assert_fails(2, "nothing was evaluated here yet");
    let looped = project.run(&["loop"]);
    assert_eq!(looped.code, 0, "{looped:?}");

    // What was made stays, and the second time it is only pushed.
    let ship = |token: Option<String>| {
        let mut ship = project.command(&["ship", "--json"]);
        ship.env("HF_ENDPOINT", hub.url()).env_remove("HF_TOKEN");
        ship.env("HF_HOME", project.path("nobody"));
        ship.envs(token.map(|token| ("HF_TOKEN", token)));
        Done::of(&mut ship)
    };
    ship(None).assert_fails(2, "it needs a token of the Hub, and there is none");
    let done = ship(Some(Token::of_owner().value));
    assert_eq!(done.code, 0, "{done:?}");
    let package = manifest(&project, "packages/good");
    assert_eq!(done.json()["package"], package);
    assert_eq!(package["verdict"], "ship");
    assert_eq!(package["confirmed"], true);
    assert_eq!(package["forced"], false);
    assert_eq!(package["checkpoint"], "checkpoint");
    let files = package["files"].as_array().unwrap();
    for file in files {
        let path = file["path"].as_str().unwrap();
        let bytes = std::fs::read(project.path("packages/good").join(path)).unwrap();
        assert_eq!(file["digest"], Digest::of(&bytes).as_str(), "{path}");
    }
    let names: Vec<&str> = files
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    for name in [
        "Modelfile",
        "README.md",
        "candidates.md",
        "checkpoint/model.safetensors",
        "checkpoint/tokenizer.json",
        "evaluation/evaluation_report.md",
        "model-f16.gguf",
        "training/lineage.json",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let card = project.read("packages/good/README.md");
    for text in [
        "model-index:",
        "llama-server --model model-f16.gguf --alias loop-good ",
        "vllm serve checkpoint ",
        "ollama create loop-good -f Modelfile",
        "of people nobody had met before",
    ] {
        assert!(card.contains(text), "{text}: {card}");
    }
    assert!(!card.contains("--force"), "{card}");
    let pushed = hub.files("models/ada/good");
    for name in names.iter().chain(&["package.json"]) {
        assert!(pushed.contains_key(*name), "{name}: {:?}", pushed.keys());
    }
    let gguf = std::fs::read(project.path("packages/good/model-f16.gguf")).unwrap();
    assert!(pushed["model-f16.gguf"] == gguf, "another file was pushed");
    assert_eq!(hub.titles("models/ada/good")[0], "Ship good");

    let ship = project.run(&["ship", "--no-push"]);
    ship.assert_fails(2, "`packages/good` is there already");
    project.write("packages/good/README.md", "another card");
    let ship = project.run(&["ship", "--push", "ada/good"]);
    ship.assert_fails(2, "`packages/good` is there already");
    project
        .run(&["ship", "lora"])
        .assert_fails(65, "`lora` is not to ship: the verdict of run ");
    let table: Value = serde_json::from_str(&project.read("candidates/report.json")).unwrap();
    let run = |index: usize| {
        let run = &table["candidates"][index]["development"]["run"];
        run.as_str().unwrap().to_owned()
    };
    // Whoever was chosen with some people is not shipped by them.
    let chosen = project.run(&["ship", &run(1), "--out", "chosen"]);
    let confirmation = table["candidates"][1]["confirmation"]["run"].as_str();
    chosen.assert_fails(
        65,
        &format!(
            "run {} is of the people that `good` was chosen with, which ships nothing; run {}, of people \
             nobody had met, confirms it",
            run(1),
            confirmation.unwrap()
        ),
    );
    let chosen = ["ship", &run(1), "--out", "chosen", "--no-push", "--force"];
    let chosen = project.run(&chosen);
    assert!(
        chosen.stdout.contains("not confirmed, by --force"),
        "{chosen:?}"
    );
    let card = project.read("chosen/README.md");
    let head = "> **This model is not confirmed; it was packaged by force.**";
    assert!(card.contains(head), "{card}");
    assert!(card.contains("base (ship, not confirmed)"), "{card}");
    assert!(!card.contains("**Next**"), "{card}");
    let forced = [
        "ship",
        "lora",
        "--force",
        "--merged",
        "--no-push",
        "--out",
        "forced",
    ];
    let forced = project.run(&forced);
    assert_eq!(forced.code, 0, "{forced:?}");
    let package = manifest(&project, "forced");
    assert_eq!(package["forced"], true);
    assert_eq!(package["adapter"]["rank"], 4);
    assert_eq!(package["checkpoint"], "merged");
    assert!(project.path("forced/merged/model.safetensors").is_file());
    assert!(
        project
            .path("forced/adapter/adapter_model.safetensors")
            .is_file()
    );
    let card = project.read("forced/README.md");
    assert!(card.contains("packaged although its verdict"), "{card}");
    assert!(
        card.contains("vllm serve ../base --enable-lora --max-lora-rank 8"),
        "{card}"
    );

    // What ships is what was evaluated.
    let lineage = &table["candidates"][1]["lineage"]["directory"];
    let gguf = format!("{}/model-f16.gguf", lineage.as_str().unwrap());
    std::fs::remove_file(project.path(&gguf)).unwrap();
    project.write(&gguf, "another");
    project
        .run(&["ship", "good", "--out", "other"])
        .assert_fails(65, "is not the file that run ");
    assert!(!project.path("other").exists());
    let left = std::fs::read_dir(project.path("")).unwrap();
    let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!left.any(|name| name.starts_with(".shipworthy-package")));
}
