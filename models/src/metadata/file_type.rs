/// What most of a file's tensors are stored as, by llama.cpp's numbers (`llama_ftype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "they are llama.cpp's names")]
#[expect(missing_docs, reason = "the names are all there is to say")]
pub enum FileType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_K_M,
    Q5_K_M,
    Q6_K,
}

/// All numbers that are in use, and their names.
const NAMES: [(u32, &str); 36] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4_MOE"),
    (39, "NVFP4"),
    (40, "Q1_0"),
    (41, "Q2_0"),
];

impl FileType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_K_M,
        Self::Q5_K_M,
        Self::Q6_K,
    ];

    /// Returns llama.cpp's number, the value of `general.file_type`.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 32,
            Self::Q8_0 => 7,
            Self::Q4_K_M => 15,
            Self::Q5_K_M => 17,
            Self::Q6_K => 18,
        }
    }

    /// Returns the name, e.g. `Q4_K_M`.
    pub fn name(self) -> &'static str {
        Self::name_of(self.id()).expect("the table has all that are written")
    }

    /// Returns the name of a number, also of those that are not written here.
    pub fn name_of(id: u32) -> Option<&'static str> {
        let entry = NAMES.iter().find(|(number, _)| *number == id)?;
        Some(entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_llama_cpps() {
        let names = [
            (FileType::F32, "F32"),
            (FileType::F16, "F16"),
            (FileType::Bf16, "BF16"),
            (FileType::Q8_0, "Q8_0"),
            (FileType::Q4_K_M, "Q4_K_M"),
            (FileType::Q5_K_M, "Q5_K_M"),
            (FileType::Q6_K, "Q6_K"),
        ];
        for (file_type, name) in names {
            assert_eq!(file_type.name(), name);
        }
        assert_eq!(FileType::name_of(4), None);
    }
}
