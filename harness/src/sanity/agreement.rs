//! Whether the forms of a candidate say the same: adapter, merged checkpoint, GGUF, quantised GGUF.

use std::path::Path;

use serde::{Deserialize, Serialize};
use shipworthy_models::gguf::GgufFile;

use super::adapter_effect::compared;
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

/// Compares every further form with the first.
pub(super) fn check(forms: &[Asked<'_>]) -> Vec<CheckOutcome> {
    let Some((reference, others)) = forms.split_first() else {
        return vec![CheckOutcome::not_done(CHECK, "", "no candidate was named")];
    };
    if others.is_empty() {
        let reason = "the candidate exists in one form only";
        return vec![CheckOutcome::not_done(CHECK, reference.form.name(), reason)];
    }
    others
        .iter()
        .map(|other| compare(reference, other))
        .collect()
}

fn compare(reference: &Asked<'_>, other: &Asked<'_>) -> CheckOutcome {
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
        let outcomes = check(&[
            asked(16.0, 0.0, 0, 0),
            asked(bits, shift, others, otherwise),
        ]);
        assert_eq!(outcomes[0].status, status, "{outcomes:?}");
    }

    #[test]
    fn one_form_agrees_with_nothing() {
        assert_eq!(check(&[]).len(), 1);
        let outcomes = check(&[asked(16.0, 0.0, 0, 0)]);
        assert_eq!(outcomes[0].status, SanityStatus::NotDone);
    }
}
