//! What a run of TRL takes of memory, from the sizes alone.

use shipworthy_models::value_counts::{
    Projection, ValueCounts, hidden_norms, keys, projections, queries, table,
};
use shipworthy_schema::finetune::{
    Distributed, FinetuneConfig, Method, Objective, Optim, TargetModules,
};
use shipworthy_schema::{ForecastDevice, ForecastKnob, ForecastPart, MemoryForecast};

use crate::trainer::{ForecastBatch, ForecastModel};

/// Positions whose logits TRL's loss has at once.
pub const TRL_CHUNK: u32 = 256;
/// Copies of a chunk's logits in 32 bits, measured: 710 MiB for 256 positions of 262,144 tokens.
const CHUNK_COPIES: f64 = 2.8;
/// What Python takes with torch, transformers, PEFT and TRL loaded, measured.
const PYTHON: u64 = 811 << 20;
/// What the driver and the libraries take on a card; an estimate.
const CUDA_CONTEXT: u64 = 700 << 20;
/// What Python takes of the host where a card computes; an estimate.
const PYTHON_WITH_CUDA: u64 = 3 << 30;

/// How a loss holds logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitsHeld {
    /// By chunks, as the version of TRL that scripts are written for does.
    Trl,
    /// All at once, in 32 bits beside the 16 they were made in, as trainers without chunks do.
    AllAtOnce,
}

/// Predicts the memory that a run of TRL takes, for each process.
///
/// Parts in `phase` `pass`, `loss` and `layer` are there together as in the native trainer's forecast.
/// Weights, adapter, gradients and states follow from the sizes; activations are an estimate.
pub fn forecast_trl_memory(
    config: &FinetuneConfig,
    model: &ForecastModel<'_>,
    batch: &ForecastBatch,
    device: ForecastDevice,
    logits: LogitsHeld,
) -> MemoryForecast {
    let mut forecast = predict(config, model, batch, device, logits);
    forecast.knobs = knobs(config, model, batch, device, logits, forecast.peak_bytes);
    forecast
}

/// Returns how many values are trained, and how many there are in all, those added among them.
pub fn trl_values(config: &FinetuneConfig, model: &ForecastModel<'_>) -> (u64, u64) {
    let all = ValueCounts::of(model.family, model.sizes).all();
    if config.method == Method::Full {
        return (all, all);
    }
    let layers = u64::from(model.sizes.num_hidden_layers);
    let all_projections = projections(model.sizes);
    let is_target = |projection: &&Projection| match &config.target_modules {
        TargetModules::AllLinear => true,
        TargetModules::Listed(names) => names
            .iter()
            .any(|name| name.rsplit('.').next() == Some(projection.name)),
    };
    let pair = |projection: &Projection| {
        let features = projection.out_features + projection.in_features;
        features
            .saturating_mul(config.lora_r.into())
            .saturating_mul(layers)
    };
    let pairs: u64 = all_projections.iter().filter(is_target).map(pair).sum();
    let whole = config.modules_to_save.iter().map(|name| {
        let of_layer = all_projections.iter().find(|one| one.name == name);
        match (name.as_str(), of_layer) {
            ("embed_tokens" | "lm_head", _) => table(model.sizes),
            (_, Some(projection)) => projection.values().saturating_mul(layers),
            // A norm: too small to matter.
            _ => u64::from(model.sizes.hidden_size).saturating_mul(layers),
        }
    });
    let trained = whole.fold(pairs, u64::saturating_add);
    (trained, all.saturating_add(trained))
}

