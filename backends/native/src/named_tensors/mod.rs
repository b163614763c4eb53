//! Safetensors files of named tensors, written and read one tensor at a time.

mod digested_file;
mod reader;
mod writer;

pub(crate) use digested_file::{DigestedFile, file_digest, hexadecimal};
pub(crate) use reader::{NamedTensors, TensorFault};
pub use writer::StoredTensor;
pub(crate) use writer::{WriteFault, write_tensors};

#[cfg(test)]
mod tests;
