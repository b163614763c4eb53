use half::f16;
use safetensors::Dtype;

/// A floating-point format whose values can be computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// IEEE 754 single precision.
    F32,
    /// The upper half of it.
    Bf16,
    /// IEEE 754 half precision.
    F16,
}

impl NumberFormat {
    /// Returns the format that a file calls `dtype`, if it is one of them.
    pub(crate) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::BF16 => Some(Self::Bf16),
            Dtype::F16 => Some(Self::F16),
            _ => None,
        }
    }

    /// Returns what a file calls it.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::BF16,
            Self::F16 => Dtype::F16,
        }
    }

    /// Rounds `values` to what the format can hold, to the nearest, ties to even.
    pub(crate) fn round(self, values: &mut [f32]) {
        match self {
            Self::F32 => {}
            Self::Bf16 => {
                for value in values {
                    *value = round_to_bf16(*value);
                }
            }
            Self::F16 => {
                for value in values {
                    *value = f16::from_f32(*value).to_f32();
                }
            }
        }
    }

    /// Returns the bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// Returns the value at `idx` of `bytes`.
    pub(crate) fn value(self, bytes: &[u8], idx: usize) -> f32 {
        let mut value = [0.0];
        let size = self.size();
        self.decode(&bytes[idx * size..(idx + 1) * size], &mut value);
        value[0]
    }

    /// Widens little-endian `bytes` to `values`, of which there are as many; nothing is rounded.
    pub(crate) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::F32 => {
                for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(bytes);
                }
            }
            Self::Bf16 => {
                for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
                }
            }
            Self::F16 => {
                for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f16::from_le_bytes(bytes).to_f32();
                }
            }
        }
    }

    /// Rounds `values` to little-endian `bytes`, to the nearest, ties to even; returns whether all
    /// were finite and stayed so.
    pub(crate) fn encode(self, values: &[f32], bytes: &mut [u8]) -> bool {
        let mut finite = true;
        match self {
            Self::F32 => {
                for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
                    finite &= value.is_finite();
                    *bytes = value.to_le_bytes();
                }
            }
            Self::Bf16 => {
                for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
                    let rounded = round_to_bf16(*value);
                    finite &= rounded.is_finite();
                    let [_, _, low, high] = rounded.to_le_bytes();
                    *bytes = [low, high];
                }
            }
            Self::F16 => {
                for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
                    let rounded = f16::from_f32(*value);
                    finite &= rounded.is_finite();
                    *bytes = rounded.to_le_bytes();
                }
            }
        }
        finite
    }
}

/// Rounds to the nearest value with eight bits of precision, ties to even; a NaN stays one.
///
/// Written so that the compiler makes vectors of it.
fn round_to_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000;
    let quiet = (bits | 0x0040_0000) & 0xFFFF_0000;
    f32::from_bits(if value.is_nan() { quiet } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_and_overflow_is_seen() {
        let values = [
            f32::from_bits(0x3F80_8000), // half way, down to even
            f32::from_bits(0x3F81_8000), // half way, up to even
            f32::from_bits(0x3F80_8001), // above half way
        ];
        let mut bytes = [0; 6];
        assert!(NumberFormat::Bf16.encode(&values, &mut bytes));
        let found: Vec<u16> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| u16::from_le_bytes(b))
            .collect();
        assert_eq!(found, [0x3F80, 0x3F82, 0x3F81]);
        assert!(!NumberFormat::Bf16.encode(&[f32::MAX], &mut [0; 2]));
        assert!(!NumberFormat::F16.encode(&[65520.0], &mut [0; 2]));
        assert!(NumberFormat::F16.encode(&[65519.0], &mut [0; 2]));
        assert!(!NumberFormat::F32.encode(&[f32::NAN], &mut [0; 4]));
    }

    #[test]
    fn rounding_to_bf16_is_that_of_half() {
        let mut bits = 1u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            let expected = half::bf16::from_f32(value).to_f32();
            assert_eq!(
                round_to_bf16(value).to_bits(),
                expected.to_bits(),
                "{bits:#x}"
            );
        }
    }

    #[test]
    fn what_is_widened_rounds_back_to_itself() {
        for format in [NumberFormat::Bf16, NumberFormat::F16] {
            for bits in 0..=u16::MAX {
                let bytes = bits.to_le_bytes();
                let value = format.value(&bytes, 0);
                let mut back = [0; 2];
                if format.encode(&[value], &mut back) {
                    assert_eq!(back, bytes, "{format:?} {bits:#x}");
                }
            }
        }
    }
}