fn predict(
    config: &FinetuneConfig,
    model: &ForecastModel<'_>,
    batch: &ForecastBatch,
    device: ForecastDevice,
    logits: LogitsHeld,
) -> MemoryForecast {
    let is_card = device == ForecastDevice::Cuda;
    let width: u64 = if is_card { 2 } else { 4 };
    let sizes = model.sizes;
    let counts = ValueCounts::of(model.family, sizes);
    let (trained, _) = trl_values(config, model);
    let shards = Shards::of(config);
    let mut parts = Parts {
        parts: Vec::new(),
        is_card,
    };
    let host = shards.is_offloaded && is_card;
    match config.method {
        Method::Full => {}
        Method::Lora | Method::Qlora => {
            let projections = if config.method == Method::Qlora {
                let bits = nf4_bits(config.bnb_4bit_use_double_quant);
                scaled(counts.projections, bits / 8.0)
            } else {
                counts.projections.saturating_mul(width)
            };
            let name = if config.method == Method::Qlora {
                "frozen projections in NF4"
            } else {
                "frozen projections"
            };
            let tables = counts.embedding_and_head.saturating_add(counts.small);
            parts.add(name, projections / shards.weights, "throughout", false);
            parts.add(
                "frozen embedding, head and norms",
                tables.saturating_mul(width) / shards.weights,
                "throughout",
                false,
            );
        }
    }
    // A quantised base has its adapter in 16 bits, in TRL; everything else that is trained has 32.
    let trained_width = if config.method == Method::Qlora { 2 } else { 4 };
    let values = trained.saturating_mul(trained_width);
    parts.add(
        "trained weights",
        values / shards.weights,
        "throughout",
        false,
    );
    parts.add("gradients", values / shards.states, "throughout", host);
    let states = match config.optim {
        Optim::AdamwTorch => values.saturating_mul(2),
        Optim::Adamw8bit => trained
            .saturating_mul(2)
            .saturating_add(trained.div_ceil(256).saturating_mul(8)),
    };
    parts.add(
        "optimiser states",
        states / shards.states,
        "throughout",
        host,
    );

    if config.objective == Objective::Dpo && config.method == Method::Full {
        // An adapter is switched off instead.
        let reference = counts.all().saturating_mul(4) / shards.weights;
        parts.add("reference model", reference, "throughout", false);
    }
    // Preferences go through the model in pairs.
    let pairs = if config.objective == Objective::Dpo {
        2
    } else {
        1
    };
    let tokens = batch.tokens.saturating_mul(pairs);
    let hidden = u64::from(sizes.hidden_size);
    let layers = u64::from(sizes.num_hidden_layers);
    let input = tokens.saturating_mul(hidden).saturating_mul(width);
    let layer = tokens.saturating_mul(layer_bytes(config, model, width));
    if config.gradient_checkpointing {
        parts.add(
            "inputs of all layers",
            input.saturating_mul(layers),
            "pass",
            false,
        );
        parts.add("activations of one layer", layer, "layer", false);
    } else {
        let all = layer.saturating_mul(layers);
        parts.add("activations of all layers", all, "pass", false);
    }
    let backward = u64::from(sizes.intermediate_size)
        .saturating_mul(3)
        .saturating_add(hidden.saturating_mul(2));
    let backward = backward.saturating_mul(tokens).saturating_mul(width);
    parts.add("gradients within one layer", backward, "layer", false);
    let labelled = batch.labelled_tokens.saturating_mul(pairs);
    let of_position = u64::from(sizes.vocab_size).saturating_mul(4);
    let (name, bytes) = match logits {
        LogitsHeld::Trl => {
            let chunk = of_position.saturating_mul(u64::from(TRL_CHUNK).min(labelled));
            ("logits of a chunk", scaled(chunk, CHUNK_COPIES))
        }
        LogitsHeld::AllAtOnce => {
            let all = of_position.saturating_mul(tokens);
            ("logits of all tokens", scaled(all, 1.0 + 2.0 / 4.0))
        }
    };
    parts.add(name, bytes, "loss", false);
    parts.add(
        "hidden states with labels",
        input.saturating_mul(2),
        "loss",
        false,
    );
    if is_card {
        parts.add("CUDA's context", CUDA_CONTEXT, "throughout", false);
        parts.add(
            "Python and its packages",
            PYTHON_WITH_CUDA,
            "throughout",
            true,
        );
    } else {
        parts.add("Python and its packages", PYTHON, "throughout", false);
        // What was read stays mapped for as long as nobody else needs the memory.
        let file = counts.all().saturating_mul(model.stored_bytes);
        parts.add("pages of the model's file", file, "throughout", false);
        if let Some(pages) = parts.parts.last_mut() {
            pages.is_mapped = true;
        }
    }
    parts.forecast(device)
}

