#![expect(
    clippy::format_push_string,
    reason = "a text is shown once; its shape matters more"
)]

use serde_json::{Value, json};
use shipworthy_backends::trainer::{ForecastBatch, TRL_CHUNK};
use shipworthy_harness::tuning::{Flavour, PRICES_AS_OF, usable_bytes};
use shipworthy_reports::table;
use shipworthy_schema::finetune::{FinetuneConfig, Method};
use shipworthy_schema::{ForecastPart, MemoryForecast};

use super::training_steps::Steps;

/// Memory that cards are sold with, in GiB.
const CARDS: [u64; 8] = [10, 12, 16, 24, 32, 40, 48, 80];

/// What is said about the memory and the steps of a training run.
pub(super) struct Shown<'a> {
    pub(super) config: &'a FinetuneConfig,
    pub(super) family: &'a str,
    pub(super) vocab_size: u32,
    pub(super) values: u64,
    pub(super) trained: u64,
    pub(super) cuda: &'a MemoryForecast,
    pub(super) cpu: &'a MemoryForecast,
    pub(super) lengths: &'a [Length],
    /// The batch that `cuda` and `cpu` are for.
    pub(super) batch: ForecastBatch,
    pub(super) steps: Option<&'a Steps>,
    /// Hardware by the hour; empty where nobody knows how long it takes there.
    pub(super) rentals: &'a [Rental],
}

/// What a run takes on hardware that is paid by the hour.
pub(super) struct Rental {
    pub(super) flavour: Flavour,
    /// Whether the memory suffices.
    pub(super) fits: bool,
    /// An estimate, where the data is known.
    pub(super) hours: Option<f64>,
}

/// What another length of examples takes.
pub(super) struct Length {
    pub(super) tokens: u32,
    pub(super) cuda: MemoryForecast,
    /// The peak of a trainer that has all logits at once.
    pub(super) at_once_bytes: u64,
}

