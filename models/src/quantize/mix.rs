use crate::convert::FileType;
use crate::gguf::{TensorDescription, TensorType};
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

impl Mix {
    pub(crate) fn new(
        file_type: FileType,
        family: Family,
        layers: u32,
        is_grouped: bool,
        is_tied: bool,
    ) -> Self {
        let has_small_values = layers == 80
            && match family {
                Family::Llama | Family::Mistral => is_grouped,
                Family::Qwen2 => true,
                Family::Qwen3 | Family::Gemma3 => false,
            };
        Self {
            file_type,
            layers,
            is_tied,
            has_small_values,
        }
    }

    /// Returns what a tensor is stored as that would have `plain` in a file of 16 or 32 bits.
    pub(crate) fn tensor_type(&self, tensor: &TensorDescription, plain: TensorType) -> TensorType {
        let Some(usual) = self.file_type.quantized() else {
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
        fallback(self.wanted(name, usual, columns), columns)
    }

    /// Returns the type a tensor of these columns should have, whether or not its rows fill blocks.
    fn wanted(&self, name: &str, usual: TensorType, columns: u64) -> TensorType {
        let is_embedding = name == "token_embd.weight";
        if name == "output.weight" || is_embedding && self.is_tied {
            return match usual {
                TensorType::Q8_0 => TensorType::Q8_0,
                _ if columns % usual.block_size() != 0 => TensorType::Q8_0,
                _ => TensorType::Q6_K,
            };
        }
        let is_mixed = matches!(self.file_type, FileType::Q4KM | FileType::Q5KM);
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
    fn gets_more_bits(&self, layer: u32) -> bool {
        let (layer, layers) = (u64::from(layer), u64::from(self.layers));
        layer < layers / 8
            || layer >= 7 * layers / 8
            || (layer - layers / 8) % 3 == 2
    }
}

/// Returns what a type gives way to where a row does not fill its blocks.
fn fallback(wanted: TensorType, columns: u64) -> TensorType {
    let fits = |tensor_type: TensorType| columns % tensor_type.block_size() == 0;
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

/// Returns the layer of a name as GGUF has it.
fn layer(name: &str) -> Option<u32> {
    let (layer, _) = name.strip_prefix("blk.")?.split_once('.')?;
    layer.parse().ok()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn mix(file_type: FileType, layers: u32, is_tied: bool) -> Mix {
        Mix::new(file_type, Family::Llama, layers, true, is_tied)
    }

    fn type_of(mix: Mix, name: &str, dimensions: &[u64]) -> TensorType {
        let tensor = TensorDescription {
            name: name.to_owned(),
            dimensions: dimensions.to_vec(),
            tensor_type: TensorType::BF16,
        };
        mix.tensor_type(&tensor, TensorType::BF16)
    }

    #[test]
    fn about_half_of_32_layers_get_more_bits() {
        let mix = mix(FileType::Q4KM, 32, false);
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
        let mix = mix(FileType::Q4KM, 32, false);
        assert_eq!(type_of(mix, name, &[columns, 7]), expected);
    }

    #[test]
    fn a_tied_embedding_is_treated_as_the_head() {
        let tied = mix(FileType::Q5KM, 32, true);
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
        let large = mix(FileType::Q4KM, 80, false);
        assert_eq!(
            type_of(large, "blk.10.attn_v.weight", &[256, 7]),
            TensorType::Q5_K
        );
        let small = mix(FileType::Q4KM, 79, false);
        assert_eq!(
            type_of(small, "blk.10.attn_v.weight", &[256, 7]),
            TensorType::Q4_K
        );
    }
}
