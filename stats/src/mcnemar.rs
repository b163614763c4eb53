use statrs::function::beta::beta_reg;

/// What the exact `McNemar` test says about pairs that changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mcnemar {
    /// Pairs in which only the candidate has the event.
    pub only_candidate: u64,
    /// Pairs in which only the baseline has the event.
    pub only_baseline: u64,
    /// `min(1, 2·P(X ≥ max(b, c)))`.
    pub p_two_sided: f64,
    /// P(X ≥ b): evidence that the candidate has the event more often.
    pub p_candidate_more: f64,
    /// P(X ≥ c): evidence that the baseline has the event more often.
    pub p_baseline_more: f64,
}

/// Tests whether an event is equally frequent in both arms of paired yes/no outcomes.
///
/// X ~ Binomial(b + c, ½) over the b + c pairs that disagree (`McNemar` 1947, exact form). One-sided
/// towards harm is `p_candidate_more` if the event is a failure. Assumes independent pairs, so
/// count personas, not conversations. Conservative. Without any disagreement all p are 1.
pub fn mcnemar(only_candidate: u64, only_baseline: u64) -> Mcnemar {
    let n = only_candidate.saturating_add(only_baseline);
    let p_candidate_more = fair_coin_at_least(only_candidate, n);
    let p_baseline_more = fair_coin_at_least(only_baseline, n);
    Mcnemar {
        only_candidate,
        only_baseline,
        p_two_sided: (2.0 * p_candidate_more.min(p_baseline_more)).min(1.0),
        p_candidate_more,
        p_baseline_more,
    }
}

/// P(X ≥ k) for X ~ Binomial(n, ½).
fn fair_coin_at_least(k: u64, n: u64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if n > 1000 {
        return beta_reg(k as f64, (n - k + 1) as f64, 0.5);
    }
    // From the rarest outcome down: the terms are whole multiples of 2^-n, exact up to n = 57.
    let mut term = 0.5_f64.powf(n as f64);
    let mut sum = 0.0;
    for heads in (k..=n).rev() {
        sum += term;
        term = term * heads as f64 / (n - heads + 1) as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::mcnemar;

    #[test]
    fn small_counts_are_exact() {
        let test = mcnemar(5, 0);
        assert_eq!(
            (test.p_candidate_more, test.p_two_sided),
            (1.0 / 32.0, 2.0 / 32.0)
        );
        assert_eq!(test.p_baseline_more, 1.0);
        assert_eq!(mcnemar(0, 0).p_two_sided, 1.0);
        assert_eq!(mcnemar(3, 3).p_two_sided, 1.0);
    }

    #[test]
    fn both_ways_of_summing_agree() {
        let (below, above) = (mcnemar(530, 470), mcnemar(531, 470));
        let ratio = below.p_candidate_more / above.p_candidate_more;
        assert!(ratio > 1.0 && ratio < 1.1, "{ratio}");
    }
}
