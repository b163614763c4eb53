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

/// Has every conversation judged by two judges, each with a server of its own; a server's reply
/// depends on what it is asked. Returns the servers, and the project after its evaluation.
fn judged_by_two(judging: &str, replies: [fn(&Value) -> String; 2]) -> ([FakeOpenAi; 2], Project) {
    let servers = replies.map(|reply| {
        FakeOpenAi::start(Options {
            model: "judge".into(),
            reply: Some(Arc::new(reply)),
            ..Options::default()
        })
    });
    let [large, small] = [servers[0].url(), servers[1].url()];
    let project = Project::with_config(&format!(
        "project: judged\n\
         personas: {{spec: coaching, count: 4, repeats: 1, max_turns: 1}}\n\
         rubric: ./judged.yaml\n\
         baseline: base\n\
         models: {{base: {{scripted: base.jsonl}}, tuned: {{scripted: tuned.jsonl}}}}\n\
         judge: [{{name: small, url: \"{small}\"}}, {{name: large, url: \"{large}\", repeats: 2}}]\n\
         judging: {judging}\n"
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
    (servers, project)
}

fn target_of(project: &Project) -> Value {
    let is_judged = |transcript: &Value| transcript["turns"][1]["content"] == TARGET;
    project.transcripts().into_iter().find(is_judged).unwrap()
}

fn decision(project: &Project) -> Value {
    serde_json::from_str(&project.artefact("decision.json")).unwrap()
}

#[test]
fn judges_are_put_together_each_with_its_own_cost_and_agreement() {
    // The strict judge says level 1 to all but the target, the mild one level 5 and kind to all.
    let ([large, small], project) = judged_by_two(
        "{aggregate: {met: majority, levels: median}}",
        [
            |body| {
                text(&grades(
                    is_target(body),
                    if is_target(body) { 5 } else { 1 },
                ))
            },
            |_| text(&grades(true, 5)),
        ],
    );
    assert_eq!((large.calls(), small.calls()), (2 * 8, 8));
    let transcript = target_of(&project);
    assert_graded(&transcript, 1.0, 1.0);
    let grades = transcript["criteria"][1]["grades"]
        .as_array()
        .unwrap()
        .clone();
    let told = |grade: &Value| {
        (
            grade["judge"].clone(),
            grade["repeat"].clone(),
            grade["value"].clone(),
        )
    };
    let expected = [
        (json!("large"), json!(1), json!(1.0)),
        (json!("large"), json!(2), json!(1.0)),
        (json!("small"), json!(1), json!(1.0)),
    ];
    assert_eq!(grades.iter().map(told).collect::<Vec<_>>(), expected);

    let judging = &decision(&project)["judging"];
    assert_eq!(judging["judges"][0]["judge"], "large");
    assert_eq!(judging["judges"][0]["calls"], 16);
    assert_eq!(judging["judges"][1]["calls"], 8);
    assert!(judging["judges"][0]["prompt_tokens"].as_u64().unwrap() > 0);
    let agreement = judging["agreement"].as_array().unwrap();
    // 2 criteria between judges, 2 of the judge with repeats with itself.
    assert_eq!(agreement.len(), 4);
    assert_eq!(agreement[0]["raters"], json!({"kind": "judges"}));
    assert_eq!(agreement[0]["equal"], json!(0.125));
    assert_eq!(agreement[0]["is_poor"], true);
    assert_eq!(agreement[3]["alpha"], 1.0);
    let report = project.artefact("evaluation_report.md");
    assert!(
        report.contains("the judges disagree with each other on kind"),
        "{report}"
    );
    assert!(report.contains("## Judges"), "{report}");
}

#[test]
fn a_judge_that_fails_leaves_a_gap_with_its_reason() {
    let (_, project) = judged_by_two(
        "{}",
        [
            |_| text(&grades(true, 5)),
            |body| {
                let is_bad = is_target(body);
                if is_bad {
                    "no idea".to_owned()
                } else {
                    text(&grades(true, 5))
                }
            },
        ],
    );
    let transcript = target_of(&project);
    assert_eq!(
        transcript["overall"]["status"], "unscored",
        "one of two is not a majority"
    );
    let outcome = outcome(&transcript, "useful");
    let reason = outcome["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("1 of 2 judges gave no usable answer: small: "),
        "{reason}"
    );
    let grade = &transcript["criteria"][1]["grades"][2];
    assert_eq!(grade["value"], Value::Null);
    assert!(
        grade["reason"].as_str().unwrap().contains("no JSON"),
        "{grade}"
    );
}

#[test]
fn criteria_can_be_asked_one_by_one() {
    let ([large, small], project) = judged_by_two(
        "{ask: one_by_one}",
        [|body| one_grade(body), |body| one_grade(body)],
    );
    // Two criteria in each of 8 conversations, twice by the judge with two repeats.
    assert_eq!((large.calls(), small.calls()), (2 * 2 * 8, 2 * 8));
    for request in large.requests() {
        let asked = request.body.to_string();
        assert!(
            asked.contains("is kind") != asked.contains("is useful"),
            "{asked}"
        );
    }
    assert_graded(&target_of(&project), 1.0, 0.75);
}

/// Answers a question on one of the criteria.
fn one_grade(body: &Value) -> String {
    let grades = grades(true, 4);
    let criterion = if body.to_string().contains("is kind") {
        "kind"
    } else {
        "useful"
    };
    json!({criterion: grades[criterion]}).to_string()
}

fn text(value: &Value) -> String {
    value.to_string()
}
