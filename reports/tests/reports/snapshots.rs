use shipworthy_reports::{
    compare_terminal, decision_json, html, markdown, scores_csv, terminal, transcripts_jsonl,
};
use shipworthy_schema::{
    CallRole, CallSums, CleanRecord, Cost, CostPart, CriterionAgreement, Currency, EarlyStopping,
    Evaluation, FlagComparison, InterimLook, InterimNumbers, JudgePlan, JudgeSummary, JudgedModel,
    JudgingSummary, LengthPreference, LookOutcome, ModelPair, ModelRef, ModelSource,
    PairwiseComparison, PairwiseJudge, PairwiseSummary, PoolLook, Raters, Reason, Sampling,
    ScoreAgreement, ServedIdentity, SimulatorAudit, SimulatorFlagKind, Tally, ZeroEvents,
};
use test_case::test_case;

use crate::evaluation::{
    Arm, audited, disagreement, do_not_deploy, evaluation, fail, hold, iterate, model,
    more_evidence, not_shown, ship, worse,
};

#[test_case("ship", ship())]
#[test_case("iterate", iterate())]
#[test_case("worse", worse())]
#[test_case("more_evidence", more_evidence())]
#[test_case("disagreement", disagreement())]
#[test_case("hold", hold())]
#[test_case("do_not_deploy", do_not_deploy())]
#[test_case("not_shown", not_shown())]
fn each_verdict_reads_well(name: &str, arm: Arm) {
    let evaluation = evaluation(&[arm]);
    insta::assert_snapshot!(format!("terminal_{name}"), terminal(&evaluation, 80, false));
    insta::assert_snapshot!(format!("markdown_{name}"), markdown(&evaluation));
}

/// Two judges, one of which left grades out; they agree on one criterion of three.
pub(crate) fn judging() -> JudgingSummary {
    let of = |name: &str, gaps, mean| JudgedModel {
        model: model(name),
        wanted: 48,
        gaps,
        mean,
    };
    let agreement =
        |criterion: &str, raters: &Raters, alpha: Option<f64>, is_poor: bool| CriterionAgreement {
            criterion: criterion.into(),
            raters: raters.clone(),
            conversations: 48,
            equal: if is_poor {
                0.5
            } else {
                alpha.map_or(1.0, |_| 0.9375)
            },
            alpha,
            alpha_ci95: alpha.map(|alpha| [alpha - 0.2, alpha + 0.1]),
            is_poor,
        };
    let own = Raters::Repeats {
        judge: model("large"),
    };
    JudgingSummary {
        judges: vec![
            JudgeSummary {
                judge: model("large"),
                calls: 144,
                prompt_tokens: Some(210_400),
                completion_tokens: Some(18_321),
                models: vec![of("base", 0, Some(0.5)), of("tuned", 0, Some(0.65))],
            },
            JudgeSummary {
                judge: model("small"),
                calls: 50,
                prompt_tokens: None,
                completion_tokens: None,
                models: vec![of("base", 3, Some(0.61)), of("tuned", 48, None)],
            },
        ],
        agreement: vec![
            agreement("asks_question", &Raters::Judges, Some(0.41), true),
            agreement("no_diagnosis", &Raters::Judges, None, false),
            agreement("asks_question", &own, Some(0.88), false),
        ],
    }
}

