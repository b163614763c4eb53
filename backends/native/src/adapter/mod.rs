//! A trained model as PEFT and transformers save it.

mod description;
mod files;
mod peft_config;

pub use description::{AdapterDescription, ModelForm, TrainedModel};
pub(crate) use files::{stored_dtype, weights_file, write_file, write_model};
