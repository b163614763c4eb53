//! Holds every estimate against `SciPy`, statsmodels, scikit-learn and krippendorff.
//!
//! The data, the versions and the script that made them lie in `tests/golden/statistics`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use shipworthy_stats::{
    BootstrapInterval, BootstrapOptions, ClusterRobust, KappaWeights, Measurement, PowerTarget,
    RankDistribution, Sides, SignFlipMethod, SignedRank, StatsError, Zeros, benjamini_hochberg,
    bootstrap_mean, clopper_pearson, clustered_mean, cohens_kappa, group_sequential_boundaries,
    gwet_ac1, hedges_correction, holm, krippendorff_alpha, mcnemar, minimal_detectable_effect,
    non_inferiority, noncentral_t_cdf, paired_differences, paired_t, paired_t_power,
    required_pairs, sign_flip, signed_rank, student_t_two_sided, student_t_upper_quantile,
    variance_components,
};

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct File<T> {
        cases: Vec<T>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/statistics");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str::<File<T>>(&text).unwrap().cases
}

/// Asserts that two numbers agree to a share of the expected one, or to `floor` near 0.
#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64, relative: f64, floor: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= relative * expected.abs() + floor,
        "{what}: found {found:e}, expected {expected:e}, error {error:e}"
    );
}

#[derive(Deserialize)]
struct Tails {
    w_plus: Option<f64>,
    p_two_sided: f64,
    p_greater: f64,
    p_less: f64,
}

#[derive(Deserialize)]
struct RankCase {
    exact: Tails,
    normal: Tails,
    normal_continuity: Tails,
}

#[derive(Deserialize)]
struct NonInferiorityCase {
    margin: f64,
    t: f64,
    p: f64,
    lower: f64,
}

#[derive(Deserialize)]
struct Arms {
    baseline: Vec<f64>,
    candidate: Vec<f64>,
}

#[derive(Deserialize)]
struct PairedCase {
    kind: String,
    #[serde(flatten)]
    arms: Arms,
    n: usize,
    mean: f64,
    sd: f64,
    se: f64,
    t: f64,
    df: f64,
    p_two_sided: f64,
    p_greater: f64,
    p_less: f64,
    intervals: Vec<[f64; 2]>,
    hedges_exact: f64,
    non_inferiority: NonInferiorityCase,
    sign_flip_counts: Option<[f64; 3]>,
    wilcox: RankCase,
    pratt: RankCase,
}

#[test]
fn paired_t_test_agrees_with_scipy() {
    let cases: Vec<PairedCase> = cases("paired.json");
    assert!(cases.len() >= 40, "only {} samples", cases.len());
    for case in cases {
        let what = format!("{} n={}", case.kind, case.n);
        let close = |name: &str, found: f64, expected: f64| {
            // A mean that is 0 on paper is some 1e-17 here and there.
            assert_close(&format!("{what} {name}"), found, expected, 1e-9, 1e-15);
        };
        let differences = paired_differences(&case.arms.baseline, &case.arms.candidate).unwrap();
        for (level, expected) in [0.8, 0.9, 0.95, 0.99].into_iter().zip(case.intervals) {
            let ci = paired_t(&differences, level).unwrap().ci;
            close("lower", ci.lower, expected[0]);
            close("upper", ci.upper, expected[1]);
        }
        let test = paired_t(&differences, 0.95).unwrap();
        close("mean", test.mean, case.mean);
        close("sd", test.sd, case.sd);
        close("se", test.se, case.se);
        close("t", test.t, case.t);
        close("df", test.df, case.df);
        assert_close(&what, test.p_two_sided, case.p_two_sided, 1e-9, 0.0);
        assert_close(&what, test.p_greater, case.p_greater, 1e-9, 0.0);
        assert_close(&what, test.p_less, case.p_less, 1e-9, 0.0);
        close("J", hedges_correction(case.n).unwrap(), case.hedges_exact);
        let expected = case.non_inferiority;
        let found = non_inferiority(&differences, expected.margin, 0.05).unwrap();
        close("non-inferiority t", found.t, expected.t);
        close("non-inferiority bound", found.lower_bound, expected.lower);
        assert_close(&what, found.p, expected.p, 1e-9, 0.0);
    }
}

