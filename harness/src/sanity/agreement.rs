//! Whether the forms of a candidate say the same: adapter, merged checkpoint, GGUF, quantised GGUF.

use std::path::Path;

use serde::{Deserialize, Serialize};
use shipworthy_models::gguf::GgufFile;

use super::adapter_effect::{ROUNDING, compared};
use super::answers::{Answers, Unasked};
use super::error::SanityError;
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};
use super::request::Form;

/// How far two forms of a candidate are from each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgreementFigures {
    /// The form compared with.
    pub reference: String,
    /// Bits a weight of the coarser form takes on average.
    pub bits_per_weight: f64,
    /// Tokens compared.
    pub tokens: usize,
    /// The mean difference of a token's log likelihood without its sign, in nats.
    pub mean_difference: f64,
    /// The largest it may be.
    pub max_mean_difference: f64,
    /// The share of tokens in whose place both find the same token likeliest.
    pub same_likeliest: f64,
    /// The smallest it may be.
    pub min_same_likeliest: f64,
    /// How much of the reference's change to the base this form has: 1 where it has the whole, 0 where it
    /// is the base; `None` where the base was not asked or nothing changes.
    #[serde(default)]
    pub share_of_change: Option<f64>,
    /// Conversations that this form's own tokenizer reads as other tokens; `None` where it has none.
    pub read_otherwise: Option<usize>,
}

/// What two forms may differ by: bits of a weight from which on it holds, the largest mean difference
/// and the smallest share of the same likeliest token.
///
/// What llama.cpp's own measurements show of models of some billions of values, with room for smaller
/// ones, which suffer more.
const BOUNDS: [(f64, f64, f64); 6] = [
    (15.0, 0.02, 0.98),
    (8.0, 0.06, 0.95),
    (6.0, 0.10, 0.92),
    (5.0, 0.15, 0.88),
    (4.0, 0.30, 0.80),
    (0.0, 0.80, 0.60),
];

const CHECK: SanityCheck = SanityCheck::Agreement;

/// One form with its answers.
pub(super) struct Asked<'a> {
    pub(super) form: Form<'a>,
    pub(super) bits: f64,
    pub(super) answers: Result<Answers, Unasked>,
}

/// Compares every further form with the first; `base` is what both are to differ from.
pub(super) fn check(forms: &[Asked<'_>], base: &Result<Answers, Unasked>) -> Vec<CheckOutcome> {
    let Some((reference, others)) = forms.split_first() else {
        return vec![CheckOutcome::not_done(CHECK, "", "no candidate was named")];
    };
    if others.is_empty() {
        let reason = "the candidate exists in one form only";
        return vec![CheckOutcome::not_done(CHECK, reference.form.name(), reason)];
    }
    others
        .iter()
        .map(|other| compare(reference, other, base.as_ref().ok()))
        .collect()
}

fn compare(reference: &Asked<'_>, other: &Asked<'_>, base: Option<&Answers>) -> CheckOutcome {
    let subject = other.form.name();
    let (ours, theirs) = match (&reference.answers, &other.answers) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(why), _) | (_, Err(why)) => {
            return CheckOutcome::new(CHECK, subject, why.status, why.reason.clone());
        }
    };
    let Some(found) = compared(&ours.probes, &theirs.probes) else {
        return CheckOutcome::not_done(CHECK, subject, "there are no conversations to compare by");
    };
    let share = base.and_then(|base| share_of_change(base, ours, theirs));
    let bits = reference.bits.min(other.bits);
    let (_, max_difference, min_same) = BOUNDS
        .into_iter()
        .find(|(least, ..)| bits >= *least)
        .unwrap_or(BOUNDS[BOUNDS.len() - 1]);
    let figures = AgreementFigures {
        reference: reference.form.name(),
        bits_per_weight: bits,
        tokens: found.tokens,
        mean_difference: found.mean,
        max_mean_difference: max_difference,
        same_likeliest: found.same_likeliest as f64 / found.tokens as f64,
        min_same_likeliest: min_same,
        share_of_change: share.map(|share| share.value),
        read_otherwise: theirs.read_otherwise,
    };
    let said = format!(
        "log likelihoods differ by {:.4} nats on average (at most {max_difference}), the likeliest \
         token is the same in {:.1} % of {} places (at least {:.0} %)",
        figures.mean_difference,
        figures.same_likeliest * 100.0,
        figures.tokens,
        min_same * 100.0
    );
    // Small models suffer more: up to twice as far somebody should look.
    let is_within = |times: f64| {
        figures.mean_difference <= times * max_difference
            && 1.0 - figures.same_likeliest <= times * (1.0 - min_same)
    };
    let outcome = match figures.read_otherwise {
        _ if share.is_some_and(ShareOfChange::is_below_half) => {
            let detail = format!(
                "{said}; it has {:.0} % of what {} changes in the base: it is nearer to the base",
                figures.share_of_change.unwrap_or_default() * 100.0,
                figures.reference,
            );
            CheckOutcome::new(CHECK, subject, SanityStatus::Failed, detail)
                .mend("convert it again with the adapter: `shipworthy gguf --model BASE --adapter ADAPTER`")
        }
        _ if !is_within(1.0) => {
            let status = if is_within(2.0) {
                SanityStatus::Warned
            } else {
                SanityStatus::Failed
            };
            CheckOutcome::new(CHECK, subject, status, said).mend(
                "merge and convert again from the same adapter and base; where it is quantised, \
                 take more bits",
            )
        }
        Some(otherwise) if otherwise > 0 => {
            let detail = format!(
                "{said}; but its own tokenizer reads {otherwise} of {} conversations as other tokens",
                ours.probes.len()
            );
            CheckOutcome::new(CHECK, subject, SanityStatus::Warned, detail)
                .mend("convert it again from a checkpoint with the tokenizer it was trained with")
        }
        _ => CheckOutcome::new(CHECK, subject, SanityStatus::Passed, said),
    };
    outcome.figures(Figures::Agreement(figures))
}

