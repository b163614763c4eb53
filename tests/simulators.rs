use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fake_openai::{FakeOpenAi, Faults, Options};
use crate::support::project::Project;
use crate::support::words::RUBRIC;

const ENDS: [&str; 7] = [
    "user_satisfied",
    "user_gave_up",
    "turn_limit",
    "context_limit",
    "model_error",
    "simulator_error",
    "timeout",
];

fn project(base: &FakeOpenAi, tuned: &FakeOpenAi, rest: &str) -> Project {
    Project::with_config(&format!(
        "project: simulated\n\
         personas: {{spec: customer-support, count: 6, repeats: 2, max_turns: 4}}\n\
         rubric: customer-support\n\
         baseline: base\n\
         models: {{base: {{url: \"{}\"}}, tuned: {{url: \"{}\"}}}}\n{rest}",
        base.url(),
        tuned.url()
    ))
}

fn server(model: &str) -> Options {
    Options {
        model: model.into(),
        ..Options::default()
    }
}

/// Returns the first words of each conversation with `model`, by persona and repeat.
fn openings(transcripts: &[Value], model: &str) -> Vec<Value> {
    let of_model = transcripts
        .iter()
        .filter(|transcript| transcript["model"] == model);
    of_model
        .map(|transcript| transcript["turns"][0]["content"].clone())
        .collect()
}

#[test]
fn both_simulators_open_alike_and_every_conversation_has_a_typed_end() {
    let (base, tuned) = (
        FakeOpenAi::start(server("base")),
        FakeOpenAi::start(server("tuned")),
    );
    let person = FakeOpenAi::start(server("person"));
    let by_rules = project(&base, &tuned, "");
    let by_model = project(
        &base,
        &tuned,
        &format!("simulator: {{url: \"{}\"}}\n", person.url()),
    );
    for project in [&by_rules, &by_model] {
        let done = project.run(&["eval", "--exit-zero"]);
        assert!([0, 65].contains(&done.code), "{done:?}");
        let transcripts = project.transcripts();
        assert_eq!(transcripts.len(), 2 * 6 * 2);
        for transcript in &transcripts {
            assert!(
                ENDS[..3].contains(&transcript["termination"].as_str().unwrap()),
                "{transcript}"
            );
            assert!(
                !transcript["turns"].to_string().contains("###STOP###"),
                "{transcript}"
            );
        }
        assert_eq!(
            openings(&transcripts, "base"),
            openings(&transcripts, "tuned")
        );
    }
    let (rules, model) = (by_rules.transcripts(), by_model.transcripts());
    assert_eq!(openings(&rules, "base"), openings(&model, "base"));
    assert!(person.calls() > 0);
    for request in person.requests() {
        let messages = request.body["messages"].as_array().unwrap().clone();
        assert_eq!(
            messages.last().unwrap()["role"],
            "user",
            "the last word is the assistant's"
        );
    }
}

/// A person who gives the assistant advice when the assistant asks what keeps them up.
fn talking_to_a_confused_person(exclude: &str) -> (Project, crate::support::project::Done) {
    // Some conversations are better than others, else there is nothing to test.
    let says = |model: &str, reply: &'static str| {
        FakeOpenAi::start(Options {
            reply: Some(Arc::new(move |body| {
                let words = ["one", "one two", "one two three", "four"];
                format!("{reply} {}", words[body.to_string().len() % 4])
            })),
            ..server(model)
        })
    };
    let (base, tuned) = (
        says("base", "I see. Could you tell me a bit more?"),
        says("tuned", "I hear you. What have you seen so far?"),
    );
    let person = FakeOpenAi::start(Options {
        reply: Some(Arc::new(|body| {
            let messages = body["messages"].as_array().unwrap();
            let heard = messages.last().unwrap()["content"].as_str().unwrap();
            if heard.contains("so far") {
                "You should try to call the customer service.".to_owned()
            } else {
                "I have not heard anything.".to_owned()
            }
        })),
        ..server("person")
    });
    let project = Project::with_config(&format!(
        "project: simulated\n\
         personas: {{spec: customer-support, count: 6, repeats: 2, max_turns: 4}}\n\
         rubric: ./words.yaml\n\
         baseline: base\n\
         models: {{base: {{url: \"{}\"}}, tuned: {{url: \"{}\"}}}}\n\
         simulator: {{url: \"{}\"}}\n{exclude}",
        base.url(),
        tuned.url(),
        person.url()
    ));
    project.write("words.yaml", RUBRIC);
    let done = project.run(&["eval", "--exit-zero"]);
    (project, done)
}