#[test]
fn constant_differences_have_no_t_test() {
    for case in cases::<Arms>("constant.json") {
        let differences = paired_differences(&case.baseline, &case.candidate).unwrap();
        let error = paired_t(&differences, 0.95);
        assert!(
            matches!(error, Err(StatsError::NoVariation { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn exact_sign_flip_counts_are_whole_and_right() {
    for case in cases::<PairedCase>("paired.json") {
        let Some(expected) = case.sign_flip_counts else {
            continue;
        };
        let differences = paired_differences(&case.arms.baseline, &case.arms.candidate).unwrap();
        let test = sign_flip(&differences, 0, 0).unwrap();
        assert_eq!(test.method, SignFlipMethod::Exact);
        let total = 2_f64.powf(case.n as f64);
        let found = [test.p_two_sided, test.p_greater, test.p_less].map(|p| p * total);
        assert_eq!(found, expected, "{} n={}", case.kind, case.n);
    }
}

#[test]
fn signed_rank_test_agrees_with_scipy_and_with_counting() {
    for case in cases::<PairedCase>("paired.json") {
        let differences = paired_differences(&case.arms.baseline, &case.arms.candidate).unwrap();
        for (zeros, expected) in [(Zeros::Drop, &case.wilcox), (Zeros::Pratt, &case.pratt)] {
            let what = format!("{} n={} {zeros:?}", case.kind, case.n);
            let tails = |test: &SignedRank| [test.p_two_sided, test.p_greater, test.p_less];
            let test = |distribution| signed_rank(&differences, zeros, distribution).unwrap();
            let of = |tails: &Tails| [tails.p_two_sided, tails.p_greater, tails.p_less];

            let exact = test(RankDistribution::Exact);
            assert_eq!(Some(exact.w_plus), expected.exact.w_plus, "{what}");
            for (found, expected) in tails(&exact).into_iter().zip(of(&expected.exact)) {
                assert_close(&what, found, expected, 1e-14, 0.0);
                if exact.n_used <= 45 {
                    let total = 2_f64.powf(exact.n_used as f64);
                    assert_eq!(
                        (found * total).round(),
                        (expected * total).round(),
                        "{what}"
                    );
                    assert_eq!((found * total).fract(), 0.0, "{what}");
                }
            }
            for (continuity, expected) in [
                (false, &expected.normal),
                (true, &expected.normal_continuity),
            ] {
                let normal = test(RankDistribution::Normal { continuity });
                for (found, expected) in tails(&normal).into_iter().zip(of(expected)) {
                    assert_close(&what, found, expected, 1e-9, 0.0);
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct DistributionCase {
    function: String,
    df: f64,
    x: f64,
    noncentrality: Option<f64>,
    value: f64,
}

#[test]
fn distributions_agree_with_scipy() {
    for case in cases::<DistributionCase>("distributions.json") {
        let what = format!("{} df={} x={}", case.function, case.df, case.x);
        let (found, relative, floor) = match case.function.as_str() {
            "student_t_two_sided" => (student_t_two_sided(case.x, case.df), 1e-9, 0.0),
            "student_t_upper_quantile" => (student_t_upper_quantile(case.x, case.df), 1e-9, 0.0),
            _ => (
                noncentral_t_cdf(case.x, case.df, case.noncentrality.unwrap()),
                0.0,
                1e-9,
            ),
        };
        assert_close(&what, found.unwrap(), case.value, relative, floor);
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PowerCase {
    Power {
        n: usize,
        dz: f64,
        alpha: f64,
        two_sided: f64,
        one_sided: f64,
    },
    Detectable {
        detectable: f64,
        n: usize,
        alternative: String,
    },
    Required {
        required: usize,
        dz: f64,
        power: f64,
    },
}

#[test]
fn power_agrees_with_the_non_central_t() {
    for case in cases::<PowerCase>("power.json") {
        match case {
            PowerCase::Power {
                n,
                dz,
                alpha,
                two_sided,
                one_sided,
            } => {
                let what = format!("n={n} dz={dz} alpha={alpha}");
                let power = |sides| paired_t_power(dz, n, alpha, sides).unwrap();
                assert_close(&what, power(Sides::Two), two_sided, 0.0, 1e-9);
                assert_close(&what, power(Sides::One), one_sided, 0.0, 1e-9);
            }
            PowerCase::Detectable {
                detectable,
                n,
                alternative,
            } => {
                let sides = if alternative == "larger" {
                    Sides::One
                } else {
                    Sides::Two
                };
                let target = PowerTarget {
                    alpha: 0.05,
                    power: 0.8,
                    sides,
                };
                let found = minimal_detectable_effect(1.0, n, &target).unwrap();
                assert_close(
                    &format!("n={n} {alternative}"),
                    found,
                    detectable,
                    1e-6,
                    0.0,
                );
            }
            PowerCase::Required {
                required,
                dz,
                power,
            } => {
                let target = PowerTarget {
                    alpha: 0.05,
                    power,
                    sides: Sides::Two,
                };
                assert_eq!(
                    required_pairs(dz, &target),
                    Ok(required),
                    "dz={dz} power={power}"
                );
            }
        }
    }
}

#[derive(Deserialize)]
struct ClusterCase {
    clusters: Vec<Vec<f64>>,
    mean: f64,
    cr1_se: f64,
    cr2_se: f64,
    cr2_df: f64,
    cr2_interval: [f64; 2],
    ms_between: f64,
    ms_within: f64,
    n0: f64,
    icc: f64,
}

#[test]
fn clustered_estimates_agree_with_statsmodels_and_the_definitions() {
    for case in cases::<ClusterCase>("clusters.json") {
        let what = format!("{} clusters", case.clusters.len());
        let close = |found, expected| assert_close(&what, found, expected, 1e-9, 1e-15);
        let cr1 = clustered_mean(&case.clusters, ClusterRobust::Cr1, 0.95).unwrap();
        close(cr1.mean, case.mean);
        close(cr1.se, case.cr1_se);
        let cr2 = clustered_mean(&case.clusters, ClusterRobust::Cr2, 0.95).unwrap();
        close(cr2.se, case.cr2_se);
        close(cr2.df, case.cr2_df);
        close(cr2.ci.lower, case.cr2_interval[0]);
        close(cr2.ci.upper, case.cr2_interval[1]);
        let components = variance_components(&case.clusters).unwrap();
        close(components.ms_between, case.ms_between);
        close(components.ms_within, case.ms_within);
        close(components.effective_size, case.n0);
        close(components.icc, case.icc);
    }
}

#[derive(Deserialize)]
struct BootstrapCase {
    values: Vec<f64>,
    seed: u64,
    resamples: usize,
    se: f64,
    percentile: [f64; 2],
    #[serde(rename = "BCa")]
    bca: [f64; 2],
}

#[test]
fn bootstrap_intervals_agree_with_scipy_on_the_same_resamples() {
    for case in cases::<BootstrapCase>("bootstrap.json") {
        for (interval, expected) in [
            (BootstrapInterval::Percentile, case.percentile),
            (BootstrapInterval::Bca, case.bca),
        ] {
            let what = format!("{interval:?} n={}", case.values.len());
            let BootstrapCase {
                resamples, seed, ..
            } = case;
            let options = BootstrapOptions {
                resamples,
                level: 0.9,
                seed,
                interval,
            };
            let found = bootstrap_mean(&case.values, &options).unwrap();
            assert_close(&what, found.se, case.se, 1e-9, 0.0);
            assert_close(&what, found.ci.lower, expected[0], 1e-9, 1e-14);
            assert_close(&what, found.ci.upper, expected[1], 1e-9, 1e-14);
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CountCase {
    Mcnemar {
        only_candidate: u64,
        only_baseline: u64,
        two_sided: f64,
        candidate_more: f64,
    },
    Proportion {
        events: u64,
        trials: u64,
        level: f64,
        interval: [f64; 2],
    },
    Multiplicity {
        p_values: Vec<f64>,
        holm: Vec<f64>,
        benjamini_hochberg: Vec<f64>,
    },
}

#[test]
fn counts_and_adjustments_agree_with_statsmodels() {
    for case in cases::<CountCase>("counts.json") {
        match case {
            CountCase::Mcnemar {
                only_candidate,
                only_baseline,
                two_sided,
                candidate_more,
            } => {
                let test = mcnemar(only_candidate, only_baseline);
                let what = format!("{only_candidate} against {only_baseline}");
                assert_close(&what, test.p_two_sided, two_sided, 1e-12, 0.0);
                assert_close(&what, test.p_candidate_more, candidate_more, 1e-12, 0.0);
            }
            CountCase::Proportion {
                events,
                trials,
                level,
                interval,
            } => {
                let found = clopper_pearson(events, trials, level).unwrap();
                let what = format!("{events} of {trials} at {level}");
                assert_close(&what, found.lower, interval[0], 1e-9, 0.0);
                assert_close(&what, found.upper, interval[1], 1e-9, 0.0);
            }
            CountCase::Multiplicity {
                p_values,
                holm: by_holm,
                benjamini_hochberg: by_bh,
            } => {
                for (found, expected) in holm(&p_values).unwrap().iter().zip(by_holm) {
                    assert_close("holm", *found, expected, 1e-14, 0.0);
                }
                let found = benjamini_hochberg(&p_values).unwrap();
                for (found, expected) in found.iter().zip(by_bh) {
                    assert_close("benjamini-hochberg", *found, expected, 1e-14, 0.0);
                }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AgreementCase {
    Pair {
        first: Vec<usize>,
        second: Vec<usize>,
        categories: usize,
        kappa: f64,
        quadratic: f64,
        ac1: f64,
    },
    Raters {
        ratings: Vec<Vec<Option<f64>>>,
        nominal: f64,
        ordinal: f64,
        interval: f64,
    },
}

#[test]
fn agreement_agrees_with_scikit_learn_and_krippendorff() {
    for case in cases::<AgreementCase>("agreement.json") {
        match case {
            AgreementCase::Pair {
                first,
                second,
                categories,
                kappa,
                quadratic,
                ac1,
            } => {
                let of = |weights| cohens_kappa(&first, &second, categories, weights).unwrap();
                assert_close("kappa", of(KappaWeights::Equal), kappa, 0.0, 1e-12);
                assert_close(
                    "quadratic",
                    of(KappaWeights::Quadratic),
                    quadratic,
                    0.0,
                    1e-12,
                );
                let found = gwet_ac1(&first, &second, categories).unwrap();
                assert_close("ac1", found, ac1, 0.0, 1e-12);
            }
            AgreementCase::Raters {
                ratings,
                nominal,
                ordinal,
                interval,
            } => {
                let alpha = |measurement| krippendorff_alpha(&ratings, measurement).unwrap();
                assert_close("nominal", alpha(Measurement::Nominal), nominal, 0.0, 1e-12);
                assert_close("ordinal", alpha(Measurement::Ordinal), ordinal, 0.0, 1e-12);
                assert_close(
                    "interval",
                    alpha(Measurement::Interval),
                    interval,
                    0.0,
                    1e-12,
                );
            }
        }
    }
}

#[derive(Deserialize)]
struct SequentialCase {
    information: Vec<f64>,
    z: Vec<f64>,
}

#[test]
fn boundaries_agree_with_the_multivariate_normal() {
    for case in cases::<SequentialCase>("sequential.json") {
        let looks = group_sequential_boundaries(&case.information, 0.05).unwrap();
        for (look, expected) in looks.iter().zip(case.z) {
            // SciPy integrates three dimensions at random, to a few 1e-7.
            assert_close(&format!("{look:?}"), look.z, expected, 1e-5, 0.0);
        }
    }
}
