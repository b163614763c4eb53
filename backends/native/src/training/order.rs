/// Returns the order of `count` rows in an epoch: a permutation that depends on nothing but seed and
/// epoch.
///
/// Rows are sorted by a number of their own, as if each had drawn a ticket; there is no generator whose
/// state a checkpoint would have to hold.
pub(super) fn epoch_order(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let of_epoch = mix(mix(seed) ^ epoch as u64);
    let mut order: Vec<(u64, usize)> = (0..count)
        .map(|row| (mix(of_epoch ^ mix(row as u64)), row))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, row)| row).collect()
}

/// Returns the root of what dropout leaves out in a step.
pub(super) fn dropout_seed(seed: u64, step: usize) -> u64 {
    // Apart from the orders, which have the same seed.
    const DROPOUT: u64 = 0x6472_6f70_6f75_7400;
    mix(mix(seed ^ DROPOUT) ^ step as u64)
}

/// Returns the key of an example's own random numbers in an epoch, wherever in whatever batch it stands.
pub(super) fn example_key(example: usize, epoch: usize) -> u64 {
    ((epoch as u64) << 32) ^ example as u64
}

/// Spreads every bit of a number over all bits: the finaliser of `SplitMix64` (Steele, Lea, Flood 2014),
/// after one step of its counter.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_is_splitmix64() {
        // The first outputs for the state 1234567, as published with the reference implementation.
        let state = 1_234_567_u64;
        assert_eq!(mix(state), 6_457_827_717_110_365_317);
        let next = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        assert_eq!(mix(next), 3_203_168_211_198_807_973);
    }

    #[test]
    fn an_order_has_every_row_once_and_is_the_epochs_own() {
        let order = epoch_order(100, 7, 0);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(order, epoch_order(100, 7, 0));
        assert_ne!(order, epoch_order(100, 7, 1));
        assert_ne!(order, epoch_order(100, 8, 0));
    }

    #[test]
    fn every_order_is_as_likely() {
        // Each of the 6 orders of three rows; the standard deviation of a count is 29.
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6_000 {
            *counts.entry(epoch_order(3, 42, epoch)).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 6);
        for count in counts.values() {
            assert!((count - 1_000).abs() < 150, "{counts:?}");
        }
    }
}
