use serde_json::Value;
use shipworthy_reports::{
    comparison_json, comparison_terminal, decision_json, markdown, scores_csv, terminal,
    transcripts_jsonl,
};
use shipworthy_schema::{Evaluation, JudgePlan, ModelRef, ModelSource, Sampling, ServedIdentity};
use test_case::test_case;

use crate::evaluation::{
    Arm, do_not_deploy, evaluation, fail, hold, iterate, model, more_evidence, ship, worse,
};

#[test_case("ship", ship())]
#[test_case("iterate", iterate())]
#[test_case("worse", worse())]
#[test_case("more_evidence", more_evidence())]
#[test_case("hold", hold())]
#[test_case("do_not_deploy", do_not_deploy())]
fn each_verdict_reads_well(name: &str, arm: Arm) {
    let evaluation = evaluation(&[arm]);
    insta::assert_snapshot!(format!("terminal_{name}"), terminal(&evaluation, 80, false));
    insta::assert_snapshot!(format!("markdown_{name}"), markdown(&evaluation));
}

/// Three models, a judge on a server, failed conversations, no training data, no safety criteria
/// for one candidate.
fn crowded() -> Evaluation {
    let second = Arm {
        name: "tuned-with-a-rather-long-name-v2",
        ..iterate()
    };
    let mut evaluation = evaluation(&[ship(), second]);
    fail(&mut evaluation, 9, "the server closed the connection");
    evaluation.comparison.candidates[1].safety.clear();
    evaluation.plan.training_data = None;
    evaluation.plan.system_prompt = None;
    evaluation.plan.judge = Some(JudgePlan {
        model: ModelRef {
            name: model("judge"),
            source: ModelSource::Http {
                url: "http://127.0.0.1:8081/v1".into(),
                model: "large".into(),
                served: ServedIdentity::default(),
            },
        },
        repeats: 3,
        sampling: Sampling::default(),
    });
    evaluation
}

#[test]
fn several_candidates_and_failures_read_well() {
    let evaluation = crowded();
    insta::assert_snapshot!("terminal_crowded_60", terminal(&evaluation, 60, false));
    insta::assert_snapshot!("markdown_crowded", markdown(&evaluation));
}

#[test]
fn machine_formats_stay_as_they_are() {
    let mut evaluation = evaluation(&[do_not_deploy()]);
    fail(&mut evaluation, 3, "the server closed the connection");
    insta::assert_snapshot!("decision_json", decision_json(&evaluation));
    insta::assert_snapshot!(
        "scores_csv",
        scores_csv(&evaluation.conversations, &evaluation.scores)
    );
    let lines = transcripts_jsonl(
        &evaluation.personas,
        &evaluation.conversations,
        &evaluation.scores,
    );
    let first_lines: Vec<&str> = lines.lines().skip(2).take(2).collect();
    insta::assert_snapshot!("transcripts_jsonl", first_lines.join("\n"));
}

#[test_case(60)]
#[test_case(72)]
#[test_case(80)]
fn the_terminal_report_fits(width: usize) {
    for evaluation in [
        crowded(),
        evaluation(&[hold()]),
        evaluation(&[do_not_deploy()]),
    ] {
        let text = terminal(&evaluation, width, false);
        for line in text.lines() {
            assert!(
                line.chars().count() <= width,
                "{} in {line}",
                line.chars().count()
            );
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let evaluation = evaluation(&[hold()]);
    let colored = terminal(&evaluation, 80, true);
    assert!(colored.contains("\u{1b}[1;35mHOLD"), "{colored}");
    let mut plain = colored;
    for code in ["0", "1", "33", "1;35"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, terminal(&evaluation, 80, false));
}

#[test]
fn scores_from_elsewhere_read_well() {
    let second = Arm {
        name: "tuned-2",
        ..do_not_deploy()
    };
    let evaluation = evaluation(&[ship(), second]);
    let (comparison, decisions) = (&evaluation.comparison, &evaluation.decisions);
    let recommended = &evaluation.recommended;
    insta::assert_snapshot!(
        "comparison_terminal",
        comparison_terminal(comparison, decisions, recommended, 80, false)
    );
    let document: Value = serde_json::from_str(&comparison_json(comparison, decisions)).unwrap();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["format", "baseline", "candidates"]);
    let full: Value = serde_json::from_str(&decision_json(&evaluation)).unwrap();
    assert_eq!(
        document["candidates"], full["candidates"],
        "the same numbers under the same names"
    );
}