/// Bytes that PyTorch keeps of a token for a layer's gradients.
fn layer_bytes(config: &FinetuneConfig, model: &ForecastModel<'_>, width: u64) -> u64 {
    let sizes = model.sizes;
    let hidden = u64::from(sizes.hidden_size);
    let inner = u64::from(sizes.intermediate_size);
    let (queries, keys) = (queries(sizes), keys(sizes));
    // Sums and norms' outputs; queries, keys and values, the first two rotated too; what attention gives;
    // gate, its activation, what it is multiplied with, and the product.
    let mut values = hidden * 4 + queries * 3 + keys * 3 + inner * 4;
    if config.method != Method::Full && config.lora_dropout > 0.0 {
        // Every target keeps its own dropped copy of its input.
        values += hidden * 5 + queries + inner;
    }
    // Norms are computed in 32 bits.
    let norms = hidden_norms(model.family) * hidden * 8;
    values.saturating_mul(width).saturating_add(norms)
}

/// By how much processes divide what each has.
struct Shards {
    weights: u64,
    states: u64,
    is_offloaded: bool,
}

impl Shards {
    fn of(config: &FinetuneConfig) -> Self {
        let processes = u64::from(config.num_processes);
        let (weights, states) = match config.distributed {
            Distributed::Ddp => (1, 1),
            Distributed::Zero2 => (1, processes),
            Distributed::Fsdp | Distributed::Zero3 => (processes, processes),
        };
        Self {
            weights,
            states,
            is_offloaded: config.cpu_offload && processes > 1,
        }
    }
}

struct Parts {
    parts: Vec<ForecastPart>,
    is_card: bool,
}

impl Parts {
    fn add(&mut self, part: &str, bytes: u64, phase: &str, is_on_host: bool) {
        if bytes > 0 {
            self.parts.push(ForecastPart {
                part: part.to_owned(),
                bytes,
                is_on_host,
                is_mapped: false,
                phase: phase.to_owned(),
            });
        }
    }

    fn forecast(self, device: ForecastDevice) -> MemoryForecast {
        let sum = |phase: &str, is_on_host: bool| {
            let is = |part: &&ForecastPart| part.phase == phase && part.is_on_host == is_on_host;
            let parts = self.parts.iter().filter(is);
            parts.fold(0_u64, |sum, part| sum.saturating_add(part.bytes))
        };
        let pass = sum("pass", false).saturating_add(sum("loss", false).max(sum("layer", false)));
        let peak_bytes = sum("throughout", false).saturating_add(pass);
        let host_peak_bytes = if self.is_card {
            sum("throughout", true)
        } else {
            peak_bytes
        };
        let mapped = self.parts.iter().filter(|part| part.is_mapped);
        let mapped_bytes = mapped.fold(0_u64, |sum, part| sum.saturating_add(part.bytes));
        MemoryForecast {
            device,
            parts: self.parts,
            peak_bytes,
            host_peak_bytes,
            mapped_bytes,
            knobs: Vec::new(),
        }
    }
}

