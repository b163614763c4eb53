//! How much hangs on single personas.

use shipworthy_schema::{LeaveOneOut, PersonaPair};
use shipworthy_stats::{SIGN_FLIP_EXACT_UP_TO, mean, paired_t, sign_flip};

/// Returns what is left without each persona in turn; nothing if there is but one.
pub(super) fn leave_one_out(pairs: &[PersonaPair], differences: &[f64]) -> Vec<LeaveOneOut> {
    let without = |left_out: usize| {
        let mut others = differences.to_vec();
        others.remove(left_out);
        let exact = others.len() <= SIGN_FLIP_EXACT_UP_TO;
        Some(LeaveOneOut {
            persona: pairs[left_out].persona.clone(),
            difference: mean(&others).ok()?,
            p_value: paired_t(&others, 0.95).ok().map(|test| test.p_two_sided),
            // Beyond, sampling for every persona would take longer than all else together.
            sign_flip_p: exact
                .then(|| sign_flip(&others, 1, 0).ok())
                .flatten()
                .map(|test| test.p_two_sided),
        })
    };
    (0..pairs.len()).filter_map(without).collect()
}
