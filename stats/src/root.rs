/// Finds where a function that changes sign between `low` and `high` is 0.
///
/// The Illinois variant of regula falsi with a bisection every third step; it ends when the bracket
/// is a few units of rounding wide. Returns `None` if the ends have the same sign.
pub(crate) fn find_root(low: f64, high: f64, function: impl Fn(f64) -> f64) -> Option<f64> {
    let (mut a, mut b) = (low, high);
    let (mut at_a, mut at_b) = (function(a), function(b));
    if at_a == 0.0 {
        return Some(a);
    }
    if at_b == 0.0 {
        return Some(b);
    }
    if at_a.is_nan() || at_b.is_nan() || at_a.signum() == at_b.signum() {
        return None;
    }
    for step in 0..300 {
        if (b - a).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs()) {
            break;
        }
        let secant = b - at_b * (b - a) / (at_b - at_a);
        let inside = secant > a.min(b) && secant < a.max(b);
        let next = if step % 3 == 2 || !inside {
            a.midpoint(b)
        } else {
            secant
        };
        let at_next = function(next);
        if at_next == 0.0 {
            return Some(next);
        }
        if at_next.signum() == at_b.signum() {
            at_a *= 0.5;
        } else {
            (a, at_a) = (b, at_b);
        }
        (b, at_b) = (next, at_next);
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::find_root;

    #[test]
    fn roots_are_found_to_the_last_bits() {
        let root = find_root(0.0, 10.0, |x| x.powi(3) - 2.0).unwrap();
        assert!((root - 2.0_f64.cbrt()).abs() < 1e-15);
        let steep = find_root(-50.0, 50.0, |x| (x - 1.0).exp() - 1e-9).unwrap();
        assert!((steep - (1.0 + 1e-9_f64.ln())).abs() < 1e-12);
        assert_eq!(find_root(1.0, 2.0, |x| x), None);
    }
}