/// Returns what each setting alone would save, the largest first.
fn knobs(
    config: &FinetuneConfig,
    model: &ForecastModel<'_>,
    batch: &ForecastBatch,
    device: ForecastDevice,
    logits: LogitsHeld,
    peak_bytes: u64,
) -> Vec<ForecastKnob> {
    let mut changes: Vec<(&str, String, FinetuneConfig, ForecastBatch)> = Vec::new();
    let mut change = |key, value: &str, edit: &dyn Fn(&mut FinetuneConfig)| {
        let mut changed = config.clone();
        edit(&mut changed);
        changes.push((key, value.to_owned(), changed, *batch));
    };
    match config.method {
        Method::Full => change("method", "lora", &|config| config.method = Method::Lora),
        Method::Lora => change("method", "qlora", &|config| config.method = Method::Qlora),
        Method::Qlora => {}
    }
    if !config.gradient_checkpointing {
        change("gradient_checkpointing", "true", &|config| {
            config.gradient_checkpointing = true;
        });
    }
    if config.optim == Optim::AdamwTorch && config.distributed == Distributed::Ddp {
        change("optim", "adamw_8bit", &|config| {
            config.optim = Optim::Adamw8bit;
        });
    }
    if config.method != Method::Full && config.lora_r > 16 {
        change("lora_r", "16", &|config| config.lora_r = 16);
    }
    let halved = ForecastBatch {
        tokens: batch.tokens / 2,
        labelled_tokens: batch.labelled_tokens / 2,
        ..*batch
    };
    let (key, value) = if config.per_device_train_batch_size > 1 {
        let half = config.per_device_train_batch_size / 2;
        ("per_device_train_batch_size", half)
    } else {
        ("max_length", config.max_length / 2)
    };
    changes.push((key, value.to_string(), config.clone(), halved));
    let saved = changes.into_iter().map(|(key, value, config, batch)| {
        let less = predict(&config, model, &batch, device, logits).peak_bytes;
        ForecastKnob {
            key: key.to_owned(),
            value,
            saved_bytes: peak_bytes.saturating_sub(less),
        }
    });
    let mut knobs: Vec<ForecastKnob> = saved.filter(|knob| knob.saved_bytes > 0).collect();
    knobs.sort_by_key(|knob| std::cmp::Reverse(knob.saved_bytes));
    knobs
}

