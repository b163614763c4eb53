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

/// Reads a finite number from 0 up.
pub fn at_least_zero<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| x >= 0.0 && x.is_finite(), "0 or above")
}

/// Reads a finite number from 0 up, where there is one.
pub fn at_least_zero_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    read_or_none(d, |x| x >= 0.0 && x.is_finite(), "0 or above")
}

/// Reads a finite number above 0, where there is one.
pub fn positive_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    read_or_none(d, |x| x > 0.0 && x.is_finite(), "above 0")
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
    check(f64::deserialize(deserializer)?, fits, range)
}

fn read_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
    fits: impl Fn(f64) -> bool,
    range: &str,
) -> Result<Option<f64>, D::Error> {
    let x = Option::<f64>::deserialize(deserializer)?;
    x.map(|x| check(x, fits, range)).transpose()
}

fn check<E: Error>(x: f64, fits: impl Fn(f64) -> bool, range: &str) -> Result<f64, E> {
    if fits(x) {
        Ok(x)
    } else {
        Err(E::custom(format!("must be {range}, got {x}")))
    }
}
