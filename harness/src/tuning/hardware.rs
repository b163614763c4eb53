//! Cards that can be rented by the hour, what they cost, and how long a run takes on them.

use shipworthy_models::value_counts::ValueCounts;
use shipworthy_models::{Family, HyperParameters};
use shipworthy_schema::finetune::{FinetuneConfig, Method};

/// When the prices below were read; they are Hugging Face Jobs', in US dollars.
pub const PRICES_AS_OF: &str = "2026-08-22";

/// Share of a card's memory that a program gets: the driver, error correction and the display take the rest.
const USABLE: f64 = 0.92;

/// Share of a card's peak that TRL comes to: 2,415 tokens a second with a 4-bit Llama 2 7B on an A100
/// (LLaMA-Factory's comparison of 2024), at 6 operations for each token and value.
const SHARE_OF_PEAK: f64 = 0.33;

/// Hardware that a job can be given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flavour {
    /// What it is called.
    pub name: &'static str,
    /// Cards.
    pub cards: u32,
    /// Memory of each, in GiB.
    pub card_gib: u64,
    /// US dollars for an hour of all of it, on [`PRICES_AS_OF`].
    pub usd_per_hour: f64,
    /// The most operations a second of each, in 10¹², with `bfloat16` and without sparsity.
    teraflops: f64,
}

const fn flavour(
    name: &'static str,
    (cards, card_gib): (u32, u64),
    usd_per_hour: f64,
    teraflops: f64,
) -> Flavour {
    Flavour {
        name,
        cards,
        card_gib,
        usd_per_hour,
        teraflops,
    }
}

/// Those with cards that compute with `bfloat16`, cheapest first among those of as many cards.
pub const FLAVOURS: [Flavour; 20] = [
    flavour("l4x1", (1, 24), 0.80, 121.0),
    flavour("a10g-small", (1, 24), 1.00, 70.0),
    flavour("a10g-large", (1, 24), 1.50, 70.0),
    flavour("l40sx1", (1, 48), 1.80, 362.0),
    flavour("a100-large", (1, 80), 2.50, 312.0),
    flavour("rtx-pro-6000", (1, 96), 2.75, 503.0),
    flavour("h200", (1, 141), 5.00, 989.0),
    flavour("a10g-largex2", (2, 24), 3.00, 70.0),
    flavour("rtx-pro-6000x2", (2, 96), 5.50, 503.0),
    flavour("h200x2", (2, 141), 10.00, 989.0),
    flavour("l4x4", (4, 24), 3.80, 121.0),
    flavour("a10g-largex4", (4, 24), 5.00, 70.0),
    flavour("l40sx4", (4, 48), 8.30, 362.0),
    flavour("a100x4", (4, 80), 10.00, 312.0),
    flavour("rtx-pro-6000x4", (4, 96), 11.00, 503.0),
    flavour("h200x4", (4, 141), 20.00, 989.0),
    flavour("a100x8", (8, 80), 20.00, 312.0),
    flavour("rtx-pro-6000x8", (8, 96), 22.00, 503.0),
    flavour("l40sx8", (8, 48), 23.50, 362.0),
    flavour("h200x8", (8, 141), 40.00, 989.0),
];

impl Flavour {
    /// Tells whether each card has room for `peak_bytes`.
    pub fn fits(&self, peak_bytes: u64) -> bool {
        peak_bytes <= usable_bytes(self.card_gib)
    }

    /// Estimates the hours for `tokens` of a model of these sizes, all cards at work.
    pub fn hours(
        &self,
        config: &FinetuneConfig,
        family: Family,
        sizes: &HyperParameters,
        tokens: f64,
    ) -> f64 {
        let rate = f64::from(self.cards) * self.teraflops * 1e12 * SHARE_OF_PEAK;
        tokens * operations_per_token(config, family, sizes) / rate / 3600.0
    }
}

/// Returns the bytes of a card of `gib` that a program gets.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size"
)]
pub fn usable_bytes(gib: u64) -> u64 {
    ((gib << 30) as f64 * USABLE) as u64
}

/// Two operations for each value that a token meets: forward, forward again where layers are computed
/// again, backward to what came in, and backward to the weights where these are trained.
fn operations_per_token(config: &FinetuneConfig, family: Family, sizes: &HyperParameters) -> f64 {
    let counts = ValueCounts::of(family, sizes);
    // The embedding is only looked up; the head is multiplied with.
    let head = u64::from(sizes.vocab_size) * u64::from(sizes.hidden_size);
    let met = counts.projections.saturating_add(head) as f64;
    let passes = 2.0
        + f64::from(u8::from(config.gradient_checkpointing))
        + f64::from(u8::from(config.method == Method::Full));
    2.0 * passes * met
}

#[cfg(test)]
mod tests {
    use shipworthy_models::ModelConfig;

    use super::*;

    const LLAMA_2_7B: &str = r#"{"model_type":"llama","vocab_size":32000,"hidden_size":4096,"intermediate_size":11008,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":32,"max_position_embeddings":4096}"#;

    #[test]
    fn the_rate_is_the_one_it_was_taken_from() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("config.json"), LLAMA_2_7B).unwrap();
        let model = ModelConfig::read(place.path()).unwrap();
        let sizes = model.hyper_parameters().unwrap();
        let least = "model: m\ndataset: d\noutput_dir: o\n";
        let (config, _) = FinetuneConfig::parse(least, "f").unwrap();
        let card = FLAVOURS
            .iter()
            .find(|one| one.name == "a100-large")
            .unwrap();
        let hours = card.hours(&config, model.family(), &sizes, 2415.0 * 3600.0);
        assert!((hours - 1.0).abs() < 0.1, "{hours}");
    }

    #[test]
    fn flavours_are_in_order() {
        let key = |one: &Flavour| (one.cards, one.usd_per_hour);
        assert!(FLAVOURS.is_sorted_by(|one, other| key(one) <= key(other)));
    }
}
