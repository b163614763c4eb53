use crate::error::{check_count, check_open_unit};
use crate::sample::{RELATIVE_TIE, check_values, check_variation, mean_of, sum_of};
use crate::student_t::{two_sided, upper_quantile};
use crate::{Interval, StatsError};

/// Which cluster-robust variance a [`ClusteredMean`] uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterRobust {
    /// Residual sums with the factor G/(G−1), and G − 1 degrees of freedom.
    Cr1,
    /// Bell and `McCaffrey`'s bias-reduced residuals with Satterthwaite degrees of freedom.
    Cr2,
}

/// The mean of all values, with a standard error that respects their clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredMean {
    /// Number of clusters G.
    pub n_clusters: usize,
    /// Number of values N in all clusters.
    pub n_values: usize,
    /// Mean of all values, every value weighing the same.
    pub mean: f64,
    /// Cluster-robust standard error.
    pub se: f64,
    /// Mean divided by its standard error.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// P(|T| ≥ |t|).
    pub p_two_sided: f64,
    /// Two-sided interval of the mean.
    pub ci: Interval,
}

/// Estimates the mean of values that come in clusters of unequal size.
///
/// `clusters`: one slice of differences per persona. With residual sums `u = Σ(x − x̄)` per cluster
/// of size m: CR1 `se = √(G/(G−1)·Σu²)/N` (Liang & Zeger 1986; equal to `s_d/√G` of the cluster
/// means if all clusters are equally large), df = G − 1. CR2 `se = √(Σ u²/(1 − m/N))/N` (Bell &
/// `McCaffrey` 2002), unbiased if values are independent with equal variance, with
/// `df = N²/(Σm² + Σ_{g≠h} m_g²·m_h²/(N²(1−m_g/N)(1−m_h/N)))` under that working model (Pustejovsky &
/// Tipton 2018, for a model of an intercept alone). Assumes independent clusters. A large value is
/// weighted by its cluster's size here, unlike in a test of cluster means.
///
/// Errors with `TooFew` below two clusters or for an empty one, `NonFinite` and `TooLarge` with
/// the index within the cluster, `NoVariation` (also if all residual sums vanish), `OutOfRange`.
pub fn clustered_mean(
    clusters: &[impl AsRef<[f64]>],
    variance: ClusterRobust,
    level: f64,
) -> Result<ClusteredMean, StatsError> {
    check_open_unit("confidence level", level)?;
    let values = checked_clusters(clusters, "a clustered mean")?;
    check_variation(&values)?;
    let n_clusters = clusters.len();
    let n_groups = n_clusters as f64;
    let n = values.len() as f64;
    let mean = mean_of(&values);
    let sizes: Vec<f64> = clusters
        .iter()
        .map(|cluster| cluster.as_ref().len() as f64)
        .collect();
    let residual_sum = |cluster: &[f64]| sum_of(cluster.iter().map(|value| value - mean));
    let squares = clusters
        .iter()
        .map(|cluster| residual_sum(cluster.as_ref()).powi(2));
    let leverage = |size: f64| 1.0 - size / n;
    let (sum, df) = match variance {
        ClusterRobust::Cr1 => (
            sum_of(squares) * n_groups / (n_groups - 1.0),
            n_groups - 1.0,
        ),
        ClusterRobust::Cr2 => (
            sum_of(
                squares
                    .zip(&sizes)
                    .map(|(square, size)| square / leverage(*size)),
            ),
            satterthwaite(&sizes),
        ),
    };
    let se = sum.sqrt() / n;
    let largest = values
        .iter()
        .fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if se <= RELATIVE_TIE * largest {
        return Err(StatsError::NoVariation {
            n: n_clusters,
            value: mean,
        });
    }
    let t = mean / se;
    let half_width = upper_quantile((1.0 - level) / 2.0, df) * se;
    Ok(ClusteredMean {
        n_clusters,
        n_values: values.len(),
        mean,
        se,
        t,
        df,
        p_two_sided: two_sided(t, df),
        ci: Interval {
            lower: mean - half_width,
            upper: mean + half_width,
            level,
        },
    })
}

/// Checks clusters and returns all their values.
pub(crate) fn checked_clusters(
    clusters: &[impl AsRef<[f64]>],
    what: &'static str,
) -> Result<Vec<f64>, StatsError> {
    check_count(what, 2, clusters.len())?;
    for cluster in clusters {
        check_count("a cluster", 1, cluster.as_ref().len())?;
        check_values(cluster.as_ref())?;
    }
    Ok(clusters.iter().flat_map(AsRef::as_ref).copied().collect())
}

fn satterthwaite(sizes: &[f64]) -> f64 {
    let n: f64 = sum_of(sizes.iter().copied());
    let squares = sum_of(sizes.iter().map(|size| size * size));
    let weights = || sizes.iter().map(|size| size * size / (1.0 - size / n));
    // ΣΣ over pairs of different clusters, as the square of the sum less its diagonal.
    let pairs = sum_of(weights()).powi(2) - sum_of(weights().map(|weight| weight * weight));
    n * n / (squares + pairs / (n * n))
}

#[cfg(test)]
mod tests {
    use super::{ClusterRobust, clustered_mean};
    use crate::StatsError;

    #[test]
    fn equal_clusters_have_as_many_degrees_of_freedom_as_clusters_less_one() {
        let clusters = [[0.1, 0.2], [0.3, 0.1], [0.0, -0.1], [0.2, 0.4]];
        let cr1 = clustered_mean(&clusters, ClusterRobust::Cr1, 0.95).unwrap();
        let cr2 = clustered_mean(&clusters, ClusterRobust::Cr2, 0.95).unwrap();
        assert!((cr2.df - 3.0).abs() < 1e-12 && (cr1.se / cr2.se - 1.0).abs() < 1e-12);
    }

    #[test]
    fn clusters_without_spread_are_errors() {
        let equal_means = [[0.1, 0.2], [0.2, 0.1]];
        let error = clustered_mean(&equal_means, ClusterRobust::Cr1, 0.95);
        assert!(matches!(error, Err(StatsError::NoVariation { .. })));
        let empty: [Vec<f64>; 2] = [vec![0.1], vec![]];
        let error = clustered_mean(&empty, ClusterRobust::Cr2, 0.95);
        assert!(matches!(
            error,
            Err(StatsError::TooFew {
                needed: 1,
                got: 0,
                ..
            })
        ));
        let error = clustered_mean(&[[0.1, 0.2]], ClusterRobust::Cr2, 0.95);
        assert!(matches!(
            error,
            Err(StatsError::TooFew {
                needed: 2,
                got: 1,
                ..
            })
        ));
    }
}
