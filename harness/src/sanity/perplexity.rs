//! How well base and candidate foretell held-out conversations.

use serde::{Deserialize, Serialize};
use shipworthy_backends::likelihood::TokenScore;
use shipworthy_stats::{ClusterRobust, StatsError, clustered_mean};

use super::answers::{Answers, Unasked};
use super::outcome::{CheckOutcome, Figures, SanityCheck, SanityStatus};
use super::request::SanityLimits;

/// How well base and candidate foretell held-out conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerplexityFigures {
    /// Conversations.
    pub examples: usize,
    /// Labelled tokens of them all.
    pub tokens: usize,
    /// The base's perplexity.
    pub base: f64,
    /// The candidate's perplexity.
    pub candidate: f64,
    /// Mean difference of a token's negative log likelihood, candidate − base, in nats.
    pub difference: f64,
    /// Lower bound of it at 1 − alpha, one-sided; `None` where conversations are too few.
    pub lower: Option<f64>,
    /// Upper bound of it at 1 − alpha, one-sided.
    pub upper: Option<f64>,
}

const CHECK: SanityCheck = SanityCheck::Perplexity;

/// Judges the rise from the base to the candidate: failed where a rise above the limit is shown, a
/// warning where any rise is.
pub(super) fn check(
    subject: &str,
    base: &Result<Answers, Unasked>,
    candidate: &Result<Answers, Unasked>,
    limits: &SanityLimits,
) -> CheckOutcome {
    match (base, candidate) {
        (Ok(base), Ok(candidate)) => judge(subject, &base.held_out, &candidate.held_out, limits),
        (Err(why), _) | (_, Err(why)) => {
            CheckOutcome::new(CHECK, subject, why.status, why.reason.clone())
        }
    }
}

fn judge(
    subject: &str,
    base: &[Vec<TokenScore>],
    candidate: &[Vec<TokenScore>],
    limits: &SanityLimits,
) -> CheckOutcome {
    let pairs = base.iter().zip(candidate);
    let differences: Vec<Vec<f64>> = pairs
        .map(|(base, candidate)| {
            let tokens = base.iter().zip(candidate);
            tokens
                .map(|(base, candidate)| candidate.nll - base.nll)
                .collect()
        })
        .collect();
    let (mean_base, tokens) = mean(base);
    let (mean_candidate, _) = mean(candidate);
    if tokens == 0 {
        return CheckOutcome::not_done(CHECK, subject, "no held-out data was named");
    }
    let estimate = clustered_mean(&differences, ClusterRobust::Cr2, 1.0 - 2.0 * limits.alpha);
    let bounds = match estimate {
        Ok(found) => Some((found.ci.lower, found.ci.upper)),
        // All tokens agree.
        Err(StatsError::NoVariation { value, .. }) => Some((value, value)),
        Err(_) => None,
    };
    let difference = mean_candidate - mean_base;
    let figures = PerplexityFigures {
        examples: base.len(),
        tokens,
        base: mean_base.exp(),
        candidate: mean_candidate.exp(),
        difference,
        lower: bounds.map(|(lower, _)| lower),
        upper: bounds.map(|(_, upper)| upper),
    };
    let rise = difference.exp_m1();
    let limit = limits.max_perplexity_rise;
    let change = format!(
        "{:.3} -> {:.3} ({:+.1} %)",
        figures.base,
        figures.candidate,
        rise * 100.0
    );
    let (status, words) = match bounds {
        None => (
            SanityStatus::Warned,
            "one conversation allows no interval".to_owned(),
        ),
        Some((lower, _)) if lower.exp_m1() > limit => (
            SanityStatus::Failed,
            format!("worse, and by more than {:.1} %", limit * 100.0),
        ),
        Some((lower, _)) if lower > 0.0 => (SanityStatus::Warned, "worse".to_owned()),
        Some((_, upper)) if upper < 0.0 => (SanityStatus::Passed, "better".to_owned()),
        Some(_) if rise > limit => (
            SanityStatus::Warned,
            "too few conversations to tell whether it is worse".to_owned(),
        ),
        Some(_) => (SanityStatus::Passed, "no rise shown".to_owned()),
    };
    let interval = bounds.map_or_else(String::new, |(lower, upper)| {
        let (lower, upper) = (lower.exp_m1() * 100.0, upper.exp_m1() * 100.0);
        format!("; bounds {lower:+.1} % to {upper:+.1} %")
    });
    CheckOutcome::new(
        CHECK,
        subject,
        status,
        format!("{change}: {words}{interval}"),
    )
    .figures(Figures::Perplexity(figures))
}

/// Returns the mean negative log likelihood of all tokens, and how many there are.
fn mean(examples: &[Vec<TokenScore>]) -> (f64, usize) {
    let tokens = examples.iter().map(Vec::len).sum::<usize>();
    let sum: f64 = examples.iter().flatten().map(|score| score.nll).sum();
    (sum / tokens.max(1) as f64, tokens)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn scores(nll: &[f64]) -> Vec<TokenScore> {
        let score = |nll: &f64| TokenScore {
            nll: *nll,
            likeliest: 0,
        };
        nll.iter().map(score).collect()
    }

    fn judged(shift: &[f64]) -> CheckOutcome {
        let base: Vec<_> = (0..shift.len()).map(|_| scores(&[1.0, 2.0, 3.0])).collect();
        let candidate = shift
            .iter()
            .map(|by| scores(&[1.0 + by, 2.0 + by, 3.0 + by]));
        let candidate: Vec<_> = candidate.collect();
        judge("tuned", &base, &candidate, &SanityLimits::default())
    }

    #[test_case(&[-0.20, -0.25, -0.22, -0.18], SanityStatus::Passed, "better"; "better")]
    #[test_case(&[0.20, 0.25, 0.22, 0.18], SanityStatus::Failed, "more than 5.0 %"; "much worse")]
    #[test_case(&[0.010, 0.012, 0.011, 0.012], SanityStatus::Warned, ": worse;"; "a little worse")]
    #[test_case(&[0.0, 0.0, 0.0], SanityStatus::Passed, "no rise shown"; "the same")]
    #[test_case(&[0.5, -0.3, 0.4, -0.2], SanityStatus::Warned, "too few conversations"; "unclear")]
    #[test_case(&[0.5], SanityStatus::Warned, "no interval"; "one")]
    #[test_case(&[], SanityStatus::NotDone, "no held-out data"; "none")]
    fn rises_are_judged(shift: &[f64], status: SanityStatus, said: &str) {
        let outcome = judged(shift);
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert!(outcome.detail.contains(said), "{outcome:?}");
    }
}