#[test]
fn people_who_go_wrong_are_flagged_and_left_out_only_if_the_plan_says_so() {
    let (project, done) = talking_to_a_confused_person("");
    assert_eq!(done.code, 0, "{done:?}");
    for transcript in project.transcripts() {
        let flags = transcript["simulator_flags"].as_array();
        let kinds: Vec<_> = flags
            .into_iter()
            .flatten()
            .map(|flag| &flag["kind"])
            .collect();
        let is_swapped = kinds.iter().any(|kind| *kind == "role_swap");
        assert_eq!(is_swapped, transcript["model"] == "tuned", "{transcript}");
        assert_eq!(transcript["overall"]["status"], "scored");
    }
    let decision: Value = serde_json::from_str(&project.artefact("decision.json")).unwrap();
    let audit = &decision["simulator_audit"];
    assert_eq!(audit["models"][1]["model"], "tuned");
    assert_eq!(audit["models"][1]["by_kind"]["role_swap"], 12);
    assert_eq!(audit["models"][1]["excluded"], 0);
    let swapped = &audit["comparisons"][1];
    assert_eq!(swapped["kind"], "role_swap");
    assert_eq!(
        (&swapped["baseline_rate"], &swapped["rate"]),
        (&json!(0.0), &json!(1.0))
    );

    let (project, done) = talking_to_a_confused_person("simulator_audit: {exclude: [role_swap]}\n");
    assert_eq!(done.code, 65, "missing from one arm only: {done:?}");
    let says = "12 of the 12 conversations of `tuned` have no score";
    assert!(done.stderr.contains(says), "{done:?}");
    for transcript in project.transcripts() {
        if transcript["model"] == "tuned" {
            let reason = transcript["overall"]["reason"].as_str().unwrap();
            assert!(
                reason.contains("role swap in the person's turn 2: You should try"),
                "{reason}"
            );
        } else {
            assert_eq!(transcript["overall"]["status"], "scored");
        }
    }
}

#[test]
fn faults_on_the_way_are_retried_and_change_nothing() {
    let run = |faults: Faults| {
        let start = |model: &str| {
            FakeOpenAi::start(Options {
                faults: faults.clone(),
                ..server(model)
            })
        };
        let (base, tuned) = (start("base"), start("tuned"));
        let project = project(&base, &tuned, "");
        let done = project.run(&["eval", "--exit-zero"]);
        assert!([0, 65].contains(&done.code), "{done:?}");
        (
            project.artefact("transcripts.jsonl"),
            base.calls() + tuned.calls(),
        )
    };
    let faults = Faults {
        rate_limited: 0.1,
        disconnect: 0.05,
        garbage: 0.05,
        ..Faults::default()
    };
    let ((smooth, calls), (bumpy, more_calls)) = (run(Faults::default()), run(faults));
    assert!(smooth == bumpy, "faults changed what was said");
    assert!(more_calls > calls);
}

