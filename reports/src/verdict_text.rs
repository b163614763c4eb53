//! The verdict in words: one place, from which every format takes its sentences.

use shipworthy_schema::{Decision, Evaluation, ModelName, Reason, Verdict};

use crate::hold_checks::hold_checks;
use crate::number_text::{count, difference, p_equation, told_apart};

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
        Self {
            headline: headline(decision, &evaluation.comparison.baseline),
            reasons: decision.reasons.iter().map(reason_text).collect(),
            next_steps: next_steps(evaluation, decision),
        }
    }
}

/// Returns the verdict's label as headlines show it, e.g. `DO NOT DEPLOY`.
pub(crate) fn label(verdict: Verdict) -> String {
    verdict.label().to_uppercase()
}

/// Returns the verdict in one sentence, its label first in capitals.
pub(crate) fn headline(decision: &Decision, baseline: &ModelName) -> String {
    let model = &decision.model;
    let claim = match decision.verdict {
        Verdict::Ship => format!("{model} is better than {baseline} by enough, and no less safe"),
        Verdict::Iterate if is_worse(decision) => format!("{model} is worse than {baseline}"),
        Verdict::Iterate => format!("{model} is not better than {baseline} by enough"),
        Verdict::MoreEvidence => {
            format!("{model} looks better than {baseline}, but it could be chance")
        }
        Verdict::Hold => format!("{model} gains more over {baseline} than is believable unchecked"),
        Verdict::DoNotDeploy => format!("{model} is less safe than {baseline}"),
    };
    format!("{}: {claim}.", label(decision.verdict))
}

fn is_worse(decision: &Decision) -> bool {
    decision
        .reasons
        .iter()
        .any(|r| matches!(r, Reason::WorseThanBaseline { .. }))
}

/// Returns `reason` as a sentence with its numbers, unescaped.
pub fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::SafetyRegression {
            criterion,
            regressions,
        } => format!(
            "Safety criterion {criterion} was violated in {} with personas on which the baseline \
             never violated it.",
            count(*regressions, "conversation")
        ),
        Reason::NoSafetyRegression { criteria: 0, .. } => {
            "The rubric has no safety criterion, so none regressed; safety was not tested.".into()
        }
        Reason::NoSafetyRegression {
            criteria,
            conversations,
        } => format!(
            "No safety regression on {} in {}.",
            count(*criteria, "criterion"),
            count(*conversations, "conversation")
        ),
        Reason::GainSuspicious { gain, threshold } => {
            let (gain, threshold) = told_apart(*gain, *threshold, 3);
            format!("The mean gain of {gain} is above {threshold}, which calls for a check.")
        }
        Reason::GainTooSmall {
            gain,
            threshold,
            within_interval,
        } => {
            let (gain, threshold) = told_apart(*gain, *threshold, 3);
            let rest = if *within_interval {
                "the 95 % interval still contains that bound."
            } else {
                "the whole 95 % interval lies below that bound."
            };
            format!("The mean gain of {gain} is below the least gain of {threshold}; {rest}")
        }
        Reason::WorseThanBaseline { gain } => format!(
            "The mean difference is {}: the candidate scores below the baseline.",
            difference(*gain)
        ),
        Reason::GainSufficient { gain, threshold } => {
            let (gain, threshold) = told_apart(*gain, *threshold, 3);
            format!("The mean gain of {gain} reaches the least gain of {threshold}.")
        }
        Reason::NotSignificant {
            p_value,
            alpha,
            personas,
        } => significance("Not significant", *p_value, *alpha, "not below", *personas),
        Reason::Significant {
            p_value,
            alpha,
            personas,
        } => significance("Significant", *p_value, *alpha, "below", *personas),
    }
}

fn significance(finding: &str, p: f64, alpha: f64, relation: &str, personas: u32) -> String {
    let (p_text, alpha_text) = if p < 0.0001 {
        (p_equation(p), alpha.to_string())
    } else {
        let (p_text, _) = told_apart(p, alpha, 4);
        (format!("p = {p_text}"), alpha.to_string())
    };
    format!(
        "{finding}: {p_text}, {relation} {alpha_text} (paired t-test over {}).",
        count(personas, "persona")
    )
}

fn next_steps(evaluation: &Evaluation, decision: &Decision) -> Vec<String> {
    let personas = evaluation.plan.personas.count;
    match decision.verdict {
        Verdict::Ship => vec![
            format!(
                "Ship exactly the artefact that was evaluated as {}, and keep this report with it.",
                decision.model
            ),
            "Read the limits of this evidence first: few simulated people show little about rare \
             harm."
                .into(),
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
            format!(
                "Evaluate more personas: raise personas.count above {personas}. Personas are the \
                 unit of the test; more repeats of the same ones help less."
            ),
            "Draw them from seeds not used before, and decide their number before looking.".into(),
        ],
        Verdict::Hold => hold_checks(evaluation, &decision.model),
        Verdict::DoNotDeploy => vec![
            "Read each violation below in its transcript, and tell a real one from a mistake of \
             the judge or the check."
                .into(),
            "Add training conversations that show the safe reply in those situations, and remove \
             those that teach the unsafe one."
                .into(),
            "Then train again and evaluate on personas from seeds not used before.".into(),
        ],
    }
}
