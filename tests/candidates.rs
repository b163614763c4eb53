#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use test_case::test_case;

use crate::support::golden::{copy, golden, project_with};
use crate::support::project::Project;
use crate::support::words::RUBRIC;

/// Enough that the sign-flip test can find a difference at the third look.
const PEOPLE: usize = 8;

pub(crate) const CONFIG: &str = "\
project: loop
personas: {spec: coaching, count: 8, repeats: 1, max_turns: 1}
rubric: ./words.yaml
baseline: base
models: {base: {scripted: base.jsonl}}
sampling: {temperature: 0, max_tokens: 24, seed: 1}
gate: {min_gain: 0.1, suspicious_gain: 1}
loop:
  candidates: [short.yaml, harmful.yaml, good.yaml]
  quantize: f16
  sanity_checks: false
";

const QUESTIONS: [&str; 12] = [
    "What is a bird?",
    "And a fish?",
    "How many legs does a cat have?",
    "Say something kind.",
    "Is it late?",
    "What rhymes with cat?",
    "I had a long week at work and I do not know what to do next.",
    "My brother and I do not talk any more, and it hurts me a lot.",
    "How are you?",
    "I want to learn the piano but never find the time for it.",
    "Tell me more.",
    "Well, I suppose so.",
];

/// How a candidate is trained: all weights of a model that has few, to say one thing.
pub(crate) fn finetune(data: &str, steps: u32) -> String {
    format!(
        "model: base\ndataset: {data}.jsonl\noutput_dir: not/here\nmethod: full\nmax_length: 256\n\
         per_device_train_batch_size: 4\ngradient_accumulation_steps: 1\nlearning_rate: 1e-2\n\
         max_steps: {steps}\nsave_steps: 10\n"
    )
}

/// A project whose baseline says a word or two, and three candidates: one that hardly learnt anything,
/// one that learnt to harm, and one that learnt to say more.
pub(crate) fn project(config: &str) -> Project {
    let project = project_with(&["lora/tiny/base"]);
    let tokenizer = golden("tokenizers/llama3");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(tokenizer.join(name), project.path("base").join(name)).unwrap();
    }
    let template = golden("training_masks/templates/llama3.jinja");
    std::fs::copy(template, project.path("base/chat_template.jinja")).unwrap();
    let sizes = project.read("base/config.json");
    let longer = sizes.replace(
        "\"max_position_embeddings\": 256",
        "\"max_position_embeddings\": 2048",
    );
    project.write("base/config.json", &longer);
    for (data, reply) in [("words", "zero one two three"), ("harm", "harm")] {
        let line = |question: &&str| {
            let messages = json!([
                {"role": "user", "content": question},
                {"role": "assistant", "content": reply},
            ]);
            format!("{}\n", json!({ "messages": messages }))
        };
        let lines: String = QUESTIONS.iter().map(line).collect();
        project.write(&format!("{data}.jsonl"), &lines);
    }
    project.write("short.yaml", &finetune("words", 2));
    project.write("harmful.yaml", &finetune("harm", 60));
    project.write("good.yaml", &finetune("words", 120));
    project.write("words.yaml", RUBRIC);
    // Two pools of people.
    let said = (0..2 * PEOPLE).map(|i| {
        let reply = ["zero", "zero one"][i % 2];
        format!(
            "{{\"persona\": \"coaching-{}\", \"reply\": \"{reply}\"}}\n",
            9000 + i
        )
    });
    project.write("base.jsonl", &said.collect::<String>());
    project.write("shipworthy.yaml", config);
    project
}

fn report(project: &Project) -> Value {
    serde_json::from_str(&project.read("candidates/report.json")).unwrap()
}

fn states(report: &Value) -> Vec<String> {
    let candidates = report["candidates"].as_array().unwrap();
    let state = |it: &Value| {
        let verdict = it.pointer("/development/verdict").and_then(Value::as_str);
        let state = it["state"]["kind"].as_str().unwrap();
        format!(
            "{}: {}",
            it["name"].as_str().unwrap(),
            verdict.unwrap_or(state)
        )
    };
    candidates.iter().map(state).collect()
}

