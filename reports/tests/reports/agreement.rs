use serde_json::Value;
use shipworthy_reports::{
    compare_json, decision_json, github_annotations, inspect_log, junit, lm_eval_results,
    lm_eval_samples, markdown, markdown_within, model_index, terminal,
};
use shipworthy_schema::{ModelName, Verdict};
use test_case::test_case;

use crate::evaluation::{
    Arm, do_not_deploy, evaluation, fail, hold, iterate, more_evidence, not_shown, ship, worse,
};

#[test_case(ship(), Verdict::Ship)]
#[test_case(iterate(), Verdict::Iterate)]
#[test_case(worse(), Verdict::Iterate; "iterate, worse")]
#[test_case(more_evidence(), Verdict::MoreEvidence)]
#[test_case(hold(), Verdict::Hold)]
#[test_case(do_not_deploy(), Verdict::DoNotDeploy)]
#[test_case(not_shown(), Verdict::DoNotDeploy; "do not deploy, not shown")]
fn every_format_has_the_verdict_and_its_numbers(arm: Arm, verdict: Verdict) {
    let evaluation = evaluation(&[arm]);
    let candidate = &evaluation.comparison.candidates[0];
    let label = verdict.label();
    let capitals = label.to_uppercase();
    let gain = format!("{:.3}", candidate.difference.abs());
    let is = |found: &Value, expected: f64| (found.as_f64().unwrap() - expected).abs() < 1e-12;
    assert_eq!(evaluation.verdict(), verdict);

    for (format, text) in [
        ("terminal", terminal(&evaluation, 80, false)),
        ("markdown", markdown(&evaluation)),
        ("comment", markdown_within(&evaluation, 65_536)),
        ("github", github_annotations(&evaluation)),
        ("junit", junit(&evaluation)),
    ] {
        assert!(text.contains(&format!("{capitals}:")), "{format}: {text}");
        for other in Verdict::ALL.into_iter().filter(|other| *other != verdict) {
            let other = format!("{}:", other.label().to_uppercase());
            assert!(!text.contains(&other), "{format}: {text}");
        }
        let has = text.contains(&gain);
        let is_about_size = verdict != Verdict::DoNotDeploy;
        assert!(has || !is_about_size, "{format}: {gain} is not in {text}");
    }

    let decision: Value = serde_json::from_str(&decision_json(&evaluation)).unwrap();
    assert_eq!(decision["exit_code"], verdict.exit_code());
    let compared = compare_json(&evaluation.comparison, &evaluation.decisions);
    let compared: Value = serde_json::from_str(&compared).unwrap();
    for found in [&decision["candidates"][0], &compared["candidates"][0]] {
        assert_eq!(found["verdict"], decision["verdict"]);
        assert!(is(&found["difference"], candidate.difference), "{found}");
    }

    let is_red = verdict != Verdict::Ship;
    assert_eq!(junit(&evaluation).contains("<failure"), is_red);
    assert_eq!(
        github_annotations(&evaluation).starts_with("::error "),
        is_red
    );
    assert_eq!(verdict.exit_code() != 0, is_red);

    let card = model_index(&evaluation, &candidate.model, None).unwrap();
    assert!(
        card.contains(&format!("value: {}\n", candidate.mean)),
        "{card}"
    );
    assert!(
        card.contains(&format!("value: {}\n", candidate.difference)),
        "{card}"
    );
    assert!(card.contains(&format!("({label})")), "{card}");
    let log = inspect_log(&evaluation, &candidate.model, "2026-01-02T03:04:05Z").unwrap();
    let log: Value = serde_json::from_str(&log).unwrap();
    let mean = &log["results"]["scores"][0]["metrics"]["mean"]["value"];
    assert!(is(mean, candidate.mean), "{mean}");
    let results = lm_eval_results(&evaluation, &candidate.model).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    let task = results["results"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert!(is(&task["score,none"], candidate.mean), "{task}");
}

#[test]
fn what_has_no_score_is_an_error_in_junit_and_no_number_elsewhere() {
    let mut evaluation = evaluation(&[ship()]);
    let persona = evaluation.personas[2].id.clone();
    let lost: Vec<usize> = evaluation
        .conversations
        .iter()
        .enumerate()
        .filter(|(_, c)| c.id.persona == persona && c.id.model.as_str() == "tuned")
        .map(|(at, _)| at)
        .collect();
    for at in &lost {
        fail(&mut evaluation, *at, "connection lost");
    }
    let candidate = &mut evaluation.comparison.candidates[0];
    candidate.pairs.retain(|pair| pair.persona != persona);
    let xml = junit(&evaluation);
    assert!(xml.contains("errors=\"1\""), "{xml}");
    assert!(
        xml.contains("tuned/coaching-9002/1: the conversation failed"),
        "{xml}"
    );
    assert!(!xml.contains("<failure"), "{xml}");

    let tuned = ModelName::new("tuned").unwrap();
    let log = inspect_log(&evaluation, &tuned, "2026-01-02T03:04:05Z").unwrap();
    let log: Value = serde_json::from_str(&log).unwrap();
    let failed = |sample: &&Value| !sample["error"].is_null();
    let failed: Vec<&Value> = log["samples"]
        .as_array()
        .unwrap()
        .iter()
        .filter(failed)
        .collect();
    assert_eq!(failed.len(), lost.len());
    assert!(
        failed
            .iter()
            .all(|sample| sample["scores"].get("overall").is_none())
    );
    let samples = lm_eval_samples(&evaluation, &tuned).unwrap();
    let unscored = samples
        .lines()
        .filter(|line| line.contains("\"score\":null"));
    assert_eq!(unscored.count(), lost.len());
    assert!(model_index(&evaluation, &ModelName::new("nobody").unwrap(), None).is_none());
}

#[test]
fn who_never_spoke_is_skipped() {
    let mut evaluation = evaluation(&[ship()]);
    let last = evaluation.personas.last().unwrap().id.clone();
    evaluation.conversations.retain(|c| c.id.persona != last);
    evaluation.scores.retain(|s| s.conversation.persona != last);
    evaluation.comparison.candidates[0]
        .pairs
        .retain(|pair| pair.persona != last);
    let xml = junit(&evaluation);
    assert!(xml.contains("skipped=\"1\""), "{xml}");
    assert!(xml.contains("<skipped message="), "{xml}");
}

#[test]
fn a_report_fits_and_says_what_it_leaves_out() {
    let evaluation = evaluation(&[
        ship(),
        Arm {
            name: "other",
            ..iterate()
        },
    ]);
    let whole = markdown(&evaluation);
    assert_eq!(markdown_within(&evaluation, whole.len() + 4096), whole);
    for bytes in [8000, 5000, 3000, 400] {
        let cut = markdown_within(&evaluation, bytes);
        assert!(cut.len() <= bytes, "{} > {bytes}", cut.len());
        assert!(cut.contains("Left out to fit"), "{cut}");
    }
    let cut = markdown_within(&evaluation, 5000);
    assert!(cut.contains("SHIP:") && cut.contains("Example"), "{cut}");
}

#[test]
fn no_more_annotations_than_are_shown() {
    let mut evaluation = evaluation(&[ship()]);
    for n in 0..30 {
        evaluation.warnings.push(format!("warning {n}"));
    }
    let text = github_annotations(&evaluation);
    let warnings: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("::warning "))
        .collect();
    assert_eq!(warnings.len(), 10);
    assert!(warnings[9].contains(" more are in the report."), "{text}");
}
