use crate::error::{check_count, check_open_unit};
use crate::sample::{check_values, check_variation, mean_of, variance_of};
use crate::{Interval, Random, StatsError, normal};

/// How the interval is read off the bootstrap distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootstrapInterval {
    /// Its quantiles; a little narrow for few clusters.
    Percentile,
    /// Its quantiles at levels corrected for bias and skewness (Efron 1987).
    Bca,
}

/// The settings of a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BootstrapOptions {
    /// Resamples drawn; at least 100, and 10 000 for an interval to publish.
    pub resamples: usize,
    /// Level of the interval, e.g. 0.95.
    pub level: f64,
    /// Seed that fixes the result.
    pub seed: u64,
    /// Kind of interval.
    pub interval: BootstrapInterval,
}

/// A statistic with its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// The statistic of the clusters as they are.
    pub estimate: f64,
    /// Standard deviation of the statistic over resamples.
    pub se: f64,
    /// The interval.
    pub ci: Interval,
}

/// Estimates the interval of any statistic by resampling whole clusters.
///
/// `statistic` takes the indices of the clusters drawn, repeats included, and returns its value
/// over all their conversations of both arms; it is called with `0..n_clusters` for the estimate.
/// Percentile: quantiles at (1 ± level)/2, interpolated between order statistics. `BCa`:
/// `Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z)))` with `z₀` from the share of resamples below the estimate (ties
/// half) and the acceleration a from leaving out one cluster at a time (Efron & Tibshirani 1993,
/// 14.3). Assumes independent clusters; with 15 of them either interval covers a little less than
/// its level. The order of clusters and the seed fix the draws.
///
/// Errors with `TooFew` below two clusters or 100 resamples, `OutOfRange` for the level,
/// `NonFinite` with the index of the resample if the statistic is not finite, `Undefined` if the
/// statistic does not vary enough for the `BCa` correction.
pub fn cluster_bootstrap(
    n_clusters: usize,
    options: &BootstrapOptions,
    statistic: impl Fn(&[usize]) -> f64,
) -> Result<Bootstrap, StatsError> {
    check_open_unit("confidence level", options.level)?;
    check_count("a cluster bootstrap", 2, n_clusters)?;
    check_count("the resamples of a bootstrap", 100, options.resamples)?;
    let everyone: Vec<usize> = (0..n_clusters).collect();
    let estimate = statistic(&everyone);
    check_values(&[estimate])?;
    let mut random = Random::new(options.seed);
    let mut drawn = everyone.clone();
    let mut distribution = Vec::with_capacity(options.resamples);
    for _ in 0..options.resamples {
        drawn.fill_with(|| random.below(n_clusters));
        distribution.push(statistic(&drawn));
    }
    check_values(&distribution)?;
    distribution.sort_by(f64::total_cmp);
    let tail = (1.0 - options.level) / 2.0;
    let (low, high) = match options.interval {
        BootstrapInterval::Percentile => (tail, 1.0 - tail),
        BootstrapInterval::Bca => {
            let leave_one_out: Vec<f64> = (0..n_clusters)
                .map(|left_out| {
                    let others: Vec<usize> = everyone
                        .iter()
                        .copied()
                        .filter(|&index| index != left_out)
                        .collect();
                    statistic(&others)
                })
                .collect();
            check_values(&leave_one_out)?;
            bca_levels(estimate, &distribution, &leave_one_out, tail)?
        }
    };
    Ok(Bootstrap {
        estimate,
        se: variance_of(&distribution).sqrt(),
        ci: Interval {
            lower: quantile(&distribution, low),
            upper: quantile(&distribution, high),
            level: options.level,
        },
    })
}

/// Estimates the interval of a mean by resampling its values.
///
/// `values`: one difference per persona. As [`cluster_bootstrap`], with the values put in ascending
/// order first, so that the order of rows does not matter; same errors, and `NoVariation` for
/// values that are all equal.
pub fn bootstrap_mean(values: &[f64], options: &BootstrapOptions) -> Result<Bootstrap, StatsError> {
    check_count("a bootstrap of a mean", 2, values.len())?;
    check_values(values)?;
    check_variation(values)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    cluster_bootstrap(sorted.len(), options, |drawn| {
        drawn.iter().map(|&index| sorted[index]).sum::<f64>() / drawn.len() as f64
    })
}

