//! Values looked at one by one: those that are no numbers, and tensors of zeros.

use rayon::prelude::*;
use safetensors::Dtype;

/// Bytes looked at by one thread at a time.
const PIECE: usize = 1 << 20;

/// Returns the byte where the first value lies that is infinite or NaN; integers never are.
pub(super) fn first_not_finite(dtype: Dtype, bytes: &[u8]) -> Option<usize> {
    let find: fn(&[u8]) -> Option<usize> = match dtype {
        Dtype::F16 => |piece| position(piece, |bytes| u16::from_le_bytes(bytes) & 0x7C00 == 0x7C00),
        Dtype::BF16 => {
            |piece| position(piece, |bytes| u16::from_le_bytes(bytes) & 0x7F80 == 0x7F80)
        }
        Dtype::F32 => |piece| position(piece, |bytes| !f32::from_le_bytes(bytes).is_finite()),
        Dtype::F64 => |piece| position(piece, |bytes| !f64::from_le_bytes(bytes).is_finite()),
        _ => return None,
    };
    let pieces = bytes.par_chunks(PIECE).enumerate();
    let found = pieces.map(|(idx, piece)| Some(idx * PIECE + find(piece)?));
    found.find_first(Option::is_some).flatten()
}

/// Returns the byte where the first value lies of which `is` is true; values have `N` bytes each.
fn position<const N: usize>(piece: &[u8], is: impl Fn([u8; N]) -> bool) -> Option<usize> {
    let values = piece.as_chunks().0;
    // Without a way out, the loop becomes vectors; most pieces have nothing.
    if !values.iter().fold(false, |any, &value| any | is(value)) {
        return None;
    }
    Some(values.iter().position(|&value| is(value))? * N)
}

/// Tells whether all floating-point values are 0 or −0.
pub(super) fn is_zero(dtype: Dtype, bytes: &[u8]) -> bool {
    match dtype {
        Dtype::F16 | Dtype::BF16 => {
            let values = bytes.as_chunks().0.iter();
            // Without the sign.
            values.fold(0, |bits, &value| bits | u16::from_le_bytes(value)) << 1 == 0
        }
        Dtype::F32 => {
            let values = bytes.as_chunks().0.iter();
            values.fold(0, |bits, &value| bits | u32::from_le_bytes(value)) << 1 == 0
        }
        _ => bytes.iter().all(|&byte| byte == 0),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(Dtype::F32, &f32::NAN.to_le_bytes(), &1f32.to_le_bytes())]
    #[test_case(Dtype::F64, &f64::NEG_INFINITY.to_le_bytes(), &f64::MAX.to_le_bytes())]
    #[test_case(Dtype::BF16, &[0x80, 0xFF], &[0x7F, 0x7F])]
    #[test_case(Dtype::F16, &[0x01, 0x7C], &[0xFF, 0x7B])]
    fn the_first_is_found(dtype: Dtype, bad: &[u8], good: &[u8]) {
        let count = PIECE / good.len() + 3;
        let mut bytes = good.repeat(count);
        assert_eq!(first_not_finite(dtype, &bytes), None);
        for place in [count - 1, count - 2, 1] {
            let start = place * good.len();
            bytes[start..start + good.len()].copy_from_slice(bad);
            assert_eq!(first_not_finite(dtype, &bytes), Some(start));
        }
    }

    #[test]
    fn integers_are_finite() {
        assert_eq!(first_not_finite(Dtype::I32, &[0xFF; 8]), None);
    }

    #[test]
    fn zeros_of_both_signs_are_zero() {
        assert!(is_zero(Dtype::F32, &(-0f32).to_le_bytes()));
        assert!(is_zero(Dtype::BF16, &[0, 0x80, 0, 0]));
        assert!(!is_zero(Dtype::F16, &[1, 0]));
        assert!(!is_zero(Dtype::F32, &1e-40f32.to_le_bytes()));
        assert!(!is_zero(Dtype::U8, &[0, 1]));
    }
}
