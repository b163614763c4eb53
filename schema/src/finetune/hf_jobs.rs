//! The job that `trainer: hf_jobs` starts.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest job, in seconds.
const LONGEST_S: f64 = 30.0 * 86_400.0;

/// Where a training runs at the Hugging Face Hub, and what it may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HfJobs {
    /// The model at the Hub, as `owner/name`: the same as the directory that the key `model` names, of which
    /// only configuration, tokenizer and chat template are read here.
    pub model: String,
    /// Its revision; the newest if left out. The commit that it is at the start is what is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The data set repository that the examples are uploaded to, as `owner/name`; made private if it is not
    /// there.
    pub dataset_repo: String,
    /// The machine, by its name in `shipworthy jobs flavours`; the one with the lowest estimated price for
    /// the run if left out, of those whose cards have the memory that is forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavour: Option<String>,
    /// After which the Hub stops the job, such as `90m` or `2h`; if left out, three times the estimate and
    /// half an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeLimit>,
    /// The most that the job may cost in US dollars if it takes all of its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// In whose name it runs; the token's account if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Secrets of the job beside `HF_TOKEN`: names of variables that are set where the job is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Whether the job is left once it is started; `shipworthy jobs wait` takes it up.
    #[serde(default)]
    pub detach: bool,
}

/// A time that something may take: 1 second to 30 days, written `90m`, `1.5h`, `2d` or in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit(Duration);

impl TimeLimit {
    /// Returns it.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time: write e.g. 90m, 1.5h or 2d");
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale = match &text[number.len()..] {
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let seconds = (number * scale).ceil();
        if !(1.0..=LONGEST_S).contains(&seconds) {
            return Err(format!("`{text}` is not from 1 s to 30 days"));
        }
        let time = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        Ok(Self(time))
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if seconds % 3600 == 0 => write!(f, "{}h", seconds / 3600),
            seconds if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

impl Serialize for TimeLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for TimeLimit {
    fn schema_name() -> Cow<'static, str> {
        "TimeLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time such as 90m, 1.5h or 2d; 1 s to 30 days.",
            "type": "string",
            "pattern": "^[0-9.]+[smhd]?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("90m", Some((5400, "90m")); "minutes")]
    #[test_case("1.5h", Some((5400, "90m")); "a fraction")]
    #[test_case("2h", Some((7200, "2h")); "hours")]
    #[test_case("45", Some((45, "45s")); "seconds")]
    #[test_case("0", None; "nothing")]
    #[test_case("-1h", None; "less")]
    #[test_case("1w", None; "weeks")]
    #[test_case("NaN", None; "no number")]
    #[test_case("40d", None; "too long")]
    fn times_are_read_and_written(text: &str, expected: Option<(u64, &str)>) {
        let read = text.parse::<TimeLimit>().ok();
        let read = read.map(|time| (time.duration().as_secs(), time.to_string()));
        let expected = expected.map(|(seconds, text)| (seconds, text.to_owned()));
        assert_eq!(read, expected);
    }
}
