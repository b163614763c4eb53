//! Sums of tensors, computed in place.

#![expect(
    clippy::inline_always,
    reason = "vectors are made only of what lies within one function"
)]

use candle_core::Tensor;

use crate::host;
use crate::rows;

/// Values that one thread adds at once.
const PIECE: usize = 1 << 12;

/// Adds `addend` to `sum`, whose values nothing else may need: on the host they are changed where they lie.
pub(crate) fn add(sum: Tensor, addend: &Tensor) -> candle_core::Result<Tensor> {
    if !host::is_on_host(&sum) || sum.shape() != addend.shape() {
        return sum + addend;
    }
    let addend = host::values(addend)?;
    host::change(&sum, |values| add_values(values, &addend))?;
    Ok(sum)
}

/// Adds values to others, one to each.
pub(crate) fn add_values(sums: &mut [f32], addends: &[f32]) {
    debug_assert_eq!(sums.len(), addends.len(), "one for each");
    let whole = sums.len() / PIECE * PIECE;
    let (pieces, rest) = sums.split_at_mut(whole);
    let (addends, rest_addends) = addends.split_at(whole);
    rows::with_one(pieces, addends, PIECE, add_row);
    add_row(rest, rest_addends);
}

#[inline(always)]
fn add_row(sums: &mut [f32], addends: &[f32]) {
    for (sum, addend) in sums.iter_mut().zip(addends) {
        *sum += addend;
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::testing::{list, random};

    #[test_case(1, 3; "few values")]
    #[test_case(64, 64; "whole pieces")]
    #[test_case(70, 123; "whole pieces and a rest")]
    fn every_value_is_the_sum_of_two(rows: usize, columns: usize) {
        let (one, two) = (random((rows, columns), 1), random((rows, columns), 2));
        let expected = list(&(&one + &two).unwrap());
        let found = add(one.copy().unwrap(), &two).unwrap();
        assert_eq!(list(&found), expected);
    }
}
