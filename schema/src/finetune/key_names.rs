use super::Places;
use crate::yaml::YamlError;

/// What a key of other programs is called here, or what to write instead.
const ELSEWHERE: [(&str, &str); 53] = [
    ("adam_beta1", "leave it out: it is 0.9, as in transformers"),
    (
        "adam_beta2",
        "leave it out: it is 0.999, as in transformers",
    ),
    (
        "adam_epsilon",
        "leave it out: it is 1e-8, as in transformers",
    ),
    ("adapter", "this is called `init_adapter`"),
    ("adapter_name_or_path", "this is called `init_adapter`"),
    ("alpha", "this is called `lora_alpha`"),
    (
        "assistant_only_loss",
        "leave it out: the loss is always the assistant's tokens' alone",
    ),
    ("base_model", "this is called `model`"),
    ("batch_size", "this is called `per_device_train_batch_size`"),
    ("bf16", "write `dtype: bfloat16`"),
    (
        "bnb_4bit_quant_type",
        "leave it out: `method: qlora` is NF4",
    ),
    ("cutoff_len", "this is called `max_length`"),
    (
        "dataset_name",
        "this is called `dataset`, and is a JSON Lines file",
    ),
    ("dataset_path", "this is called `dataset`"),
    ("deepspeed", "write `distributed: zero2` or `zero3`"),
    ("dropout", "this is called `lora_dropout`"),
    ("epochs", "this is called `num_train_epochs`"),
    (
        "eval_strategy",
        "leave it out, and give `eval_steps`; without it every pass ends with an evaluation",
    ),
    (
        "evaluation_strategy",
        "leave it out, and give `eval_steps`; without it every pass ends with an evaluation",
    ),
    (
        "fp16",
        "write `dtype: bfloat16`, or leave it out: float16 overflows while training",
    ),
    ("fsdp", "write `distributed: fsdp`"),
    (
        "gradient_accumulation",
        "this is called `gradient_accumulation_steps`",
    ),
    ("gradient_clipping", "this is called `max_grad_norm`"),
    ("hub_repo", "this is called `hub_model_id`"),
    (
        "learning_rate_scheduler",
        "this is called `lr_scheduler_type`",
    ),
    (
        "load_best_model_at_end",
        "leave it out: the best checkpoint is what is written, where there is an `eval_dataset`",
    ),
    ("load_in_4bit", "write `method: qlora`"),
    ("lora_rank", "this is called `lora_r`"),
    ("lora_target_modules", "this is called `target_modules`"),
    ("lr", "this is called `learning_rate`"),
    ("lr_scheduler", "this is called `lr_scheduler_type`"),
    ("max_seq_len", "this is called `max_length`"),
    ("max_seq_length", "this is called `max_length`"),
    (
        "micro_batch_size",
        "this is called `per_device_train_batch_size`",
    ),
    ("model_id", "this is called `model`, and is a directory"),
    ("model_name", "this is called `model`, and is a directory"),
    (
        "model_name_or_path",
        "this is called `model`, and is a directory",
    ),
    ("num_epochs", "this is called `num_train_epochs`"),
    ("optimizer", "this is called `optim`"),
    ("output", "this is called `output_dir`"),
    ("patience", "this is called `early_stopping_patience`"),
    (
        "push_to_hub",
        "leave it out, and give `hub_model_id`: the repository to push to",
    ),
    ("r", "this is called `lora_r`"),
    ("rank", "this is called `lora_r`"),
    ("rl", "write `objective: dpo`"),
    (
        "save_strategy",
        "leave it out, and give `save_steps`; without it every pass ends with a checkpoint",
    ),
    ("sequence_len", "this is called `max_length`"),
    ("stage", "write `objective: sft` or `dpo`"),
    ("target_module", "this is called `target_modules`"),
    ("torch_dtype", "this is called `dtype`"),
    ("train_dataset", "this is called `dataset`"),
    (
        "truncation",
        "this is called `excess_length_strategy`: `raise`, `truncate` or `drop`",
    ),
    (
        "use_double_quant",
        "this is called `bnb_4bit_use_double_quant`",
    ),
];

/// Finds a key that is none of `known`, and says what was meant.
pub(super) fn check(places: &Places, known: &[String]) -> Result<(), YamlError> {
    let stranger = places
        .names()
        .find(|name| !known.iter().any(|known| known == name));
    stranger.map_or(Ok(()), |name| {
        Err(places.key(name).error(meant(name, known)))
    })
}

fn meant(name: &str, known: &[String]) -> String {
    if let Some((_, hint)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return (*hint).to_owned();
    }
    let nearest = known
        .iter()
        .map(|known| (distance(name, known), known))
        .min();
    match nearest {
        Some((letters, nearest)) if letters <= nearest.len() / 4 + 1 => {
            format!("there is no such key; did you mean `{nearest}`?")
        }
        _ => format!("there is no such key; there are {}", known.join(", ")),
    }
}

/// Returns how many letters must be added, removed or replaced to turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for (i, letter) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &own) in one.iter().enumerate() {
            let replaced = diagonal + usize::from(own != letter);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[one.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::FinetuneConfig;

    #[test]
    fn hints_name_keys_that_there_are() {
        let known = FinetuneConfig::keys();
        for (other, hint) in ELSEWHERE {
            assert!(!known.contains(&other.to_owned()), "{other} is a key");
            let named = hint.split('`').skip(1).step_by(2);
            let mut named = named.map(|code| code.split(':').next().unwrap_or_default());
            assert!(
                named.any(|key| known.contains(&key.to_owned())) || hint.starts_with("leave"),
                "{hint}"
            );
        }
    }

    #[test]
    fn letters_are_counted() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
