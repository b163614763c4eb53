//! The container of llama.cpp's models: key-values, then tensors in blocks.
//!
//! [`GgufFile`] reads versions 2 and 3, little-endian, from a mapped file; [`Writer`] writes version 3
//! tensor by tensor, byte for byte as gguf-py lays it out.

mod cursor;
mod encoding;
mod error;
mod header;
mod key_values;
mod reader;
mod tensor;
mod tensor_type;
mod value;
mod writer;

pub use error::{GgufError, GgufProblem, Part, WriteError, WriteProblem};
pub use key_values::KeyValues;
pub use reader::GgufFile;
pub use tensor::{StoredTensor, TensorDescription};
pub use tensor_type::TensorType;
pub use value::{Array, StringArray, Value, ValueType};
pub use writer::{Existing, Writer};

/// What a file begins with.
const MAGIC: [u8; 4] = *b"GGUF";
/// The version written; the one before it differs in nothing.
const VERSION: u32 = 3;
/// Bytes to a multiple of which every tensor begins, unless [`ALIGNMENT_KEY`] says otherwise.
const DEFAULT_ALIGNMENT: u32 = 32;
/// Key of the alignment, a `u32`.
const ALIGNMENT_KEY: &str = "general.alignment";
/// Bytes of a tensor's name that llama.cpp has room for.
const NAME_LIMIT: u64 = 63;
/// Dimensions a tensor may have.
const DIMENSIONS_LIMIT: u32 = 4;

#[cfg(test)]
mod tests;