/// Bits of an NF4 weight with its scales: one for every 64, in 32 bits or in 8 with one for every 256.
fn nf4_bits(has_double_quant: bool) -> f64 {
    if has_double_quant {
        4.0 + 8.0 / 64.0 + 32.0 / (64.0 * 256.0)
    } else {
        4.0 + 32.0 / 64.0
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a product of positive numbers; it saturates"
)]
fn scaled(values: u64, factor: f64) -> u64 {
    (values as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use shipworthy_models::{Family, HyperParameters, ModelConfig};
    use test_case::test_case;

    use super::*;

    const LLAMA_3_8B: &str = r#"{"model_type":"llama","vocab_size":128256,"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"max_position_embeddings":8192}"#;
    const QWEN_3_14B: &str = r#"{"model_type":"qwen3","vocab_size":151936,"hidden_size":5120,"intermediate_size":17408,"num_hidden_layers":40,"num_attention_heads":40,"num_key_value_heads":8,"head_dim":128,"max_position_embeddings":40960}"#;
    const GEMMA_3_12B: &str = r#"{"model_type":"gemma3","text_config":{"vocab_size":262208,"hidden_size":3840,"intermediate_size":15360,"num_hidden_layers":48,"num_attention_heads":16,"num_key_value_heads":8,"head_dim":256}}"#;
    const SMALL: &str = r#"{"model_type":"llama","vocab_size":32000,"hidden_size":768,"intermediate_size":2048,"num_hidden_layers":12,"num_attention_heads":12,"num_key_value_heads":12,"max_position_embeddings":2048}"#;

    fn model(text: &str) -> (Family, HyperParameters) {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("config.json"), text).unwrap();
        let config = ModelConfig::read(place.path()).unwrap();
        (config.family(), config.hyper_parameters().unwrap())
    }

    fn peak(model: &(Family, HyperParameters), more: &str, tokens: u64, held: LogitsHeld) -> u64 {
        forecast(model, more, tokens, held, ForecastDevice::Cuda).peak_bytes
    }

    fn forecast(
        (family, sizes): &(Family, HyperParameters),
        more: &str,
        tokens: u64,
        held: LogitsHeld,
        device: ForecastDevice,
    ) -> MemoryForecast {
        let least = "model: m\ndataset: d\noutput_dir: o\ntrainer: trl\n";
        let (config, _) = FinetuneConfig::parse(&format!("{least}{more}"), "f").unwrap();
        let model = ForecastModel {
            family: *family,
            sizes,
            stored_bytes: 2,
        };
        let batch = ForecastBatch {
            distinct_tokens: u64::MAX,
            tokens,
            labelled_tokens: tokens,
            longest_sequence: tokens,
            threads: 1,
        };
        forecast_trl_memory(&config, &model, &batch, device, held)
    }

    /// What many train with: QLoRA of rank 64 on attention's projections, one example at a time.
    const USUAL: &str =
        "lora_r: 64\nlora_alpha: 128\ntarget_modules: [q_proj, k_proj, v_proj, o_proj]\n";

    // Gigabytes of all logits at once, and the card of 24 or 80 GB that a trainer needs which has them,
    // as guides to fine-tuning have it.
    #[test_case(GEMMA_3_12B, 2048, 2.1, 24; "Gemma 3 at 2k")]
    #[test_case(GEMMA_3_12B, 8192, 8.6, 80; "Gemma 3 at 8k")]
    #[test_case(GEMMA_3_12B, 16384, 17.2, 80; "Gemma 3 at 16k")]
    #[test_case(QWEN_3_14B, 2048, 1.2, 24; "Qwen 3 at 2k")]
    #[test_case(QWEN_3_14B, 8192, 5.0, 24; "Qwen 3 at 8k")]
    #[test_case(QWEN_3_14B, 16384, 10.0, 80; "Qwen 3 at 16k")]
    #[test_case(LLAMA_3_8B, 2048, 1.05, 24; "Llama 3 at 2k")]
    #[test_case(LLAMA_3_8B, 8192, 4.2, 24; "Llama 3 at 8k")]
    #[test_case(LLAMA_3_8B, 16384, 8.4, 80; "Llama 3 at 16k")]
    fn cards_are_those_of_the_guides(text: &str, tokens: u64, logits: f64, card_gib: u64) {
        let model = model(text);
        let all = tokens as f64 * f64::from(model.1.vocab_size) * 4.0 / 1e9;
        assert!((all - logits).abs() < 0.06, "{all}");
        let needed = peak(&model, USUAL, tokens, LogitsHeld::AllAtOnce);
        let usable = |gib: u64| (gib << 30) as f64 * 0.92;
        let smallest = [24, 80]
            .into_iter()
            .find(|&gib| needed as f64 <= usable(gib));
        assert_eq!(smallest, Some(card_gib), "{needed}");
        // By chunks it is a fraction of that.
        let chunked = forecast(&model, USUAL, tokens, LogitsHeld::Trl, ForecastDevice::Cuda);
        let loss = chunked
            .parts
            .iter()
            .find(|part| part.part == "logits of a chunk");
        assert!((loss.unwrap().bytes as f64) < 0.36 * all * 1e9);
        assert!(chunked.peak_bytes < needed);
    }

    #[test]
    fn trained_values_are_those_that_peft_counts() {
        let (family, sizes) = model(LLAMA_3_8B);
        let least = "model: m\ndataset: d\noutput_dir: o\nlora_r: 16\n";
        let (config, _) = FinetuneConfig::parse(least, "f").unwrap();
        let model = ForecastModel {
            family,
            sizes: &sizes,
            stored_bytes: 2,
        };
        assert_eq!(
            trl_values(&config, &model),
            (41_943_040, 8_030_261_248 + 41_943_040)
        );
    }

    // Peaks of PEFT with 32 bits on a processor, in MiB: without and with layers computed again.
    #[test_case("method: lora\nlora_r: 16\ngradient_checkpointing: false\n", 2471.0; "kept")]
    #[test_case("method: lora\nlora_r: 16\n", 2026.0; "computed again")]
    fn a_processors_peak_is_near_what_was_measured(more: &str, measured: f64) {
        let model = model(SMALL);
        let device = ForecastDevice::Cpu;
        let predicted = forecast(&model, more, 512, LogitsHeld::AllAtOnce, device).peak_bytes;
        let ratio = (predicted >> 20) as f64 / measured;
        assert!((0.75..1.25).contains(&ratio), "{ratio}");
    }

    #[test]
    fn processes_share_what_they_are_told_to() {
        let model = model(LLAMA_3_8B);
        let more = |kind: &str| format!("method: full\nnum_processes: 8\ndistributed: {kind}\n");
        let bytes = |kind| peak(&model, &more(kind), 2048, LogitsHeld::Trl);
        let (ddp, zero2, zero3) = (bytes("ddp"), bytes("zero2"), bytes("zero3"));
        assert!(ddp > zero2 && zero2 > zero3 && zero3 == bytes("fsdp"));
        assert!(zero3 < 24 << 30, "{zero3}");
    }
}
