use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipworthy_schema::finetune::Method;
use shipworthy_schema::yaml::Spanned;
use shipworthy_schema::{CandidateSanity, CandidateState, CandidateStep, Digest};

use super::conversion::digest_of;
use super::error::{LoopError, Setback};
use super::making::Making;
use super::training::Trained;
use crate::config::Quantisation;
use crate::run_directory::{WriteError, write_file};
use crate::sanity::{
    self, CheckOutcome, Figures, SanityCheck, SanityError, SanityReport, SanityRequest,
    SanityStatus,
};

const STEP: CandidateStep = CandidateStep::Sanity;

/// The checks' report in a candidate's directory.
const REPORT: &str = "sanity.json";

impl Making<'_> {
    /// Checks what was trained and converted before anybody talks with it, unless the store has what that
    /// came to.
    ///
    /// The candidate's held-out conversations are its `eval_dataset`. A check that fails is the end of the
    /// candidate; what was warned of is told with it.
    pub fn check(
        &self,
        trained: &Trained,
        gguf: &Digest,
        to: Quantisation,
    ) -> Result<CandidateSanity, Setback> {
        let request = self.sanity_request(to);
        let mut parts = vec![trained.weights.clone(), gguf.clone()];
        for file in request.data.iter().chain(&request.tasks) {
            parts.push(digest_of(file)?);
        }
        let version = Digest::of(env!("CARGO_PKG_VERSION").as_bytes());
        parts.push(version);
        let key = Digest::of_parts(parts.iter().map(|part| part.as_str().as_bytes()));
        let (store, candidate) = (&self.project.store, &self.recipe.key);
        let stored: Option<Stored> = store.step(candidate, STEP, &key)?;
        let found = match stored {
            Some(Stored(found)) if !(found.failed.is_some() && self.is_retried()) => found,
            _ => {
                let found = self.check_now(&request)?;
                store.put_step(candidate, STEP, &key, &Stored(found.clone()))?;
                found
            }
        };
        match found.failed {
            Some(error) if found.diverged => {
                Err(Setback::OfCandidate(CandidateState::Diverged { error }))
            }
            Some(error) => Err(Setback::OfCandidate(CandidateState::Failed {
                step: STEP,
                error,
            })),
            None => Ok(found),
        }
    }

    fn sanity_request(&self, to: Quantisation) -> SanityRequest {
        let opened = &self.recipe.config.opened;
        let trained = self.trained_directory();
        let (candidate, adapter) = match opened.method {
            Method::Full => (Some(trained.clone()), None),
            Method::Lora | Method::Qlora => (None, Some(trained.clone())),
        };
        SanityRequest {
            base: opened.model.clone(),
            candidate,
            adapter,
            gguf: vec![self.project.directory().join(self.gguf(to))],
            load_in_4bit: opened.method == Method::Qlora,
            data: opened.eval_dataset.clone(),
            tasks: self.tasks(),
            training_run: Some(trained),
            ..SanityRequest::default()
        }
    }

    fn tasks(&self) -> Vec<PathBuf> {
        let wanted = self.project.config.candidates.as_ref();
        let tasks = wanted.map_or(&[][..], |wanted| &wanted.value.tasks);
        let directory = self.project.directory();
        let path = |task: &Spanned<PathBuf>| directory.join(&task.value);
        tasks.iter().map(path).collect()
    }

    fn check_now(&self, request: &SanityRequest) -> Result<CandidateSanity, Setback> {
        self.check_begin()?;
        self.check_halt()?;
        self.begun(STEP);
        let mut go_on = |_: &_| match self.project.halt.reason() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        };
        let report = match sanity::check(request, &mut go_on) {
            Ok(report) => report,
            Err(SanityError::Interrupted) => return Err(LoopError::Interrupted.into()),
            Err(error) => {
                return Err(Setback::OfCandidate(CandidateState::Failed {
                    step: STEP,
                    error: error.to_string(),
                }));
            }
        };
        let directory = self.directory();
        let json = serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n";
        write_file(&directory.join(REPORT), &json)
            .map_err(|error: WriteError| LoopError::from(error))?;
        Ok(in_short(&report))
    }
}

