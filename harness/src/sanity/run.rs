use std::ops::ControlFlow;

use super::error::SanityError;
use super::outcome::SanityReport;
use super::request::SanityRequest;
use super::{template, training_curves};

/// How far the checks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanityProgress {
    /// What is being done, as a phrase.
    pub what: String,
    /// How much of it is done.
    pub done: u64,
    /// How much there is; 0 where that is not known.
    pub total: u64,
}

/// Makes all checks that the request has something for.
///
/// `progress` is told what goes on, and ends everything with `Interrupted` if it breaks. Errors where
/// what was asked for cannot be read or does not fit together; what a check finds wrong is an outcome.
pub fn check(
    request: &SanityRequest,
    progress: &mut dyn FnMut(&SanityProgress) -> ControlFlow<()>,
) -> Result<SanityReport, SanityError> {
    let mut step = |what: &str| {
        let told = SanityProgress {
            what: what.to_owned(),
            done: 0,
            total: 0,
        };
        match progress(&told) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(SanityError::Interrupted),
        }
    };
    let mut checks = Vec::new();
    step("reading the records of training")?;
    checks.push(training_curves::check(request)?);
    step("comparing chat templates")?;
    checks.extend(template::check(request)?);
    Ok(SanityReport::new(
        request.base.display().to_string(),
        request.measured().map(|path| path.display().to_string()),
        checks,
    ))
}
