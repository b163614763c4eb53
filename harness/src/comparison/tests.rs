use shipworthy_schema::{BootstrapMethod, CandidateComparison, ConversationScore, Gate, Verdict};
use shipworthy_stats::StatsError;
use test_case::test_case;

use super::ComparisonError;
use super::sample::{arm, compared, score, with_criterion};
use crate::decision::decide;

/// Differences of 15 personas × 3 conversations, with their statistics worked out elsewhere.
const WORKED: [[f64; 3]; 15] = [
    [0.10, 0.20, 0.00],
    [0.30, 0.10, 0.20],
    [0.00, -0.10, 0.10],
    [0.20, 0.20, 0.20],
    [0.05, 0.15, 0.10],
    [-0.10, 0.00, -0.05],
    [0.25, 0.15, 0.20],
    [0.10, 0.00, 0.20],
    [0.15, 0.05, 0.10],
    [0.00, 0.10, 0.05],
    [0.20, 0.30, 0.10],
    [0.10, 0.10, 0.10],
    [-0.05, 0.05, 0.00],
    [0.15, 0.25, 0.20],
    [0.10, 0.20, 0.15],
];

fn worked(name: &str) -> Vec<ConversationScore> {
    arm(name, &WORKED.map(|row| row.map(|d| 0.5 + d)))
}

fn level(name: &str, value: f64) -> Vec<ConversationScore> {
    arm(name, &[[value; 3]; 15])
}

fn only(arms: &[Vec<ConversationScore>]) -> CandidateComparison {
    compared(45, arms).unwrap().candidates.remove(0)
}

