use std::f64::consts::PI;

use crate::StatsError;
use crate::error::{check_count, check_open_unit};
use crate::normal;
use crate::root::find_root;

/// Scores further out than this have no weight in double precision.
const FAR: f64 = 9.0;

/// Smallest share of the information at which a first look makes sense.
const MIN_INFORMATION: f64 = 0.01;

/// One planned look at the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Share of all information at this look, τ = n/N.
    pub information: f64,
    /// Boundary of |Z|.
    pub z: f64,
    /// Two-sided p at the boundary; stop if the t-test's p is below it.
    pub nominal_p: f64,
    /// Two-sided alpha spent up to and with this look.
    pub spent: f64,
}

/// Returns the share of a one-sided alpha spent when a share `information` of the data is in.
///
/// `2 − 2Φ(z_{α/2}/√τ)` (Lan & `DeMets` 1983), which spends almost nothing early, like the boundaries
/// of O'Brien & Fleming 1979. Errors with `OutOfRange` for alpha and unless 0 < τ ≤ 1.
pub fn obrien_fleming_spending(alpha_one_sided: f64, information: f64) -> Result<f64, StatsError> {
    check_open_unit("alpha", alpha_one_sided)?;
    if !(information > 0.0 && information <= 1.0) {
        return Err(StatsError::OutOfRange {
            parameter: "share of the information",
            value: information,
            expected: "more than 0 and at most 1",
        });
    }
    let z = normal::upper_quantile(alpha_one_sided / 2.0);
    Ok(2.0 * normal::upper_tail(z / information.sqrt()))
}

/// Returns the boundaries of a two-sided group-sequential test with O'Brien–Fleming-type spending.
///
/// `information`: shares of all pairs at each look, ascending, e.g. `[1/3, 2/3, 1]`. `alpha`:
/// two-sided; each side spends half of it by [`obrien_fleming_spending`]. Boundaries come from
/// recursive integration of the score's density between the boundaries (Armitage, `McPherson` &
/// Rowe 1969; Jennison & Turnbull 2000, 19.2). They are exact for normal scores of known variance;
/// comparing the t-test's p with `nominal_p` carries them over to small samples, where the level is
/// kept to about 0.003 (see the simulation in docs/statistics.md). Looks must be fixed beforehand.
///
/// Errors with `TooFew` without a look, `OutOfRange` unless the shares ascend within 0.01 to 1.
pub fn group_sequential_boundaries(
    information: &[f64],
    alpha: f64,
) -> Result<Vec<Look>, StatsError> {
    check_open_unit("alpha", alpha)?;
    check_count("a group-sequential test", 1, information.len())?;
    let mut previous = 0.0;
    for &value in information {
        if !(value > previous && (MIN_INFORMATION..=1.0).contains(&value)) {
            let expected = "0.01 to 1 and more than at the look before";
            let parameter = "share of the information";
            return Err(StatsError::OutOfRange {
                parameter,
                value,
                expected,
            });
        }
        previous = value;
    }
    let mut looks: Vec<Look> = Vec::with_capacity(information.len());
    let mut state = State::start();
    let mut spent = 0.0;
    for (index, &share) in information.iter().enumerate() {
        let total = obrien_fleming_spending(alpha / 2.0, share)?;
        let step = share - looks.last().map_or(0.0, |look| look.information);
        let crossing = |score: f64| state.upper_crossing(score, step);
        let highest = 40.0 * share.sqrt();
        let score = find_root(0.0, highest, |score| crossing(score) - (total - spent));
        let score = score.ok_or(StatsError::Undefined {
            what: "the boundary of a look",
            reason: "the looks lie so close together that it has no alpha to spend",
        })?;
        spent = total;
        let z = score / share.sqrt();
        looks.push(Look {
            information: share,
            z,
            nominal_p: 2.0 * normal::upper_tail(z),
            spent: 2.0 * total,
        });
        if let Some(next) = information.get(index + 1) {
            state = state.advance(score, step, share, next - share);
        }
    }
    Ok(looks)
}

/// Returns the chance of ending above the last boundary, given the data so far.
///
/// `z`: score statistic now, at the share `information` < 1. `drift`: expected z at the end under
/// the effect planned for, `effect/(s_d/√N)` with all N pairs. `final_z`: last boundary.
/// `Φ((z√τ + drift·(1 − τ) − final_z)/√(1 − τ))` (Jennison & Turnbull 2000, 10.2), a normal approximation.
/// Futility at a chance below 0.1 is non-binding: it spends no alpha. Errors with `OutOfRange`.
pub fn conditional_power(
    z: f64,
    information: f64,
    drift: f64,
    final_z: f64,
) -> Result<f64, StatsError> {
    check_open_unit("share of the information", information)?;
    for (parameter, value) in [("z", z), ("drift", drift), ("final z", final_z)] {
        if !value.is_finite() {
            let expected = "a finite number";
            return Err(StatsError::OutOfRange {
                parameter,
                value,
                expected,
            });
        }
    }
    let left = 1.0 - information;
    Ok(normal::cdf(
        (z * information.sqrt() + drift * left - final_z) / left.sqrt(),
    ))
}

/// Density of the score process, at τ and not stopped before, on a grid of nodes.
///
/// The score is Brownian motion: it gains a normal increment whose variance is the information.
struct State {
    scores: Vec<f64>,
    /// Density times quadrature weight at each node.
    masses: Vec<f64>,
}