/// Returns what all checks came to, in short.
fn in_short(report: &SanityReport) -> CandidateSanity {
    let of = |status| {
        let checks = report.checks.iter();
        checks.filter(move |check| check.status == status)
    };
    let is_of_training = |outcome: &&CheckOutcome| outcome.check == SanityCheck::TrainingCurves;
    let divergence = of(SanityStatus::Failed).find(is_of_training);
    let failed = if let Some(divergence) = divergence {
        // Whatever else is wrong follows from that.
        Some(divergence_text(divergence, of(SanityStatus::Failed)))
    } else {
        let failed: Vec<String> = of(SanityStatus::Failed).map(words).collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    };
    CandidateSanity {
        passed: of(SanityStatus::Passed).count(),
        // What training itself warned of is told with it already.
        warned: of(SanityStatus::Warned)
            .filter(|outcome| !is_of_training(outcome))
            .map(words)
            .collect(),
        failed,
        diverged: divergence.is_some(),
    }
}

/// Says how training diverged, and names the other checks that failed.
fn divergence_text<'a>(
    divergence: &CheckOutcome,
    failed: impl Iterator<Item = &'a CheckOutcome>,
) -> String {
    let text = match &divergence.figures {
        Some(Figures::TrainingCurves(curves)) => match (curves.first_loss, curves.last_loss) {
            (Some(first), Some(last)) if last > first => format!(
                "the loss was {first:.3} at first and {last:.3} in the end; lower the learning rate"
            ),
            _ => divergence.detail.clone(),
        },
        _ => divergence.detail.clone(),
    };
    let others: BTreeSet<SanityCheck> = failed.map(|outcome| outcome.check).collect();
    let others = others.into_iter().filter(|it| *it != divergence.check);
    let others: Vec<&str> = others.map(SanityCheck::name).collect();
    if others.is_empty() {
        text
    } else {
        format!("{text} (checks that failed with it: {})", others.join(", "))
    }
}

/// Says what a check found, without where its files are.
fn words(outcome: &CheckOutcome) -> String {
    let subject = Path::new(&outcome.subject).file_name();
    let subject = subject.map_or_else(String::new, |name| {
        format!(" of {}", name.to_string_lossy())
    });
    format!("{}{subject}: {}", outcome.check.name(), outcome.detail)
}

/// What the store keeps of the checks.
#[derive(Serialize, Deserialize)]
struct Stored(CandidateSanity);

#[cfg(test)]
mod tests {
    use crate::sanity::CurveFigures;

    use super::*;

    fn failed(check: SanityCheck, detail: &str) -> CheckOutcome {
        CheckOutcome {
            check,
            subject: "candidates/1/model-q8_0.gguf".to_owned(),
            status: SanityStatus::Failed,
            detail: detail.to_owned(),
            mend: None,
            figures: None,
        }
    }

    fn report(checks: Vec<CheckOutcome>) -> SanityReport {
        SanityReport {
            format: SanityReport::FORMAT,
            base: "base".to_owned(),
            candidate: None,
            status: SanityStatus::Failed,
            checks,
        }
    }

    #[test]
    fn a_loss_that_blew_up_is_told_before_what_follows_from_it() {
        let mut curves = failed(
            SanityCheck::TrainingCurves,
            "The loss diverged. It is above 3.00.",
        );
        curves.figures = Some(Figures::TrainingCurves(CurveFigures {
            steps: 12,
            first_loss: Some(0.226),
            last_loss: Some(92.936),
            best_eval_loss: None,
            last_eval_loss: None,
        }));
        let agreement = failed(SanityCheck::Agreement, "log likelihoods differ");
        let found = in_short(&report(vec![curves, agreement]));
        assert!(found.diverged);
        assert_eq!(
            found.failed.unwrap(),
            "the loss was 0.226 at first and 92.936 in the end; lower the learning rate (checks that \
             failed with it: agreement)"
        );
    }

    #[test]
    fn a_file_that_says_something_else_did_not_diverge() {
        let agreement = failed(SanityCheck::Agreement, "log likelihoods differ");
        let found = in_short(&report(vec![agreement]));
        assert!(!found.diverged);
        assert_eq!(
            found.failed.unwrap(),
            "agreement of model-q8_0.gguf: log likelihoods differ"
        );
    }
}
