//! Reading numbers within bounds, with errors that say the bounds.

use serde::de::{Deserialize, Deserializer, Error};

/// Reads a number from 0 to 2.
pub fn temperature<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| (0.0..=2.0).contains(&x), "between 0 and 2")
}

/// Reads a number from 0 to 1.
pub fn share<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| (0.0..=1.0).contains(&x), "between 0 and 1")
}

/// Reads a number above 0 and at most 1.
pub fn positive_share<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| x > 0.0 && x <= 1.0, "above 0 and at most 1")
}

/// Reads a number strictly between 0 and 1.
pub fn level<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| x > 0.0 && x < 1.0, "above 0 and below 1")
}

/// Reads a whole number from 1 up.
pub fn positive<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    let n = u32::deserialize(d)?;
    if n == 0 {
        Err(D::Error::custom("must be at least 1"))
    } else {
        Ok(n)
    }
}

pub(crate) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    fits: impl Fn(f64) -> bool,
    range: &str,
) -> Result<f64, D::Error> {
    let x = f64::deserialize(deserializer)?;
    if fits(x) {
        Ok(x)
    } else {
        Err(D::Error::custom(format!("must be {range}, got {x}")))
    }
}
