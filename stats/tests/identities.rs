//! What must hold for any data: identities, symmetries, and the order of rows.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use proptest::collection::vec;
use proptest::prelude::*;
use shipworthy_stats::{
    BootstrapInterval, BootstrapOptions, ClusterRobust, PairedT, RankDistribution, Zeros,
    benjamini_hochberg, bootstrap_mean, clustered_mean, holm, paired_differences, paired_t,
    sign_flip, signed_rank,
};

/// Scores of both arms in hundredths, so that ties and zeros are common; the pairs vary.
fn arms() -> impl Strategy<Value = Vec<(i32, i32)>> {
    vec((0..=100_i32, 0..=100_i32), 3..=20).prop_filter("differences vary", |arms| {
        arms.iter().any(|(a, b)| b - a != arms[0].1 - arms[0].0)
    })
}

fn scores(arms: &[(i32, i32)], shift: f64) -> (Vec<f64>, Vec<f64>) {
    arms.iter()
        .map(|&(a, b)| (f64::from(a) / 100.0 + shift, f64::from(b) / 100.0 + shift))
        .unzip()
}

fn differences(arms: &[(i32, i32)]) -> Vec<f64> {
    let (baseline, candidate) = scores(arms, 0.0);
    paired_differences(&baseline, &candidate).unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

proptest! {
    #[test]
    fn swapping_the_arms_flips_the_sign_and_keeps_p(arms in arms()) {
        let swapped: Vec<(i32, i32)> = arms.iter().map(|&(a, b)| (b, a)).collect();
        let (there, back) = (differences(&arms), differences(&swapped));
        let (t, u) = (paired_t(&there, 0.95).unwrap(), paired_t(&back, 0.95).unwrap());
        prop_assert!(close(t.mean, -u.mean) && close(t.t, -u.t) && close(t.p_two_sided, u.p_two_sided));
        prop_assert!(close(t.p_greater, u.p_less) && close(t.ci.lower, -u.ci.upper));
        let (s, v) = (sign_flip(&there, 0, 0).unwrap(), sign_flip(&back, 0, 0).unwrap());
        prop_assert_eq!((s.p_two_sided, s.p_greater), (v.p_two_sided, v.p_less));
        for zeros in [Zeros::Drop, Zeros::Pratt] {
            let test = |values: &[f64]| signed_rank(values, zeros, RankDistribution::Exact).unwrap();
            let (w, x) = (test(&there), test(&back));
            prop_assert_eq!((w.p_two_sided, w.p_greater, w.w_plus), (x.p_two_sided, x.p_less, x.w_minus));
        }
    }

    #[test]
    fn adding_a_constant_to_both_arms_changes_nothing(arms in arms(), shift in -5.0..5.0_f64) {
        let (baseline, candidate) = scores(&arms, shift);
        let shifted = paired_differences(&baseline, &candidate).unwrap();
        let plain = differences(&arms);
        let (t, u) = (paired_t(&plain, 0.95).unwrap(), paired_t(&shifted, 0.95).unwrap());
        prop_assert!(close(t.mean, u.mean) && close(t.t, u.t) && close(t.p_two_sided, u.p_two_sided));
        prop_assert_eq!(sign_flip(&plain, 0, 0), sign_flip(&shifted, 0, 0));
        let test = |values: &[f64]| signed_rank(values, Zeros::Drop, RankDistribution::Exact);
        prop_assert_eq!(test(&plain), test(&shifted));
    }

    #[test]
    fn the_order_of_rows_never_matters(arms in arms(), seed in any::<u64>()) {
        let plain = differences(&arms);
        let mut shuffled = plain.clone();
        let mut random = shipworthy_stats::Random::new(seed);
        for last in (1..shuffled.len()).rev() {
            shuffled.swap(last, random.below(last + 1));
        }
        prop_assert_eq!(paired_t(&plain, 0.95), paired_t(&shuffled, 0.95));
        prop_assert_eq!(sign_flip(&plain, 0, 0), sign_flip(&shuffled, 0, 0));
        let test = |values: &[f64]| signed_rank(values, Zeros::Pratt, RankDistribution::Exact);
        prop_assert_eq!(test(&plain), test(&shuffled));
        let interval = BootstrapInterval::Percentile;
        let options = BootstrapOptions { resamples: 100, level: 0.9, seed, interval };
        prop_assert_eq!(bootstrap_mean(&plain, &options), bootstrap_mean(&shuffled, &options));
    }

    #[test]
    fn sign_flip_p_is_a_multiple_of_two_to_the_one_less_n(arms in arms()) {
        let plain = differences(&arms);
        let steps = sign_flip(&plain, 0, 0).unwrap().p_two_sided * 2_f64.powf(plain.len() as f64 - 1.0);
        prop_assert!(steps >= 1.0 && steps.fract() == 0.0, "{}", steps);
    }

    #[test]
    fn clusters_of_equal_size_have_the_paired_t_standard_error(
        rows in vec(vec(-1.0..1.0_f64, 3), 2..20)
    ) {
        let means: Vec<f64> = rows.iter().map(|row| row.iter().sum::<f64>() / 3.0).collect();
        let PairedT { se, mean, p_two_sided, .. } = paired_t(&means, 0.95).unwrap();
        for variance in [ClusterRobust::Cr1, ClusterRobust::Cr2] {
            let clustered = clustered_mean(&rows, variance, 0.95).unwrap();
            prop_assert!(close(clustered.se, se) && close(clustered.mean, mean));
            prop_assert!(close(clustered.p_two_sided, p_two_sided));
        }
    }

    #[test]
    fn adjusted_p_values_are_monotone_and_never_smaller(p_values in vec(0.0..=1.0_f64, 0..12)) {
        let (by_holm, by_bh) = (holm(&p_values).unwrap(), benjamini_hochberg(&p_values).unwrap());
        for (i, p) in p_values.iter().enumerate() {
            prop_assert!(*p <= by_bh[i] && by_bh[i] <= by_holm[i] && by_holm[i] <= 1.0);
            for (j, other) in p_values.iter().enumerate() {
                prop_assert!(p > other || (by_holm[i] <= by_holm[j] && by_bh[i] <= by_bh[j]));
            }
        }
    }

    #[test]
    fn no_input_makes_nan_or_panics(values in vec(any::<f64>(), 0..8), level in any::<f64>()) {
        if let Ok(test) = paired_t(&values, level) {
            prop_assert!([test.t, test.p_two_sided, test.p_greater, test.ci.lower].iter().all(|x| !x.is_nan()));
        }
        if let Ok(test) = sign_flip(&values, 10, 1) {
            prop_assert!((0.0..=1.0).contains(&test.p_two_sided));
        }
        for distribution in [RankDistribution::Exact, RankDistribution::Normal { continuity: true }] {
            if let Ok(test) = signed_rank(&values, Zeros::Pratt, distribution) {
                prop_assert!((0.0..=1.0).contains(&test.p_two_sided));
            }
        }
    }
}
