use serde::{Deserialize, Serialize};

use super::adapter_effect::EffectFigures;
use super::agreement::AgreementFigures;
use super::capability::TaskFigures;
use super::perplexity::PerplexityFigures;
use super::reply_end::ReplyFigures;
use super::template::TemplateFigures;
use super::training_curves::CurveFigures;

/// What all sanity checks of a candidate came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SanityReport {
    /// Version of this format.
    pub format: u32,
    /// The base, as the request names it.
    pub base: String,
    /// What was measured as the candidate, as the request names it; `None` where nothing was.
    pub candidate: Option<String>,
    /// The worst of all checks, those that were not done apart; `NotDone` where none was.
    pub status: SanityStatus,
    /// The checks, in the order they were made.
    pub checks: Vec<CheckOutcome>,
}

impl SanityReport {
    /// Version of the format that this describes.
    pub const FORMAT: u32 = 1;

    /// Puts the outcomes together.
    pub(super) fn new(base: String, candidate: Option<String>, checks: Vec<CheckOutcome>) -> Self {
        let worst = checks.iter().map(|check| check.status).max();
        Self {
            format: Self::FORMAT,
            base,
            candidate,
            status: worst.unwrap_or(SanityStatus::NotDone),
            checks,
        }
    }

    /// Tells whether a check failed: the candidate should not be evaluated, let alone shipped.
    pub fn has_failed(&self) -> bool {
        self.status == SanityStatus::Failed
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckOutcome {
    /// Which check.
    pub check: SanityCheck,
    /// What was looked at: a task, a file, a directory; as the request names it.
    pub subject: String,
    /// How it stands.
    pub status: SanityStatus,
    /// What was seen, or why nothing was, as a phrase.
    pub detail: String,
    /// What to do about it, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// What was measured, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
}

/// The checks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SanityCheck {
    /// The records of training: loss curves, and how it ended.
    TrainingCurves,
    /// One chat template in training, merge and serving.
    Template,
    /// What was trained changes what the base computes.
    AdapterEffect,
    /// The forms of the candidate say the same.
    Agreement,
    /// Replies end by themselves.
    ReplyEnd,
    /// How well held-out conversations are foretold.
    Perplexity,
    /// What the base could do, the candidate still can.
    Capability,
}

impl SanityCheck {
    /// Returns its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrainingCurves => "training curves",
            Self::Template => "chat template",
            Self::AdapterEffect => "adapter effect",
            Self::Agreement => "agreement",
            Self::ReplyEnd => "reply end",
            Self::Perplexity => "perplexity",
            Self::Capability => "capability",
        }
    }
}

/// How a check stands, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SanityStatus {
    /// It could not be looked at; the detail says why.
    NotDone,
    /// As it should be.
    Passed,
    /// Somebody should look at it, or it could not be shown to be as it should be.
    Warned,
    /// It is not as it should be.
    Failed,
}

impl SanityStatus {
    /// Returns the word that people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotDone => "not done",
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
        }
    }
}

/// What a check measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Figures {
    /// Of the records of training.
    TrainingCurves(CurveFigures),
    /// Of a chat template.
    Template(TemplateFigures),
    /// Of base and tuned, token by token.
    Effect(EffectFigures),
    /// Of two forms of the candidate.
    Agreement(AgreementFigures),
    /// Of replies.
    Replies(ReplyFigures),
    /// Of held-out conversations.
    Perplexity(PerplexityFigures),
    /// Of a task.
    Task(TaskFigures),
}

impl CheckOutcome {
    /// Returns an outcome without figures and without advice.
    pub(super) fn new(
        check: SanityCheck,
        subject: impl Into<String>,
        status: SanityStatus,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            check,
            subject: subject.into(),
            status,
            detail: detail.into(),
            mend: None,
            figures: None,
        }
    }

    /// Returns that something was not looked at.
    pub(super) fn not_done(
        check: SanityCheck,
        subject: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::new(check, subject, SanityStatus::NotDone, reason)
    }

    /// Says what to do about it.
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Adds what was measured.
    pub(super) fn figures(mut self, figures: Figures) -> Self {
        self.figures = Some(figures);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: SanityStatus) -> CheckOutcome {
        CheckOutcome::new(SanityCheck::Template, "merged", status, "as the base's")
    }

    #[test]
    fn the_worst_check_counts_and_what_was_not_done_does_not() {
        use SanityStatus::{Failed, NotDone, Passed, Warned};
        let status = |checks: &[SanityStatus]| {
            let checks = checks.iter().map(|status| outcome(*status)).collect();
            SanityReport::new("base".to_owned(), None, checks).status
        };
        assert_eq!(status(&[]), NotDone);
        assert_eq!(status(&[NotDone, Passed]), Passed);
        assert_eq!(status(&[Passed, Warned, NotDone]), Warned);
        assert_eq!(status(&[Failed, Warned]), Failed);
    }

    #[test]
    fn a_report_is_read_back() {
        let figures = Figures::TrainingCurves(CurveFigures {
            steps: 3,
            first_loss: Some(2.5),
            last_loss: None,
            best_eval_loss: None,
            last_eval_loss: Some(1.25),
        });
        let check = outcome(SanityStatus::Warned).mend("look").figures(figures);
        let report = SanityReport::new("base".to_owned(), Some("merged".to_owned()), vec![check]);
        let json = serde_json::to_string(&report).unwrap();
        assert!(
            json.contains(r#""kind":"training_curves","steps":3"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<SanityReport>(&json).unwrap(), report);
    }
}