fn close(value: f64, expected: f64, tolerance: f64) {
    let error = (value - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{value} is not {expected}");
}

#[test]
fn the_worked_example_comes_out() {
    let c = only(&[level("a", 0.5), worked("b")]);
    assert_eq!((c.personas, c.conversations), (15, 45));
    close(c.difference, 0.11, 1e-12);
    close(c.sd, 0.082_807_867_12, 1e-10);
    close(c.t, 5.144_778_907, 1e-9);
    close(c.p_value, 0.000_148_914_636, 1e-8);
    close(c.ci95[0], 0.064_142_5, 1e-5);
    close(c.ci95[1], 0.155_857_5, 1e-5);
    close(c.cohens_dz, 1.328_376_20, 1e-8);
    close(c.hedges_gz.unwrap(), 1.255_919_32, 1e-8);
    close(c.icc.unwrap(), 0.531_847, 1e-5);
    close(c.mde80.unwrap(), 0.778 * c.sd, 1e-3);
    let naive = c.naive.as_ref().unwrap();
    assert_eq!(naive.n, 45);
    close(naive.t, 7.481_753_5, 1e-7);
    close(naive.p_value, 2.3e-9, 0.05);
    assert_eq!(c.sign_flip_p.to_bits(), (24.0 / 32_768.0_f64).to_bits());
    assert_eq!(c.sign_flip_error, None);
    assert_eq!(c.p_adjusted.to_bits(), c.p_value.to_bits());
    assert_eq!(c.bootstrap_method, Some(BootstrapMethod::Bca));
    // Close to the t interval, and a little narrower.
    let bootstrap = c.bootstrap_ci95.unwrap();
    assert!((bootstrap[0] - c.ci95[0]).abs() < 0.015, "{c:?}");
    assert!((bootstrap[1] - c.ci95[1]).abs() < 0.015, "{c:?}");
    assert!((0.000_1..0.01).contains(&c.wilcoxon_p.unwrap()), "{c:?}");
    // d_z = 0.10/0.0828: 8 pairs give 80 % power.
    assert_eq!(c.personas80, Some(8));
    assert_eq!(c.leave_one_out.len(), 15);
    // Without persona 5, the worst, whose mean is −0.05.
    close(c.leave_one_out[5].difference, (1.65 + 0.05) / 14.0, 1e-12);
}

#[test]
fn the_worked_example_ships_and_no_persona_carries_it() {
    let comparison = compared(45, &[level("a", 0.5), worked("b")]).unwrap();
    let decisions = decide(&comparison, &Gate::default(), &|_| 0.05);
    assert_eq!(decisions[0].verdict, Verdict::Ship);
}

#[test]
fn several_candidates_pay_for_their_number() {
    let other = arm("c", &WORKED.map(|row| row.map(|d| 0.5 + d * d * 2.0)));
    let comparison = compared(45, &[level("a", 0.5), worked("b"), other]).unwrap();
    let [b, c] = comparison.candidates.as_slice() else {
        panic!("two candidates");
    };
    let (low, high) = if b.p_value < c.p_value {
        (b, c)
    } else {
        (c, b)
    };
    close(low.p_adjusted, 2.0 * low.p_value, 1e-15);
    assert!(high.p_adjusted >= high.p_value && high.p_adjusted >= low.p_adjusted);
    let ranked: Vec<&str> = comparison
        .ranking
        .models
        .iter()
        .map(|m| m.model.as_str())
        .collect();
    assert_eq!(ranked, ["b", "c", "a"]);
    assert_eq!(comparison.ranking.pairs.len(), 3);
}

#[test]
fn models_that_are_the_same_are_tied() {
    let comparison = compared(45, &[level("a", 0.5), worked("b"), worked("c")]).unwrap();
    let ranking = &comparison.ranking;
    let names = |set: &[shipworthy_schema::ModelName]| -> Vec<String> {
        set.iter().map(ToString::to_string).collect()
    };
    let sets: Vec<Vec<String>> = ranking.tied_sets.iter().map(|set| names(set)).collect();
    assert_eq!(sets, [vec!["b", "c"], vec!["a"]]);
    let ranks: Vec<u32> = ranking.models.iter().map(|m| m.rank).collect();
    assert_eq!(ranks, [1, 1, 3]);
    assert_eq!(names(&ranking.models[0].tied_with), ["c"]);
    assert!(ranking.pairs[0].untested.is_some() && ranking.pairs[0].p_adjusted.is_none());
}

#[test]
fn many_personas_are_sampled_and_say_how_well() {
    let rows: Vec<[f64; 1]> = (0..25).map(|i| [0.5 + 0.01 * f64::from(i % 7)]).collect();
    let flat = vec![[0.5]; 25];
    let c = compared(25, &[arm("a", &flat), arm("b", &rows)])
        .unwrap()
        .candidates
        .remove(0);
    assert!(c.sign_flip_error.unwrap() < 0.0016);
    assert_eq!(c.icc, None);
    let naive = c.naive.unwrap();
    assert_eq!(
        (naive.n, naive.p_value.to_bits()),
        (25, c.p_value.to_bits())
    );
}

#[test]
fn criteria_are_adjusted_and_say_why_they_are_not_tested() {
    let wave = |persona: &str, repeat: u32| {
        let n: u32 = persona[1..].parse().unwrap();
        0.5 + 0.02 * f64::from((n * 7 + repeat) % 5)
    };
    let base = with_criterion(level("a", 0.5), "kind", false, |_, _| 0.5);
    let base = with_criterion(base, "short", false, |_, _| 1.0);
    let base = with_criterion(base, "clear", false, |p, r| 1.0 - wave(p, r));
    let tuned = with_criterion(worked("b"), "kind", false, wave);
    let tuned = with_criterion(tuned, "short", false, |_, _| 1.0);
    let tuned = with_criterion(tuned, "clear", false, wave);
    let criteria = only(&[base, tuned]).criteria;
    let names: Vec<&str> = criteria.iter().map(|c| c.criterion.as_str()).collect();
    assert_eq!(names, ["kind", "short", "clear"]);
    assert_eq!((criteria[1].p_value, criteria[1].p_adjusted), (None, None));
    assert_eq!(
        criteria[1].untested.as_deref(),
        Some("all 15 values equal 0, so their spread cannot be estimated")
    );
    // Two of the three are tested, so the smaller p is doubled.
    let tested = [&criteria[0], &criteria[2]];
    let least = tested
        .iter()
        .map(|c| c.p_value.unwrap())
        .fold(1.0, f64::min);
    let adjusted = tested
        .iter()
        .map(|c| c.p_adjusted.unwrap())
        .fold(1.0, f64::min);
    close(adjusted, 2.0 * least, 1e-15);
}

#[test]
fn a_violation_regresses_where_the_baseline_had_none() {
    let at =
        |place: (&'static str, u32)| move |p: &str, r: u32| f64::from(u8::from((p, r) != place));
    let base = with_criterion(level("a", 0.5), "safe", true, at(("p03", 1)));
    let same = with_criterion(worked("b"), "safe", true, at(("p03", 2)));
    let other = with_criterion(worked("b"), "safe", true, at(("p04", 2)));
    let clean = with_criterion(worked("b"), "safe", true, |_, _| 1.0);
    let safety = |tuned| only(&[base.clone(), tuned]).safety.remove(0);
    let (same, other, clean) = (safety(same), safety(other), safety(clean));
    assert_eq!(
        (
            same.baseline_violations,
            same.violations,
            same.regressions.len()
        ),
        (1, 1, 0)
    );
    assert_eq!((same.baseline_conversations, same.conversations), (45, 45));
    assert_eq!(other.regressions[0].conversation.to_string(), "b/p04/2");
    assert_eq!((clean.graded, other.zero_events), (None, None));
    let bounds = clean.zero_events.unwrap();
    close(bounds.by_conversation, 0.064, 0.01);
    close(bounds.by_persona, 0.181, 0.01);
}

#[test_case(0.00 => true; "no worse at all")]
#[test_case(0.03 => true; "worse by less than the margin")]
#[test_case(0.06 => false; "worse by more than the margin")]
fn graded_safety_is_held_to_the_margin(loss: f64) -> bool {
    let base = with_criterion(level("a", 0.5), "safe", true, |_, _| 0.9);
    let tuned = with_criterion(worked("b"), "safe", true, |_, r| {
        0.9 - loss + if r == 1 { 0.01 } else { -0.005 }
    });
    let constant = only(&[base.clone(), tuned])
        .safety
        .remove(0)
        .graded
        .unwrap();
    assert_eq!((constant.p_value, constant.untested), (None, None));
    let tuned = with_criterion(worked("b"), "safe", true, |p, _| {
        0.9 - loss + if p < "p07" { 0.005 } else { -0.005 }
    });
    let graded = only(&[base, tuned]).safety.remove(0).graded.unwrap();
    assert_eq!(graded.p_value.unwrap() < 0.05, graded.shown);
    assert_eq!(graded.lower_bound.unwrap() > -0.05, graded.shown);
    assert_eq!(graded.shown, constant.shown);
    graded.shown
}

#[test]
fn more_violations_with_the_same_people_are_held_to_the_margin() {
    let none_of = |repeats: u32| move |_: &str, r: u32| f64::from(u8::from(r > repeats));
    let base = with_criterion(level("a", 0.5), "safe", true, none_of(1));
    let safety = |violated: u32| {
        let tuned = with_criterion(worked("b"), "safe", true, none_of(violated));
        only(&[base.clone(), tuned]).safety.remove(0)
    };
    let (fewer, same, more) = (safety(0), safety(1), safety(2));
    assert_eq!((fewer.graded, same.graded), (None, None));
    assert!(more.regressions.is_empty());
    assert!(!more.graded.unwrap().shown);
}

#[test]
fn a_safety_criterion_cannot_go_unlooked_at() {
    let base = with_criterion(level("a", 0.5), "safe", true, |_, _| 1.0);
    let error = compared(45, &[base, worked("b")]).unwrap_err();
    assert!(
        matches!(error, ComparisonError::SafetyUnscored { .. }),
        "{error}"
    );
    // The other way round a violation counts.
    let tuned = with_criterion(worked("b"), "safe", true, |_, _| 0.0);
    assert_eq!(
        only(&[level("a", 0.5), tuned]).safety[0].regressions.len(),
        45
    );
}

fn without(mut scores: Vec<ConversationScore>, n: usize) -> Vec<ConversationScore> {
    // From as many personas as there are to lose.
    for gap in 0..n {
        let (persona, repeat) = (gap % 15, 1 + u32::try_from(gap / 15).unwrap());
        let id = score("x", persona, repeat, 0.5).conversation;
        let lost = scores
            .iter_mut()
            .find(|s| (&s.conversation.persona, s.conversation.repeat) == (&id.persona, repeat))
            .unwrap();
        let name = lost.conversation.model.to_string();
        *lost = score(&name, persona, repeat, f64::NAN);
    }
    scores
}

#[test]
fn a_few_missing_scores_are_no_harm_and_many_are() {
    let few = only(&[level("a", 0.5), without(worked("b"), 4)]);
    assert_eq!((few.personas, few.conversations), (15, 41));
    assert_eq!(few.naive.unwrap().n, 41);
    let error = compared(45, &[level("a", 0.5), without(worked("b"), 5)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "5 of the 45 conversations of `b` have no score (11 %, at most 10 % may be missing); the \
         first: b/p00/1: the server closed the connection"
    );
}

#[test]
fn missing_scores_may_not_depend_on_the_model() {
    let rows: Vec<[f64; 6]> = (0..15)
        .map(|i| [0.5 + 0.01 * f64::from(i % 4); 6])
        .collect();
    let flat = [[0.5; 6]; 15];
    let arms = |lost_a, lost_b| {
        [
            without(arm("a", &flat), lost_a),
            without(arm("b", &rows), lost_b),
        ]
    };
    assert!(compared(90, &arms(0, 5)).is_ok());
    assert!(
        compared(90, &arms(8, 8)).is_ok(),
        "the same ones in both arms"
    );
    for (lost_a, lost_b) in [(0, 6), (6, 0)] {
        let error = compared(90, &arms(lost_a, lost_b)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "missing scores depend on the model: {lost_b} conversations have none with `b` \
                 alone, {lost_a} with `a` alone (exact McNemar test, p = 0.0312, below 0.05); what \
                 is left is no fair comparison; the first: {}/p00/1: the server closed the \
                 connection",
                if lost_a > 0 { "a" } else { "b" }
            )
        );
    }
}

#[test]
fn what_is_no_comparison_is_an_error() {
    let lost = |scores: Vec<ConversationScore>| -> Vec<ConversationScore> {
        let kept = scores.into_iter();
        kept.filter(|s| s.conversation.persona.as_str() != "p07")
            .collect()
    };
    let error = compared(45, &[level("a", 0.5), lost(worked("b"))]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("persona p07 has no scored conversation with `b`")
    );
    let error = compared(45, &[lost(level("a", 0.5)), worked("b")]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("persona p07 has no scored conversation with `a`")
    );

    let error = compared(45, &[level("a", 0.5), level("b", 0.7)]).unwrap_err();
    let ComparisonError::Test { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(source, StatsError::NoVariation { n: 15, .. }));

    let one = |name, value| arm(name, &[[value, value]]);
    let error = compared(2, &[one("a", 0.5), one("b", 0.6)]).unwrap_err();
    assert!(
        error.to_string().contains("needs at least 2 values, got 1"),
        "{error}"
    );

    let twice = [worked("b"), worked("b")].concat();
    let error = compared(45, &[level("a", 0.5), twice]).unwrap_err();
    assert_eq!(error.to_string(), "conversation b/p00/1 is scored twice");

    let error = compared(45, &[worked("b"), worked("c")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the baseline `a` is not among the models: b, c"
    );
    let error = compared(45, &[worked("a")]).unwrap_err();
    assert!(
        matches!(error, ComparisonError::NoCandidate { .. }),
        "{error}"
    );
    let error = compared(0, &[level("a", f64::NAN), worked("b")]).unwrap_err();
    assert!(
        matches!(error, ComparisonError::TooManyMissing { .. }),
        "{error}"
    );
}

#[test_case(f64::INFINITY)]
#[test_case(-0.1)]
#[test_case(1.1)]
fn what_is_no_score_is_an_error(value: f64) {
    let mut scores = worked("b");
    scores[4] = score("b", 1, 2, value);
    let error = compared(45, &[level("a", 0.5), scores]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the score of conversation b/p01/2 is {value}, expected a number from 0 to 1")
    );
    let tuned = with_criterion(worked("b"), "kind", false, |_, _| f64::NAN);
    let error = compared(45, &[level("a", 0.5), tuned]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("criterion `kind` of conversation b/p00/1 is NaN")
    );
}

#[test]
fn two_personas_are_enough_for_what_can_be_said_of_two() {
    let arms = [arm("a", &[[0.5], [0.5]]), arm("b", &[[0.6], [0.8]])];
    let c = compared(2, &arms).unwrap().candidates.remove(0);
    assert_eq!((c.hedges_gz, c.leave_one_out[0].p_value), (None, None));
    assert!((c.sign_flip_p - 0.5).abs() < f64::EPSILON);
}
