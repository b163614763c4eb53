use shipworthy_models::value_counts::{Projection, ValueCounts, projections, table};
use shipworthy_models::{Family, HyperParameters};

use super::question::{MemoryQuestion, Trained};

/// Returns how many values a model has.
pub fn values(family: Family, model: &HyperParameters) -> u64 {
    ValueCounts::of(family, model).all()
}

/// Returns how many values are trained.
pub fn trainable_values(question: &MemoryQuestion<'_>) -> u64 {
    trained_values(question).0
}

/// Returns how many values are trained, and how many of those are whole modules' own copies.
pub(super) fn trained_values(question: &MemoryQuestion<'_>) -> (u64, u64) {
    let model = question.model;
    let layers = u64::from(model.num_hidden_layers);
    match question.trained {
        Trained::Full => (ValueCounts::of(question.family, model).all(), 0),
        Trained::Lora {
            r, modules_to_save, ..
        } => {
            let pairs = targets(question).map(|projection| {
                let features = projection
                    .out_features
                    .saturating_add(projection.in_features);
                features.saturating_mul(r).saturating_mul(layers)
            });
            let pairs = pairs.fold(head_pair(question, r), u64::saturating_add);
            let whole = modules_to_save.iter().map(|name| {
                let all = projections(model);
                let of_layer = all.iter().find(|projection| projection.name == name);
                match (name.as_str(), of_layer) {
                    ("embed_tokens" | "lm_head", _) => table(model),
                    (_, Some(projection)) => projection.values().saturating_mul(layers),
                    // A norm: too small to matter.
                    _ => u64::from(model.hidden_size).saturating_mul(layers),
                }
            });
            let whole = whole.fold(0, u64::saturating_add);
            (pairs.saturating_add(whole), whole)
        }
    }
}

/// Returns the values of the head's low-rank change, if it is asked for by name.
fn head_pair(question: &MemoryQuestion<'_>, r: u64) -> u64 {
    let Trained::Lora {
        target_modules: Some(names),
        ..
    } = question.trained
    else {
        return 0;
    };
    if !names.iter().any(|name| ends_in(name, "lm_head")) {
        return 0;
    }
    let (vocab, hidden) = (question.model.vocab_size, question.model.hidden_size);
    (u64::from(vocab) + u64::from(hidden)).saturating_mul(r)
}

/// Returns the projections of a layer that get a low-rank change.
pub(super) fn targets(question: &MemoryQuestion<'_>) -> impl Iterator<Item = Projection> {
    let targets = match question.trained {
        Trained::Full => Some([].as_slice()),
        Trained::Lora { target_modules, .. } => target_modules,
    };
    let is_target = move |projection: &Projection| {
        targets.is_none_or(|names| names.iter().any(|name| ends_in(name, projection.name)))
    };
    projections(question.model).into_iter().filter(is_target)
}

/// Tells whether a dotted name's last part is `name`.
fn ends_in(dotted: &str, name: &str) -> bool {
    dotted.rsplit('.').next() == Some(name)
}
