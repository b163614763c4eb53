use crate::StatsError;
use crate::clustered::checked_clusters;
use crate::sample::{check_variation, mean_of, sum_of};

/// How the variance of clustered values splits into between and within clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VarianceComponents {
    /// Number of clusters G.
    pub n_clusters: usize,
    /// Number of values N.
    pub n_values: usize,
    /// Mean square between clusters, with G − 1 degrees of freedom.
    pub ms_between: f64,
    /// Mean square within clusters, with N − G degrees of freedom.
    pub ms_within: f64,
    /// Effective cluster size `n₀ = (N − Σm²/N)/(G − 1)`; the size itself if all are equal.
    pub effective_size: f64,
    /// Variance between clusters, `(MSB − MSW)/n₀`, not below 0.
    pub between: f64,
    /// Variance within clusters, MSW.
    pub within: f64,
    /// ICC(1), `(MSB − MSW)/(MSB + (n₀ − 1)·MSW)`; below 0 if clusters differ less than by chance.
    pub icc: f64,
}

/// Estimates variance components and the intraclass correlation by one-way analysis of variance.
///
/// `clusters`: one slice of values per persona, sizes may differ. ICC(1) of Shrout & Fleiss 1979,
/// with `n₀` of Snedecor & Cochran for unequal sizes. Departure: `between` is cut at 0 because it
/// serves as a variance in planning; `icc` is left as it is. Assumes independent clusters; no
/// normality for the estimates.
///
/// Errors with `TooFew` below two clusters, for an empty one or if no cluster has two values,
/// `NonFinite`, `TooLarge`, `NoVariation`.
pub fn variance_components(
    clusters: &[impl AsRef<[f64]>],
) -> Result<VarianceComponents, StatsError> {
    let values = checked_clusters(clusters, "variance components")?;
    let (n_clusters, n_values) = (clusters.len(), values.len());
    if n_values == n_clusters {
        let what = "variance within clusters";
        return Err(StatsError::TooFew {
            what,
            needed: n_clusters + 1,
            got: n_values,
        });
    }
    check_variation(&values)?;
    let grand_mean = mean_of(&values);
    let n = n_values as f64;
    let groups = || {
        clusters
            .iter()
            .map(|cluster| (cluster.as_ref(), mean_of(cluster.as_ref())))
    };
    let between =
        groups().map(|(cluster, mean)| (mean - grand_mean).powi(2) * cluster.len() as f64);
    let ms_between = sum_of(between) / (n_clusters - 1) as f64;
    let deviations = groups()
        .flat_map(|(cluster, mean)| cluster.iter().map(move |value| (value - mean).powi(2)));
    let ms_within = sum_of(deviations) / (n_values - n_clusters) as f64;
    let size_squares: f64 = clusters
        .iter()
        .map(|c| (c.as_ref().len() as f64).powi(2))
        .sum();
    let effective_size = (n - size_squares / n) / (n_clusters - 1) as f64;
    Ok(VarianceComponents {
        n_clusters,
        n_values,
        ms_between,
        ms_within,
        effective_size,
        between: ((ms_between - ms_within) / effective_size).max(0.0),
        within: ms_within,
        icc: (ms_between - ms_within) / (ms_between + (effective_size - 1.0) * ms_within),
    })
}

#[cfg(test)]
mod tests {
    use super::variance_components;
    use crate::StatsError;

    #[test]
    fn clusters_of_one_value_say_nothing_about_the_spread_within() {
        let error = variance_components(&[[0.1], [0.2], [0.3]]);
        assert!(matches!(
            error,
            Err(StatsError::TooFew {
                needed: 4,
                got: 3,
                ..
            })
        ));
    }

    #[test]
    fn equal_means_give_a_negative_icc_and_no_variance_between() {
        let components = variance_components(&[[0.0, 1.0], [1.0, 0.0]]).unwrap();
        assert_eq!((components.between, components.icc), (0.0, -1.0));
    }
}