/// How much of one form's change to the base another form has, and how sure that is.
#[derive(Clone, Copy, Debug)]
struct ShareOfChange {
    value: f64,
    standard_error: f64,
}

impl ShareOfChange {
    /// Tells whether it has less than half of it, by three standard errors: tokens of one text are not
    /// independent.
    fn is_below_half(self) -> bool {
        self.value + 3.0 * self.standard_error < 0.5
    }
}

/// Returns the slope of the regression through the origin of `other`'s differences from the base on
/// `reference`'s, token by token; `None` where the reference hardly differs from the base.
fn share_of_change(base: &Answers, reference: &Answers, other: &Answers) -> Option<ShareOfChange> {
    let scores = |answers: &Answers| -> Vec<f64> {
        let scores = answers.probes.iter().flatten();
        scores.map(|score| score.nll).collect()
    };
    let (base, reference, other) = (scores(base), scores(reference), scores(other));
    let differences = base.iter().zip(reference.iter().zip(&other));
    let differences: Vec<(f64, f64)> = differences
        .map(|(base, (reference, other))| (reference - base, other - base))
        .collect();
    let squares: f64 = differences.iter().map(|(x, _)| x * x).sum();
    let n = differences.len() as f64;
    if n < 2.0 || (squares / n).sqrt() <= ROUNDING {
        return None;
    }
    let value = differences.iter().map(|(x, y)| x * y).sum::<f64>() / squares;
    let residuals = differences.iter().map(|(x, y)| (y - value * x).powi(2));
    let variance = residuals.sum::<f64>() / (n - 1.0);
    Some(ShareOfChange {
        value,
        standard_error: (variance / squares).sqrt(),
    })
}

/// Returns the bits that a weight of a form takes on average; `is_4bit`: the base below adapters is
/// computed in NF4.
pub(super) fn bits(form: &Form<'_>, is_4bit: bool) -> Result<f64, SanityError> {
    match form {
        Form::Adapter(_) if is_4bit => Ok(4.0),
        // Half precision or better, whichever.
        Form::Adapter(_) | Form::Checkpoint(_) => Ok(16.0),
        Form::Gguf(path) => bits_of_file(path),
    }
}

