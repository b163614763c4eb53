use std::fmt;

use serde_json::{Map, Value};

use crate::adapter::{ModelForm, TrainedModel};
use crate::training::options::TrainingOptions;

/// Options that change neither weights nor log, and may be others when a run goes on.
const FREE: [&str; 4] = [
    "gradient_checkpointing",
    "loss_chunk",
    "save_steps",
    "save_total_limit",
];

/// Returns everything that must be the same for a checkpoint to be gone on from, by name.
///
/// `data`: digests of the examples trained on and held out.
pub(crate) fn settings(
    options: &TrainingOptions,
    model: &TrainedModel,
    data: [&str; 2],
) -> Result<Map<String, Value>, serde_json::Error> {
    let mut settings = object(serde_json::to_value(options)?);
    settings.retain(|field, _| !FREE.contains(&field.as_str()));
    settings.insert("base model".to_owned(), model.base_digest.clone().into());
    let [train, eval] = data;
    settings.insert("dataset".to_owned(), train.into());
    settings.insert("eval_dataset".to_owned(), eval.into());
    match &model.form {
        ModelForm::Adapter(adapter) => settings.extend(object(serde_json::to_value(adapter)?)),
        ModelForm::Full => {
            settings.insert("method".to_owned(), "full".into());
        }
    }
    for (key, value) in &model.settings {
        settings.insert(key.clone(), value.clone().into());
    }
    Ok(settings)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A setting that is not what a checkpoint was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub field: String,
    /// What the checkpoint was made with.
    pub checkpoint: String,
    /// What it is now.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            checkpoint,
            now,
        } = self;
        write!(formatter, "`{field}` was {checkpoint}, is {now}")
    }
}

/// Returns the settings in which a checkpoint and a run differ, in the order of the run's.
pub(crate) fn differences(
    checkpoint: &Map<String, Value>,
    now: &Map<String, Value>,
) -> Vec<Difference> {
    let absent = checkpoint.keys().filter(|field| !now.contains_key(*field));
    let fields = now.keys().chain(absent);
    let show = |value: Option<&Value>| match value {
        Some(value) => value.to_string(),
        None => "not set".to_owned(),
    };
    let differing = fields.filter(|field| checkpoint.get(*field) != now.get(*field));
    differing
        .map(|field| Difference {
            field: field.clone(),
            checkpoint: show(checkpoint.get(field)),
            now: show(now.get(field)),
        })
        .collect()
}
