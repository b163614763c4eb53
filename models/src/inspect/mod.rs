//! What a file is, said in a form to print or to compare.

mod gguf;

pub use gguf::{
    AdapterDescription, GgufDescription, SpecialTokenDescription, TensorTypeCount,
    TokenizerDescription,
};
