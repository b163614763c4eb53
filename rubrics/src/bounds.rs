use std::fmt;

use serde::Deserialize;

/// A share in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

impl Share {
    /// Returns the share as a number in [0, 1].
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not between 0 and 1"))
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of words, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct WordCount(u32);

impl WordCount {
    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for WordCount {
    type Error = String;

    fn try_from(value: u32) -> Result<Self, String> {
        if value == 0 {
            Err("0 words is no bound; use at least 1".to_owned())
        } else {
            Ok(Self(value))
        }
    }
}

/// An interval with at least one end; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Ends")]
pub struct Bounds {
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    min: Option<f64>,
    max: Option<f64>,
}

impl Bounds {
    pub(crate) fn at_least(min: WordCount) -> Self {
        Self {
            min: Some(f64::from(min.get())),
            max: None,
        }
    }

    pub(crate) fn at_most(max: WordCount) -> Self {
        Self {
            min: None,
            max: Some(f64::from(max.get())),
        }
    }

    /// Tells whether `value` lies within.
    pub fn contains(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

impl TryFrom<Ends> for Bounds {
    type Error = String;

    fn try_from(Ends { min, max }: Ends) -> Result<Self, String> {
        let ends = [min, max];
        if let Some(end) = ends
            .into_iter()
            .flatten()
            .find(|end| !end.is_finite() || *end < 0.0)
        {
            return Err(format!("{end} is not a number from 0 up"));
        }
        match (min, max) {
            (None, None) => Err("give `min`, `max` or both".to_owned()),
            (Some(min), Some(max)) if min > max => Err(format!("`min` {min} is above `max` {max}")),
            _ => Ok(Self { min, max }),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("any"),
        }
    }
}

/// [`Bounds`] on a share: both ends are in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Bounds")]
pub struct ShareBounds(Bounds);

impl ShareBounds {
    /// Returns the bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.0
    }
}

impl TryFrom<Bounds> for ShareBounds {
    type Error = String;

    fn try_from(bounds: Bounds) -> Result<Self, String> {
        let ends = [bounds.min, bounds.max];
        match ends.into_iter().flatten().find(|end| *end > 1.0) {
            Some(end) => Err(format!("{end} is not a share between 0 and 1")),
            None => Ok(Self(bounds)),
        }
    }
}
