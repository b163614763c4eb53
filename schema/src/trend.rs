use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::{Digest, ModelName};

/// A metric over the runs of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Which one.
    pub metric: TrendMetric,
    /// Runs that are comparable with each other, the series with the latest run first.
    pub series: Vec<TrendSeries>,
    /// Runs without a verdict, which are in no series; the latest first.
    pub left_out: Vec<String>,
}

/// What is followed over runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrendMetric {
    /// Mean overall score over personas.
    Score,
    /// Share of scored conversations that pass.
    PassRate,
    /// Mean difference to the baseline of the same run.
    Gain,
    /// Mean score on one criterion over personas.
    Criterion(String),
}

/// Says that a text names no metric.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no metric: expected `score`, `pass-rate`, `gain` or `criterion:ID`")]
pub struct InvalidMetric(String);

impl std::str::FromStr for TrendMetric {
    type Err = InvalidMetric;

    fn from_str(text: &str) -> Result<Self, InvalidMetric> {
        match text {
            "score" => Ok(Self::Score),
            "pass-rate" => Ok(Self::PassRate),
            "gain" => Ok(Self::Gain),
            text => match text.strip_prefix("criterion:") {
                Some(id) if !id.is_empty() => Ok(Self::Criterion(id.to_owned())),
                _ => Err(InvalidMetric(text.to_owned())),
            },
        }
    }
}

impl std::fmt::Display for TrendMetric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Score => f.write_str("score"),
            Self::PassRate => f.write_str("pass-rate"),
            Self::Gain => f.write_str("gain"),
            Self::Criterion(id) => write!(f, "criterion:{id}"),
        }
    }
}

impl Serialize for TrendMetric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Runs in which the same people were asked and scored in the same way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendSeries {
    /// Digest of all that must be the same.
    pub conditions: Digest,
    /// These runs, the earliest first.
    pub runs: Vec<String>,
    /// One entry per model of these runs, in name order.
    pub models: Vec<ModelTrend>,
}

impl TrendSeries {
    /// Adds a value of a model behind those it has.
    pub fn add(&mut self, model: ModelName, point: TrendPoint) {
        match self.models.iter_mut().find(|own| own.model == model) {
            Some(own) => own.points.push(point),
            None => self.models.push(ModelTrend {
                model,
                points: vec![point],
            }),
        }
    }
}

/// One model's values; what stands behind its name may change from run to run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelTrend {
    /// The model.
    pub model: ModelName,
    /// One entry per run that has the model, the earliest first.
    pub points: Vec<TrendPoint>,
}

/// One model's value in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendPoint {
    /// The run.
    pub run: String,
    /// When it was begun, UTC.
    pub created_at: String,
    /// Digest of what the model is.
    pub identity: Digest,
    /// The value; `None` without a score.
    pub value: Option<f64>,
    /// 95 % interval of a gain; `None` of anything else, and where there is no test.
    pub ci95: Option<[f64; 2]>,
}

#[cfg(test)]
mod tests {
    use super::TrendMetric;

    #[test]
    fn metrics_are_written_as_they_are_read() {
        for text in ["score", "pass-rate", "gain", "criterion:empathy"] {
            let metric: TrendMetric = text.parse().unwrap();
            assert_eq!(metric.to_string(), text);
        }
        for text in ["", "mean", "criterion:", "empathy"] {
            let error = text.parse::<TrendMetric>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
