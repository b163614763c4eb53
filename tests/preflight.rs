use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fake_openai::{Answer, FakeOpenAi, Options, PreflightFn};
use crate::support::project::{Done, Project};
use crate::support::words::RUBRIC;

const PROMPT: &str = "You are a kind coach.";

/// Makes a project with these models and further lines of configuration.
fn project(base: &str, tuned: &str, more: &str) -> Project {
    let project = Project::with_config(&format!(
        "project: looked-at\n\
         personas: {{spec: coaching, count: 4, repeats: 1, max_turns: 2}}\n\
         rubric: ./words.yaml\n\
         baseline: base\n\
         models:\n  base: {base}\n  tuned: {tuned}\n\
         {more}"
    ));
    project.write("words.yaml", RUBRIC);
    project
}

fn at(server: &FakeOpenAi) -> String {
    format!("{{url: \"{}\"}}", server.url())
}

fn messages(body: &Value) -> &Vec<Value> {
    body["messages"].as_array().unwrap()
}

fn has_system(body: &Value) -> bool {
    messages(body)
        .iter()
        .any(|message| message["role"] == "system")
}

fn evaluated(done: &Done) {
    assert!([0, 65].contains(&done.code), "{done:?}");
}

/// Says so many words, and ends at once if only one token is wanted.
fn says(body: &Value, text: &str) -> Answer {
    let schema = body.pointer("/response_format/json_schema/schema/properties/animal/enum/0");
    match schema {
        Some(animal) => Answer::Text(json!({ "animal": animal }).to_string()),
        None => Answer::Text(text.to_owned()),
    }
}

#[test]
fn a_template_without_a_system_role_is_worked_around_for_all_arms() {
    let refuses: PreflightFn = Arc::new(|body| {
        if has_system(body) {
            Answer::error(400, "BadRequestError", "System role not supported")
        } else {
            says(body, "one two")
        }
    });
    let base = FakeOpenAi::start(Options::default());
    let tuned = FakeOpenAi::start(Options {
        model: "tuned".into(),
        preflight: Some(refuses),
        ..Options::default()
    });
    let project = project(
        &at(&base),
        &at(&tuned),
        &format!("system_prompt: {PROMPT}\n"),
    );
    let done = project.run(&["eval", "--exit-zero"]);
    evaluated(&done);
    for server in [&base, &tuned] {
        assert!(server.calls() > 0);
        for request in server.requests() {
            let messages = messages(&request.body);
            assert!(!has_system(&request.body), "{}", request.body);
            let first = messages[0]["content"].as_str().unwrap();
            assert!(first.starts_with(&format!("{PROMPT}\n\n")), "{first}");
            let held = messages
                .iter()
                .filter(|m| m["content"].as_str().unwrap().contains(PROMPT));
            assert_eq!(held.count(), 1, "it is said once");
        }
        let asked = server.preflight().len();
        assert!((3..=8).contains(&asked), "{asked} questions");
    }
    if done.code == 0 {
        let report = project.artefact("evaluation_report.md");
        assert!(report.contains("System role not supported"), "{report}");
    }
}

