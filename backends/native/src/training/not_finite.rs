use super::data::TrainingData;
use super::error::TrainingError;
use super::order::example_key;
use super::step_plan::Step;
use crate::batch::Batch;
use crate::decoder::{Decoder, Pass};
use crate::parameters::Gradients;

/// Returns which examples of a step make its loss or its gradient not finite, by computing each alone.
///
/// All of them if none does so alone.
pub(super) fn offenders(
    decoder: &Decoder,
    data: &TrainingData,
    step: &Step,
    pass: &Pass,
) -> Result<Vec<String>, TrainingError> {
    let mut ids = Vec::new();
    for &example in step.batches.iter().flatten() {
        let key = example_key(example, step.epoch);
        let batch = Batch::new([(&data.train[example], key)]);
        let mut gradients = Gradients::new(decoder.parameters());
        let loss = decoder.accumulate(&batch, pass, &mut gradients)?;
        if !loss.nll_sum().is_finite() || !are_finite(decoder, &gradients)? {
            ids.push(data.train[example].id.clone());
        }
    }
    if ids.is_empty() {
        let all = step.batches.iter().flatten();
        ids.extend(all.map(|&example| data.train[example].id.clone()));
    }
    Ok(ids)
}

fn are_finite(decoder: &Decoder, gradients: &Gradients) -> Result<bool, TrainingError> {
    for (id, _) in decoder.parameters().iter() {
        let Some(gradient) = gradients.get(id) else {
            continue;
        };
        let values = gradient
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f32>());
        let values = values.map_err(crate::error::NativeError::from)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Ok(false);
        }
    }
    Ok(true)
}
