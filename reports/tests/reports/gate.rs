//! The regression gate's verdict for people.

use shipworthy_reports::{regression_markdown, regression_terminal};
use shipworthy_schema::{CandidateRegression, NoWorse, Regression, RegressionRule, Verdict};

use crate::evaluation::{do_not_deploy, evaluation};
use crate::history::name;

/// A candidate that loses on one criterion and is less safe; models are named, and the criterion is,
/// as `text` says.
pub(crate) fn regression(text: &str) -> Regression {
    let score = |criterion: Option<&str>, mean: f64, lower_bound: Option<f64>| NoWorse {
        criterion: criterion.map(str::to_owned),
        margin: 0.05,
        personas: 8,
        baseline_mean: Some(0.6),
        mean: Some(mean),
        difference: Some(mean - 0.6),
        lower_bound,
        p_value: lower_bound.map(|_| 0.031),
        shown: lower_bound.is_some_and(|bound| bound > -0.05),
        untested: lower_bound.is_none().then(|| text.to_owned()),
    };
    let model = name(text);
    let safety = &evaluation(&[do_not_deploy()]).comparison.candidates[0].safety;
    Regression {
        baseline: name(&format!("{text} (shipped)")),
        rule: RegressionRule {
            margin: 0.05,
            criteria: [(text.to_owned(), 0.05)].into(),
            safety_margin: 0.05,
            suspicious_gain: 0.3,
        },
        candidates: vec![CandidateRegression {
            model: model.clone(),
            verdict: Verdict::DoNotDeploy,
            alpha: 0.05,
            overall: score(None, 0.61, Some(-0.02)),
            criteria: vec![
                score(Some(text), 0.5, Some(-0.15)),
                score(Some("reply-length"), 0.6, None),
            ],
            safety: safety.clone(),
            pairs: vec![],
        }],
        recommended: model,
    }
}

#[test]
fn the_gate_reads_well() {
    let gate = regression("tuned");
    let text = regression_terminal(&gate, 80, false);
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    insta::assert_snapshot!("terminal_gate", text);
    insta::assert_snapshot!("markdown_gate", regression_markdown(&gate));
}