impl Shown<'_> {
    /// Returns the JSON document.
    pub(super) fn value(&self) -> Value {
        let device = |forecast: &MemoryForecast| {
            json!({
                "peak_bytes": forecast.peak_bytes,
                "host_peak_bytes": forecast.host_peak_bytes,
                "mapped_bytes": forecast.mapped_bytes,
                "parts": forecast.parts,
                "knobs": forecast.knobs,
            })
        };
        let length = |length: &Length| {
            json!({
                "max_length": length.tokens,
                "plain_logits_bytes": self.plain_logits(length.tokens),
                "loss_bytes": loss_bytes(&length.cuda),
                "peak_bytes": length.cuda.peak_bytes,
                "card_gib": card(length.cuda.peak_bytes),
                "plain_peak_bytes": length.at_once_bytes,
                "plain_card_gib": card(length.at_once_bytes),
            })
        };
        let rental = |rental: &Rental| {
            json!({
                "flavour": rental.flavour.name,
                "cards": rental.flavour.cards,
                "card_gib": rental.flavour.card_gib,
                "usd_per_hour": rental.flavour.usd_per_hour,
                "fits": rental.fits,
                "hours": rental.hours,
                "usd": rental.hours.map(|hours| hours * rental.flavour.usd_per_hour),
            })
        };
        json!({
            "format": 1,
            "trainer": self.config.trainer.name(),
            "prices_as_of": PRICES_AS_OF,
            "flavours": self.rentals.iter().map(rental).collect::<Vec<_>>(),
            "family": self.family,
            "parameters": self.values,
            "trainable_parameters": self.trained,
            "max_length": self.config.max_length,
            "batch_tokens": self.batch.tokens,
            "cuda": device(self.cuda),
            "cpu": device(self.cpu),
            "card_gib": card(self.cuda.peak_bytes),
            "lengths": self.lengths.iter().map(length).collect::<Vec<_>>(),
            "steps": self.steps.map(|steps| json!({
                "examples": steps.examples,
                "tokens": steps.tokens,
                "longest_example": steps.longest,
                "per_epoch": steps.per_epoch,
                "steps": steps.in_all,
            })),
        })
    }

    /// Returns the text for people.
    pub(super) fn text(&self, width: usize) -> String {
        let config = self.config;
        let rank = match config.method {
            Method::Full => String::new(),
            Method::Lora | Method::Qlora => format!(", r {}", config.lora_r),
        };
        let share = 100.0 * self.trained as f64 / self.values.max(1) as f64;
        let mut text = format!(
            "{} with {} parameters: {}{rank}, {} trained ({share:.2} %)\nlargest batch {} tokens, {}\n",
            self.family,
            billions(self.values),
            config.method.name(),
            billions(self.trained),
            self.batch.tokens,
            if config.gradient_checkpointing {
                "layers computed again for their gradients"
            } else {
                "all layers' activations kept"
            },
        );
        if let Some(steps) = self.steps {
            text += &format!(
                "{} steps, {} a pass: {} examples, {} tokens, the longest {}\n",
                steps.in_all, steps.per_epoch, steps.examples, steps.tokens, steps.longest
            );
        }
        text += &format!("\nMemory by part, in GB (10⁹ bytes)\n{}", self.parts(width));
        let mapped = self.cpu.mapped_bytes;
        if mapped > 0 {
            text += &format!(
                "Of the processor's, {} GB are pages of the model's file, which need not stay.\n",
                gigabytes(mapped)
            );
        }
        text += &match card(self.cuda.peak_bytes) {
            Some(size) => format!("A card of {size} GB suffices.\n"),
            None => format!("No card of {} GB suffices.\n", CARDS[CARDS.len() - 1]),
        };
        text += &format!(
            "\nLogits, in GB: all at once (tokens × {} × 4 bytes, one copy of about three), and as here, \
             {} at a time\n{}",
            self.vocab_size,
            if config.trainer.runs_script() {
                TRL_CHUNK
            } else {
                config.loss_chunk
            },
            self.by_length(width)
        );
        text += &self.rented(width);
        text += &knobs("a card", self.cuda, width);
        text += &knobs("the processor", self.cpu, width);
        text
    }

    fn batch_tokens(&self, length: u32) -> u64 {
        u64::from(self.config.per_device_train_batch_size) * u64::from(length)
    }

    fn plain_logits(&self, length: u32) -> u64 {
        let tokens = self.batch_tokens(length);
        tokens.saturating_mul(u64::from(self.vocab_size) * 4)
    }

    fn parts(&self, width: usize) -> String {
        let mut names: Vec<&str> = Vec::new();
        for forecast in [self.cuda, self.cpu] {
            for part in &forecast.parts {
                if !names.contains(&part.part.as_str()) {
                    names.push(&part.part);
                }
            }
        }
        let sum = |forecast: &MemoryForecast, name: &str, is_on_host: bool| {
            let is = |part: &&ForecastPart| part.part == name && part.is_on_host == is_on_host;
            let parts = forecast.parts.iter().filter(is);
            let bytes: u64 = parts.map(|part| part.bytes).sum();
            if bytes == 0 {
                String::new()
            } else {
                gigabytes(bytes)
            }
        };
        let mut rows: Vec<[String; 4]> = names
            .iter()
            .map(|name| {
                [
                    (*name).to_owned(),
                    sum(self.cuda, name, false),
                    sum(self.cuda, name, true),
                    sum(self.cpu, name, false),
                ]
            })
            .collect();
        rows.push([
            "at the peak".to_owned(),
            gigabytes(self.cuda.peak_bytes),
            gigabytes(self.cuda.host_peak_bytes),
            gigabytes(self.cpu.peak_bytes),
        ]);
        table(["Part", "Card", "its host", "Processor"], &rows, width)
    }

    /// What a run costs elsewhere, or nothing.
    fn rented(&self, width: usize) -> String {
        if self.rentals.is_empty() {
            return String::new();
        }
        let row = |rental: &Rental| {
            let flavour = &rental.flavour;
            let usd = rental.hours.map(|hours| hours * flavour.usd_per_hour);
            [
                flavour.name.to_owned(),
                format!("{} × {} GB", flavour.cards, flavour.card_gib),
                if rental.fits { "yes" } else { "no" }.to_owned(),
                format!("{:.2}", flavour.usd_per_hour),
                rental
                    .hours
                    .map_or_else(String::new, |hours| format!("{hours:.1}")),
                usd.map_or_else(String::new, |usd| format!("{usd:.2}")),
            ]
        };
        let rows: Vec<_> = self.rentals.iter().map(row).collect();
        let heads = ["Flavour", "Cards", "Fits", "$ an hour", "Hours", "$"];
        format!(
            "\nHugging Face Jobs, prices of {PRICES_AS_OF}; hours are an estimate: a third of the cards' peak\n{}",
            table(heads, &rows, width)
        )
    }

    fn by_length(&self, width: usize) -> String {
        let row = |length: &Length| {
            let configured = length.tokens == self.config.max_length;
            [
                format!("{}{}", length.tokens, if configured { " *" } else { "" }),
                gigabytes(self.plain_logits(length.tokens)),
                gigabytes(loss_bytes(&length.cuda)),
                gigabytes(length.cuda.peak_bytes),
                card(length.cuda.peak_bytes)
                    .map_or_else(|| "none".to_owned(), |size| format!("{size} GB")),
            ]
        };
        let rows: Vec<_> = self.lengths.iter().map(row).collect();
        let heads = ["max_length", "At once", "Here", "Peak on a card", "Card"];
        table(heads, &rows, width)
    }
}

/// Returns what the loss takes.
fn loss_bytes(forecast: &MemoryForecast) -> u64 {
    let parts = forecast.parts.iter().filter(|part| part.phase == "loss");
    parts.map(|part| part.bytes).sum()
}

fn knobs(place: &str, forecast: &MemoryForecast, width: usize) -> String {
    if forecast.knobs.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = forecast
        .knobs
        .iter()
        .map(|knob| {
            let setting = format!("{}: {}", knob.key, knob.value);
            [setting, gigabytes(knob.saved_bytes)]
        })
        .collect();
    let heads = ["Setting", "GB less"];
    format!(
        "\nWhat each setting alone would save on {place}\n{}",
        table(heads, &rows, width)
    )
}

/// Returns the smallest card that suffices, in GiB as it is sold.
fn card(peak_bytes: u64) -> Option<u64> {
    CARDS
        .into_iter()
        .find(|gib| usable_bytes(*gib) >= peak_bytes)
}

fn gigabytes(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    let decimals = if gigabytes < 1.0 { 3 } else { 2 };
    format!("{gigabytes:.decimals$}")
}

fn billions(count: u64) -> String {
    let count = count as f64;
    if count >= 1e9 {
        format!("{:.2} B", count / 1e9)
    } else {
        format!("{:.2} M", count / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(9_800_000_000, Some(10))]
    #[test_case(9_900_000_000, Some(12))]
    #[test_case(79_000_000_000, Some(80))]
    #[test_case(80_000_000_000, None)]
    fn cards_have_less_than_is_written_on_them(bytes: u64, expected: Option<u64>) {
        assert_eq!(card(bytes), expected);
    }
}
