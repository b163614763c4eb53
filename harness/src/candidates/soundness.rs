use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shipworthy_schema::finetune::Method;
use shipworthy_schema::{CandidateSanity, CandidateState, CandidateStep, Digest};

use super::conversion::digest_of;
use super::error::{LoopError, Setback};
use super::making::Making;
use super::training::Trained;
use crate::config::Quantisation;
use crate::run_directory::{WriteError, write_file};
use crate::sanity::{self, CheckOutcome, SanityCheck, SanityError, SanityRequest, SanityStatus};

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
        tasks.iter().map(|task| directory.join(task)).collect()
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
        let of = |status| {
            let checks = report.checks.iter();
            checks.filter(move |check| check.status == status)
        };
        let failed: Vec<String> = of(SanityStatus::Failed).map(words).collect();
        Ok(CandidateSanity {
            passed: of(SanityStatus::Passed).count(),
            // What training itself warned of is told with it already.
            warned: of(SanityStatus::Warned)
                .filter(|outcome| outcome.check != SanityCheck::TrainingCurves)
                .map(words)
                .collect(),
            failed: (!failed.is_empty()).then(|| failed.join("; ")),
        })
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