/// The two levels at which the `BCa` interval reads the distribution.
fn bca_levels(
    estimate: f64,
    distribution: &[f64],
    leave_one_out: &[f64],
    tail: f64,
) -> Result<(f64, f64), StatsError> {
    let undefined = |reason| StatsError::Undefined {
        what: "the BCa interval",
        reason,
    };
    let below = distribution.partition_point(|value| *value < estimate);
    let not_above = distribution.partition_point(|value| *value <= estimate);
    let share = (below + not_above) as f64 / (2 * distribution.len()) as f64;
    if share <= 0.0 || share >= 1.0 {
        return Err(undefined("the estimate lies outside all resamples"));
    }
    let bias = -normal::upper_quantile(share);
    let mean = mean_of(leave_one_out);
    let moment = |power| {
        leave_one_out
            .iter()
            .map(|value| (mean - value).powi(power))
            .sum::<f64>()
    };
    let spread = moment(2);
    if spread == 0.0 {
        return Err(undefined("leaving out any one cluster changes nothing"));
    }
    let acceleration = moment(3) / (6.0 * spread.powf(1.5));
    let level = |z: f64| {
        let shift = 1.0 - acceleration * (bias + z);
        (shift > 0.0).then(|| normal::cdf(bias + (bias + z) / shift))
    };
    let z = normal::upper_quantile(tail);
    level(-z)
        .zip(level(z))
        .ok_or(undefined("the acceleration is too large"))
}

/// Quantile of sorted values, linear between order statistics (Hyndman & Fan 1996, type 7).
pub(crate) fn quantile(sorted: &[f64], level: f64) -> f64 {
    let position = level.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position within the slice"
    )]
    let index = position.floor() as usize;
    let next = sorted[(index + 1).min(sorted.len() - 1)];
    sorted[index] + (position - position.floor()) * (next - sorted[index])
}

#[cfg(test)]
mod tests {
    use super::{BootstrapInterval, BootstrapOptions, bootstrap_mean, cluster_bootstrap, quantile};
    use crate::StatsError;

    const OPTIONS: BootstrapOptions = BootstrapOptions {
        resamples: 2000,
        level: 0.9,
        seed: 5,
        interval: BootstrapInterval::Bca,
    };

    #[test]
    fn the_seed_and_not_the_order_of_rows_fixes_the_result() {
        let values = [0.3, -0.1, 0.2, 0.4, 0.0, 0.25];
        let mut reversed = values;
        reversed.reverse();
        let first = bootstrap_mean(&values, &OPTIONS).unwrap();
        assert_eq!(first, bootstrap_mean(&reversed, &OPTIONS).unwrap());
        let other = BootstrapOptions { seed: 6, ..OPTIONS };
        assert_ne!(first, bootstrap_mean(&values, &other).unwrap());
    }

    #[test]
    fn quantiles_interpolate() {
        let sorted = [1.0, 2.0, 4.0];
        assert_eq!(
            [0.0, 0.25, 0.75, 1.0].map(|p| quantile(&sorted, p)),
            [1.0, 1.5, 3.0, 4.0]
        );
    }

    #[test]
    fn what_cannot_be_resampled_is_an_error() {
        assert!(matches!(
            bootstrap_mean(&[0.1], &OPTIONS),
            Err(StatsError::TooFew { .. })
        ));
        let equal = bootstrap_mean(&[0.1; 5], &OPTIONS);
        assert!(matches!(equal, Err(StatsError::NoVariation { .. })));
        let few = BootstrapOptions {
            resamples: 99,
            ..OPTIONS
        };
        assert!(matches!(
            bootstrap_mean(&[0.1, 0.2], &few),
            Err(StatsError::TooFew { .. })
        ));
        let nan = cluster_bootstrap(3, &OPTIONS, |_| f64::NAN);
        assert!(matches!(nan, Err(StatsError::NonFinite { .. })));
        let constant = cluster_bootstrap(3, &OPTIONS, |_| 1.0);
        assert!(matches!(constant, Err(StatsError::Undefined { .. })));
    }
}