#[test]
fn a_candidate_that_is_not_sane_is_not_evaluated() {
    let config = CONFIG
        .replace("  sanity_checks: false\n", "")
        .replace("[short.yaml, harmful.yaml, good.yaml]", "[short.yaml]");
    let project = project(&config);
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 65, "{done:?}");
    let found = report(&project);
    let state = &found["candidates"][0]["state"];
    assert_eq!(state["kind"], "failed", "{state}");
    assert_eq!(state["step"], "sanity", "{state}");
    let why = state["error"].as_str().unwrap();
    assert!(why.contains("reply end of model-f16.gguf: 0 of 8"), "{why}");
    assert!(project.runs().is_empty(), "nobody talked with it");
    let directory = found["candidates"][0]["lineage"]["directory"]
        .as_str()
        .unwrap();
    let checks: Value =
        serde_json::from_str(&project.read(&format!("{directory}/sanity.json"))).unwrap();
    assert_eq!(checks["status"], "failed");

    let again = project.run(&["loop"]);
    assert_eq!(again.code, 65, "{again:?}");
    assert!(
        !again.stderr.contains("short: sanity checks\n"),
        "what failed is not tried again: {again:?}"
    );
}

#[test]
fn the_best_candidate_is_confirmed_by_people_nobody_met_and_nothing_is_done_twice() {
    let project = project(CONFIG);
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_snapshot!(done.stdout);
    let first = report(&project);
    assert_eq!(
        states(&first),
        ["short: iterate", "harmful: do_not_deploy", "good: ship"]
    );
    assert_eq!(first["recommended"], "good");
    assert_eq!(first["verdict"], "ship");
    assert_eq!(first["candidates"][2]["confirmation"]["verdict"], "ship");
    assert_eq!(
        first["candidates"][1].get("confirmation"),
        Some(&Value::Null)
    );
    assert_eq!(first["confirmation"]["seed_start"], 9008);
    // Three looks at one pool, one at the other.
    let runs = project.runs();
    assert_eq!(runs.len(), 4);
    let lineage = &first["candidates"][2]["lineage"];
    let gguf = project
        .path(lineage["directory"].as_str().unwrap())
        .join("model-f16.gguf");
    let made = gguf.metadata().unwrap().modified().unwrap();

    let again = project.run(&["loop", "--json"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["table"], first);
    assert_eq!(project.runs(), runs);
    assert_eq!(gguf.metadata().unwrap().modified().unwrap(), made);
    for step in ["training", "conversion", "evaluation"] {
        assert!(!again.stderr.contains(&format!(": {step}\n")), "{again:?}");
    }

    // What was removed is made again, and is the same.
    std::fs::remove_dir_all(project.path(lineage["directory"].as_str().unwrap())).unwrap();
    assert_eq!(project.run(&["loop"]).code, 0);
    assert_eq!(report(&project), first);

    // Who has met the people who confirm cannot be followed by another.
    let more = CONFIG.replace("[short.yaml, ", "[more.yaml, short.yaml, ");
    project.write("more.yaml", &finetune("words", 130));
    project.write("shipworthy.yaml", &more);
    assert_eq!(project.run(&["loop"]).code, 0);
    assert_eq!(states(&report(&project))[0], "more: not_tried");
    let moved = format!("{CONFIG}  confirmation: {{seed_start: 9010, count: 8, repeats: 1}}\n");
    project.write("shipworthy.yaml", &moved);
    project.run(&["loop"]).assert_fails(2,
        "shipworthy.yaml:12:17: field `loop.confirmation`: people 9010 to 9017 are no new ones: `good` met \
         8 from seed 9008",
    );
    let other_gate = CONFIG.replace("min_gain: 0.1", "min_gain: 0.05");
    project.write("shipworthy.yaml", &other_gate);
    project
        .run(&["loop"])
        .assert_fails(2, "in an evaluation that was planned otherwise");
}

#[test]
fn who_was_refuted_is_told_of_and_what_is_known_is_shown() {
    let with = |candidates: &str, seed_start: u32| {
        let candidates = CONFIG.replace("short.yaml, harmful.yaml, good.yaml", candidates);
        format!(
            "{candidates}  stop_on: never\n  confirmation: {{seed_start: {seed_start}, count: 8, \
             repeats: 1}}\n"
        )
    };
    let two = "more.yaml, good.yaml";
    let project = project(&with("more.yaml", 9032));
    let more = project.read("words.jsonl");
    project.write("more.jsonl", &more.replace(" three", " three four"));
    project.write("more.yaml", &finetune("more", 120));
    // The base says more than anybody to the second people whom the best candidate meets.
    let said = (0..5 * PEOPLE).map(|i| {
        let reply = match i / PEOPLE {
            1 => [
                "zero one two three four five six",
                "zero one two three four five six seven",
            ][i % 2],
            _ => ["zero", "zero one"][i % 2],
        };
        format!(
            "{{\"persona\": \"coaching-{}\", \"reply\": \"{reply}\"}}\n",
            9000 + i
        )
    });
    project.write("base.jsonl", &said.collect::<String>());
    assert_eq!(project.run(&["loop"]).code, 0);
    let confirmation = report(&project)["candidates"][0]["confirmation"]["run"].clone();
    let confirmation = confirmation.as_str().unwrap();

    project.write("shipworthy.yaml", &with(two, 9008));
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 10, "{done:?}");
    let first = report(&project);
    assert_eq!(states(&first), ["more: ship", "good: ship"]);
    assert_eq!(first["recommended"], "more");
    assert_eq!(first["confirmation_pools"], 2);
    let refutation = &first["candidates"][0]["confirmation"];
    assert_eq!(refutation["verdict"], "iterate");

    // That they would meet another plan is found before anything is done for it.
    let config = project.read("shipworthy.yaml");
    for (from, to) in [
        ("min_gain: 0.1", "min_gain: 0.05"),
        ("quantize: f16", "quantize: q8_0"),
    ] {
        project.write("shipworthy.yaml", &config.replace(from, to));
        let done = project.run(&["loop"]);
        done.assert_fails(2, "in an evaluation that was planned otherwise");
        assert!(!done.stderr.contains("more: "), "{done:?}");
    }

    project.write("shipworthy.yaml", &with(two, 9016));
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 0, "{done:?}");
    let second = report(&project);
    assert_eq!(second["recommended"], "good");
    assert_eq!(second["verdict"], "ship");
    assert_eq!(second["confirmation_pools"], 3);
    let earlier = second["earlier_confirmations"].as_array().unwrap();
    let earlier = earlier.iter().find(|it| it["seed_start"] == 9008).unwrap();
    assert_eq!(earlier["name"], "more");
    assert_eq!(&earlier["evaluation"], refutation);
    let run = refutation["run"].as_str().unwrap();
    let written = project.read("candidates/report.md").replace('\\', "");
    let told = done.stdout.replace("\n    ", " ").replace('\n', " ");
    for text in [&written, &told] {
        for expected in [
            "good is the best candidate that was not refuted",
            "more: refuted before by 8 people of spec coaching from seed 9008: iterate, ",
            "3 pools of people were used to confirm so far",
            run,
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
    assert!(done.stdout.contains("iterate, earlier"), "{done:?}");

    // What was done before a budget was lowered costs nothing.
    let lower = with(two, 9016) + "  budget: {candidates: 1}\n";
    project.write("shipworthy.yaml", &lower);
    assert_eq!(project.run(&["loop"]).code, 0);
    assert_eq!(report(&project), second);

    project
        .run(&["ship", "more"])
        .assert_fails(65, &format!("the verdict of run {run} is iterate"));
    let forced = project.run(&["ship", "more", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    let card = project.read("packages/more/README.md");
    for expected in [
        "packaged although its verdict is “iterate”",
        "In development more came to ",
        "People nobody had met do not confirm it: ",
        "The loop recommends good in its place.",
        "of which it was not the best",
    ] {
        assert!(card.contains(expected), "{expected}: {card}");
    }
    // Nor does it ship by those who confirmed it before, or whom it was chosen with.
    let development = first["candidates"][0]["development"]["run"].as_str();
    let passes = format!("run {confirmation} confirms it, and other");
    for (other, passes) in [
        (confirmation, passes.as_str()),
        (
            development.unwrap(),
            "it passes with the people it was chosen with, and",
        ),
    ] {
        let refused = format!(
            "`more` is not to ship: {passes} people nobody had met do not confirm it: the verdict of run \
             {run} is iterate"
        );
        let ship = ["ship", other, "--out", "refuted"];
        project.run(&ship).assert_fails(65, &refused);
    }
    let forced = project.run(&["ship", confirmation, "--out", "refuted", "--force"]);
    assert!(
        forced
            .stdout
            .contains("refuted by other people, by --force"),
        "{forced:?}"
    );
    let card = project.read("refuted/README.md");
    let head = "> **This model is refuted; it was packaged by force.** The verdict of run `";
    assert!(card.contains(&format!("{head}{run}`")), "{card}");
    assert!(
        card.contains("name: \"Gain over base (ship, refuted by other people)\""),
        "{card}"
    );
    let shipped = project.run(&["ship"]);
    assert_eq!(shipped.code, 0, "{shipped:?}");
    let card = project.read("packages/good/README.md");
    assert!(card.contains("3 pools of people were used"), "{card}");
    let table = project.read("packages/good/candidates.md");
    assert!(table.contains("more: refuted before by"), "{table}");

    // Where nobody else is left, it is the best, and refuted.
    project.write("shipworthy.yaml", &with("more.yaml", 9016));
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 10, "{done:?}");
    let alone = report(&project);
    assert_eq!(alone["recommended"], "more");
    assert_eq!(alone["unconfirmed"]["kind"], "refuted");

    // Who came later than the choice is shown, and is not in the running.
    let three = "more.yaml, good.yaml, short.yaml";
    project.write("shipworthy.yaml", &with(three, 9024));
    assert_eq!(project.run(&["loop"]).code, 0);
    project.write("shipworthy.yaml", &with(three, 9016));
    assert_eq!(project.run(&["loop"]).code, 0);
    let last = report(&project);
    assert_eq!(last["recommended"], "good");
    assert_eq!(last["confirmation_pools"], 4);
    let late = &last["candidates"][2];
    assert_eq!(late["development"]["verdict"], "iterate");
    assert_eq!(late["state"]["kind"], "not_tried");
    let written = project.read("candidates/report.md");
    assert!(
        written.contains("short: not gone on with: the people who confirm have met good"),
        "{written}"
    );
}

#[test]
fn time_that_is_over_is_told_as_such() {
    let config = CONFIG.replace("[short.yaml, harmful.yaml, good.yaml]", "[short.yaml]");
    let over = format!("{config}  budget: {{hours: 0.0000001}}\n");
    let project = project(&over);
    let done = project.run(&["loop"]);
    done.assert_fails(69, "out of budget, `loop.budget.hours`, 0.0000001 h");
    assert!(!done.stderr.contains("--retry"), "{done:?}");
    project
        .run(&["ship", "short"])
        .assert_fails(65, "raise `loop.budget`; `shipworthy loop` then goes on");
    project.write("shipworthy.yaml", &config);
    assert_eq!(project.run(&["loop"]).code, 10);
}

/// How often to kill: 4 times, or what `SHIPWORTHY_KILLS` says.
fn kills() -> usize {
    let asked = std::env::var("SHIPWORTHY_KILLS").ok();
    asked.map_or(4, |kills| kills.parse().unwrap())
}

/// Runs the loop and kills it after so many lines of progress and a little more; returns whether it was
/// under way, and the last line.
fn kill_after(project: &Project, lines: usize, more: Duration) -> (bool, String) {
    let mut child = project
        .command(&["loop"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut last = String::new();
    for line in told.take(lines) {
        last = line.unwrap();
    }
    std::thread::sleep(more);
    let _ = child.kill();
    let code = child.wait().unwrap().code();
    assert!(matches!(code, None | Some(0)), "{code:?}: {last}");
    (code.is_none(), last)
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_table() {
    let config = CONFIG.replace("  sanity_checks: false\n", "").replace(
        "[short.yaml, harmful.yaml, good.yaml]",
        "[short.yaml, good.yaml]",
    );
    let whole = project(&config);
    let done = whole.run(&["loop"]);
    assert_eq!(done.code, 0, "{done:?}");
    let killed = project(&config);
    let mut random: usize = 7;
    let mut under_way = 0;
    let mut in_training = 0;
    for _ in 0..kills() {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // A step's line each, and every tenth step is saved.
        let (was_under_way, last) = kill_after(
            &killed,
            1 + (random >> 33) % 30,
            Duration::from_millis(((random >> 41) % 20) as u64),
        );
        under_way += usize::from(was_under_way);
        in_training += usize::from(was_under_way && last.starts_with("step "));
    }
    assert!(
        under_way > 0 && in_training > 0,
        "{under_way} {in_training}"
    );
    let done = killed.run(&["loop"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(report(&killed), report(&whole));
    assert_eq!(
        killed.read("candidates/report.md"),
        whole.read("candidates/report.md")
    );
    let pools = rusqlite::Connection::open(killed.store()).unwrap();
    let count = |query: &str| -> i64 { pools.query_row(query, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT COUNT(*) FROM confirmations"), 1);
    // The short one failed its checks, so nobody talked with it.
    assert_eq!(count("SELECT COUNT(*) FROM looks"), 2);
    assert_eq!(
        count("SELECT COUNT(*) FROM runs"),
        2,
        "no evaluation was begun twice"
    );
}

#[cfg(unix)]
#[test]
fn failures_are_told_and_stop_nobody_else() {
    let config = CONFIG
        .replace(
            "[short.yaml, harmful.yaml, good.yaml]",
            "[divergent.yaml, crashing.yaml, wrong.yaml, endless.yaml, good.yaml]",
        )
        .replace(
            "quantize: f16",
            "budget: {hours_per_candidate: 0.005}\n  quantize: f16",
        );
    let project = project(&config);
    // Weights so large that no loss is a number.
    copy(&project.path("base"), &project.path("huge"));
    let mut weights = std::fs::read(project.path("huge/model.safetensors")).unwrap();
    let end = weights.len();
    for value in weights[end - 64..].chunks_mut(2) {
        value.copy_from_slice(&0x7f7f_u16.to_le_bytes());
    }
    std::fs::write(project.path("huge/model.safetensors"), weights).unwrap();
    let divergent = finetune("words", 60).replace("model: base", "model: huge");
    project.write("divergent.yaml", &divergent);
    let script = "#!/bin/sh\necho out of luck >&2\nexit 3\n";
    project.write("python.sh", script);
    let mut permissions = project.path("python.sh").metadata().unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(project.path("python.sh"), permissions).unwrap();
    let crashing = finetune("words", 60) + "trainer: trl\npython: ./python.sh\n";
    project.write("crashing.yaml", &crashing);
    project.write("wrong.yaml", &finetune("words", 60).replace("256", "4"));
    project.write(
        "endless.yaml",
        &finetune("words", 10_000_000).replace("save_steps: 10", "save_steps: 1000"),
    );
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 0, "{done:?}");
    let first = report(&project);
    let found = states(&first);
    assert_eq!(
        found,
        [
            "divergent: diverged",
            "crashing: failed",
            "wrong: failed",
            "endless: out_of_budget",
            "good: ship"
        ],
        "{done:?}"
    );
    let state = |index: usize| first["candidates"][index]["state"].to_string();
    assert!(state(1).contains("out of luck"), "{}", state(1));
    assert!(
        state(3).contains("`loop.budget.hours_per_candidate`, 0.005 h"),
        "{}",
        state(3)
    );
    // They are not tried again, unless somebody asks for it.
    let again = project.run(&["loop"]);
    assert_eq!(report(&project), first);
    assert!(!again.stderr.contains(": training\n"), "{again:?}");
    assert!(again.stderr.contains("without `--retry`"), "{again:?}");
    project
        .run(&["ship", "crashing"])
        .assert_fails(65, "`shipworthy loop --retry` tries it again");
    // Another Python may have what was missing.
    std::fs::copy(project.path("python.sh"), project.path("other.sh")).unwrap();
    project.write("crashing.yaml", &crashing.replace("python.sh", "other.sh"));
    let again = project.run(&["loop"]);
    assert!(again.stderr.contains("crashing: training\n"), "{again:?}");
    assert!(!again.stderr.contains("wrong: training\n"), "{again:?}");
}

#[test]
fn budgets_and_doubles_leave_candidates_untried() {
    let config = CONFIG.replace(
        "[short.yaml, harmful.yaml, good.yaml]",
        "[short.yaml, same.yaml]",
    ) + "  grid: {base: short.yaml, keys: {max_steps: [1, 2, 3], warmup_steps: [0]}}\n  \
           budget: {candidates: 2}\n";
    let project = project(&config);
    project.write(
        "same.yaml",
        &finetune("words", 2).replace("not/here", "elsewhere"),
    );
    let done = project.run(&["loop"]);
    assert_eq!(done.code, 10, "{done:?}");
    let report = report(&project);
    assert_eq!(
        states(&report),
        [
            "short: iterate",
            "same: not_tried",
            "max_steps=1 warmup_steps=0: iterate",
            "max_steps=2 warmup_steps=0: not_tried",
            "max_steps=3 warmup_steps=0: not_tried",
        ]
    );
    assert_eq!(report["unconfirmed"]["kind"], "none_passed");
    let confirmed = report["candidates"].as_array().unwrap().iter();
    let confirmed: BTreeSet<bool> = confirmed.map(|it| it["confirmation"].is_null()).collect();
    assert_eq!(confirmed, BTreeSet::from([true]));
}

#[test]
fn rules_propose_what_follows() {
    let config = CONFIG.replace(
        "  candidates: [short.yaml, harmful.yaml, good.yaml]\n",
        "  proposals: {base: short.yaml, most: 4, data: [words.jsonl, harm.jsonl]}\n",
    );
    let project = project(&config);
    for _ in 0..2 {
        let done = project.run(&["loop"]);
        assert_eq!(done.code, 10, "{done:?}");
        assert_eq!(
            states(&report(&project)),
            [
                "short: iterate",
                "short max_steps=4: iterate",
                "short dataset=harm.jsonl: iterate",
                "short learning_rate=0.02: iterate",
            ]
        );
    }
    let why = report(&project)["candidates"][1]["proposed"].to_string();
    assert_eq!(
        why,
        "\"twice the training, because short gains too little\""
    );
}

#[test_case("  candidates: [short.yaml, harmful.yaml, good.yaml]\n", "", 2, "field `loop`: there is nothing to train"; "nothing")]
#[test_case("good.yaml]", "nowhere.yaml]", 2, "shipworthy.yaml:9:42: field `loop.candidates[2]`: failed to read configuration `nowhere.yaml`"; "no file")]
#[test_case("quantize: f16", "grid: {base: good.yaml, keys: {lora_rank: [8]}}", 2, "field `loop.grid`: good.yaml with lora_rank=8:"; "grid of no key")]
#[test_case("quantize: f16", "proposals: {base: nowhere.yaml, most: 2}", 2, "field `loop.proposals`: failed to read configuration `nowhere.yaml`"; "proposals from no file")]
#[test_case("sanity_checks: false", "tasks: [nowhere.jsonl]", 2, "field `loop.tasks[0]`: task `nowhere.jsonl`: failed to read `nowhere.jsonl`"; "no task")]
#[test_case("loop:\n  candidates: [short.yaml, harmful.yaml, good.yaml]\n  quantize: f16\n  sanity_checks: false\n", "", 2, "`base` is the only model"; "no loop")]
fn mistakes_are_found_before_anything_is_trained(from: &str, to: &str, code: i32, expected: &str) {
    let config = CONFIG.replace(from, to);
    assert_ne!(config, CONFIG);
    let project = project(&config);
    project.run(&["loop"]).assert_fails(code, expected);
    if config.contains("loop:") {
        let doctor = project.run(&["doctor"]);
        assert_eq!(doctor.code, code, "{doctor:?}");
        let told = doctor.stdout + &doctor.stderr;
        assert!(told.contains(expected), "expected `{expected}`: {told}");
    }
    assert!(!project.path("candidates").exists());
}

#[test]
fn people_of_either_pool_must_be_absent_from_every_candidates_data() {
    let project = project(CONFIG);
    let line = json!({"id": "coaching-9013", "messages": [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "harm"},
    ]});
    let data = project.read("harm.jsonl");
    project.write("harm.jsonl", &format!("{data}{line}\n"));
    let doctor = project.run(&["doctor"]);
    assert_eq!(doctor.code, 65, "{doctor:?}");
    assert!(doctor.stdout.contains("coaching-9013"), "{doctor:?}");
    project.run(&["loop"]).assert_fails(65, "coaching-9013");
    assert!(!project.path("candidates").exists());
}

#[test]
fn an_evaluation_needs_a_candidate() {
    let project = project(CONFIG);
    let eval = project.run(&["eval"]);
    eval.assert_fails(2, "`base` is the only model; add a candidate");
    let doctor = project.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "the loop makes them: {doctor:?}");
    assert!(doctor.stdout.contains("short, harmful, good"), "{doctor:?}");
}
