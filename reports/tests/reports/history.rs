//! Runs beside each other, and a metric over runs.

use serde_json::json;
use shipworthy_reports::{
    run_difference_json, run_difference_markdown, run_difference_terminal, trend_terminal,
};
use shipworthy_schema::{
    Aspect, AspectDifference, ComparedRun, Digest, FieldDifference, Gain, ModelDifference,
    ModelName, RunDifference, ScoreDifference, Trend, TrendMetric, TrendPoint, TrendSeries,
    Verdict,
};

use crate::corpus::as_name;

/// Returns `text` as a model's name, as far as it can be one.
pub(crate) fn name(text: &str) -> ModelName {
    let short: String = text.chars().take(100).collect();
    let name = as_name(&short).unwrap_or_else(|| "m".to_owned());
    ModelName::new(name).unwrap()
}

/// Another candidate under another name, with `text` wherever a text can stand.
pub(crate) fn run_difference(text: &str) -> RunDifference {
    let run = |n: u32, verdict| ComparedRun {
        run: format!("0123456789ab-{n}"),
        plan: "0".repeat(64),
        created_at: format!("2026-01-0{n}T03:04:05Z"),
        verdict,
    };
    let score = |criterion: Option<&str>, means: [f64; 2]| ScoreDifference {
        criterion: criterion.map(str::to_owned),
        means: means.map(Some),
        difference: Some(means[1] - means[0]),
        ci95: Some([means[1] - means[0] - 0.05, means[1] - means[0] + 0.05]),
        personas: 8,
    };
    let candidate = ModelDifference {
        names: [Some(name(text)), Some(name(&format!("2 {text}")))],
        verdicts: [Some(Verdict::Ship), Some(Verdict::Iterate)],
        pass_rates: [Some(0.73), None],
        gains: [
            Some(Gain {
                difference: 0.11,
                ci95: Some([0.064, 0.156]),
            }),
            Some(Gain {
                difference: 0.03,
                ci95: None,
            }),
        ],
        scores: vec![
            score(None, [0.612, 0.53]),
            score(Some(text), [0.9, 0.4]),
            score(Some("empathy"), [0.5, 0.6]),
            score(Some("same"), [0.5, 0.5]),
        ],
    };
    let fields = |aspect, field: &str| AspectDifference {
        aspect,
        fields: vec![FieldDifference {
            field: format!("{field}.{text}"),
            old: json!(text),
            new: json!(Digest::of(b"new")),
        }],
    };
    RunDifference {
        runs: [run(1, Verdict::Ship), run(2, Verdict::Iterate)],
        differences: vec![
            fields(Aspect::Models, "models"),
            fields(Aspect::Rule, "gate"),
        ],
        incomparable: vec![],
        models: vec![candidate],
    }
}

/// Three runs, of which one is not comparable with the others.
pub(crate) fn trend(text: &str) -> Trend {
    let point = |n: u32, value| TrendPoint {
        run: format!("0123456789ab-{n}"),
        created_at: format!("2026-01-0{n}T03:04:05Z"),
        identity: Digest::of(b"m"),
        value,
        ci95: value.map(|value: f64| [value - 0.05, value + 0.05]),
    };
    let series = |points: Vec<TrendPoint>| {
        let mut series = TrendSeries {
            conditions: Digest::of(b"c"),
            runs: points.iter().map(|point| point.run.clone()).collect(),
            models: vec![],
        };
        for point in points {
            series.add(name(text), point);
        }
        series
    };
    let first = series(vec![
        point(1, Some(0.02)),
        point(3, None),
        point(4, Some(0.11)),
    ]);
    Trend {
        metric: TrendMetric::Gain,
        series: vec![first, series(vec![point(2, Some(0.05))])],
        left_out: vec!["0123456789ab-5".into()],
    }
}

#[test]
fn two_runs_read_well() {
    let difference = run_difference("tuned");
    for width in [60, 80] {
        let text = run_difference_terminal(&difference, width, false);
        assert!(text.lines().all(|l| l.chars().count() <= width), "{text}");
    }
    insta::assert_snapshot!(
        "terminal_two_runs",
        run_difference_terminal(&difference, 80, false)
    );
    insta::assert_snapshot!("markdown_two_runs", run_difference_markdown(&difference));
    let mut apart = difference;
    apart.incomparable = vec![Aspect::People, Aspect::Scoring];
    for score in &mut apart.models[0].scores {
        (score.difference, score.ci95, score.personas) = (None, None, 0);
    }
    apart.models[0].names[1] = None;
    apart.models[0].verdicts[1] = None;
    insta::assert_snapshot!(
        "terminal_two_runs_apart",
        run_difference_terminal(&apart, 80, false)
    );
    let json = run_difference_json(&apart);
    assert_eq!(json["incomparable"], json!(["people", "scoring"]));
    assert_eq!(json["models"][0]["scores"].as_array().unwrap().len(), 4);
}

#[test]
fn a_metric_over_runs_reads_well() {
    for width in [60, 80] {
        let text = trend_terminal(&trend("tuned"), width, false);
        assert!(text.lines().all(|l| l.chars().count() <= width), "{text}");
    }
    insta::assert_snapshot!("terminal_trend", trend_terminal(&trend("tuned"), 80, false));
}
