use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::Project;

/// One criterion on which a judge says met or not, one on levels, and one checked by rule.
const RUBRIC: &str = "\
name: judged
version: 1
pass_threshold: 0.5
categories:
  - name: All
    criteria:
      - {id: kind, text: The assistant is kind.}
      - id: useful
        text: The assistant is useful.
        scale: {levels: {1: Useless., 2: Hardly useful., 3: Somewhat useful., 4: Useful., 5: Very useful.}}
      - {id: says-yes, text: Says yes., check: {contains: [yes]}}
";

/// What a judge may say of a conversation, as JSON.
fn grades(kind: bool, useful: i64) -> Value {
    json!({
        "kind": {"reason": "It thanks.", "met": kind},
        "useful": {"reason": "It helps.", "level": useful},
    })
}

/// What the baseline says to the first persona: the one conversation whose judge misbehaves.
const TARGET: &str = "I am the very baseline, yes.";

/// Has every conversation judged; the judge's first answers about one of them are `script`, all
/// others are good. Returns the judge's requests about that conversation and its transcript.
fn judged(script: Vec<String>) -> (Vec<Value>, Value) {
    let asked = AtomicUsize::new(0);
    let server = FakeOpenAi::start(Options {
        model: "judge".into(),
        reply: Some(Arc::new(move |body| {
            let n = if is_target(body) {
                asked.fetch_add(1, Ordering::SeqCst)
            } else {
                usize::MAX
            };
            script
                .get(n)
                .cloned()
                .unwrap_or_else(|| grades(true, 5).to_string())
        })),
        ..Options::default()
    });
    let project = Project::with_config(&format!(
        "project: judged\n\
         personas: {{spec: coaching, count: 3, repeats: 1, max_turns: 1}}\n\
         rubric: ./judged.yaml\n\
         baseline: base\n\
         models: {{base: {{scripted: base.jsonl}}, tuned: {{scripted: tuned.jsonl}}}}\n\
         judge: {{url: \"{}\"}}\n",
        server.url()
    ));
    project.write("judged.yaml", RUBRIC);
    let base =
        format!("{{\"persona\": \"*-9000\", \"reply\": \"{TARGET}\"}}\n{{\"reply\": \"No.\"}}\n");
    project.write("base.jsonl", &base);
    project.write(
        "tuned.jsonl",
        "{\"persona\": \"*-9001\", \"reply\": \"No.\"}\n{\"reply\": \"Yes.\"}\n",
    );
    let done = project.run(&["eval", "--exit-zero"]);
    assert!([0, 65].contains(&done.code), "{done:?}");
    assert!(server.calls() >= 2 * 3);
    let requests = server
        .requests()
        .into_iter()
        .map(|request| request.body)
        .filter(is_target);
    let is_judged = |transcript: &Value| transcript["turns"][1]["content"] == TARGET;
    let transcript = project.transcripts().into_iter().find(is_judged).unwrap();
    (requests.collect(), transcript)
}

fn is_target(request: &Value) -> bool {
    request.to_string().contains(TARGET)
}

/// Returns value or reason of a criterion.
fn outcome(transcript: &Value, criterion: &str) -> Value {
    let mut criteria = transcript["criteria"].as_array().unwrap().iter();
    criteria.find(|c| c["criterion"] == criterion).unwrap()["outcome"].clone()
}

#[track_caller]
fn assert_graded(transcript: &Value, kind: f64, useful: f64) {
    assert_eq!(
        outcome(transcript, "kind"),
        json!({"status": "scored", "value": kind})
    );
    assert_eq!(
        outcome(transcript, "useful"),
        json!({"status": "scored", "value": useful})
    );
    assert_eq!(transcript["overall"]["status"], "scored");
}

/// Tells whether a request asks again: it shows the judge its own answer, or says what was wrong.
fn is_repair(request: &Value) -> bool {
    request
        .to_string()
        .contains("Your answer could not be used")
}

#[test]
fn prose_is_repaired_by_asking_again() {
    let script = vec![
        "I liked it a lot, well done!".into(),
        text(&grades(false, 3)),
    ];
    let (requests, transcript) = judged(script);
    assert!(!is_repair(&requests[0]) && is_repair(&requests[1]));
    assert!(
        requests[1].to_string().contains("I liked it a lot"),
        "the judge sees its own words"
    );
    assert_graded(&transcript, 0.0, 0.5);
}

#[test]
fn fenced_json_is_accepted() {
    let fenced = format!(
        "Here you are:\n```json\n{}\n```\nAnything else?",
        grades(false, 2)
    );
    let (requests, transcript) = judged(vec![fenced]);
    assert_eq!(
        requests.iter().filter(|request| is_repair(request)).count(),
        0
    );
    assert_graded(&transcript, 0.0, 0.25);
}

#[test]
fn truncated_json_is_retried() {
    let whole = grades(false, 4).to_string();
    let cut = whole[..whole.len() - 20].to_owned();
    let (requests, transcript) = judged(vec![cut, text(&grades(true, 4))]);
    assert_eq!(
        requests.iter().filter(|request| is_repair(request)).count(),
        1
    );
    assert_graded(&transcript, 1.0, 0.75);
}

#[test]
fn a_grade_out_of_range_is_rejected_with_the_reason() {
    let (requests, transcript) = judged(vec![text(&grades(true, 6)); 3]);
    assert_eq!(
        requests.iter().filter(|request| is_repair(request)).count(),
        2
    );
    for criterion in ["kind", "useful"] {
        let outcome = outcome(&transcript, criterion);
        assert_eq!(outcome["status"], "unscored");
        assert!(
            outcome["reason"].as_str().unwrap().contains('6'),
            "{outcome}"
        );
    }
}

#[test]
fn an_empty_answer_leaves_the_criterion_unscored() {
    let (requests, transcript) = judged(vec![String::new(); 3]);
    assert_eq!(
        requests.iter().filter(|request| is_repair(request)).count(),
        2
    );
    let outcome = outcome(&transcript, "useful");
    assert_eq!(outcome["status"], "unscored");
    assert!(
        outcome["reason"].as_str().unwrap().contains("empty"),
        "{outcome}"
    );
    let overall = &transcript["overall"];
    assert_eq!(overall["status"], "unscored", "never a number: {overall}");
}

#[test]
fn the_judge_does_not_learn_whom_it_judges() {
    let (requests, _) = judged(vec![]);
    assert_eq!(requests.len(), 1, "a good answer needs no repair");
    for request in &requests {
        let messages = request["messages"].to_string();
        assert!(
            !messages.contains("base/") && !messages.contains("tuned/"),
            "{messages}"
        );
        assert_eq!(request["response_format"]["type"], "json_schema");
        assert_eq!(request["temperature"], json!(0.0));
    }
}

fn text(value: &Value) -> String {
    value.to_string()
}
