use serde_json::{Map, Value, json};

use super::description::AdapterDescription;
use crate::adaptation::LoraOptions;

/// Name of the file that describes an adapter.
pub(crate) const FILE: &str = "adapter_config.json";
/// The version of PEFT whose fields these are; loaders look at it to tell what a field means.
const PEFT_VERSION: &str = "0.21.2";

/// Returns `adapter_config.json` with all fields that PEFT 0.21 writes for LoRA, as it writes them:
/// sorted, indented by two.
///
/// Target modules are sorted too; PEFT's own come in no order, because it keeps a set.
///
/// `lora`: where modules have ranks and scales of their own, as an adapter that was trained further may.
pub(crate) fn peft_config(
    adapter: &AdapterDescription,
    lora: Option<&LoraOptions>,
    base_name: &str,
) -> Result<String, serde_json::Error> {
    let (rank_pattern, alpha_pattern) = patterns(adapter, lora);
    let mut target_modules = adapter.target_modules.clone();
    target_modules.sort_unstable();
    target_modules.dedup();
    let modules_to_save = match &adapter.modules_to_save[..] {
        [] => Value::Null,
        modules => modules.into(),
    };
    let config = json!({
        "alora_invocation_tokens": null,
        "alpha_pattern": alpha_pattern,
        "arrow_config": null,
        "auto_mapping": null,
        "base_model_name_or_path": base_name,
        "bias": adapter.bias,
        "corda_config": null,
        "ensure_weight_tying": false,
        "eva_config": null,
        "exclude_modules": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "kasa_config": null,
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": null,
        "loftq_config": {},
        "lora_alpha": number(adapter.lora_alpha),
        "lora_bias": false,
        "lora_dropout": adapter.lora_dropout,
        "lora_ga_config": null,
        "megatron_config": null,
        "megatron_core": "megatron.core",
        "modules_to_save": modules_to_save,
        "monteclora_config": null,
        "peft_type": "LORA",
        "peft_version": PEFT_VERSION,
        "qalora_group_size": 16,
        "r": adapter.r,
        "rank_pattern": rank_pattern,
        "revision": null,
        "target_modules": target_modules,
        "target_parameters": null,
        "task_type": "CAUSAL_LM",
        "trainable_token_indices": null,
        "use_bdlora": null,
        "use_dora": false,
        "use_qalora": false,
        "use_rslora": adapter.use_rslora,
        "velora_config": null,
    });
    serde_json::to_string_pretty(&config)
}

/// Returns ranks and alphas of modules that have others than most, by the module's full name.
fn patterns(
    adapter: &AdapterDescription,
    lora: Option<&LoraOptions>,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    for (module, &(rank, scale)) in lora.iter().flat_map(|lora| &lora.own) {
        let divisor = rank as f64;
        let divisor = if adapter.use_rslora {
            divisor.sqrt()
        } else {
            divisor
        };
        let alpha = scale * divisor;
        if rank != adapter.r {
            ranks.insert(module.clone(), rank.into());
        }
        // An alpha goes through its scale and back, which may cost its last bit.
        if (alpha - adapter.lora_alpha).abs() > 1e-9 * adapter.lora_alpha.abs() {
            let whole = alpha.round();
            let is_whole = (alpha - whole).abs() <= 1e-9 * whole.abs();
            alphas.insert(module.clone(), number(if is_whole { whole } else { alpha }));
        }
    }
    (ranks, alphas)
}

/// A number as Python shows it: without a fraction where it has none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole and small, as was looked at"
)]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 2_f64.powi(53) {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PEFT 0.21.2 wrote for the same adapter, by `tests/golden/lora`.
    const WRITTEN_BY_PEFT: &str =
        include_str!("../../../../tests/golden/lora/tiny/rslora/adapter_config.json");

    #[test]
    fn fields_are_pefts() {
        let golden: serde_json::Map<String, Value> = serde_json::from_str(WRITTEN_BY_PEFT).unwrap();
        let strings = |field: &str| -> Vec<String> {
            let list = golden[field].as_array().into_iter().flatten();
            list.map(|value| value.as_str().unwrap().to_owned())
                .collect()
        };
        let adapter = AdapterDescription {
            r: 8,
            lora_alpha: golden["lora_alpha"].as_f64().unwrap(),
            lora_dropout: 0.0,
            use_rslora: true,
            bias: "none".to_owned(),
            target_modules: strings("target_modules").into_iter().rev().collect(),
            modules_to_save: Vec::new(),
        };
        let base = golden["base_model_name_or_path"].as_str().unwrap();
        let ours = peft_config(&adapter, None, base).unwrap();
        let golden = serde_json::to_string_pretty(&golden).unwrap();
        assert_eq!(ours, golden);
    }

    #[test]
    fn modules_to_save_and_broken_alphas_are_written() {
        let adapter = AdapterDescription {
            r: 4,
            lora_alpha: 2.5,
            lora_dropout: 0.05,
            use_rslora: false,
            bias: "lora_only".to_owned(),
            target_modules: vec!["q_proj".to_owned(), "q_proj".to_owned()],
            modules_to_save: vec!["lm_head".to_owned()],
        };
        let mut lora = LoraOptions::new(4, 2.5);
        lora.own
            .insert("model.layers.0.self_attn.q_proj".to_owned(), (4, 2.5 / 4.0));
        lora.own.insert(
            "model.layers.1.self_attn.q_proj".to_owned(),
            (6, 20.0 / 6.0),
        );
        let ours = peft_config(&adapter, Some(&lora), "b").unwrap();
        let ours: Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(
            ours["rank_pattern"],
            json!({"model.layers.1.self_attn.q_proj": 6})
        );
        assert_eq!(
            ours["alpha_pattern"],
            json!({"model.layers.1.self_attn.q_proj": 20})
        );
        assert_eq!(ours["lora_alpha"], 2.5);
        assert_eq!(ours["bias"], "lora_only");
        assert_eq!(ours["modules_to_save"], json!(["lm_head"]));
        assert_eq!(ours["target_modules"], json!(["q_proj"]));
    }
}