#[test]
fn findings_are_kept_for_a_resumed_run_and_for_its_report() {
    let forgets: PreflightFn = {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        Arc::new(move |body| {
            let n = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            says(body, ["one", "two", "three"][n % 3])
        })
    };
    let options = Options {
        die_after: Some(7),
        preflight: Some(forgets),
        reply: Some(Arc::new(|body| {
            let words = ["one", "one two", "one two three", "four"];
            words[body.to_string().len() % 4].to_owned()
        })),
        ..Options::default()
    };
    let server = FakeOpenAi::start(options.clone());
    let limits = "limits: {patience_s: 1}\n";
    let project = project("{scripted: base.jsonl}", &at(&server), limits);
    project.write("base.jsonl", "{\"reply\": \"one two\"}\n");
    let died = project.run(&["eval"]);
    assert_eq!(died.code, 69, "{died:?}");
    assert!(!server.preflight().is_empty());
    let server = server.restart(Options {
        die_after: None,
        ..options
    });
    let done = project.run(&["eval", "--resume", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(server.preflight().is_empty(), "nothing is asked twice");
    let report = project.artefact("evaluation_report.md");
    assert!(
        report.contains("the same seed gave two replies"),
        "{report}"
    );
    let again = project.run(&["report"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(project.artefact("evaluation_report.md"), report);
}

/// Refuses what OpenAI's reasoning models refuse, one parameter at a time.
fn refuses_parameters(body: &Value) -> Option<Answer> {
    let unknown = |name: &str| format!("Unknown parameter: '{name}'.");
    let refusals = [
        ("top_k", unknown("top_k")),
        ("min_p", unknown("min_p")),
        (
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead."
                .to_owned(),
        ),
        (
            "temperature",
            "Unsupported value: 'temperature' does not support 0.8 with this model.".to_owned(),
        ),
    ];
    let mut refusals = refusals.iter();
    let (_, why) = refusals.find(|(name, _)| body.get(name).is_some())?;
    Some(Answer::error(400, "invalid_request_error", why))
}

#[test]
fn parameters_that_a_server_refuses_are_left_out_for_all_arms() {
    let refuses: PreflightFn =
        Arc::new(|body| refuses_parameters(body).unwrap_or_else(|| says(body, "one two")));
    let base = FakeOpenAi::start(Options::default());
    let tuned = FakeOpenAi::start(Options {
        model: "tuned".into(),
        preflight: Some(refuses),
        ..Options::default()
    });
    let project = project(&at(&base), &at(&tuned), "");
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    for (server, bound) in [(&base, "max_tokens"), (&tuned, "max_completion_tokens")] {
        assert!(server.calls() > 0);
        for request in server.requests() {
            let body = &request.body;
            for name in ["top_k", "min_p", "temperature"] {
                assert!(body.get(name).is_none(), "{body}");
            }
            assert!(
                body.get("top_p").is_some() && body.get("seed").is_some(),
                "{body}"
            );
            assert!(body.get(bound).is_some(), "{body}");
        }
    }
    let report = project.artefact("evaluation_report.md");
    for words in [
        "max\\_completion\\_tokens\\` is sent instead",
        "Unknown parameter: 'top\\_k'",
        "| models.base | temperature | worked around | another model under test refuses it",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn a_model_in_this_process_cannot_be_asked_without_a_parameter() {
    let refuses: PreflightFn =
        Arc::new(|body| refuses_parameters(body).unwrap_or_else(|| says(body, "one two")));
    let tuned = FakeOpenAi::start(Options {
        model: "tuned".into(),
        preflight: Some(refuses),
        ..Options::default()
    });
    let project = project("{scripted: base.jsonl}", &at(&tuned), "");
    project.write("base.jsonl", "{\"reply\": \"one\"}\n");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr.contains("min_p: a model refuses it"),
        "{done:?}"
    );
}

#[test]
fn a_judge_whose_server_refuses_schemas_is_asked_without() {
    let refuses: PreflightFn = Arc::new(|body| {
        if body.get("response_format").is_some() {
            Answer::error(400, "BadRequestError", "unknown field response_format")
        } else {
            says(body, "hello")
        }
    });
    let judge = FakeOpenAi::start(Options {
        preflight: Some(refuses),
        reply: Some(Arc::new(|_| "{}".to_owned())),
        ..Options::default()
    });
    let rubric = "name: j\nversion: 1\npass_threshold: 0.5\ncategories:\n  - name: All\n    \
                  criteria:\n      - {id: kind, text: The assistant is kind.}\n";
    let project = project(
        "{scripted: base.jsonl}",
        "{scripted: tuned.jsonl}",
        &format!("judge: {}\n", at(&judge)),
    );
    project.write("words.yaml", rubric);
    project.write("base.jsonl", "{\"reply\": \"one\"}\n");
    project.write("tuned.jsonl", "{\"reply\": \"two\"}\n");
    evaluated(&project.run(&["eval", "--exit-zero"]));
    assert!(judge.calls() > 0);
    for request in judge.requests() {
        let format = request.body.get("response_format");
        assert!(format.is_none(), "{}", request.body);
    }
}

#[test]
fn a_model_that_never_answers_is_refused_before_anybody_talks() {
    let thinks: PreflightFn =
        Arc::new(|_| Answer::Message(json!({"content": "", "reasoning_content": "hm"})));
    let server = FakeOpenAi::start(Options {
        preflight: Some(thinks),
        ..Options::default()
    });
    let project = project("{scripted: base.jsonl}", &at(&server), "");
    project.write("base.jsonl", "{\"reply\": \"one\"}\n");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr.contains("models.tuned: reasoning: "),
        "{done:?}"
    );
    assert!(done.stderr.contains("raise `max_tokens`"), "{done:?}");
    assert_eq!(server.calls(), 0);
    assert!(project.runs().is_empty());
}

#[test]
fn models_at_one_server_must_differ() {
    let same = |with_log_probs: bool| -> PreflightFn {
        Arc::new(move |body| {
            if body.get("logprobs").is_none() {
                return says(body, "one two three");
            }
            if !with_log_probs {
                return Answer::error(400, "BadRequestError", "logprobs are not supported");
            }
            let tokens = [-0.1, -0.2].map(|logprob| json!({"token": "a", "logprob": logprob}));
            Answer::Json(json!({"choices": [{
                "message": {"role": "assistant", "content": "one"},
                "logprobs": {"content": tokens},
                "finish_reason": "stop",
            }]}))
        })
    };
    let options = Options {
        model: "base".into(),
        other_models: vec!["tuned".into()],
        ..Options::default()
    };
    let server = FakeOpenAi::start(Options {
        preflight: Some(same(true)),
        ..options.clone()
    });
    let entry = |model: &str| format!("{{url: \"{}\", model: {model}}}", server.url());
    let project = project(&entry("base"), &entry("tuned"), "");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.stderr
            .contains("models.tuned: difference: it answers exactly as `base`"),
        "{done:?}"
    );
    assert!(done.stderr.contains("--lora"), "how to mend it: {done:?}");
    assert_eq!(server.calls(), 0);

    // Words alone prove nothing: the reader is told, and the models talk.
    let server = server.restart(Options {
        preflight: Some(same(false)),
        ..options.clone()
    });
    let done = project.run(&["eval", "--exit-zero"]);
    evaluated(&done);
    if done.code == 0 {
        let report = project.artefact("evaluation_report.md");
        assert!(report.contains("it says the same as"), "{report}");
    }

    // The same server, now with an adapter that does something.
    let server = server.restart(options);
    evaluated(&project.run(&["eval", "--exit-zero"]));
    assert!(server.calls() > 0);
}

#[test]
fn every_request_names_every_adapter_and_no_cache_is_shared_between_them() {
    let adapters = json!([
        {"id": 0, "path": "/a/tuned.gguf", "scale": 1.0},
        {"id": 1, "path": "/a/other.gguf", "scale": 1.0},
    ]);
    let server = FakeOpenAi::start(Options {
        props: Some(json!({"total_slots": 4, "model_path": "m.gguf"})),
        adapters: Some(adapters),
        ..Options::default()
    });
    let entry = |lora: &str| format!("{{url: \"{}\", lora: {lora}}}", server.url());
    let project = project(&entry("{}"), &entry("{tuned.gguf: 0.5}"), "");
    evaluated(&project.run(&["eval", "--exit-zero"]));
    let scales = |scale: f64| json!([{"id": 0, "scale": scale}, {"id": 1, "scale": 0.0}]);
    let mut seen = [0, 0];
    for request in server.requests() {
        let body = request.body;
        let arm = usize::from(body["lora"] == scales(0.5));
        assert!(arm == 1 || body["lora"] == scales(0.0), "{body}");
        seen[arm] += 1;
        assert_eq!(body["cache_prompt"], false);
        assert!(body.get("id_slot").is_none());
    }
    assert_eq!(seen[0], seen[1], "both arms talked");
    assert!(
        server.most_in_flight() <= 4,
        "the server's places are shared"
    );

    let unknown = project_with_unknown_adapter(&server);
    let done = unknown.run(&["eval"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.stderr
            .contains("has no adapter `lost.gguf`; it has /a/tuned.gguf, /a/other.gguf"),
        "{done:?}"
    );
}

fn project_with_unknown_adapter(server: &FakeOpenAi) -> Project {
    let entry = |lora: &str| format!("{{url: \"{}\", lora: {lora}}}", server.url());
    project(&entry("{}"), &entry("{lost.gguf: 1}"), "")
}

#[test]
fn a_conversation_keeps_its_place_where_no_other_model_is() {
    let options = Options {
        props: Some(json!({"total_slots": 2, "model_path": "m.gguf"})),
        ..Options::default()
    };
    let (base, tuned) = (
        FakeOpenAi::start(options.clone()),
        FakeOpenAi::start(Options {
            props: Some(json!({"total_slots": 2, "model_path": "n.gguf"})),
            ..options
        }),
    );
    let project = project(&at(&base), &at(&tuned), "");
    evaluated(&project.run(&["eval", "--exit-zero"]));
    let requests = base.requests();
    for request in &requests {
        assert_eq!(request.body["cache_prompt"], true);
        let slot = request.body["id_slot"].as_u64();
        assert!(slot.is_some_and(|slot| slot < 2), "{}", request.body);
        // What a conversation began at a place goes on there.
        let first = &messages(&request.body)[0];
        let same = requests.iter().filter(|r| &messages(&r.body)[0] == first);
        let same = same.filter(|r| messages(&r.body).len() > 1 || r.body == request.body);
        assert!(same.count() > 0);
    }
    assert!(base.most_in_flight() <= 2);
}

#[test]
fn a_server_that_comes_back_with_another_model_stops_the_run() {
    let options = Options {
        n_params: Some(100),
        die_after: Some(5),
        ..Options::default()
    };
    let server = FakeOpenAi::start(options.clone());
    let project = project("{scripted: base.jsonl}", &at(&server), "");
    project.write("base.jsonl", "{\"reply\": \"one two\"}\n");
    let mut command = project.command(&["eval"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    let start = Instant::now();
    while server.calls() < 6 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    let server = server.restart(Options {
        n_params: Some(200),
        die_after: None,
        ..options
    });
    let output = running.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{stderr}");
    assert!(stderr.contains("\"n_params\":100"), "{stderr}");
    assert!(stderr.contains("\"n_params\":200"), "{stderr}");
    // A call may have been on its way, but nobody uses what the other model said.
    let store = rusqlite::Connection::open(project.store()).unwrap();
    let kept = "SELECT COUNT(*) FROM calls WHERE thread LIKE 'tuned/%'";
    let kept: u32 = store.query_row(kept, [], |row| row.get(0)).unwrap();
    assert!(
        kept <= 5,
        "{kept} replies, {} of them the other's",
        server.calls()
    );
}

#[test]
fn doctor_looks_at_a_server_and_at_one_model_of_a_project() {
    let server = FakeOpenAi::start(Options {
        props: Some(json!({
            "total_slots": 4,
            "model_path": "m.gguf",
            "build_info": "b1-abc",
            "default_generation_settings": {"n_ctx": 512},
        })),
        loading_probes: 2,
        ..Options::default()
    });
    let empty = Project::new();
    let done = empty.run(&["doctor", &server.url(), "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let checks = done.json()["subjects"][0]["checks"].clone();
    let status = |check: &str| {
        let found = checks.as_array().unwrap().iter();
        let mut found = found.filter(|finding| finding["check"] == check);
        found.next().map(|finding| finding["status"].clone())
    };
    for check in [
        "identity",
        "server",
        "reply",
        "seed",
        "second turn",
        "max_tokens",
        "system prompt",
        "json schema",
        "log probabilities",
    ] {
        assert_eq!(status(check), Some(json!("passed")), "{check}: {checks}");
    }
    assert_eq!(status("context"), Some(json!("doubtful")), "{checks}");
    assert!(server.preflight().len() <= 12);
    assert_eq!(server.calls(), 0);

    let project = project("{scripted: nowhere.jsonl}", &at(&server), "");
    let done = project.run(&["doctor", "tuned"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("models.tuned\n"), "{done:?}");
    assert!(!done.stdout.contains("models.base"), "{done:?}");
    let done = project.run(&["doctor"]);
    assert_eq!(done.code, 2, "the other model is not there: {done:?}");
}

#[test]
fn models_at_one_server_must_stay_what_they_are_when_asked_together() {
    // To these of the questions to the base it answers as neither does alone: one comes alone, two in the
    // other model's company, and if something is wrong with these, one more alone and four in its own.
    let mixes_up = |strayed: Range<usize>| -> PreflightFn {
        let asked = AtomicUsize::new(0);
        Arc::new(move |body| {
            if body.get("logprobs").is_none() {
                return says(body, "one two three");
            }
            let is_week = body["messages"].to_string().contains("week");
            Answer::Text(
                match body["model"].as_str() {
                    Some("tuned") => "two",
                    _ if is_week && strayed.contains(&asked.fetch_add(1, Ordering::SeqCst)) => {
                        "three"
                    }
                    _ => "one",
                }
                .to_owned(),
            )
        })
    };
    let options = Options {
        model: "base".into(),
        other_models: vec!["tuned".into()],
        ..Options::default()
    };
    let mut server = FakeOpenAi::start(Options {
        preflight: Some(mixes_up(1..3)),
        ..options.clone()
    });
    let url = server.url();
    let entry = |model: &str| format!("{{url: \"{url}\", model: {model}}}");
    let project = project(&entry("base"), &entry("tuned"), "");
    let done = project.run(&["eval"]);
    assert_eq!(done.code, 69, "{done:?}");
    let told = "models.tuned: in company: `base` answers otherwise than alone when `base` and `tuned` are \
                asked at the same time";
    assert!(done.stderr.contains(told), "{done:?}");
    assert!(done.stderr.contains("--max-loras"), "{done:?}");
    assert_eq!(server.calls(), 0);

    // What it says in its own company is its own noise, and tells nothing.
    for strayed in [1..usize::MAX, 0..0] {
        server = server.restart(Options {
            preflight: Some(mixes_up(strayed)),
            ..options.clone()
        });
        evaluated(&project.run(&["eval", "--exit-zero"]));
    }
}
