//! Holds agreement and length adjustment against krippendorff, scikit-learn and statsmodels.
//!
//! The data, the versions and the script that made them lie in `tests/golden/judging`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use shipworthy_stats::{KappaWeights, clustered_alpha, clustered_kappa, paired_regression};

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct File<T> {
        cases: Vec<T>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/judging");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str::<File<T>>(&text).unwrap().cases
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{what}: found {found:e}, expected {expected:e}"
    );
}

#[derive(Deserialize)]
struct AlphaCase {
    clusters: Vec<Vec<Vec<f64>>>,
    alpha: f64,
    low: f64,
    high: f64,
}

#[test]
fn alpha_agrees_with_krippendorff_and_its_interval_with_another_bootstrap() {
    let cases: Vec<AlphaCase> = cases("alpha.json");
    assert!(cases.len() >= 4);
    for case in cases {
        let found = clustered_alpha(&case.clusters, 10_000, 0.95, 1).unwrap();
        assert_close("alpha", found.alpha, case.alpha, 1e-12);
        // Quantiles of 2000 resamples with other random numbers.
        let ci = found.ci.unwrap();
        let width = case.high - case.low;
        assert_close("lower", ci.lower, case.low, 0.06 * width.max(0.1));
        assert_close("upper", ci.upper, case.high, 0.06 * width.max(0.1));
    }
}

#[derive(Deserialize)]
struct KappaCase {
    clusters: Vec<Vec<(usize, usize)>>,
    categories: usize,
    kappa: f64,
    low: f64,
    high: f64,
}

#[test]
fn kappa_agrees_with_scikit_learn_and_its_interval_with_another_bootstrap() {
    let cases: Vec<KappaCase> = cases("kappa.json");
    assert!(cases.len() >= 4);
    for case in cases {
        let weights = if case.categories > 2 {
            KappaWeights::Quadratic
        } else {
            KappaWeights::Equal
        };
        let (clusters, k) = (&case.clusters, case.categories);
        let found = clustered_kappa(clusters, k, weights, (10_000, 0.95), 1).unwrap();
        assert_close("kappa", found.kappa, case.kappa, 1e-12);
        // Quantiles of 2000 resamples with other random numbers.
        let ci = found.ci.unwrap();
        let width = case.high - case.low;
        assert_close("lower", ci.lower, case.low, 0.06 * width.max(0.1));
        assert_close("upper", ci.upper, case.high, 0.06 * width.max(0.1));
    }
}

#[derive(Deserialize)]
struct LengthCase {
    difference: Vec<f64>,
    length: Vec<f64>,
    intercept: f64,
    slope: f64,
    se: f64,
    df: f64,
    t: f64,
    p: f64,
    slope_p: f64,
    low: f64,
    high: f64,
}

#[test]
fn length_adjustment_agrees_with_statsmodels() {
    let cases: Vec<LengthCase> = cases("length.json");
    assert!(cases.len() >= 5);
    for case in cases {
        let found = paired_regression(&case.difference, &case.length, 0.95).unwrap();
        assert_close("intercept", found.adjusted, case.intercept, 1e-12);
        assert_close("slope", found.slope, case.slope, 1e-12);
        assert_close("se", found.se, case.se, 1e-12);
        assert_close("df", found.df, case.df, 0.0);
        assert_close("t", found.t, case.t, 1e-10);
        assert_close("p", found.p_two_sided, case.p, 1e-10);
        assert_close("p of the slope", found.slope_p, case.slope_p, 1e-10);
        assert_close("lower", found.ci.lower, case.low, 1e-10);
        assert_close("upper", found.ci.upper, case.high, 1e-10);
    }
}
