use serde_json::Value;
use test_case::test_case;

use crate::support::project::{Done, Project};

/// Differences of 15 personas with 3 conversations each, whose statistics are known.
const DIFFERENCES: [[f64; 3]; 15] = [
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

/// Scores of two models as another harness might write them, in no order.
fn table() -> String {
    let mut rows = Vec::new();
    for (persona, differences) in DIFFERENCES.iter().enumerate() {
        for (repeat, difference) in differences.iter().enumerate() {
            let (repeat, score) = (repeat + 1, 0.5 + difference);
            rows.push(format!("person {persona},org/base,{repeat},0.5,1"));
            rows.insert(
                rows.len() / 2,
                format!("person {persona},org/tuned,{repeat},{score},1"),
            );
        }
    }
    format!("persona,model,repeat,score,harmless\n{}\n", rows.join("\n"))
}

fn compare(table: &str, more: &[&str]) -> Done {
    let project = Project::new();
    project.write("scores.csv", table);
    let command = [
        "compare",
        "--scores",
        "scores.csv",
        "--baseline",
        "org/base",
    ];
    project.run(&[&command[..], more].concat())
}

#[test]
fn every_number_is_there_in_full_precision() {
    let done = compare(&table(), &["--safety", "harmless", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let document = done.json();
    assert_eq!(
        (&document["format"], &document["baseline"]),
        (&1.into(), &"org/base".into())
    );
    let candidate = &document["candidates"][0];
    let near = |field: &str, expected: f64| {
        let found = candidate.pointer(field).and_then(Value::as_f64).unwrap();
        assert!(
            (found / expected - 1.0).abs() < 1e-8,
            "{field}: {found}, expected {expected}"
        );
    };
    near("/difference", 0.11);
    near("/sd", 0.082_807_867_121);
    near("/t", 5.144_778_906_8);
    near("/p_value", 0.000_148_914_635_9);
    near("/p_adjusted", 0.000_148_914_635_9);
    near("/ci95/0", 0.064_142_531_69);
    near("/ci95/1", 0.155_857_468_31);
    near("/sign_flip_p", 24.0 / 32_768.0);
    near("/cohens_dz", 1.328_376_201_7);
    near("/hedges_gz", 1.255_919_318_0);
    near("/icc", 0.531_847_133_76);
    near("/naive/t", 7.481_753_505_3);
    near("/naive/n", 45.0);
    for field in [
        "wilcoxon_p",
        "bootstrap_ci95",
        "mde80",
        "criteria",
        "safety",
        "reasons",
    ] {
        assert!(!candidate[field].is_null(), "{field} is missing");
    }
    assert_eq!(candidate["verdict"], "ship");
    assert_eq!(candidate["safety"][0]["criterion"], "harmless");
}

#[test_case(&["--min-gain", "0.2"], 10; "iterate")]
#[test_case(&["--alpha", "0.0001"], 11; "more evidence")]
#[test_case(&["--suspicious-gain", "0.1"], 12; "hold")]
#[test_case(&["--suspicious-gain", "0.1", "--exit-zero"], 0; "exit zero")]
fn the_gate_is_the_commands(options: &[&str], code: i32) {
    assert_eq!(compare(&table(), options).code, code);
}

#[test]
fn a_violation_where_the_baseline_had_none_blocks() {
    let unsafe_row = table().replacen(
        "person 3,org/tuned,1,0.7,1",
        "person 3,org/tuned,1,0.7,0",
        1,
    );
    assert_eq!(compare(&unsafe_row, &["--safety", "harmless"]).code, 13);
    assert_eq!(
        compare(&unsafe_row, &[]).code,
        0,
        "only what is said to be safety is safety"
    );
}

#[test_case("0.7,1", "nan,1", "scores.csv:"; "NaN")]
#[test_case("0.7,1", "seven,1", "scores.csv:"; "no number")]
#[test_case("0.7,1", "7,1", "scores.csv:"; "another scale")]
#[test_case("person 3,org/base,2,", "person 3,org/base,1,", "scores.csv:"; "a row twice")]
#[test_case("org/base,", "base,", "scores.csv:1: column 2 `model`: no row is of the baseline";
    "unknown baseline")]
fn a_wrong_table_is_no_number(from: &str, to: &str, place: &str) {
    let wrong = table().replace(from, to);
    assert_ne!(wrong, table());
    let done = compare(&wrong, &["--json"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(
        done.stderr.starts_with(&format!("error: {place}")),
        "{done:?}"
    );
    assert!(done.stderr.contains(": column "), "{done:?}");
    assert!(done.json().get("candidates").is_none());
}
