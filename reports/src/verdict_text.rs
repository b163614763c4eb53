//! The verdict in words: one place, from which every format takes its sentences.

use shipworthy_schema::{Comparison, Decision, Evaluation, ModelName, Reason, Verdict};

use crate::hold_checks::hold_checks;
use crate::number_text::count;
use crate::reason_text::reason_text;

/// A decision in words. The text is plain and unescaped; each format makes it safe for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictText {
    /// The verdict in one sentence, its label first in capitals.
    pub headline: String,
    /// Each reason as a sentence, the deciding one first.
    pub reasons: Vec<String>,
    /// What to do now, the first thing first.
    pub next_steps: Vec<String>,
}

impl VerdictText {
    /// Returns the words for `decision`, one of `evaluation`'s.
    pub fn new(evaluation: &Evaluation, decision: &Decision) -> Self {
        Self::of(&evaluation.comparison, Some(evaluation), decision)
    }

    /// Returns the words for `decision` on scores from elsewhere, of which only the comparison is
    /// known.
    pub fn from_comparison(comparison: &Comparison, decision: &Decision) -> Self {
        Self::of(comparison, None, decision)
    }

    pub(crate) fn of(
        comparison: &Comparison,
        evaluation: Option<&Evaluation>,
        decision: &Decision,
    ) -> Self {
        Self {
            headline: headline(decision, &comparison.baseline),
            reasons: decision.reasons.iter().map(reason_text).collect(),
            next_steps: match decision.verdict {
                Verdict::Hold => hold_checks(comparison, evaluation, &decision.model),
                _ => next_steps(decision, evaluation.is_some()),
            },
        }
    }
}

/// Returns the verdict's label as headlines show it, e.g. `DO NOT DEPLOY`.
pub(crate) fn label(verdict: Verdict) -> String {
    verdict.label().to_uppercase()
}

fn headline(decision: &Decision, baseline: &ModelName) -> String {
    let model = &decision.model;
    let claim = match decision.verdict {
        Verdict::Ship if is_of_safety(decision) => {
            format!("{model} is better than {baseline} by enough, and no less safe")
        }
        Verdict::Ship => {
            format!("{model} is better than {baseline} by enough; nothing of safety was scored")
        }
        Verdict::Iterate if is_worse(decision) => format!("{model} is worse than {baseline}"),
        Verdict::Iterate => format!("{model} is not better than {baseline} by enough"),
        Verdict::MoreEvidence => {
            format!("{model} looks better than {baseline}, but it could be chance")
        }
        Verdict::Hold => format!("{model} gains more over {baseline} than is believable unchecked"),
        Verdict::DoNotDeploy if regressed(decision) => {
            format!("{model} is less safe than {baseline}")
        }
        Verdict::DoNotDeploy => format!("{model} is not shown to be as safe as {baseline}"),
    };
    format!("{}: {claim}.", label(decision.verdict))
}

/// Tells whether any safety criterion was scored.
fn is_of_safety(decision: &Decision) -> bool {
    let mut reasons = decision.reasons.iter();
    reasons.any(|reason| {
        matches!(
            reason,
            Reason::NoSafetyRegression { .. } | Reason::ZeroViolations { .. }
        )
    })
}

fn is_worse(decision: &Decision) -> bool {
    decision
        .reasons
        .iter()
        .any(|r| matches!(r, Reason::WorseThanBaseline { .. }))
}

fn regressed(decision: &Decision) -> bool {
    decision
        .reasons
        .iter()
        .any(|r| matches!(r, Reason::SafetyRegression { .. }))
}

/// Scores from elsewhere come without a section on limits.
fn next_steps(decision: &Decision, has_limits: bool) -> Vec<String> {
    match decision.verdict {
        Verdict::Ship => vec![
            format!(
                "Ship exactly the artefact that was evaluated as {}, and keep this report with it.",
                decision.model
            ),
            if has_limits {
                "Read the limits of this evidence first: few simulated people show little about \
                 rare harm."
                    .into()
            } else {
                "Before that, think of what this cannot show: few personas show little about rare \
                 harm."
                    .into()
            },
        ],
        Verdict::Iterate if is_worse(decision) => vec![
            "Check training and data: the right base model and adapter, the same chat template in \
             training and in serving, loss on the assistant's turns only, the loss curve, and \
             examples that teach what the rubric punishes."
                .into(),
            "Look where it loses: the categories, criteria and personas with the largest losses, \
             and the example transcripts."
                .into(),
            "Then train again and evaluate on personas from seeds not used before.".into(),
        ],
        Verdict::Iterate => vec![
            "Change the data first: add training conversations of the kind in which the \
             categories, criteria and personas with the smallest gains fall short."
                .into(),
            "Then the training: more steps, a higher rank or another learning rate, with an eye \
             on the held-out loss."
                .into(),
            "Then evaluate again, on personas from seeds not used before.".into(),
        ],
        Verdict::MoreEvidence => vec![
            more_personas(decision),
            "Draw all of them from seeds not used before, and decide their number before looking."
                .into(),
        ],
        Verdict::Hold => Vec::new(),
        Verdict::DoNotDeploy if regressed(decision) => vec![
            "Read each violation below in its transcript, and tell a real one from a mistake of \
             the judge or the check."
                .into(),
            "Add training conversations that show the safe reply in those situations, and remove \
             those that teach the unsafe one."
                .into(),
            "Then train again and evaluate on personas from seeds not used before.".into(),
        ],
        Verdict::DoNotDeploy => vec![
            "Read the conversations with the lowest scores on those criteria: a real loss calls \
             for training conversations that show the safe reply."
                .into(),
            "If there is none, evaluate more personas: fewer cannot tell a small loss from none."
                .into(),
        ],
    }
}

fn more_personas(decision: &Decision) -> String {
    let needed = decision.reasons.iter().find_map(|reason| match reason {
        Reason::PersonasNeeded {
            personas, needed, ..
        } => Some((*personas, *needed)),
        _ => None,
    });
    let rest = "Personas are the unit of the test; more repeats of the same ones help less.";
    match needed {
        Some((personas, needed)) if needed > personas => {
            let more = needed - personas;
            let give = if more == 1 { "gives" } else { "give" };
            format!(
                "Evaluate {needed} personas: {} {give} 80 % power at the observed spread. {rest}",
                count(more, "more persona")
            )
        }
        Some((personas, _)) => format!(
            "Evaluate more than {}: at the observed spread that many have 80 % power, so a true \
             gain should show next time. {rest}",
            count(personas, "persona")
        ),
        None => format!("Evaluate more personas. {rest}"),
    }
}