/// Two arms of which one has a price and counts, a simulator with reasoning, a judge with cached
/// tokens, and one whose replies count nothing.
fn cost() -> Cost {
    let tally = |sum: Option<u64>, uncounted| Tally { sum, uncounted };
    let part = |role, name: &str, calls, counts: [Tally; 2], money, unpriced_calls| CostPart {
        role,
        model: Some(model(name)),
        sums: CallSums {
            calls,
            prompt_tokens: counts[0],
            cached_tokens: None,
            completion_tokens: counts[1],
            reasoning_tokens: tally(None, calls),
            money,
            unpriced_calls,
        },
    };
    let all = |read, written| [tally(Some(read), 0), tally(Some(written), 0)];
    let mut parts = vec![
        part(
            CallRole::Model,
            "base",
            270,
            all(412_300, 24_310),
            Some(0.0),
            0,
        ),
        part(
            CallRole::Model,
            "tuned",
            270,
            [tally(Some(9_000), 20), tally(Some(700), 20)],
            None,
            270,
        ),
        part(
            CallRole::Simulator,
            "simulator",
            540,
            all(800_000, 31_000),
            Some(0.1386),
            0,
        ),
        part(
            CallRole::Judge,
            "large",
            144,
            all(210_400, 18_321),
            Some(1.234),
            0,
        ),
        part(CallRole::Judge, "small", 50, [tally(None, 50); 2], None, 50),
    ];
    parts[2].sums.reasoning_tokens = tally(Some(12_000), 0);
    parts[3].sums.cached_tokens = Some(tally(Some(100_000), 3));
    let sum = |parts: &[CostPart]| {
        parts
            .iter()
            .fold(CallSums::default(), |sum, part| sum.plus(&part.sums))
    };
    Cost {
        currency: Some(Currency::default()),
        conversations: sum(&parts[..3]),
        judging: sum(&parts[3..]),
        parts,
    }
}

/// Pairs judged by one of two judges with some answers missing; one candidate is preferred in all.
fn pairwise() -> PairwiseSummary {
    let tuned = PairwiseComparison {
        model: model("tuned"),
        wins: 9,
        ties: 4,
        losses: 1,
        missing: 2,
        personas: 8,
        win_rate: Some(0.7813),
        ci95: Some([0.5625, 0.9063]),
        p_value: Some(0.0313),
        scores: ScoreAgreement {
            pairs: 10,
            agree: 9,
        },
        length: LengthPreference {
            pairs: 8,
            longer: 7,
        },
        contradicts_scores: false,
    };
    let other = PairwiseComparison {
        model: model("tuned-with-a-rather-long-name-v2"),
        wins: 16,
        ties: 0,
        missing: 0,
        losses: 0,
        win_rate: Some(1.0),
        ci95: None,
        p_value: Some(0.0078),
        length: LengthPreference::default(),
        ..tuned.clone()
    };
    let judge = |name: &str, gaps| PairwiseJudge {
        judge: model(name),
        calls: 64,
        prompt_tokens: Some(120_400),
        completion_tokens: Some(4_321),
        first: 30,
        second: 22,
        ties: 12 - gaps,
        gaps,
        both_orders: 30,
        consistent: 25,
    };
    PairwiseSummary {
        candidates: vec![tuned, other],
        judges: vec![judge("large", 0), judge("small", 4)],
    }
}

/// Three models, two judges on a server, failed conversations, no training data, no safety criteria
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
    let judge = |name: &str, repeats| JudgePlan {
        model: ModelRef {
            name: model(name),
            source: ModelSource::Http {
                url: "http://127.0.0.1:8081/v1".into(),
                model: name.into(),
                served: ServedIdentity::default(),
            },
        },
        repeats,
        sampling: Sampling::default(),
    };
    evaluation.plan.judges = vec![judge("large", 3), judge("small", 1)];
    evaluation.judging = Some(judging());
    evaluation.cost = cost();
    evaluation.pairwise = Some(pairwise());
    evaluation.plan.simulator_audit.exclude = vec![SimulatorFlagKind::RoleSwap];
    let tuned = "tuned-with-a-rather-long-name-v2";
    let compared = |name: &str, kind, rate, ci95| FlagComparison {
        model: model(name),
        kind,
        personas: 8,
        baseline_rate: 0.0625,
        rate,
        difference: rate - 0.0625,
        ci95,
    };
    evaluation.simulator_audit = SimulatorAudit {
        models: vec![
            audited("base", [1, 0, 0, 0, 0]),
            audited("tuned", [1, 0, 0, 3, 0]),
            audited(tuned, [0; 5]),
        ],
        comparisons: vec![
            compared("tuned", None, 0.25, Some([-0.0417, 0.4167])),
            compared("tuned", Some(SimulatorFlagKind::RoleSwap), 0.0625, None),
            compared(tuned, None, 0.0, Some([-0.2103, 0.0853])),
        ],
        excluded: vec![],
    };
    evaluation
}

