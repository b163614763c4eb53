use std::sync::LazyLock;

/// How many steps from −1 to 1 a value is looked up by.
const STEPS: usize = 1 << 16;

/// Signed values: what bitsandbytes calls `dynamic`.
static SIGNED: LazyLock<DynamicCode> = LazyLock::new(|| DynamicCode::new(true));
/// Values of at least 0: `udynamic`.
static UNSIGNED: LazyLock<DynamicCode> = LazyLock::new(|| DynamicCode::new(false));

/// The dynamic 8-bit code: 256 numbers within −1 and 1, finer near 0.
///
/// A decade is divided into twice as many as the one below it; the top one, from 0.1 to 1, into 64
/// with either sign, or into 128 without (Dettmers 2015, arXiv:1511.04561). A block of values is kept
/// as its largest magnitude in `f32`, and a byte for each value's share of it.
///
/// The bytes are those that bitsandbytes writes on a CPU, which looks values up by steps of 1 / 32,767.5.
/// Its CUDA kernels search for the nearest number instead; below about 1e-4 of a block's largest the two
/// can differ.
pub(crate) struct DynamicCode {
    values: [f32; 256],
    /// The byte for each step from −1 to 1.
    bytes: Box<[u8; STEPS]>,
}

impl DynamicCode {
    /// Returns the one for values of either sign.
    pub(crate) fn signed() -> &'static Self {
        &SIGNED
    }

    /// Returns the one for values that are never negative.
    pub(crate) fn unsigned() -> &'static Self {
        &UNSIGNED
    }

    fn new(signed: bool) -> Self {
        let mut values = vec![0.0, 1.0];
        for (decade, scale) in [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
            .into_iter()
            .enumerate()
        {
            let intervals = if signed { 1 << decade } else { 2 << decade };
            for idx in 0..intervals {
                let (left, right) = (boundary(idx, intervals), boundary(idx + 1, intervals));
                let value: f32 = scale * f32::midpoint(left, right);
                values.push(value);
                if signed {
                    values.push(-value);
                }
            }
        }
        values.sort_by(f32::total_cmp);
        let values = values.try_into().expect("2 and 2 × 127, or 254, are 256");
        Self {
            bytes: steps(&values),
            values,
        }
    }

    /// Returns what a byte stands for, as a share of its block's largest.
    #[inline]
    pub(crate) fn value(&self, byte: u8) -> f32 {
        self.values[usize::from(byte)]
    }

    /// Encodes a block and returns its largest magnitude.
    ///
    /// `bytes`: as many as there are values. A block of zeros becomes bytes of 0, whatever those stand
    /// for: its largest is 0.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for the features of its caller, or it multiplies and adds slowly"
    )]
    pub(crate) fn encode(&self, block: &[f32], bytes: &mut [u8]) -> f32 {
        // Magnitudes compare as their bits do; processors find the largest of many whole numbers faster.
        let bits = block.iter().map(|value| value.abs().to_bits());
        let largest = f32::from_bits(bits.fold(0, u32::max));
        if largest == 0.0 {
            bytes.fill(0);
            return largest;
        }
        // Infinite for the very smallest; 0 × ∞ is then NaN, and NaN goes to step 0.
        let inverse = 1.0 / largest;
        for (values, bytes) in block.chunks(64).zip(bytes.chunks_mut(64)) {
            let mut steps = [0; 64];
            for (step, value) in steps.iter_mut().zip(values) {
                let share = (value * inverse).clamp(-1.0, 1.0);
                // Fused, as bitsandbytes' compiler does it.
                let shifted = ((share + 1.0) * 0.5).mul_add(65535.0, 0.5);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the share lies within −1 and 1, or becomes 0"
                )]
                let within = shifted as u16;
                *step = within;
            }
            for (byte, step) in bytes.iter_mut().zip(steps) {
                *byte = self.bytes[usize::from(step)];
            }
        }
        largest
    }
}

/// Returns bound `idx` of so many equal intervals from 0.1 to 1, as `torch.linspace` rounds it.
fn boundary(idx: u16, intervals: u16) -> f32 {
    let step = (1.0 - 0.1) / f32::from(intervals);
    if idx < intervals.div_ceil(2) {
        step.mul_add(f32::from(idx), 0.1)
    } else {
        (-step).mul_add(f32::from(intervals - idx), 1.0)
    }
}

/// Returns the byte for each step from −1 to 1: that of the nearest value, the lower one of two.
fn steps(values: &[f32; 256]) -> Box<[u8; STEPS]> {
    let mut bytes = Vec::with_capacity(STEPS);
    let mut byte = 0u8;
    for step in 0..=u16::MAX {
        let share = f32::from(step) * 2.0 / 65535.0 - 1.0;
        let beyond = |byte: u8| {
            let (here, next) = (values[usize::from(byte)], values[usize::from(byte) + 1]);
            share > f32::midpoint(here, next)
        };
        while byte < u8::MAX && beyond(byte) {
            byte += 1;
        }
        bytes.push(byte);
    }
    let bytes = bytes.into_boxed_slice().try_into();
    bytes.expect("there are as many as numbers of 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_and_end_in_1() {
        for code in [DynamicCode::signed(), DynamicCode::unsigned()] {
            assert!(code.values.is_sorted_by(|a, b| a < b));
            assert_eq!(code.values[255], 1.0);
        }
        assert_eq!(DynamicCode::signed().values[127], 0.0);
        assert_eq!(DynamicCode::unsigned().values[0], 0.0);
    }

    #[test]
    fn a_block_comes_back_within_a_step() {
        let block: Vec<f32> = (0..256)
            .map(|idx: i16| f32::from(idx - 100) * 0.37)
            .collect();
        let mut bytes = [0; 256];
        let code = DynamicCode::signed();
        let largest = code.encode(&block, &mut bytes);
        assert_eq!(largest, 155.0 * 0.37);
        for (value, byte) in block.iter().zip(bytes) {
            let error = (code.value(byte) * largest - value).abs();
            // The top decade has intervals of 0.9 / 64.
            assert!(error <= largest * 0.9 / 128.0 * 1.01, "{value}: {error}");
        }
    }

    #[test]
    fn zeros_and_the_smallest_numbers_are_encoded() {
        let mut bytes = [9; 3];
        assert_eq!(DynamicCode::signed().encode(&[0.0; 3], &mut bytes), 0.0);
        assert_eq!(bytes, [0; 3]);
        let smallest = f32::from_bits(700);
        let largest = DynamicCode::signed().encode(&[0.0, smallest, -smallest], &mut bytes);
        assert_eq!(largest, smallest);
        assert_eq!(bytes, [0, 255, 0]);
    }
}
