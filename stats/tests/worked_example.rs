//! One evaluation of 15 personas with three conversations each, every number of it known.

use shipworthy_stats::{
    ClusterRobust, clustered_mean, cohens_dz, hedges_gz, non_inferiority, paired_t, sign_flip,
    variance_components,
};

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

#[track_caller]
fn assert_digits(found: f64, expected: f64, relative: f64) {
    assert!(
        (found / expected - 1.0).abs() < relative,
        "found {found}, expected {expected}"
    );
}

#[test]
fn every_estimate_has_its_known_value() {
    let means = DIFFERENCES.map(|row| row.iter().sum::<f64>() / 3.0);
    let test = paired_t(&means, 0.95).unwrap();
    assert_digits(test.mean, 0.11, 1e-12);
    assert_digits(test.sd, 0.082_807_867_12, 1e-9);
    assert_digits(test.se, 0.021_380_899_35, 1e-9);
    assert_digits(test.t, 5.144_778_907, 1e-9);
    assert_digits(test.p_two_sided, 0.000_148_914_636, 1e-8);
    assert_digits(test.ci.lower, 0.064_142_5, 1e-6);
    assert_digits(test.ci.upper, 0.155_857_5, 1e-6);

    assert_eq!(sign_flip(&means, 0, 0).unwrap().p_two_sided, 24.0 / 32768.0);
    assert_digits(cohens_dz(&means).unwrap(), 1.328_376_20, 1e-8);
    assert_digits(hedges_gz(&means).unwrap(), 1.255_919_32, 1e-8);

    let clustered = clustered_mean(&DIFFERENCES, ClusterRobust::Cr1, 0.95).unwrap();
    assert_digits(clustered.se, test.se, 1e-14);

    let components = variance_components(&DIFFERENCES).unwrap();
    assert_digits(components.ms_between, 0.020_571_428_6, 1e-8);
    assert_digits(components.ms_within, 0.004_666_666_67, 1e-8);
    assert_digits(components.icc, 0.531_847, 1e-6);
    assert_digits(components.between, 0.005_301_59, 1e-6);

    let naive = paired_t(DIFFERENCES.as_flattened(), 0.95).unwrap();
    assert_digits(naive.se, 0.014_702_435_7, 1e-8);
    assert_digits(naive.t, 7.481_753_5, 1e-7);
    assert_digits(naive.p_two_sided, 2.3e-9, 0.03);

    let safety = non_inferiority(&means, 0.05, 0.05).unwrap();
    assert_digits(safety.t, 7.483_315, 1e-6);
    assert_digits(safety.p, 1.5e-6, 0.04);
    assert!(safety.shown);
}
