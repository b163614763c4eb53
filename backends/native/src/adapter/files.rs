use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use candle_core::DType;
use serde::Deserialize;

use super::description::{ModelForm, TrainedModel};
use super::peft_config;
use crate::decoder::Decoder;
use crate::named_tensors::{DigestedFile, StoredTensor, write_tensors};
use crate::training::TrainingError;

/// Name of the file that describes a model.
const MODEL_CONFIG: &str = "config.json";

/// Returns the name of the file that has a model's trained tensors.
pub(crate) fn weights_file(form: &ModelForm) -> &'static str {
    match form {
        ModelForm::Adapter(_) => "adapter_model.safetensors",
        ModelForm::Full => "model.safetensors",
    }
}

/// Writes a model's tensors and what describes them into a directory; returns each file's name and
/// SHA-256.
///
/// `stored_as`: the format of numbers; none leaves `f32`, which is what they are trained in.
pub(crate) fn write_model(
    directory: &Path,
    model: &TrainedModel,
    decoder: &Decoder,
    stored_as: Option<DType>,
) -> Result<Vec<(String, String)>, TrainingError> {
    let parameters = decoder.parameters().iter();
    let tensors: BTreeMap<&str, StoredTensor<'_>> = parameters
        .map(|(_, parameter)| {
            let value = StoredTensor::Tensor(&parameter.value);
            (parameter.name.as_str(), value)
        })
        .collect();
    let weights = weights_file(&model.form);
    let path = directory.join(weights);
    let mut file = DigestedFile::create(&path).map_err(TrainingError::output(&path))?;
    write_tensors(&mut file, &tensors, stored_as)
        .map_err(|fault| TrainingError::writing(&path, fault))?;
    let digest = file.finish().map_err(TrainingError::output(&path))?;
    let (name, text) = match &model.form {
        ModelForm::Adapter(adapter) => {
            let text = peft_config::peft_config(adapter, decoder.lora(), &model.base_name);
            let text = text.expect("numbers and strings are JSON");
            (peft_config::FILE, text.into_bytes())
        }
        ModelForm::Full => {
            let path = model.base.join(MODEL_CONFIG);
            let text = std::fs::read(&path).map_err(TrainingError::read(&path))?;
            (MODEL_CONFIG, text)
        }
    };
    let described = write_file(&directory.join(name), &text)?;
    Ok(vec![
        (weights.to_owned(), digest),
        (name.to_owned(), described),
    ])
}

/// Writes a whole file; returns its SHA-256.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<String, TrainingError> {
    let mut file = DigestedFile::create(path).map_err(TrainingError::output(path))?;
    file.write_all(bytes).map_err(TrainingError::output(path))?;
    file.finish().map_err(TrainingError::output(path))
}

/// Returns the format of numbers that a model's `config.json` says it is stored in; `f32` where it says
/// none, as transformers has it.
pub(crate) fn stored_dtype(base: &Path) -> Result<DType, TrainingError> {
    /// transformers 5 says `dtype`, those before `torch_dtype`.
    #[derive(Deserialize)]
    struct Stored {
        #[serde(alias = "torch_dtype")]
        dtype: Option<String>,
    }

    let path = base.join(MODEL_CONFIG);
    let text = std::fs::read(&path).map_err(TrainingError::read(&path))?;
    let stored: Stored =
        serde_json::from_slice(&text).map_err(|error| TrainingError::read(&path)(error.into()))?;
    match stored.dtype.as_deref() {
        Some("bfloat16") => Ok(DType::BF16),
        Some("float16") => Ok(DType::F16),
        _ => Ok(DType::F32),
    }
}
