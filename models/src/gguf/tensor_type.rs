/// How a tensor's values are stored: numbers of their own, or blocks that share a scale.
///
/// Numbers and sizes are ggml's (`ggml.h`, `ggml-common.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(non_camel_case_types, reason = "they are ggml's names")]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub enum TensorType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
}

/// Type, number, name, values of a block, bytes of a block.
const TYPES: [(TensorType, u32, &str, u64, u64); 35] = {
    use TensorType as T;
    [
        (T::F32, 0, "F32", 1, 4),
        (T::F16, 1, "F16", 1, 2),
        (T::Q4_0, 2, "Q4_0", 32, 18),
        (T::Q4_1, 3, "Q4_1", 32, 20),
        (T::Q5_0, 6, "Q5_0", 32, 22),
        (T::Q5_1, 7, "Q5_1", 32, 24),
        (T::Q8_0, 8, "Q8_0", 32, 34),
        (T::Q8_1, 9, "Q8_1", 32, 36),
        (T::Q2_K, 10, "Q2_K", 256, 84),
        (T::Q3_K, 11, "Q3_K", 256, 110),
        (T::Q4_K, 12, "Q4_K", 256, 144),
        (T::Q5_K, 13, "Q5_K", 256, 176),
        (T::Q6_K, 14, "Q6_K", 256, 210),
        (T::Q8_K, 15, "Q8_K", 256, 292),
        (T::IQ2_XXS, 16, "IQ2_XXS", 256, 66),
        (T::IQ2_XS, 17, "IQ2_XS", 256, 74),
        (T::IQ3_XXS, 18, "IQ3_XXS", 256, 98),
        (T::IQ1_S, 19, "IQ1_S", 256, 50),
        (T::IQ4_NL, 20, "IQ4_NL", 32, 18),
        (T::IQ3_S, 21, "IQ3_S", 256, 110),
        (T::IQ2_S, 22, "IQ2_S", 256, 82),
        (T::IQ4_XS, 23, "IQ4_XS", 256, 136),
        (T::I8, 24, "I8", 1, 1),
        (T::I16, 25, "I16", 1, 2),
        (T::I32, 26, "I32", 1, 4),
        (T::I64, 27, "I64", 1, 8),
        (T::F64, 28, "F64", 1, 8),
        (T::IQ1_M, 29, "IQ1_M", 256, 56),
        (T::BF16, 30, "BF16", 1, 2),
        (T::TQ1_0, 34, "TQ1_0", 256, 54),
        (T::TQ2_0, 35, "TQ2_0", 256, 66),
        (T::MXFP4, 39, "MXFP4", 32, 17),
        (T::NVFP4, 40, "NVFP4", 64, 36),
        (T::Q1_0, 41, "Q1_0", 128, 18),
        (T::Q2_0, 42, "Q2_0", 64, 18),
    ]
};

impl TensorType {
    /// Returns the type of a number; none for numbers ggml never gave or has taken back.
    pub fn of_id(id: u32) -> Option<Self> {
        let entry = TYPES.iter().find(|(_, number, ..)| *number == id)?;
        Some(entry.0)
    }

    /// Returns ggml's number.
    pub fn id(self) -> u32 {
        self.entry().1
    }

    /// Returns the name, e.g. `Q4_K`.
    pub fn name(self) -> &'static str {
        self.entry().2
    }

    /// Returns how many values a block has; 1 where every value stands for itself.
    pub fn block_size(self) -> u64 {
        self.entry().3
    }

    /// Returns how many bytes a block has.
    pub fn block_bytes(self) -> u64 {
        self.entry().4
    }

    /// Returns the bytes of a row of `values`; none if they do not fill blocks or cannot be counted.
    pub fn row_bytes(self, values: u64) -> Option<u64> {
        if !values.is_multiple_of(self.block_size()) {
            return None;
        }
        (values / self.block_size()).checked_mul(self.block_bytes())
    }

    fn entry(self) -> &'static (Self, u32, &'static str, u64, u64) {
        // The table stands in the order of the variants.
        &TYPES[self as usize]
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_variants() {
        for (idx, &(of, id, name, ..)) in TYPES.iter().enumerate() {
            assert_eq!(of as usize, idx);
            assert_eq!(name, format!("{of:?}"));
            assert_eq!(TensorType::of_id(id), Some(of));
        }
        assert!(TYPES.windows(2).all(|pair| pair[0].1 < pair[1].1));
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(TensorType::Q4_K.row_bytes(512), Some(288));
        assert_eq!(TensorType::Q4_K.row_bytes(511), None);
        assert_eq!(TensorType::F32.row_bytes(u64::MAX), None);
        assert_eq!(TensorType::BF16.row_bytes(3), Some(6));
        for removed in [4, 5, 31, 33, 36, 38, 43, u32::MAX] {
            assert_eq!(TensorType::of_id(removed), None);
        }
    }
}
