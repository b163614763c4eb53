use std::collections::BTreeMap;

use serde::Deserialize;

/// How a criterion is graded.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Met is 1, not met is 0.
    #[default]
    Met,
    /// A level from 1 to 5, each with a description; level 1 is 0 and level 5 is 1.
    Levels(LevelTexts),
    /// Points to be had when the criterion is met; negative ones are lost.
    Points(Points),
}

/// Points of a criterion; finite and not 0.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Points(f64);

impl Points {
    /// Returns the points.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Points {
    type Error = String;

    fn try_from(points: f64) -> Result<Self, String> {
        if points.is_finite() && points != 0.0 {
            Ok(Self(points))
        } else {
            Err(format!(
                "points of {points} decide nothing; use a number above or below 0"
            ))
        }
    }
}

/// A criterion's weight; finite and above 0.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Weight(f64);

impl Weight {
    /// Returns the weight.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Weight {
    type Error = String;

    fn try_from(weight: f64) -> Result<Self, String> {
        if weight.is_finite() && weight > 0.0 {
            Ok(Self(weight))
        } else {
            Err(format!("a weight of {weight} is not above 0"))
        }
    }
}

/// What each level from 1 to 5 means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<i64, String>")]
pub struct LevelTexts([String; 5]);

impl LevelTexts {
    /// Returns the levels with their descriptions, from 1 to 5.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &str)> {
        (1..).zip(self.0.iter().map(String::as_str))
    }
}

impl TryFrom<BTreeMap<i64, String>> for LevelTexts {
    type Error = String;

    fn try_from(mut levels: BTreeMap<i64, String>) -> Result<Self, String> {
        let mut texts: [String; 5] = Default::default();
        for (level, text) in (1..).zip(texts.iter_mut()) {
            *text = levels
                .remove(&level)
                .map(|description| description.trim().to_owned())
                .filter(|description| !description.is_empty())
                .ok_or_else(|| {
                    format!("level {level} has no description; levels 1 to 5 each need one")
                })?;
        }
        match levels.keys().next() {
            Some(level) => Err(format!("level {level} is not one of 1 to 5")),
            None => Ok(Self(texts)),
        }
    }
}
