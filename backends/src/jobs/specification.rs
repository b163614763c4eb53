use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use thiserror::Error;

use crate::Secret;

/// The image that scripts run in: Python and uv; the packages bring CUDA.
pub const DEFAULT_IMAGE: &str = "ghcr.io/astral-sh/uv:python3.12-bookworm";

/// Most bytes of a script: it travels as one environment variable, of which Linux takes 128 KiB.
pub const MAX_SCRIPT: usize = 90_000;

/// Most characters of a label.
const MAX_LABEL: usize = 100;

/// The variable that the script travels in.
const SCRIPT: &str = "SHIPWORTHY_SCRIPT";

/// Writes the script to a file of its own and lets uv install what its header names and run it.
const START: &str = "file=$(mktemp -d)/train.py && printf %s \"$SHIPWORTHY_SCRIPT\" | base64 -d > \"$file\" \
                     && unset SHIPWORTHY_SCRIPT && exec uv run \"$file\" \"$@\"";

/// Says why a job cannot be described.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// The script is too long to travel with the job.
    #[error(
        "the script has {found} bytes, and at most {MAX_SCRIPT} travel with a job; put data into a repository"
    )]
    Script {
        /// Its bytes.
        found: usize,
    },
    /// A job without an end costs without an end.
    #[error("the time limit must be from 1 s to 30 days, got {found} s")]
    Timeout {
        /// The seconds.
        found: u64,
    },
    /// A variable's name is not one, or stands for two things.
    #[error("environment variable `{name}`: {detail}")]
    Variable {
        /// The name.
        name: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// An argument holds a secret, which everybody could read who may look at the job.
    #[error("{place} holds the value of the secret `{name}`; pass it as a secret alone")]
    SecretInPlain {
        /// Where.
        place: String,
        /// The secret's name.
        name: String,
    },
}

/// What a job is to do, on what, and for how long at most.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// What people call it.
    pub name: String,
    /// The image it runs in.
    pub image: String,
    /// A Python script with the packages it needs in its header (PEP 723).
    pub script: String,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// The machine it runs on.
    pub flavour: String,
    /// After which the Hub stops it; without one that would be 30 minutes.
    pub timeout: Duration,
    /// Its environment, for all to see who may look at the job.
    pub environment: BTreeMap<String, String>,
    /// What is secret of it; the Hub gives it to the job and to nobody else.
    pub secrets: BTreeMap<String, Secret>,
}

impl JobSpec {
    /// Returns what is sent to the Hub, the secrets apart, after looking whether it can work.
    pub(super) fn public(&self) -> Result<Value, SpecError> {
        self.check()?;
        let mut environment = self.environment.clone();
        let script = BASE64_STANDARD.encode(&self.script);
        environment.insert(SCRIPT.to_owned(), script);
        let start = ["sh", "-c", START, "train"].map(str::to_owned);
        let command: Vec<String> = start.into_iter().chain(self.arguments.clone()).collect();
        Ok(json!({
            "dockerImage": self.image,
            "command": command,
            "arguments": [],
            "environment": environment,
            "flavor": self.flavour,
            "timeoutSeconds": self.timeout.as_secs(),
            "labels": {"name": label(&self.name), "made-by": "shipworthy"},
        }))
    }

    /// Returns the secrets as they are sent.
    pub(super) fn secret(&self) -> Value {
        let secrets = self.secrets.iter();
        let values = secrets.map(|(name, secret)| (name.clone(), json!(secret.expose())));
        Value::Object(values.collect())
    }

    /// Looks whether it can work, before anything is sent.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.script.len() > MAX_SCRIPT {
            return Err(SpecError::Script {
                found: self.script.len(),
            });
        }
        let seconds = self.timeout.as_secs();
        if !(1..=30 * 86_400).contains(&seconds) {
            return Err(SpecError::Timeout { found: seconds });
        }
        for name in self.environment.keys().chain(self.secrets.keys()) {
            let wrong = |detail| {
                Err(SpecError::Variable {
                    name: name.clone(),
                    detail,
                })
            };
            let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_name {
                return wrong("a name has letters, digits and `_`, and begins with no digit");
            }
            if name == SCRIPT {
                return wrong("the script travels by this name");
            }
            if self.environment.contains_key(name) && self.secrets.contains_key(name) {
                return wrong("it is given as a secret and openly");
            }
        }
        let arguments = self
            .arguments
            .iter()
            .map(|text| ("an argument".to_owned(), text));
        let variables = self.environment.iter();
        let variables =
            variables.map(|(name, text)| (format!("environment variable `{name}`"), text));
        let script = std::iter::once(("the script".to_owned(), &self.script));
        for (place, text) in arguments.chain(variables).chain(script) {
            let held = self.secrets.iter().find(|(_, secret)| {
                // Shorter ones would be found by chance.
                secret.expose().len() >= 8 && text.contains(secret.expose())
            });
            if let Some((name, _)) = held {
                return Err(SpecError::SecretInPlain {
                    place,
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Returns a label that the Hub takes: letters, digits, `-` and `_`.
fn label(text: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    text.chars().take(MAX_LABEL).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> JobSpec {
        JobSpec {
            name: "letters v1.5".to_owned(),
            image: DEFAULT_IMAGE.to_owned(),
            script: "print('good day')".to_owned(),
            arguments: vec!["--fast".to_owned()],
            flavour: "l4x1".to_owned(),
            timeout: Duration::from_secs(3600),
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            secrets: BTreeMap::from([("HF_TOKEN".to_owned(), Secret::new("hf_0123456789"))]),
        }
    }

    #[test]
    fn what_all_may_see_holds_no_secret() {
        let sent = spec().public().unwrap();
        assert!(!sent.to_string().contains("hf_0123456789"));
        assert_eq!(sent["timeoutSeconds"], 3600);
        assert_eq!(sent["labels"]["name"], "letters-v1-5");
        assert_eq!(
            sent["command"].as_array().unwrap().last().unwrap(),
            "--fast"
        );
        assert_eq!(spec().secret(), json!({"HF_TOKEN": "hf_0123456789"}));
        assert!(!format!("{:?}", spec()).contains("hf_0123456789"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let with = |change: fn(&mut JobSpec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.public().unwrap_err().to_string()
        };
        let long = with(|spec| spec.script = "x".repeat(MAX_SCRIPT + 1));
        assert!(long.contains("90001 bytes"), "{long}");
        assert!(with(|spec| spec.timeout = Duration::ZERO).contains("got 0 s"));
        let name = with(|spec| drop(spec.environment.insert("1A".into(), String::new())));
        assert!(name.contains("`1A`"), "{name}");
        let twice = with(|spec| drop(spec.environment.insert("HF_TOKEN".into(), String::new())));
        assert!(twice.contains("as a secret and openly"), "{twice}");
        for plain in [
            with(|spec| spec.arguments.push("--token=hf_0123456789".into())),
            with(|spec| drop(spec.environment.insert("B".into(), "hf_0123456789".into()))),
            with(|spec| spec.script.push_str("# hf_0123456789")),
        ] {
            assert!(
                plain.contains("`HF_TOKEN`") && !plain.contains("hf_0"),
                "{plain}"
            );
        }
    }
}
