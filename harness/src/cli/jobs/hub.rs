use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shipworthy_backends::Secret;
use shipworthy_backends::hub::{DEFAULT_ENDPOINT, Endpoint, Hub, HubError, Patience};
use shipworthy_backends::jobs::{SpecError, SubmitError};
use shipworthy_harness::remote_job::RemoteJobError;

use crate::cli::error::{Failure, Kind};
use crate::cli::project::environment;

/// The Hub as this environment reaches it.
pub(in crate::cli) struct HubAccess {
    pub(in crate::cli) hub: Hub,
    pub(in crate::cli) token: Option<Secret>,
}

impl HubAccess {
    /// Finds address and token where the Hub's own programs find them.
    pub(in crate::cli) fn from_environment() -> Result<Self, Failure> {
        let endpoint = environment("HF_ENDPOINT").filter(|text| !text.is_empty());
        let endpoint = Endpoint::parse(endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT))?;
        let token = token()?;
        let hub = Hub::new(endpoint, token.clone(), Patience::default())?;
        Ok(Self { hub, token })
    }

    /// Returns the values of a job's secrets, which are variables of these names here.
    pub(in crate::cli) fn secrets(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, Secret>, Failure> {
        let mut secrets = BTreeMap::new();
        for name in names {
            if name.contains('=') {
                // The name alone: what follows may be the secret.
                return Err(Failure::new(
                    Kind::Usage,
                    "`--secret` takes the name of a variable, not its value",
                )
                .hint(
                    "set the variable, then write `--secret NAME`: command lines are seen and kept",
                ));
            }
            let found = match name.as_str() {
                "HF_TOKEN" => self.token.clone(),
                name => environment(name).map(Secret::new),
            };
            let secret = found.ok_or_else(|| {
                let message = format!("secret `{name}` is not set here");
                let failure = Failure::new(Kind::Usage, message);
                match name.as_str() {
                    "HF_TOKEN" => failure.hint("set it, or log in with `hf auth login`"),
                    _ => failure,
                }
            })?;
            secrets.insert(name.clone(), secret);
        }
        Ok(secrets)
    }
}

fn token() -> Result<Option<Secret>, Failure> {
    let set = |name: &str| environment(name).filter(|text| !text.trim().is_empty());
    if let Some(token) = set("HF_TOKEN") {
        return Ok(Some(Secret::new(token.trim())));
    }
    let home = || {
        set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
            Some(cache?.join("huggingface"))
        })
    };
    let file = set("HF_TOKEN_PATH").map(PathBuf::from);
    let Some(file) = file.or_else(|| Some(home()?.join("token"))) else {
        return Ok(None);
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim())
            .filter(|text| !text.is_empty())
            .map(Secret::new)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(
            Kind::InputOutput,
            format!(
                "failed to read the Hub's token in `{}`: {error}",
                file.display()
            ),
        )),
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let kind = match &error {
            HubError::Endpoint { .. }
            | HubError::Token
            | HubError::NoToken { .. }
            | HubError::Name { .. }
            | HubError::Refused {
                status: 400..=404, ..
            } => Kind::Usage,
            HubError::File { .. } => Kind::InputOutput,
            HubError::Path { .. } => Kind::Data,
            _ => Kind::Unavailable,
        };
        let mend = error.mend();
        let failure = Self::new(kind, error);
        mend.into_iter().fold(failure, Self::hint)
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Spec(error) => {
                let kind = match error {
                    SpecError::Script { .. } => Kind::Data,
                    _ => Kind::Usage,
                };
                Self::new(kind, error)
            }
            SubmitError::Hub(error) => {
                let is_lost = matches!(error, HubError::Unreachable { .. });
                let failure = Self::from(error);
                if is_lost {
                    failure.hint("the job may have been started nevertheless: look with `shipworthy jobs list`")
                } else {
                    failure
                }
            }
        }
    }
}

impl From<RemoteJobError> for Failure {
    fn from(error: RemoteJobError) -> Self {
        match error {
            RemoteJobError::Hub(error) => error.into(),
            RemoteJobError::Submit(error) => error.into(),
            RemoteJobError::Store(error) => error.into(),
            RemoteJobError::Unwritten { ref id, .. } => {
                let hint = format!("`shipworthy jobs cancel {id}` stops it");
                Self::new(Kind::InputOutput, error).hint(hint)
            }
            RemoteJobError::PublicData { .. } => Self::new(Kind::Usage, error)
                .hint("name another one, or make it private at the Hub"),
            RemoteJobError::NoData { .. } => Self::new(Kind::Usage, error),
        }
    }
}
