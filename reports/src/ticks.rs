//! Where an axis is labelled.

/// An axis from `low` to `high` with labelled values between them.
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// Returns an axis that covers `low` to `high`, both finite, with about `count` labels at multiples
    /// of 1, 2 or 5 times a power of ten; `widen`: its ends are labelled too, beyond the data if need be.
    pub(crate) fn new(low: f64, high: f64, count: f64, widen: bool) -> Self {
        let (low, high) = if high - low > f64::EPSILON * high.abs().max(low.abs()) {
            (low, high)
        } else {
            // One value gets room on both sides.
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low - room, low + room)
        };
        let step = step((high - low) / count);
        let (first, last) = if widen {
            ((low / step).floor(), (high / step).ceil())
        } else {
            ((low / step).ceil(), (high / step).floor())
        };
        let mut ticks = Vec::new();
        let mut idx = first;
        // The second bound ends the loop where values are so large that adding 1 changes nothing.
        while idx <= last && ticks.len() < 32 {
            ticks.push(idx * step);
            idx += 1.0;
        }
        let (low, high) = if widen {
            (first * step, last * step)
        } else {
            (low, high)
        };
        Self { low, high, ticks }
    }

    /// Returns where `value` lies, 0 at the low end and 1 at the high.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Returns the least of 1, 2 and 5 times a power of ten that is at least `rough`.
fn step(rough: f64) -> f64 {
    if rough <= 0.0 || !rough.is_normal() {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let mantissas = [1.0, 2.0, 5.0, 10.0];
    let fits = mantissas
        .iter()
        .find(|&m| m * power >= rough * (1.0 - 1e-9));
    fits.unwrap_or(&10.0) * power
}

#[cfg(test)]
mod tests {
    use super::Axis;

    fn labels(low: f64, high: f64, widen: bool) -> Vec<f64> {
        let axis = Axis::new(low, high, 5.0, widen);
        axis.ticks.iter().map(|t| (t * 1e9).round() / 1e9).collect()
    }

    #[test]
    fn labels_are_round_numbers() {
        assert_eq!(labels(0.83, 2.71, true), [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(labels(1.0, 486.0, false), [100.0, 200.0, 300.0, 400.0]);
        let rates = [0.0, 5e-5, 1e-4, 1.5e-4, 2e-4];
        assert_eq!(labels(0.0, 2e-4, true), rates);
        assert!(labels(3.0, 3.0, true).len() > 2);
        assert!(labels(0.0, 0.0, true).len() > 2);
        assert!(labels(-1e308, 1e308, true).len() <= 32);
        assert!(labels(1e300, 1e300 + 1e290, true).len() <= 32);
    }
}