#[test]
fn a_model_that_takes_too_long_is_a_timeout_and_no_verdict() {
    let base = FakeOpenAi::start(server("base"));
    let slow = Options {
        latency: Duration::from_secs(30),
        ..server("tuned")
    };
    let tuned = FakeOpenAi::start(slow);
    let project = project(&base, &tuned, "call_timeout_s: 1\nlimits: {tries: 1}\n");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(
        done.stderr
            .contains("12 of the 12 conversations of `tuned` have no score"),
        "{done:?}"
    );
    let transcripts = project.transcripts();
    let late: Vec<&Value> = transcripts
        .iter()
        .filter(|t| t["model"] == "tuned")
        .collect();
    assert!(
        late.iter()
            .all(|transcript| transcript["termination"] == "timeout"),
        "{late:?}"
    );
}

#[test]
fn a_key_reaches_the_server_and_nothing_else() {
    let key = "sk-very-secret-0123456789";
    let guarded = |model: &str| {
        FakeOpenAi::start(Options {
            api_key: Some(key.into()),
            ..server(model)
        })
    };
    let (base, tuned) = (guarded("base"), guarded("tuned"));
    let project = project(&base, &tuned, "");
    let config = project
        .read("shipworthy.yaml")
        .replace("/v1\"}", "/v1\", api_key_env: THE_KEY}");
    project.write("shipworthy.yaml", &config);
    let done = crate::support::project::Done::of(
        project
            .command(&["-vv", "eval", "--exit-zero"])
            .env("THE_KEY", key),
    );
    assert!([0, 65].contains(&done.code), "{done:?}");
    assert!(base.calls() > 0);
    assert!(
        !format!("{done:?}").contains(key),
        "the key is in the output"
    );
    let mut files = vec![project.store()];
    files.extend(["store.db-wal", "store.db-shm"].map(|n| project.store().with_file_name(n)));
    files.extend(
        std::fs::read_dir(&project.runs()[0])
            .unwrap()
            .map(|f| f.unwrap().path()),
    );
    for file in files.iter().filter(|file| file.exists()) {
        let bytes = std::fs::read(file).unwrap();
        let found = bytes
            .windows(key.len())
            .any(|window| window == key.as_bytes());
        assert!(!found, "the key is in {}", file.display());
    }

    let wrong =
        crate::support::project::Done::of(project.command(&["eval"]).env("THE_KEY", "sk-wrong"));
    assert_eq!(wrong.code, 69, "{wrong:?}");
    assert!(!wrong.stderr.contains("sk-wrong"), "{wrong:?}");
}

#[test]
fn a_server_is_busy_while_people_speak_elsewhere() {
    let latency = Duration::from_millis(50);
    let tested = FakeOpenAi::start(Options {
        other_models: vec!["tuned".into()],
        latency,
        ..server("base")
    });
    let person = FakeOpenAi::start(Options {
        latency,
        ..server("person")
    });
    let (url, simulator) = (tested.url(), person.url());
    let project = Project::with_config(&format!(
        "project: busy\n\
         personas: {{spec: coaching, count: 12, repeats: 2, max_turns: 4}}\n\
         rubric: coaching\n\
         baseline: base\n\
         models:\n  base: {{url: \"{url}\", model: base, parallel: 4}}\n  \
         tuned: {{url: \"{url}\", model: tuned, parallel: 4}}\n\
         simulator: {{url: \"{simulator}\", parallel: 4}}\n"
    ));
    let done = project.run(&["eval", "--exit-zero"]);
    assert!([0, 65].contains(&done.code), "{done:?}");
    let calls = tested.requests();
    let begin = calls.iter().map(|call| call.received).min().unwrap();
    let end = calls.iter().filter_map(|call| call.answered).max().unwrap();
    let busy: f64 = calls
        .iter()
        .filter_map(|call| Some(call.answered?.as_secs_f64() - call.received.as_secs_f64()))
        .sum();
    let whole = end.as_secs_f64() - begin.as_secs_f64();
    // With as many conversations as calls, half of them would wait for a person.
    let at_once = busy / whole;
    println!("{at_once:.2} of 4 calls at once, {whole:.2} s");
    assert!(at_once > 2.7 && at_once < 4.01, "{at_once}");
}