impl State {
    fn start() -> Self {
        Self {
            scores: vec![0.0],
            masses: vec![1.0],
        }
    }

    /// P(not stopped before, and the score after `step` more information is above `score`).
    fn upper_crossing(&self, score: f64, step: f64) -> f64 {
        let scale = step.sqrt();
        self.nodes()
            .map(|(from, mass)| mass * normal::upper_tail((score - from) / scale))
            .sum()
    }

    /// Moves on by `step` to `information` and keeps what lies within ±`boundary`.
    ///
    /// The nodes are close enough for this step's density and for the next step's.
    fn advance(&self, boundary: f64, step: f64, information: f64, next_step: f64) -> Self {
        let half_width = boundary.min(FAR * information.sqrt());
        let (scores, weights) = quadrature(half_width, step.min(next_step).sqrt());
        let scale = (2.0 * PI * step).sqrt();
        let density = |to: f64| -> f64 {
            self.nodes()
                .map(|(from, mass)| mass * (-(to - from).powi(2) / (2.0 * step)).exp())
                .sum()
        };
        let masses = scores
            .iter()
            .zip(weights)
            .map(|(to, weight)| weight * density(*to) / scale);
        Self {
            masses: masses.collect(),
            scores,
        }
    }

    fn nodes(&self) -> impl Iterator<Item = (f64, f64)> {
        self.scores.iter().copied().zip(self.masses.iter().copied())
    }
}

/// Nodes and weights of composite Gauss–Legendre quadrature over ±`half_width`.
///
/// Panels are half as wide as `scale`, the standard deviation of the kernels integrated.
fn quadrature(half_width: f64, scale: f64) -> (Vec<f64>, Vec<f64>) {
    /// Positive nodes and weights on −1 to 1 (Abramowitz & Stegun, table 25.4, n = 8).
    const RULE: [(f64, f64); 4] = [
        (0.183_434_642_495_649_8, 0.362_683_783_378_362),
        (0.525_532_409_916_329, 0.313_706_645_877_887_3),
        (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
        (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
    ];
    let n_panels = (4.0 * half_width / scale).ceil().clamp(8.0, 400.0);
    let half_panel = half_width / n_panels;
    let (mut nodes, mut weights) = (Vec::new(), Vec::new());
    let mut middle = -half_width + half_panel;
    while middle < half_width {
        for (node, weight) in RULE {
            nodes.extend([middle - half_panel * node, middle + half_panel * node]);
            weights.extend([half_panel * weight; 2]);
        }
        middle += 2.0 * half_panel;
    }
    (nodes, weights)
}

#[cfg(test)]
mod tests {
    use super::{conditional_power, group_sequential_boundaries};
    use crate::StatsError;

    fn boundaries(information: &[f64]) -> Vec<f64> {
        let looks = group_sequential_boundaries(information, 0.05).unwrap();
        looks.iter().map(|look| look.z).collect()
    }

    #[test]
    fn boundaries_are_the_published_ones() {
        for (found, expected) in boundaries(&[0.5, 1.0]).iter().zip([2.963, 1.969]) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        let three = boundaries(&[1.0 / 3.0, 2.0 / 3.0, 1.0]);
        for (found, expected) in three.iter().zip([3.710, 2.511, 1.993]) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        let looks = group_sequential_boundaries(&[1.0 / 3.0, 2.0 / 3.0, 1.0], 0.05).unwrap();
        for (look, p) in looks.iter().zip([0.00021, 0.01203, 0.04626]) {
            assert!((look.nominal_p - p).abs() < 1e-5, "{look:?}");
        }
    }

    #[test]
    fn a_single_look_is_the_fixed_test() {
        let look = group_sequential_boundaries(&[1.0], 0.05).unwrap()[0];
        assert!((look.z - 1.959_963_984_540_054).abs() < 1e-12);
        assert!((look.spent - 0.05).abs() < 1e-15);
    }

    #[test]
    fn many_looks_still_spend_all_of_alpha() {
        let fifteen: Vec<f64> = (1..=15).map(|k| f64::from(k) / 15.0).collect();
        let looks = group_sequential_boundaries(&fifteen, 0.05).unwrap();
        assert!(looks.windows(2).all(|pair| pair[0].z > pair[1].z));
        assert!((looks[14].spent - 0.05).abs() < 1e-14);
        // A last look that is hardly later than the one before still has a boundary.
        assert!(group_sequential_boundaries(&[0.5, 0.99, 1.0], 0.05).is_ok());
    }

    #[test]
    fn looks_that_do_not_ascend_are_errors() {
        for shares in [&[0.5, 0.5][..], &[0.0, 1.0], &[0.5, 1.1], &[f64::NAN]] {
            let error = group_sequential_boundaries(shares, 0.05);
            assert!(
                matches!(error, Err(StatsError::OutOfRange { .. })),
                "{shares:?}"
            );
        }
        assert!(matches!(
            group_sequential_boundaries(&[], 0.05),
            Err(StatsError::TooFew { .. })
        ));
    }

    #[test]
    fn conditional_power_starts_from_what_was_seen() {
        let hopeless = conditional_power(-1.0, 2.0 / 3.0, 2.8, 1.993).unwrap();
        let promising = conditional_power(2.0, 2.0 / 3.0, 2.8, 1.993).unwrap();
        assert!(hopeless < 0.01 && promising > 0.7, "{hopeless} {promising}");
        assert!(conditional_power(f64::NAN, 0.5, 0.0, 2.0).is_err());
    }
}
