//! How many values a model has, from its sizes alone.

use crate::hyper_parameters::HyperParameters;
use crate::model_config::Family;

/// A projection of a layer: `y = x·Wᵀ (+ b)`.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    /// What it is called.
    pub name: &'static str,
    /// Values that come out of it.
    pub out_features: u64,
    /// Values that go into it.
    pub in_features: u64,
    has_bias: bool,
}

impl Projection {
    /// Returns how many values its weight has.
    pub fn values(self) -> u64 {
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

/// Returns the projections of one layer, in the order they are used.
pub fn projections(model: &HyperParameters) -> [Projection; 7] {
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
pub fn queries(model: &HyperParameters) -> u64 {
    u64::from(model.num_attention_heads).saturating_mul(model.head_dim.into())
}

/// Returns the values of a token's keys.
pub fn keys(model: &HyperParameters) -> u64 {
    u64::from(model.num_key_value_heads).saturating_mul(model.head_dim.into())
}

/// How many values a model has, by what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueCounts {
    /// Of all layers' projections, without biases.
    pub projections: u64,
    /// Of the embedding, and of the head where it is not the same.
    pub embedding_and_head: u64,
    /// Of norms and biases.
    pub small: u64,
}

impl ValueCounts {
    /// Counts a model's values.
    pub fn of(family: Family, model: &HyperParameters) -> Self {
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
    pub fn all(self) -> u64 {
        let tables = self.embedding_and_head.saturating_add(self.small);
        self.projections.saturating_add(tables)
    }
}

/// Returns the values of the embedding.
pub fn table(model: &HyperParameters) -> u64 {
    u64::from(model.vocab_size).saturating_mul(model.hidden_size.into())
}

/// Returns how many norms of a layer are over a token's whole vector.
pub fn hidden_norms(family: Family) -> u64 {
    if family == Family::Gemma3 { 4 } else { 2 }
}

/// Tells whether queries and keys are normed by head.
pub fn has_head_norms(family: Family) -> bool {
    matches!(family, Family::Qwen3 | Family::Gemma3)
}
