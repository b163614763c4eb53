use super::{FinetuneConfig, Method, Places};
use crate::yaml::YamlError;

/// Keys of low-rank adapters.
const OF_ADAPTERS: [&str; 8] = [
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "target_modules",
    "modules_to_save",
    "bias",
    "init_adapter",
];

/// The key of weights in 4 bits.
const OF_QLORA: &str = "bnb_4bit_use_double_quant";

/// Tells whether a key means anything for a method.
pub(super) fn goes_with(key: &str, method: Method) -> bool {
    match method {
        Method::Qlora => true,
        Method::Lora => key != OF_QLORA,
        Method::Full => key != OF_QLORA && !OF_ADAPTERS.contains(&key),
    }
}

/// Finds keys that do not go together.
pub(super) fn check(config: &FinetuneConfig, places: &Places) -> Result<(), YamlError> {
    for (one, other) in [
        ("warmup_steps", "warmup_ratio"),
        ("max_steps", "num_train_epochs"),
    ] {
        if places.has(one) && places.has(other) {
            let line = places.key(other).line;
            let message = format!("give this or `{other}` (line {line}), not both");
            return Err(places.key(one).error(message));
        }
    }
    let needs = |key: &str, message: &str| {
        if places.has(key) {
            Err(places.key(key).error(message))
        } else {
            Ok(())
        }
    };
    for key in OF_ADAPTERS {
        if !goes_with(key, config.method) {
            needs(
                key,
                "goes with `method: lora` and `qlora`; leave it out or change `method`",
            )?;
        }
    }
    if !goes_with(OF_QLORA, config.method) {
        needs(
            OF_QLORA,
            "goes with `method: qlora`; leave it out or change `method`",
        )?;
    }
    if config.eval_dataset.is_none() {
        for key in ["eval_steps", "early_stopping_patience"] {
            needs(
                key,
                "needs `eval_dataset`: conversations to measure the loss on",
            )?;
        }
    }
    Ok(())
}
