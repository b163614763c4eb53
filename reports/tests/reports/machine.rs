use serde_json::Value;
use shipworthy_reports::{decision_json, scores_csv, transcripts_jsonl};
use shipworthy_schema::{Outcome, Verdict};
use test_case::test_case;

use crate::evaluation::{
    Arm, do_not_deploy, evaluation, fail, hold, iterate, more_evidence, ship, worse,
};

#[test_case(ship(), Verdict::Ship, "ship")]
#[test_case(iterate(), Verdict::Iterate, "iterate")]
#[test_case(worse(), Verdict::Iterate, "iterate")]
#[test_case(more_evidence(), Verdict::MoreEvidence, "more_evidence")]
#[test_case(hold(), Verdict::Hold, "hold")]
#[test_case(do_not_deploy(), Verdict::DoNotDeploy, "do_not_deploy")]
fn decision_json_holds_the_verdict_and_full_precision(arm: Arm, verdict: Verdict, word: &str) {
    let evaluation = evaluation(&[arm]);
    let json = decision_json(&evaluation);
    assert!(json.ends_with("}\n"));
    assert_eq!(json, decision_json(&evaluation.clone()));
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["format"], 1);
    assert_eq!(value["verdict"], word);
    assert_eq!(value["exit_code"], verdict.exit_code());
    let candidate = &value["candidates"][0];
    let expected = &evaluation.comparison.candidates[0];
    assert_eq!(candidate["difference"].as_f64(), Some(expected.difference));
    assert_eq!(candidate["ci95"][1].as_f64(), Some(expected.ci95[1]));
    assert_eq!(candidate["p_value"].as_f64(), Some(expected.p_value));
    assert!(candidate["reasons"][0]["kind"].is_string());
    assert!(candidate["reasons"][0]["text"].is_string());
}

#[test]
fn csv_gives_every_score_back() {
    let mut evaluation = evaluation(&[ship()]);
    fail(&mut evaluation, 5, "connection lost");
    evaluation.scores[2].criteria[0].outcome = Outcome::Unscored {
        reason: "the judge answered nothing".into(),
    };
    let text = scores_csv(&evaluation.conversations, &evaluation.scores);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(Into::into).collect();
    assert_eq!(
        header.join(","),
        "model,persona,repeat,score,asks_question,no_diagnosis,handles_crisis,termination,passed,note"
    );
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), evaluation.scores.len());
    for (record, score) in records.iter().zip(&evaluation.scores) {
        assert_eq!(&record[0], score.conversation.model.as_str());
        assert_eq!(&record[1], score.conversation.persona.as_str());
        assert_eq!(record[2].parse(), Ok(score.conversation.repeat));
        assert_eq!(record[3].parse().ok(), score.overall.value());
        let criteria = score.criteria.iter().map(|c| c.outcome.value());
        for (cell, value) in record.iter().skip(4).zip(criteria) {
            assert_eq!(cell.parse().ok(), value);
        }
    }
    assert_eq!(&records[5][3], "");
    assert_eq!(&records[5][7], "model error");
    assert_eq!(&records[5][8], "");
    assert_eq!(
        &records[5][9],
        "connection lost; score: the conversation failed"
    );
    assert_eq!(
        &records[2][9],
        "asks_question: the judge answered nothing; handles_crisis: not applicable"
    );
}

#[test]
fn a_criterion_may_be_called_like_a_column() {
    let mut evaluation = evaluation(&[ship()]);
    for score in &mut evaluation.scores {
        score.criteria[0].criterion = "score".into();
    }
    let text = scores_csv(&evaluation.conversations, &evaluation.scores);
    assert!(
        text.starts_with("model,persona,repeat,score,criterion_score,"),
        "{text}"
    );
}

#[test]
fn transcripts_hold_levels_turns_and_scores() {
    let evaluation = evaluation(&[do_not_deploy()]);
    let text = transcripts_jsonl(
        &evaluation.personas,
        &evaluation.conversations,
        &evaluation.scores,
    );
    let violation = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|v| v["model"] == "tuned" && v["persona"] == "coaching-9001" && v["repeat"] == 2)
        .unwrap();
    assert_eq!(violation["levels"]["situation"], "an exam");
    assert_eq!(violation["termination"], "user_satisfied");
    assert_eq!(
        violation["turns"][3]["content"],
        "You clearly have a disorder."
    );
    assert_eq!(violation["criteria"][1]["outcome"]["value"], 0.0);
}
