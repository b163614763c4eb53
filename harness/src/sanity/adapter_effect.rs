//! Whether what was trained changes what the base computes.

use serde::{Deserialize, Serialize};
use shipworthy_backends::likelihood::TokenScore;

use super::answers::{Answers, Unasked};
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};

/// Differences of a log likelihood below this are rounding: threads and batches move one by 1e-5.
pub(super) const ROUNDING: f64 = 1e-4;

/// How far a candidate is from its base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectFigures {
    /// Tokens compared.
    pub tokens: usize,
    /// The largest difference of a token's log likelihood, in nats.
    pub largest: f64,
    /// The mean difference of a token's log likelihood without its sign, in nats.
    pub mean: f64,
    /// Tokens in whose place both find the same token likeliest.
    pub same_likeliest: usize,
}

const CHECK: SanityCheck = SanityCheck::AdapterEffect;

/// Compares base and tuned token by token: failed where nothing differs by more than rounding.
pub(super) fn check(
    subject: &str,
    base: &Result<Answers, Unasked>,
    tuned: &Result<Answers, Unasked>,
) -> CheckOutcome {
    let (base, tuned) = match (base, tuned) {
        (Ok(base), Ok(tuned)) => (base, tuned),
        (Err(why), _) | (_, Err(why)) => {
            return CheckOutcome::new(CHECK, subject, why.status, why.reason.clone());
        }
    };
    let Some(figures) = compared(&base.probes, &tuned.probes) else {
        return CheckOutcome::not_done(CHECK, subject, "there are no conversations to compare by");
    };
    let outcome = if figures.largest <= ROUNDING {
        CheckOutcome::new(
            CHECK,
            subject,
            SanityStatus::Failed,
            format!("it computes what the base computes: no token differs by {ROUNDING} nats"),
        )
        .mend("train it longer or with a higher learning rate; look whether its tensors are zero")
    } else {
        let detail = format!(
            "changes log likelihoods by {:.3} nats on average, {:.3} at most",
            figures.mean, figures.largest
        );
        CheckOutcome::new(CHECK, subject, SanityStatus::Passed, detail)
    };
    outcome.figures(Figures::Effect(figures))
}

/// Compares the same tokens' scores of two models; `None` where there are none.
pub(super) fn compared(
    one: &[Vec<TokenScore>],
    other: &[Vec<TokenScore>],
) -> Option<EffectFigures> {
    let pairs = || one.iter().flatten().zip(other.iter().flatten());
    let tokens = pairs().count();
    let differences = || pairs().map(|(one, other)| (one.nll - other.nll).abs());
    (tokens > 0).then(|| EffectFigures {
        tokens,
        largest: differences().fold(0.0, f64::max),
        mean: differences().sum::<f64>() / tokens as f64,
        same_likeliest: pairs()
            .filter(|(one, other)| one.likeliest == other.likeliest)
            .count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(nll: [f64; 2]) -> Answers {
        let scores = nll.map(|nll| TokenScore { nll, likeliest: 3 });
        Answers {
            probes: vec![scores.to_vec()],
            ..Answers::default()
        }
    }

    #[test]
    fn rounding_is_no_effect() {
        let base = Ok(answers([1.0, 2.0]));
        let outcome = check("a", &base, &Ok(answers([1.000_05, 2.0])));
        assert_eq!(outcome.status, SanityStatus::Failed);
        let outcome = check("a", &base, &Ok(answers([1.001, 2.0])));
        assert_eq!(outcome.status, SanityStatus::Passed);
        let none = Ok(Answers::default());
        assert_eq!(check("a", &base, &none).status, SanityStatus::NotDone);
        let broken = Err(Unasked {
            status: SanityStatus::Failed,
            reason: "not finite".to_owned(),
        });
        assert_eq!(check("a", &base, &broken).status, SanityStatus::Failed);
    }
}
