use serde::de::{Deserialize, Deserializer, Error};

use crate::range::{read, share};

/// Most passes over the data.
const MAX_EPOCHS: f64 = 100_000.0;

pub(super) fn above_zero<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| x > 0.0 && x.is_finite(), "above 0")
}

pub(super) fn not_negative<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| x >= 0.0 && x.is_finite(), "at least 0")
}

pub(super) fn below_one<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    read(d, |x| (0.0..1.0).contains(&x), "at least 0 and below 1")
}

/// Reads a whole number from `LEAST` to `MOST`.
pub(super) fn whole<'de, D: Deserializer<'de>, const LEAST: u32, const MOST: u32>(
    d: D,
) -> Result<u32, D::Error> {
    let n = u32::deserialize(d)?;
    if (LEAST..=MOST).contains(&n) {
        Ok(n)
    } else {
        Err(D::Error::custom(format!(
            "must be from {LEAST} to {MOST}, got {n}"
        )))
    }
}

pub(super) fn count<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    crate::range::positive(d)
}

pub(super) fn optional_count<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(d)? {
        Some(0) => Err(D::Error::custom("must be at least 1")),
        n => Ok(n),
    }
}

pub(super) fn optional_share<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    share(d).map(Some)
}

pub(super) fn optional_epochs<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    let fits = |x| x > 0.0 && x <= MAX_EPOCHS;
    read(d, fits, "above 0 and at most 100000").map(Some)
}
