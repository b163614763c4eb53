//! Numbers on the command line, within their ranges.

/// Reads a number from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    read(text, |x| (0.0..=1.0).contains(&x), "from 0 to 1")
}

/// Reads a number above 0 and at most 1.
pub(super) fn positive_share(text: &str) -> Result<f64, String> {
    read(text, |x| x > 0.0 && x <= 1.0, "above 0 and at most 1")
}

/// Reads a number strictly between 0 and 1.
pub(super) fn level(text: &str) -> Result<f64, String> {
    read(text, |x| x > 0.0 && x < 1.0, "above 0 and below 1")
}

/// Reads a number from 0 up.
pub(super) fn at_least_zero(text: &str) -> Result<f64, String> {
    read(text, |x| x >= 0.0 && x.is_finite(), "from 0 up")
}

/// Reads a number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    read(text, |x| x > 0.0 && x.is_finite(), "above 0")
}

fn read(text: &str, fits: impl Fn(f64) -> bool, range: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if fits(x) => Ok(x),
        _ => Err(format!("expected a number {range}")),
    }
}
