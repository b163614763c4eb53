use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::fake_openai::{FakeOpenAi, Options};
use crate::support::project::{Project, json_lines};

const RUBRIC: &str = "\
name: judged
version: 1
pass_threshold: 0.5
categories:
  - name: All
    criteria:
      - {id: kind, text: The assistant is kind.}
      - {id: says-yes, text: Says yes., check: {contains: [yes]}}
";

/// People who speak.
const PEOPLE: usize = 9;

/// What the candidate says to all people but one, and the baseline to nobody.
const YES: &str = "Yes, gladly.";

/// Returns the two transcripts of a question on a pair; `None` of another question.
fn transcripts(body: &Value) -> Option<[String; 2]> {
    let prompt = body["messages"][1]["content"].as_str()?;
    let (_, rest) = prompt.split_once("<conversation_a>\n")?;
    let (first, rest) = rest.split_once("</conversation_a>\n\n<conversation_b>\n")?;
    let (second, _) = rest.split_once("</conversation_b>")?;
    Some([first, second].map(str::to_owned))
}

/// Returns the answer of a judge to whom a conversation is worth so much.
fn preferred(worth: [i32; 2]) -> String {
    let preferred = match worth {
        [a, b] if a > b => "A",
        [a, b] if a < b => "B",
        _ => "tie",
    };
    json!({"reason": "It says so.", "preferred": preferred}).to_string()
}

/// Returns the answer of a judge who likes a yes.
fn likes_yes(pair: &[String; 2]) -> String {
    preferred([0, 1].map(|place| i32::from(pair[place].contains(YES))))
}

/// Has two candidates of the same words evaluated by a judge who grades a yes as kind and answers on
/// pairs with `answer`. Returns the judge's server and the project after its evaluation.
fn judged(answer: fn(&[String; 2]) -> String) -> (FakeOpenAi, Project) {
    let server = FakeOpenAi::start(Options {
        model: "judge".into(),
        reply: Some(Arc::new(move |body| {
            if let Some(pair) = transcripts(body) {
                return answer(&pair);
            }
            let met = body.to_string().contains(YES);
            json!({"kind": {"reason": "It is.", "met": met}}).to_string()
        })),
        ..Options::default()
    });
    let project = Project::with_config(&format!(
        "project: pairs\n\
         personas: {{spec: coaching, count: {PEOPLE}, repeats: 1, max_turns: 1}}\n\
         rubric: ./judged.yaml\n\
         baseline: base\n\
         models:\n  base: {{scripted: base.jsonl}}\n  tuned: {{scripted: tuned.jsonl}}\n  \
         twin: {{scripted: twin.jsonl}}\n\
         judge: {{url: \"{}\", repeats: 2, parallel: 4}}\n\
         judging: {{pairwise: true}}\n",
        server.url()
    ));
    project.write("judged.yaml", RUBRIC);
    project.write("base.jsonl", "{\"reply\": \"No.\"}\n");
    let tuned =
        format!("{{\"persona\": \"*-9001\", \"reply\": \"No.\"}}\n{{\"reply\": \"{YES}\"}}\n");
    project.write("tuned.jsonl", &tuned);
    let nobody = "{\"persona\": \"*-9999\", \"reply\": \"No.\"}\n";
    project.write("twin.jsonl", &(nobody.to_owned() + &tuned));
    let done = project.run(&["eval", "--exit-zero"]);
    assert_eq!(done.code, 0, "{done:?}");
    (server, project)
}

fn decision(project: &Project) -> Value {
    serde_json::from_str(&project.artefact("decision.json")).unwrap()
}

fn pairs(project: &Project) -> Vec<Value> {
    json_lines(&project.artefact("pairs.jsonl"))
}

fn has_warning(project: &Project, words: &str) -> bool {
    let decision = decision(project);
    let mut warnings = decision["warnings"].as_array().unwrap().iter();
    warnings.any(|warning| warning.as_str().unwrap().contains(words))
}