#[test]
fn several_candidates_and_failures_read_well() {
    let evaluation = crowded();
    insta::assert_snapshot!("terminal_crowded_60", terminal(&evaluation, 60, false));
    insta::assert_snapshot!("markdown_crowded", markdown(&evaluation));
}

/// The second candidate on its people, stopped at the second of three looks.
#[test]
fn looks_read_well() {
    let mut evaluation = evaluation(&[ship()]);
    evaluation.plan.early_stopping = Some(EarlyStopping {
        looks: vec![5, 10, 15],
        futility: 0.1,
    });
    evaluation.pool_looks[0] = PoolLook {
        ordinal: 2,
        alpha: 0.025,
        ..evaluation.pool_looks[0].clone()
    };
    let seen = |difference, p_value, conditional_power| {
        Some(InterimNumbers {
            difference,
            p_value,
            sign_flip_p: p_value,
            conditional_power,
        })
    };
    evaluation.interim_looks = vec![
        InterimLook {
            personas: 5,
            alpha: 0.0001,
            seen: None,
            outcome: LookOutcome::WentOn,
        },
        InterimLook {
            personas: 10,
            alpha: 0.005,
            seen: seen(0.13, 0.002, Some(0.97)),
            outcome: LookOutcome::Efficacy,
        },
    ];
    evaluation.decisions[0].reasons.extend([
        Reason::StoppedEarly {
            personas: 10,
            planned: 15,
            look: 2,
            looks: 3,
            outcome: LookOutcome::Efficacy,
            alpha: 0.005,
            conditional_power: Some(0.97),
        },
        Reason::PoolReused {
            ordinal: 2,
            gate_alpha: 0.05,
            alpha: 0.025,
        },
    ]);
    let markdown = markdown(&evaluation);
    let section = markdown
        .split("## Looks")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let verdict = markdown.split("## ").next().unwrap();
    insta::assert_snapshot!("markdown_looks", format!("{verdict}…\n\n## Looks{section}"));
}

/// Returns the evaluation of `arm` with what is known of scores from elsewhere.
fn from_elsewhere(arm: Arm) -> Evaluation {
    let mut evaluation = evaluation(&[arm]);
    for summary in &mut evaluation.comparison.models {
        summary.terminations.clear();
        (summary.mean_turns, summary.mean_reply_words) = (None, None);
    }
    let candidate = &mut evaluation.comparison.candidates[0];
    let regressions = candidate.safety.iter_mut().flat_map(|s| &mut s.regressions);
    regressions.for_each(|violation| violation.reason.clear());
    evaluation
}

fn compared(evaluation: &Evaluation, width: usize) -> String {
    let (comparison, decisions) = (&evaluation.comparison, &evaluation.decisions);
    compare_terminal(comparison, decisions, &evaluation.recommended, width, false)
}

#[test]
fn scores_from_elsewhere_read_well() {
    let text = compared(&from_elsewhere(hold()), 80);
    insta::assert_snapshot!("terminal_compare", text);
    let text = compared(&from_elsewhere(ship()), 80);
    assert!(!text.contains("limits of this evidence"), "{text}");
    assert!(text.contains("think of what this cannot show"), "{text}");
}

/// More criteria and violations than fit, and long names.
#[test]
fn many_criteria_from_elsewhere_read_well() {
    let mut evaluation = from_elsewhere(do_not_deploy());
    let candidate = &mut evaluation.comparison.candidates[0];
    let gained = candidate.criteria[0].clone();
    for n in 0..21 {
        let mut other = gained.clone();
        other.criterion = format!("asks-about-what-matters-{n}");
        other.difference = 0.01 * f64::from(n) * if n % 2 == 0 { 1.0 } else { -1.0 };
        other.mean = other.baseline_mean + other.difference;
        candidate.criteria.push(other);
    }
    let safety = &mut candidate.safety[0];
    safety.baseline_conversations = 0;
    safety.regressions = vec![safety.regressions[0].clone(); 5];
    let text = compared(&evaluation, 60);
    assert!(
        text.lines().all(|line| line.chars().count() <= 60),
        "{text}"
    );
    insta::assert_snapshot!("terminal_compare_many_60", text);
}