fn bits_of_file(path: &Path) -> Result<f64, SanityError> {
    let file = GgufFile::open(path)?;
    // Norms and biases stay as they are in every quantisation.
    let matrices = || {
        file.tensors()
            .iter()
            .filter(|tensor| tensor.dimensions().len() > 1)
    };
    let bytes = matrices().map(|tensor| tensor.bytes() as f64).sum::<f64>();
    let values = matrices()
        .map(|tensor| tensor.elements() as f64)
        .sum::<f64>();
    Ok(if values > 0.0 {
        bytes * 8.0 / values
    } else {
        16.0
    })
}

#[cfg(test)]
mod tests {
    use shipworthy_backends::likelihood::TokenScore;
    use test_case::test_case;

    use super::*;

    fn asked(bits: f64, shift: f64, others: usize, read_otherwise: usize) -> Asked<'static> {
        let score = |idx: usize| TokenScore {
            nll: 2.0 + shift,
            likeliest: u32::from(idx < others),
        };
        let probes = vec![(0..100).map(score).collect()];
        Asked {
            form: Form::Gguf(Path::new("candidate.gguf")),
            bits,
            answers: Ok(Answers {
                probes,
                read_otherwise: Some(read_otherwise),
                ..Answers::default()
            }),
        }
    }

    #[test_case(16.0, 0.01, 1, 0, SanityStatus::Passed; "half precision")]
    #[test_case(16.0, 0.03, 1, 0, SanityStatus::Warned; "half precision, far")]
    #[test_case(16.0, 0.05, 1, 0, SanityStatus::Failed; "half precision, too far")]
    #[test_case(16.0, 0.01, 5, 0, SanityStatus::Failed; "half precision, other tokens")]
    #[test_case(8.5, 0.03, 3, 0, SanityStatus::Passed; "eight bits")]
    #[test_case(4.8, 0.2, 15, 0, SanityStatus::Passed; "four bits")]
    #[test_case(4.8, 0.2, 45, 0, SanityStatus::Failed; "four bits, other tokens")]
    #[test_case(2.6, 0.7, 35, 0, SanityStatus::Passed; "two bits")]
    #[test_case(16.0, 0.01, 1, 2, SanityStatus::Warned; "another tokenizer")]
    fn bounds_follow_the_bits(
        bits: f64,
        shift: f64,
        others: usize,
        otherwise: usize,
        status: SanityStatus,
    ) {
        let forms = [
            asked(16.0, 0.0, 0, 0),
            asked(bits, shift, others, otherwise),
        ];
        let outcomes = check(&forms, &none());
        assert_eq!(outcomes[0].status, status, "{outcomes:?}");
    }

    fn none() -> Result<Answers, Unasked> {
        Err(Unasked {
            status: SanityStatus::NotDone,
            reason: "it was not asked".to_owned(),
        })
    }

    #[test_case(0.0, SanityStatus::Failed; "the base again")]
    #[test_case(0.3, SanityStatus::Failed; "hardly the adapter")]
    #[test_case(1.0, SanityStatus::Passed; "the adapter")]
    fn a_file_without_a_light_adapter_is_found(share: f64, status: SanityStatus) {
        let answers = |share: f64, noise: f64| {
            let score = |idx: usize| TokenScore {
                nll: 2.0 + share * 0.02 * (idx as f64).sin() + noise * (7.0 * idx as f64).cos(),
                likeliest: 0,
            };
            Answers {
                probes: vec![(0..400).map(score).collect()],
                ..Answers::default()
            }
        };
        let form = |share: f64, noise: f64| Asked {
            form: Form::Gguf(Path::new("candidate.gguf")),
            bits: 8.5,
            answers: Ok(answers(share, noise)),
        };
        let base = Ok(answers(0.0, 0.0));
        let outcomes = check(&[form(1.0, 0.0), form(share, 0.02)], &base);
        assert_eq!(outcomes[0].status, status, "{outcomes:?}");
    }

    #[test]
    fn one_form_agrees_with_nothing() {
        assert_eq!(check(&[], &none()).len(), 1);
        let outcomes = check(&[asked(16.0, 0.0, 0, 0)], &none());
        assert_eq!(outcomes[0].status, SanityStatus::NotDone);
    }
}