#[test]
fn what_both_orders_prefer_is_counted_for_every_candidate_alike() {
    let (server, project) = judged(likes_yes);
    let pairwise = &decision(&project)["pairwise"];
    for (candidate, name) in [(0, "tuned"), (1, "twin")] {
        let compared = &pairwise["candidates"][candidate];
        assert_eq!(compared["model"], name);
        let counts = ["wins", "ties", "losses", "missing", "personas"].map(|key| &compared[key]);
        assert_eq!(counts, [8, 1, 0, 0, 9], "{compared}");
        assert_eq!(compared["win_rate"], json!(8.5 / 9.0));
        // Of the 2^8 signs of eight equal leads, all alike twice.
        assert_eq!(compared["p_value"], json!(2.0 / 256.0));
        assert_eq!(compared["scores"], json!({"pairs": 8, "agree": 8}));
        assert_eq!(compared["length"], json!({"pairs": 8, "longer": 8}));
        assert_eq!(compared["contradicts_scores"], false);
    }
    // Two candidates, nine people, two repeats, both orders.
    let judge = &pairwise["judges"][0];
    let counts = ["calls", "both_orders", "consistent", "first", "second"].map(|key| &judge[key]);
    assert_eq!(counts, [72, 36, 36, 32, 32], "{judge}");
    assert!(judge["prompt_tokens"].as_u64().unwrap() > 0);

    let asked: Vec<Value> = server.requests().into_iter().map(|r| r.body).collect();
    let of_pairs: Vec<&Value> = asked.iter().filter(|b| transcripts(b).is_some()).collect();
    assert_eq!(of_pairs.len(), 72);
    for body in &of_pairs {
        let text = body["messages"].to_string();
        for name in ["tuned", "twin", "baseline", "candidate", "coaching-900"] {
            assert!(!text.contains(name), "{text}");
        }
        assert_eq!(body["response_format"]["json_schema"]["name"], "preference");
        // Both candidates say the same, so every question comes twice, seeds included.
        let same = of_pairs.iter().filter(|other| *other == body).count();
        assert!(same >= 2, "{body}");
    }

    let pairs = pairs(&project);
    assert_eq!(pairs.len(), 18);
    let first = &pairs[0];
    assert_eq!(
        (&first["model"], &first["preference"]),
        (&json!("tuned"), &json!("candidate"))
    );
    let judgement = &first["judgements"][1];
    assert_eq!(
        (&judgement["judge"], &judgement["repeat"]),
        (&json!("judge"), &json!(2))
    );
    assert_eq!(judgement["baseline_first"]["choice"], "second");
    assert_eq!(
        judgement["candidate_first"],
        json!({"choice": "first", "reason": "It says so."})
    );

    let report = project.artefact("evaluation_report.md");
    assert!(report.contains("## Pairwise comparison"), "{report}");
    // What is told again is read from the store, and nobody is asked.
    let calls = server.calls();
    let again = project.run(&["report", "--format", "json"]);
    assert_eq!(again.stdout, project.artefact("decision.json"));
    let resumed = project.run(&["eval", "--resume", "--exit-zero"]);
    assert!(
        resumed.stdout.contains("Pairwise comparison"),
        "{resumed:?}"
    );
    let asked_again = server.requests().split_off(calls);
    assert!(
        asked_again
            .iter()
            .all(|request| transcripts(&request.body).is_none())
    );
}

#[test]
fn a_judge_that_goes_by_place_prefers_nobody_and_is_told_of() {
    let (_, project) = judged(|_| preferred([1, 0]));
    let pairwise = &decision(&project)["pairwise"];
    let compared = &pairwise["candidates"][0];
    assert_eq!(
        (&compared["wins"], &compared["ties"]),
        (&json!(0), &json!(9))
    );
    assert_eq!(
        (&compared["win_rate"], &compared["ci95"]),
        (&json!(0.5), &Value::Null)
    );
    assert_eq!(compared["p_value"], 1.0);
    let judge = &pairwise["judges"][0];
    let counts = ["first", "second", "consistent"].map(|key| &judge[key]);
    assert_eq!(counts, [72, 0, 0], "{judge}");
    assert!(has_warning(
        &project,
        "says the same in both orders of only 0 of 36 pairs"
    ));
}

#[test]
fn a_preference_against_the_scores_is_told_of_and_decides_nothing() {
    let (_, agreeing) = judged(likes_yes);
    let (_, project) = judged(|pair| preferred([0, 1].map(|i| -i32::from(pair[i].contains(YES)))));
    let compared = &decision(&project)["pairwise"]["candidates"][0];
    assert_eq!(
        (&compared["wins"], &compared["losses"]),
        (&json!(0), &json!(8))
    );
    assert_eq!(compared["scores"], json!({"pairs": 8, "agree": 0}));
    assert_eq!(compared["contradicts_scores"], true);
    let words = "scores and preferences contradict each other on `tuned`";
    assert!(has_warning(&project, words) && !has_warning(&agreeing, words));
    assert_eq!(
        decision(&project)["verdict"],
        decision(&agreeing)["verdict"]
    );
    assert_eq!(
        decision(&project)["candidates"],
        decision(&agreeing)["candidates"]
    );
}

#[test]
fn a_pair_without_an_answer_is_missing_and_no_tie() {
    // The pair that says no twice is never answered, whatever the order.
    let (server, project) = judged(|pair| {
        if pair.iter().any(|said| said.contains(YES)) {
            likes_yes(pair)
        } else {
            "I cannot tell.".to_owned()
        }
    });
    let compared = &decision(&project)["pairwise"]["candidates"][0];
    let counts = ["wins", "ties", "missing", "personas"].map(|key| &compared[key]);
    assert_eq!(counts, [8, 0, 1, 8], "{compared}");
    assert_eq!(
        (&compared["win_rate"], &compared["ci95"]),
        (&json!(1.0), &Value::Null)
    );
    let pairs = pairs(&project);
    let missing = pairs
        .iter()
        .find(|pair| pair["preference"].is_null())
        .unwrap();
    assert_eq!(missing["persona"], "coaching-9001");
    let reason = missing["missing"].as_str().unwrap();
    assert!(reason.contains("no JSON"), "{reason}");
    assert!(has_warning(
        &project,
        "1 of 9 pairs of conversations of `tuned`"
    ));
    let is_repair = |body: &Value| body.to_string().contains("Your answer could not be used");
    let repairs = server.requests();
    let repairs = repairs
        .iter()
        .filter(|request| is_repair(&request.body))
        .count();
    // Two candidates, two repeats, two orders, two repairs each.
    assert_eq!(repairs, 16);
}
