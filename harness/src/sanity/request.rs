use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::SanityError;

/// What to check, and with what; also what `check.yaml` says.
///
/// The candidate may exist in several forms: an adapter on top of the base, a merged checkpoint, GGUF
/// files. They should agree with each other; the one that is measured against the base is
/// [`SanityRequest::measured`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SanityRequest {
    /// The base: a directory with config.json, safetensors and tokenizer, or a GGUF file.
    pub base: PathBuf,
    /// The candidate as a merged checkpoint's directory, or the GGUF file that is to ship.
    pub candidate: Option<PathBuf>,
    /// The candidate as an adapter on top of the base, as PEFT saves it.
    pub adapter: Option<PathBuf>,
    /// The candidate as GGUF files, the one that is to ship first.
    pub gguf: Vec<PathBuf>,
    /// Where tokenizer and chat template are, if not with the base or the candidate.
    pub tokenizer: Option<PathBuf>,
    /// Compute the base below the adapter in NF4 (double quantisation), as `QLoRA` trains on it.
    pub load_in_4bit: bool,
    /// Held-out conversations, JSON Lines with `messages`; or plain text, `.txt`.
    pub data: Option<PathBuf>,
    /// Task files: JSON Lines of ours, or YAML as lm-eval reads it.
    pub tasks: Vec<PathBuf>,
    /// The output directory of the training run.
    pub training_run: Option<PathBuf>,
    /// Keep every question of the tasks with both arms' answers.
    pub answers: bool,
    /// Bounds that the checks judge by.
    pub limits: SanityLimits,
}

/// Bounds that the checks judge by; fixed before anything is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SanityLimits {
    /// How much of a task's accuracy may be lost, as a share of all items: 0.05 is 5 items of 100,
    /// whatever the base gets right.
    pub max_accuracy_drop: f64,
    /// How much the perplexity of held-out data may rise, as a share of the base's: 0.05 is from 10 to
    /// 10.5.
    pub max_perplexity_rise: f64,
    /// The error that tests and one-sided bounds allow.
    pub alpha: f64,
    /// Conversations that replies, adapters and agreement are looked at with.
    pub prompts: usize,
    /// Tokens within which a reply should end by itself.
    pub reply_tokens: usize,
    /// Tokens of a window of plain text, the second half of which is foretold.
    pub text_window: usize,
}

impl Default for SanityLimits {
    fn default() -> Self {
        Self {
            max_accuracy_drop: 0.05,
            max_perplexity_rise: 0.05,
            alpha: 0.05,
            prompts: 8,
            reply_tokens: 128,
            text_window: 512,
        }
    }
}

impl SanityLimits {
    /// Errors with the first bound that cannot be one.
    pub(super) fn check(&self) -> Result<(), SanityError> {
        let shares = [
            ("max_accuracy_drop", self.max_accuracy_drop, 1.0),
            (
                "max_perplexity_rise",
                self.max_perplexity_rise,
                f64::INFINITY,
            ),
            ("alpha", self.alpha, 0.5),
        ];
        let is_wrong = |(_, value, most): &&(&str, f64, f64)| !(*value > 0.0 && value < most);
        match shares.iter().find(is_wrong) {
            Some((name, value, most)) => Err(SanityError::Request {
                detail: format!(
                    "field `limits.{name}`: expected a number above 0 and below {most}, got {value}"
                ),
            }),
            None => Ok(()),
        }
    }
}

/// One form that a candidate exists in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// An adapter on top of the base.
    Adapter(&'a Path),
    /// A checkpoint's directory.
    Checkpoint(&'a Path),
    /// A GGUF file.
    Gguf(&'a Path),
}

impl<'a> Form<'a> {
    fn of(path: &'a Path) -> Self {
        if path.is_file() {
            Self::Gguf(path)
        } else {
            Self::Checkpoint(path)
        }
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &'a Path {
        match self {
            Self::Adapter(path) | Self::Checkpoint(path) | Self::Gguf(path) => path,
        }
    }

    /// Returns what it is called in reports.
    pub(super) fn name(&self) -> String {
        self.path().display().to_string()
    }
}

impl SanityRequest {
    /// Returns the base's form.
    pub(super) fn base_form(&self) -> Form<'_> {
        Form::of(&self.base)
    }

    /// Returns all forms of the candidate, what comes out of training first.
    pub(super) fn forms(&self) -> Vec<Form<'_>> {
        let adapter = self.adapter.as_deref().map(Form::Adapter);
        let candidate = self.candidate.as_deref().map(Form::of);
        let files = self.gguf.iter().map(|path| Form::Gguf(path));
        let mut forms: Vec<Form<'_>> = adapter.into_iter().chain(candidate).chain(files).collect();
        let mut seen = Vec::new();
        forms.retain(|form| {
            let is_new = !seen.contains(&form.path());
            seen.push(form.path());
            is_new
        });
        forms
    }

    /// Returns what is measured as the candidate: `candidate`, else the first GGUF file, else the
    /// adapter on top of the base; `None` where the request names none of them.
    pub fn measured(&self) -> Option<&Path> {
        self.measured_form().map(|form| form.path())
    }

    pub(super) fn measured_form(&self) -> Option<Form<'_>> {
        let candidate = self.candidate.as_deref().map(Form::of);
        let file = self.gguf.first().map(|path| Form::Gguf(path));
        let adapter = self.adapter.as_deref().map(Form::Adapter);
        candidate.or(file).or(adapter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_what_is_measured() {
        let mut request = SanityRequest {
            base: "base".into(),
            adapter: Some("adapter".into()),
            ..SanityRequest::default()
        };
        assert_eq!(request.measured(), Some(Path::new("adapter")));
        request.gguf = vec!["q8.gguf".into(), "f16.gguf".into()];
        assert_eq!(request.measured(), Some(Path::new("q8.gguf")));
        request.candidate = Some("merged".into());
        assert_eq!(request.measured(), Some(Path::new("merged")));
        let names: Vec<String> = request.forms().iter().map(Form::name).collect();
        assert_eq!(names, ["adapter", "merged", "q8.gguf", "f16.gguf"]);
    }
}
