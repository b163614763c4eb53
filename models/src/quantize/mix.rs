use crate::convert::layer;
use crate::gguf::{TensorDescription, TensorType};
use crate::hyper_parameters::HyperParameters;
use crate::metadata::FileType;
use crate::model_config::Family;

/// Which type each tensor of a model gets: llama-quantize's choice without an importance matrix.
///
/// Some tensors hurt more than others when they lose bits: the head, and in about half of the layers
/// the value projection and the way down out of the MLP. (llama.cpp, `src/llama-quant.cpp`.)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) file_type: FileType,
    /// Layers of the model.
    pub(crate) layers: u32,
    /// Whether the embedding is the head as well.
    pub(crate) is_tied: bool,
    /// Whether a value projection is small beside the rest: 80 layers with grouped heads.
    pub(crate) has_small_values: bool,
}

/// Returns the type that most tensors of a file have, if they are quantised.
pub(crate) fn usual_type(file_type: FileType) -> Option<TensorType> {
    match file_type {
        FileType::F32 | FileType::F16 | FileType::Bf16 => None,
        FileType::Q8_0 => Some(TensorType::Q8_0),
        FileType::Q4_K_M => Some(TensorType::Q4_K),
        FileType::Q5_K_M => Some(TensorType::Q5_K),
        FileType::Q6_K => Some(TensorType::Q6_K),
    }
}

/// Tells whether a model's value projections are small beside the rest: those of the 70B models of
/// some families.
pub(crate) fn has_small_values(family: Family, parameters: &HyperParameters) -> bool {
    let is_grouped = parameters.num_attention_heads != parameters.num_key_value_heads;
    parameters.num_hidden_layers == 80
        && match family {
            Family::Llama | Family::Mistral => is_grouped,
            Family::Qwen2 => true,
            Family::Qwen3 | Family::Gemma3 => false,
        }
}

impl Mix {
    /// Returns what a tensor described with its plain type is stored as, and whether its rows do not
    /// fill the blocks of the type it should have had.
    pub(crate) fn tensor_type(self, tensor: &TensorDescription) -> (TensorType, bool) {
        let plain = (tensor.tensor_type, false);
        let Some(usual) = usual_type(self.file_type) else {
            return plain;
        };
        // Dimensions of one value at the end do not count.
        let dimensions = &tensor.dimensions;
        let is_vector = dimensions.iter().skip(1).all(|&size| size == 1);
        let name = tensor.name.as_str();
        if is_vector || !name.ends_with("weight") || name.contains("_norm.weight") {
            return plain;
        }
        let columns = dimensions.first().copied().unwrap_or(0);
        let wanted = self.wanted(name, usual, columns);
        let fitting = fitting(wanted, columns);
        (fitting, fitting != wanted)
    }

    /// Returns the type a tensor of these columns should have, whether or not its rows fill blocks.
    fn wanted(self, name: &str, usual: TensorType, columns: u64) -> TensorType {
        let is_embedding = name == "token_embd.weight";
        if name == "output.weight" || is_embedding && self.is_tied {
            return match usual {
                TensorType::Q8_0 => TensorType::Q8_0,
                _ if !columns.is_multiple_of(usual.block_size()) => TensorType::Q8_0,
                _ => TensorType::Q6_K,
            };
        }
        let is_mixed = matches!(self.file_type, FileType::Q4_K_M | FileType::Q5_K_M);
        let gets_more = is_mixed && layer(name).is_some_and(|layer| self.gets_more_bits(layer));
        if name.ends_with("attn_v.weight") {
            match usual {
                _ if gets_more => TensorType::Q6_K,
                TensorType::Q4_K if self.has_small_values => TensorType::Q5_K,
                _ => usual,
            }
        } else if name.ends_with("ffn_down.weight") && gets_more {
            TensorType::Q6_K
        } else {
            usual
        }
    }

    /// Tells whether a layer is in the first or last eighth, or a third one between.
    fn gets_more_bits(self, layer: u32) -> bool {
        let (layer, layers) = (u64::from(layer), u64::from(self.layers));
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
    }
}

/// Returns what a type gives way to where a row does not fill its blocks.
fn fitting(wanted: TensorType, columns: u64) -> TensorType {
    let fits = |tensor_type: TensorType| columns.is_multiple_of(tensor_type.block_size());
    if fits(wanted) {
        return wanted;
    }
    let smaller = match wanted {
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        other => other,
    };
    if fits(smaller) {
        smaller
    } else {
        TensorType::F16
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn mix(file_type: FileType, layers: u32, is_tied: bool) -> Mix {
        Mix {
            file_type,
            layers,
            is_tied,
            has_small_values: layers == 80,
        }
    }

    fn type_of(mix: Mix, name: &str, dimensions: &[u64]) -> TensorType {
        let tensor = TensorDescription {
            name: name.to_owned(),
            dimensions: dimensions.to_vec(),
            tensor_type: TensorType::BF16,
        };
        mix.tensor_type(&tensor).0
    }

    #[test]
    fn about_half_of_32_layers_get_more_bits() {
        let mix = mix(FileType::Q4_K_M, 32, false);
        let more: Vec<u32> = (0..32).filter(|&layer| mix.gets_more_bits(layer)).collect();
        assert_eq!(
            more,
            [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
        );
    }

    #[test_case("output.weight", 4096, TensorType::Q6_K)]
    #[test_case("output.weight", 96, TensorType::Q8_0)]
    #[test_case("output.weight", 48, TensorType::F16)]
    #[test_case("token_embd.weight", 4096, TensorType::Q4_K)]
    #[test_case("blk.0.attn_v.weight", 4096, TensorType::Q6_K)]
    #[test_case("blk.4.attn_v.weight", 4096, TensorType::Q4_K)]
    #[test_case("blk.6.ffn_down.weight", 4096, TensorType::Q6_K)]
    #[test_case("blk.6.ffn_down.weight", 96, TensorType::Q8_0)]
    #[test_case("blk.6.attn_q.weight", 4096, TensorType::Q4_K)]
    #[test_case("blk.6.attn_q.weight", 96, TensorType::Q5_0)]
    #[test_case("blk.6.attn_q.weight", 48, TensorType::F16)]
    #[test_case("blk.6.attn_q.bias", 4096, TensorType::BF16)]
    fn q4_k_m_is_mixed(name: &str, columns: u64, expected: TensorType) {
        let mix = mix(FileType::Q4_K_M, 32, false);
        assert_eq!(type_of(mix, name, &[columns, 7]), expected);
    }

    #[test]
    fn a_tied_embedding_is_treated_as_the_head() {
        let tied = mix(FileType::Q5_K_M, 32, true);
        assert_eq!(
            type_of(tied, "token_embd.weight", &[256, 7]),
            TensorType::Q6_K
        );
        let tied = mix(FileType::Q8_0, 32, true);
        assert_eq!(
            type_of(tied, "token_embd.weight", &[256, 7]),
            TensorType::Q8_0
        );
        assert_eq!(
            type_of(tied, "blk.0.attn_norm.weight", &[256, 1]),
            TensorType::BF16
        );
    }

    #[test]
    fn small_value_projections_of_70b_models_get_a_bit_more() {
        let large = mix(FileType::Q4_K_M, 80, false);
        assert_eq!(
            type_of(large, "blk.10.attn_v.weight", &[256, 7]),
            TensorType::Q5_K
        );
        let small = mix(FileType::Q4_K_M, 79, false);
        assert_eq!(
            type_of(small, "blk.10.attn_v.weight", &[256, 7]),
            TensorType::Q4_K
        );
    }
}
