/// Returns the mean in the order in which PyTorch adds on a CPU, with one thread.
///
/// The offset of nested scales is this mean, and every bit of what is stored after it depends on it.
/// PyTorch has 8 lanes, each with 4 partial sums in turn, and in each of them 4 levels of sums, so that
/// many small numbers do not drown; the last values and the lanes are then added one by one. Fewer values
/// than there are lanes go one by one through the same four partial sums.
///
/// With several threads PyTorch divides 32,768 values or more among them, and the last bits then depend
/// on how many there are.
pub(super) fn mean(values: &[f32]) -> f32 {
    let sum = if values.len() < LANES {
        lane_sums(values.iter().map(|&value| [value]))
            .into_iter()
            .sum()
    } else {
        let (rows, rest) = values.as_chunks::<LANES>();
        let lanes = lane_sums(rows.iter().copied());
        let rest = rest.iter().fold(0.0, |sum, value| sum + value);
        lanes.iter().fold(rest, |sum: f32, lane| sum + lane)
    };
    sum / values.len() as f32
}

const LANES: usize = 8;
const PARTIAL_SUMS: usize = 4;
const LEVELS: usize = 4;

/// Adds rows up, lane by lane.
fn lane_sums<const N: usize>(rows: impl ExactSizeIterator<Item = [f32; N]>) -> [f32; N] {
    let mut rows = rows;
    let count = rows.len() / PARTIAL_SUMS;
    // Values between two moves to the next level: 16, or the fourth root of the count if that is more.
    let power = (count.next_power_of_two().trailing_zeros() as usize / LEVELS).max(4);
    let mut levels = [[[0.0f32; N]; PARTIAL_SUMS]; LEVELS];
    for idx in 1..=count {
        for sum in &mut levels[0] {
            add(sum, rows.next().unwrap_or([0.0; N]));
        }
        let mut below = power;
        for level in 1..LEVELS {
            if !idx.is_multiple_of(1 << below) {
                break;
            }
            let moved = std::mem::replace(&mut levels[level - 1], [[0.0; N]; PARTIAL_SUMS]);
            for (sum, moved) in levels[level].iter_mut().zip(moved) {
                add(sum, moved);
            }
            below += power;
        }
    }
    let [mut sums, upper @ ..] = levels;
    for level in upper {
        for (sum, value) in sums.iter_mut().zip(level) {
            add(sum, value);
        }
    }
    let [mut sum, others @ ..] = sums;
    for row in rows {
        add(&mut sum, row);
    }
    for other in others {
        add(&mut sum, other);
    }
    sum
}

fn add<const N: usize>(sum: &mut [f32; N], row: [f32; N]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_added_exactly() {
        for count in (1..300u16).chain([1023, 1024, 4099, 20_000]) {
            let values: Vec<f32> = (0..count).map(|idx| f32::from(idx % 7)).collect();
            let expected = values.iter().map(|&value| f64::from(value)).sum::<f64>();
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^24")]
            let expected = expected as f32 / f32::from(count);
            assert_eq!(mean(&values), expected, "{count} values");
        }
    }
}