/// Safety criteria scored in all conversations, in some and in few; most are named together.
#[test]
fn clean_records_read_well() {
    let mut evaluation = evaluation(&[ship()]);
    let often = evaluation.comparison.candidates[0].safety[0].clone();
    let mut seldom = often.clone();
    seldom.criterion = "handles_crisis".into();
    (seldom.conversations, seldom.personas) = (3, 2);
    seldom.baseline_conversations = 4;
    seldom.zero_events = Some(ZeroEvents {
        by_conversation: 0.632,
        by_persona: 0.776,
    });
    let mut second = often.clone();
    second.criterion = "no_guarantees".into();
    let safety = vec![often, seldom, second];
    let reasons = CleanRecord::all(&safety).into_iter().map(|record| {
        let bounds = record.zero_events;
        Reason::ZeroViolations {
            criteria: record.criteria,
            conversations: record.conversations,
            personas: record.personas,
            by_conversation: bounds.by_conversation,
            by_persona: bounds.by_persona,
        }
    });
    evaluation.decisions[0].reasons = reasons.collect();
    evaluation.comparison.candidates[0].safety = safety;
    let markdown = markdown(&evaluation);
    let mut sections = markdown.split("\n## ");
    let section = |name: &str| sections.find(|s| s.starts_with(name)).unwrap().to_owned();
    let parts = ["Safety", "Limits"].map(section).join("\n## ");
    let terminal = terminal(&evaluation, 80, false);
    insta::assert_snapshot!("clean_records", format!("{terminal}\n\n## {parts}"));
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

/// Every pair of four models and the sets that are not told apart, in each format for people.
#[test]
fn all_pairs_of_three_candidates_are_shown() {
    let named = |name, arm: Arm| Arm { name, ..arm };
    let arms = [
        named("tuned-a", ship()),
        named("tuned-b", iterate()),
        named("tuned-c", worse()),
    ];
    let mut evaluation = evaluation(&arms);
    let ranking = &mut evaluation.comparison.ranking;
    let first = ranking.pairs[0].clone();
    ranking.pairs.clear();
    for (at, higher) in ranking.models.iter().enumerate() {
        let lower = ranking.models[at + 1..].iter();
        ranking.pairs.extend(lower.map(|lower| ModelPair {
            higher: higher.model.clone(),
            lower: lower.model.clone(),
            difference: higher.mean - lower.mean,
            ..first.clone()
        }));
    }
    let untested = ranking.pairs.last_mut().unwrap();
    (untested.p_value, untested.p_adjusted) = (None, None);
    let ranking = &evaluation.comparison.ranking;
    assert_eq!((ranking.models.len(), ranking.pairs.len()), (4, 6));
    let sets: Vec<String> = ranking
        .tied_sets
        .iter()
        .map(|set| {
            set.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" = ")
        })
        .collect();
    let unescaped = |text: String| text.replace('\\', "");
    let page = html(&evaluation);
    let formats = [
        ("terminal", terminal(&evaluation, 80, false)),
        ("markdown", unescaped(markdown(&evaluation))),
        ("html", page),
    ];
    for (format, text) in formats {
        for pair in &ranking.pairs {
            let pair = format!("{} − {}", pair.higher, pair.lower);
            assert!(text.contains(&pair), "{format}: {pair} is not in {text}");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for set in &sets {
            assert!(words.contains(set), "{format}: {set} is not in {text}");
        }
        assert!(text.contains("Holm"), "{format}");
    }
    let text = terminal(&evaluation, 80, false);
    let (_, pairs) = text.split_once("\nPair ").unwrap();
    insta::assert_snapshot!("terminal_pairs", pairs.split("\n\n").next().unwrap());
}
