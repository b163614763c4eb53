/// The numbers that four bits stand for, as shares of a block's largest magnitude.
///
/// From appendix E of Dettmers et al. 2023.
pub(super) const VALUES: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Where one number ends and the next begins; a value between two exactly is the lower one's.
pub(super) const BOUNDS: [f32; 15] = {
    let mut bounds = [0.0; 15];
    let mut idx = 0;
    while idx < bounds.len() {
        bounds[idx] = f32::midpoint(VALUES[idx], VALUES[idx + 1]);
        idx += 1;
    }
    bounds
};

/// Returns the bits for a share.
pub(super) fn nearest(share: f32) -> u8 {
    BOUNDS.iter().map(|&bound| u8::from(share > bound)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_taken_and_the_lower_of_two() {
        for (code, value) in (0..).zip(VALUES) {
            assert_eq!(nearest(value), code);
        }
        for (code, bound) in (0..).zip(BOUNDS) {
            assert_eq!(nearest(bound), code);
            assert_eq!(nearest(bound.next_up()), code + 1);
        }
    }
}
