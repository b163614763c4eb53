use libm::lgamma;

use crate::StatsError;
use crate::error::check_count;
use crate::sample::{check_values, check_variation, mean_of, variance_of};

/// Returns Cohen's `d_z`, the mean difference in standard deviations of the differences.
///
/// `d_z = d̄/s_d` (Cohen 1988, 2.3.5). Needs no normality to be computed. Same errors as
/// [`paired_t`](crate::paired_t).
pub fn cohens_dz(differences: &[f64]) -> Result<f64, StatsError> {
    check_count("Cohen's d_z", 2, differences.len())?;
    check_values(differences)?;
    check_variation(differences)?;
    Ok(mean_of(differences) / variance_of(differences).sqrt())
}

/// Returns Hedges' `g_z`, Cohen's `d_z` corrected for its bias in small samples.
///
/// `g_z = d_z·(1 − 3/(4(n−1) − 1))`, the usual approximation of Hedges 1981; it is within 0.4 % of
/// the exact factor of [`hedges_correction`] from n = 6 on. Same errors as
/// [`paired_t`](crate::paired_t), but `TooFew` below three pairs, where no factor removes the bias.
pub fn hedges_gz(differences: &[f64]) -> Result<f64, StatsError> {
    check_count("Hedges' g_z", 3, differences.len())?;
    let df = differences.len() as f64 - 1.0;
    Ok(cohens_dz(differences)? * (1.0 - 3.0 / (4.0 * df - 1.0)))
}

/// Returns the exact factor that makes `d_z` unbiased under normality.
///
/// `J(ν) = Γ(ν/2)/(√(ν/2)·Γ((ν−1)/2))` (Hedges 1981, eq. 6e) with ν = n − 1. Errors with `TooFew`
/// below three pairs, where no unbiased factor exists.
pub fn hedges_correction(n: usize) -> Result<f64, StatsError> {
    check_count("the exact Hedges correction", 3, n)?;
    let df = (n - 1) as f64;
    Ok((lgamma(df / 2.0) - lgamma((df - 1.0) / 2.0)).exp() / (df / 2.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{cohens_dz, hedges_correction, hedges_gz};

    #[test]
    fn the_approximate_correction_is_close_to_the_exact_one() {
        for n in 6..100 {
            let differences: Vec<f64> = (0..n).map(f64::from).collect();
            let ratio = hedges_gz(&differences).unwrap() / cohens_dz(&differences).unwrap();
            let exact = hedges_correction(differences.len()).unwrap();
            assert!((ratio / exact - 1.0).abs() < 0.004, "{n}: {ratio} {exact}");
        }
    }

    #[test]
    fn three_pairs_have_a_factor_of_pi() {
        // J(2) = Γ(1)/Γ(½) = 1/√π.
        let exact = hedges_correction(3).unwrap();
        assert!((exact - std::f64::consts::PI.sqrt().recip()).abs() < 1e-14);
    }
}
