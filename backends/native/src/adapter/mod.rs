//! A trained model as PEFT and transformers save it.

mod description;

pub use description::{AdapterDescription, ModelForm, TrainedModel};
