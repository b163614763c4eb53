use shipworthy_models::{Family, HyperParameters};

use super::question::{MemoryQuestion, Trained};

/// A projection of a layer: `y = x·Wᵀ (+ b)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Projection {
    pub(super) name: &'static str,
    pub(super) out_features: u64,
    pub(super) in_features: u64,
    has_bias: bool,
}

impl Projection {
    pub(super) fn values(self) -> u64 {
        self.out_features.saturating_mul(self.in_features)
    }
}

/// What a layer's projections are called.
pub const PROJECTIONS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

/// Returns how many values a model has.
pub fn values(family: Family, model: &HyperParameters) -> u64 {
    Values::of(family, model).all()
}

/// Returns how many values are trained.
pub fn trainable_values(question: &MemoryQuestion<'_>) -> u64 {
    trained_values(question).0
}

/// Returns the projections of one layer, in the order they are used.
pub(super) fn projections(model: &HyperParameters) -> [Projection; 7] {
    let hidden = u64::from(model.hidden_size);
    let inner = u64::from(model.intermediate_size);
    let queries = queries(model);
    let keys = keys(model);
    let sizes = [
        (queries, hidden, model.qkv_bias),
        (keys, hidden, model.qkv_bias),
        (keys, hidden, model.qkv_bias),
        (hidden, queries, model.output_bias),
        (inner, hidden, model.mlp_bias),
        (inner, hidden, model.mlp_bias),
        (hidden, inner, model.mlp_bias),
    ];
    let mut names = PROJECTIONS.into_iter();
    sizes.map(|(out_features, in_features, has_bias)| Projection {
        name: names.next().unwrap_or_default(),
        out_features,
        in_features,
        has_bias,
    })
}

/// Returns the values of a token's queries.
pub(super) fn queries(model: &HyperParameters) -> u64 {
    u64::from(model.num_attention_heads).saturating_mul(model.head_dim.into())
}

/// Returns the values of a token's keys.
pub(super) fn keys(model: &HyperParameters) -> u64 {
    u64::from(model.num_key_value_heads).saturating_mul(model.head_dim.into())
}

/// How many values a model has, by what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    /// Of all layers' projections, without biases.
    pub(super) projections: u64,
    /// Of the embedding, and of the head where it is not the same.
    pub(super) embedding_and_head: u64,
    /// Of norms and biases.
    pub(super) small: u64,
}

impl Values {
    /// Counts a model's values.
    pub(super) fn of(family: Family, model: &HyperParameters) -> Self {
        let layers = u64::from(model.num_hidden_layers);
        let hidden = u64::from(model.hidden_size);
        let of_layer = projections(model);
        let sum = |values: &dyn Fn(&Projection) -> u64| {
            let values = of_layer.iter().map(values);
            values.fold(0, u64::saturating_add).saturating_mul(layers)
        };
        let biases = sum(&|projection| {
            if projection.has_bias {
                projection.out_features
            } else {
                0
            }
        });
        let norms = hidden_norms(family).saturating_mul(hidden);
        let head_norms = if has_head_norms(family) {
            2 * u64::from(model.head_dim)
        } else {
            0
        };
        let norms = norms.saturating_add(head_norms).saturating_mul(layers);
        let tables = if model.tie_word_embeddings { 1 } else { 2 };
        Self {
            projections: sum(&|projection| projection.values()),
            embedding_and_head: table(model).saturating_mul(tables),
            small: biases.saturating_add(norms).saturating_add(hidden),
        }
    }

    /// Returns how many there are in all.
    pub(super) fn all(self) -> u64 {
        let tables = self.embedding_and_head.saturating_add(self.small);
        self.projections.saturating_add(tables)
    }
}

/// Returns the values of the embedding.
pub(super) fn table(model: &HyperParameters) -> u64 {
    u64::from(model.vocab_size).saturating_mul(model.hidden_size.into())
}

/// Returns how many norms of a layer are over a token's whole vector.
pub(super) fn hidden_norms(family: Family) -> u64 {
    if family == Family::Gemma3 { 4 } else { 2 }
}

/// Tells whether queries and keys are normed by head.
pub(super) fn has_head_norms(family: Family) -> bool {
    matches!(family, Family::Qwen3 | Family::Gemma3)
}

/// Returns how many values are trained, and how many of those are whole modules' own copies.
pub(super) fn trained_values(question: &MemoryQuestion<'_>) -> (u64, u64) {
    let model = question.model;
    let layers = u64::from(model.num_hidden_layers);
    match question.trained {
        Trained::Full => (Values::of(question.family, model).all(), 0),
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
