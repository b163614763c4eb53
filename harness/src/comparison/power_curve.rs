//! How likely a run of this size and spread finds each true gain.

use shipworthy_schema::{Gate, PowerPoint};
use shipworthy_stats::{PairedT, PowerTarget, Sides, minimal_detectable_effect, paired_t_power};

/// Steps from no gain to the largest one shown.
const STEPS: u32 = 24;

/// Power of the largest gain shown.
const CERTAIN: f64 = 0.99;

/// Returns the power of the test at the observed spread and the gate's alpha, for true gains from 0 to
/// beyond the least gain, the observed one and the one that is found almost surely.
///
/// Empty where no gain of practical size is found.
pub(super) fn power_curve(test: &PairedT, gate: &Gate) -> Vec<PowerPoint> {
    let target = PowerTarget {
        alpha: gate.alpha,
        power: CERTAIN,
        sides: Sides::Two,
    };
    let Ok(certain) = minimal_detectable_effect(test.sd, test.n, &target) else {
        return Vec::new();
    };
    let highest = certain.max(gate.min_gain * 1.1).max(test.mean * 1.1);
    let point = |step: u32| {
        let gain = highest * f64::from(step) / f64::from(STEPS);
        let power = paired_t_power(gain / test.sd, test.n, gate.alpha, Sides::Two).ok()?;
        Some(PowerPoint { gain, power })
    };
    (0..=STEPS).filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::power_curve;
    use shipworthy_schema::Gate;
    use shipworthy_stats::paired_t;

    #[test]
    fn power_rises_from_alpha_to_certainty() {
        let gate = Gate::default();
        let test = paired_t(&[0.1, 0.2, 0.3, 0.15, 0.12, 0.2], 0.95).unwrap();
        let curve = power_curve(&test, &gate);
        assert_eq!(curve[0].gain, 0.0);
        assert!((curve[0].power - gate.alpha).abs() < 1e-9);
        assert!(curve.is_sorted_by(|a, b| a.gain < b.gain && a.power <= b.power));
        let last = curve.last().unwrap();
        assert!(last.power >= 0.99 - 1e-6 && last.gain > test.mean);
    }
}
